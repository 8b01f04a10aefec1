#include <string.h>

#include "cpu_backend.h"
#include "op/prediction_element.h"
#include "op/softmax_element.h"
#include "span.h"

void softmax_cpu(Device *device, Shape logits_shape, const void *logits, int32_t class_count,
                 float *probabilities)
{
#pragma omp parallel for schedule(static)
  for (int64_t p = 0; p < shape_pixels(logits_shape); ++p) {
    float buffer[CLASS_COUNT_MOST];
    const float *z =
        span_load(logits_shape.element, logits, p * logits_shape.channels, class_count, buffer);
    float *to = probabilities + p * class_count;
    memcpy(to, z, (size_t)class_count * sizeof *to);
    (void)softmax_element(class_count, to);
  }
}

void argmax_cpu(Device *device, Shape logits_shape, const void *logits, int32_t class_count,
                uint8_t *classes)
{
  const int64_t channels = logits_shape.channels;
  const int64_t pixels = shape_pixels(logits_shape);
  const int64_t span_pixels = SPAN_MOST / channels;
#pragma omp parallel for schedule(static)
  for (int64_t first = 0; first < pixels; first += span_pixels) {
    float buffer[SPAN_MOST];
    const int64_t count = pixels - first < span_pixels ? pixels - first : span_pixels;
    const float *z =
        span_load(logits_shape.element, logits, first * channels, count * channels, buffer);
    for (int64_t p = 0; p < count; ++p)
      classes[first + p] = argmax_element(class_count, z + p * channels);
  }
}

void confusion_cpu(Device *device, int64_t count, const uint8_t *classes, const uint8_t *labels,
                   int32_t class_count, int64_t *counts)
{
  for (int64_t p = 0; p < count; ++p)
    if (labels[p] < class_count && classes[p] < class_count)
      ++counts[labels[p] * class_count + classes[p]];
}
