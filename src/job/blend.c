#include "blend.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

static uint8_t mark_of(const float *probabilities, int32_t class_count, uint8_t valid)
{
  if (valid == 0) return BLEND_NODATA;
  for (int32_t i = 0; i < class_count; ++i)
    if (!(probabilities[i] >= 0 && probabilities[i] <= 1.0001F)) return BLEND_FAILED;
  return 0;
}

void blend_bytes(const float *probabilities, const uint8_t *valid, int64_t pixel_count,
                 int32_t class_count, uint8_t *bytes)
{
  for (int64_t p = 0; p < pixel_count; ++p) {
    const float *from = probabilities + p * class_count;
    uint8_t *to = bytes + p * class_count;
    const uint8_t mark = mark_of(from, class_count, valid[p]);
    if (mark != 0)
      memset(to, mark, (size_t)class_count);
    else
      for (int32_t i = 0; i < class_count; ++i)
        to[i] = (uint8_t)(from[i] < 1 ? from[i] * BLEND_ONE + 0.5F : BLEND_ONE);
  }
}

static Status allocate(int64_t core_px_most, Blend *blend)
{
  void *memory;
  const size_t pixels = (size_t)core_px_most;
  TRY(memory_allocate(pixels, (size_t)blend->class_count * sizeof *blend->sums, "blending",
                      &memory));
  blend->sums = memory;
  TRY(memory_allocate(pixels, sizeof *blend->weights, "blending", &memory));
  blend->weights = memory;
  TRY(memory_allocate(pixels, 1, "blending", &memory));
  blend->marks = memory;
  return STATUS_OK;
}

Status blend_open(int64_t core_px_most, int32_t class_count, int32_t margin_px, int32_t ramp_px,
                  Blend *blend)
{
  *blend = (Blend){.class_count = class_count, .margin_px = margin_px, .ramp_px = ramp_px};
  const Status status = allocate(core_px_most, blend);
  if (status != STATUS_OK) blend_close(blend);
  return status;
}

void blend_close(Blend *blend)
{
  memory_free(blend->sums);
  memory_free(blend->weights);
  memory_free(blend->marks);
  *blend = (Blend){0};
}

void blend_begin(Blend *blend, Window core)
{
  const size_t pixels = (size_t)window_pixels(core);
  blend->core = core;
  memset(blend->sums, 0, pixels * (size_t)blend->class_count * sizeof *blend->sums);
  memset(blend->weights, 0, pixels * sizeof *blend->weights);
  memset(blend->marks, 0, pixels);
}

static uint32_t ramp(const Blend *blend, int64_t position, int64_t length)
{
  const int64_t to_edge = position + 1 < length - position ? position + 1 : length - position;
  const int64_t inside = to_edge - blend->margin_px;
  if (inside < 1) return 1;
  return (uint32_t)(inside < blend->ramp_px ? inside : blend->ramp_px);
}

static void add_pixel(Blend *blend, size_t pixel, uint32_t weight, const uint8_t *from)
{
  const int32_t class_count = blend->class_count;
  if (from[0] >= BLEND_FAILED) {
    if (from[0] > blend->marks[pixel]) blend->marks[pixel] = from[0];
    return;
  }
  uint32_t *sums = blend->sums + pixel * (size_t)class_count;
  for (int32_t i = 0; i < class_count; ++i)
    sums[i] += weight * from[i];
  blend->weights[pixel] += weight;
}

void blend_add(Blend *blend, Window tile, const uint8_t *bytes)
{
  const Window core = blend->core;
  const Window shared = window_intersect(core, tile);
#pragma omp parallel for schedule(static)
  for (int64_t y = shared.y_px; y < shared.y_px + shared.height_px; ++y)
    for (int64_t x = shared.x_px; x < shared.x_px + shared.width_px; ++x) {
      const size_t pixel = (size_t)((y - core.y_px) * core.width_px + (x - core.x_px));
      const int64_t source = (y - tile.y_px) * tile.width_px + (x - tile.x_px);
      const uint32_t weight =
          ramp(blend, x - tile.x_px, tile.width_px) * ramp(blend, y - tile.y_px, tile.height_px);
      add_pixel(blend, pixel, weight, bytes + source * blend->class_count);
    }
}

static uint8_t largest(const uint32_t *sums, int32_t class_count)
{
  int32_t best = 0;
  for (int32_t i = 1; i < class_count; ++i)
    if (sums[i] > sums[best]) best = i;
  return (uint8_t)best;
}

static void finish_pixel(const Blend *blend, size_t pixel, uint8_t *class, uint8_t *bytes)
{
  const int32_t class_count = blend->class_count;
  const uint32_t *sums = blend->sums + pixel * (size_t)class_count;
  const uint32_t weight = blend->weights[pixel];
  const uint8_t mark = weight == 0 && blend->marks[pixel] == 0 ? BLEND_FAILED : blend->marks[pixel];
  *class = mark != 0 ? mark : largest(sums, class_count);
  if (bytes == NULL) return;
  for (int32_t i = 0; i < class_count; ++i)
    bytes[i] = mark != 0 ? mark : (uint8_t)((sums[i] + weight / 2) / weight);
}

void blend_finish(const Blend *blend, uint8_t *classes, uint8_t *bytes)
{
  const int64_t pixels = window_pixels(blend->core);
#pragma omp parallel for schedule(static)
  for (int64_t pixel = 0; pixel < pixels; ++pixel)
    finish_pixel(blend, (size_t)pixel, classes + pixel,
                 bytes == NULL ? NULL : bytes + pixel * blend->class_count);
}
