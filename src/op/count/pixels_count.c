#include "count_backend.h"
#include "note.h"

void normalize_count(Device *device, Shape x_shape, const void *x, const uint8_t *valid,
                     const float *mean, const float *inverse_std, Shape y_shape, void *y)
{
  note(device,
       moved(OP_PIXELS, bytes_of(x_shape) + (double)shape_pixels(x_shape), bytes_of(y_shape)));
}

/* Four pixels of x for each of y, mostly in a cache: x once. */
void resize_bilinear_count(Device *device, Shape x_shape, const float *x, const int32_t *sizes,
                           Shape y_shape, void *y)
{
  note(device, moved(OP_PIXELS, bytes_of(x_shape), bytes_of(y_shape)));
}

void segmentation_loss_sums_count(Device *device, SegmentationLoss loss, const float *class_weights,
                                  Shape logits_shape, const void *logits, const uint8_t *labels,
                                  float *sums, void *scratch)
{
  OpWork work = moved(OP_PIXELS, bytes_of(logits_shape) + (double)shape_pixels(logits_shape), 0);
  work.launches = 2;
  note(device, work);
}

void segmentation_loss_backward_count(Device *device, SegmentationLoss loss,
                                      const float *class_weights, const float *sums,
                                      const float *scale, Shape logits_shape, const void *logits,
                                      const uint8_t *labels, void *dlogits)
{
  const double bytes = bytes_of(logits_shape);
  note(device, moved(OP_PIXELS, bytes + (double)shape_pixels(logits_shape), bytes));
}

void softmax_count(Device *device, Shape logits_shape, const void *logits, int32_t class_count,
                   float *probabilities)
{
  const double values = (double)shape_pixels(logits_shape) * class_count;
  note(device, moved(OP_PIXELS, bytes_of(logits_shape), values * sizeof(float)));
}

void argmax_count(Device *device, Shape logits_shape, const void *logits, int32_t class_count,
                  uint8_t *classes)
{
  note(device, moved(OP_PIXELS, bytes_of(logits_shape), (double)shape_pixels(logits_shape)));
}

void confusion_count(Device *device, int64_t count, const uint8_t *classes, const uint8_t *labels,
                     int32_t class_count, int64_t *counts)
{
  note(device, moved(OP_PIXELS, 2 * (double)count, 0));
}
