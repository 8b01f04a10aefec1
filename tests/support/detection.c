#include "support/detection.h"

Truth room_truth(Room *room, int32_t images, int32_t capacity, const int32_t *counts,
                 const float *boxes, const int32_t *classes)
{
  const size_t places = (size_t)images * (size_t)capacity;
  int32_t *ones = room_host(room, (int64_t)places, sizeof *ones);
  for (size_t i = 0; i < places; ++i)
    ones[i] = 1;
  return (Truth){.images = images,
                 .capacity = capacity,
                 .counts = room_upload(room, counts, (size_t)images * sizeof *counts),
                 .boxes = room_upload(room, boxes, places * 4 * sizeof *boxes),
                 .classes =
                     room_upload(room, classes == NULL ? ones : classes, places * sizeof *classes)};
}

float *room_boxes(Room *room, const char *name, int64_t count, int32_t height_px, int32_t width_px,
                  int32_t least_px, int32_t most_px)
{
  float *boxes = room_numbers(room, 4 * count);
  const uint32_t seed = formula_seed(name);
  const uint32_t lengths = 8U * (uint32_t)(most_px - least_px) + 1U;
  for (uint32_t i = 0; i < (uint32_t)count; ++i)
    for (uint32_t axis = 0; axis < 2; ++axis) {
      const uint32_t most = 8U * (uint32_t)(axis == 0 ? width_px : height_px);
      const uint32_t centre = formula_bits(seed, 4 * i + axis) % (most + 1U);
      const uint32_t length = formula_bits(seed, 4 * i + 2 + axis) % lengths;
      const float side = (float)least_px + (float)length / 8.0F;
      boxes[4 * i + axis] = ((float)centre - 4.0F * (float)least_px) / 8.0F;
      boxes[4 * i + 2 + axis] = boxes[4 * i + axis] + side;
    }
  return boxes;
}

static int32_t padded(const TestBackend *on, int32_t channels)
{
  const int32_t multiple = on->ops->channel_multiple;
  return (channels + multiple - 1) / multiple * multiple;
}

static Shape map_shape(Pyramid pyramid, int32_t map, int32_t channels, Element element)
{
  const int32_t stride = pyramid.first_stride_px << map;
  return image_shape(pyramid.images, (pyramid.height_px + stride - 1) / stride,
                     (pyramid.width_px + stride - 1) / stride, channels, element);
}

Shape pyramid_logits(Pyramid pyramid, int32_t map, Element element)
{
  return map_shape(pyramid, map, pyramid.ratio_count, element);
}

Shape pyramid_deltas(Pyramid pyramid, int32_t map, Element element)
{
  return map_shape(pyramid, map, 4 * pyramid.ratio_count, element);
}

Rpn rpn_of(const TestBackend *on, Pyramid pyramid, Element element)
{
  Shape logits[PYRAMID_MAPS_MOST], deltas[PYRAMID_MAPS_MOST];
  RpnOptions options = {.height_px = pyramid.height_px,
                        .width_px = pyramid.width_px,
                        .ratios = {0.5F, 1, 2},
                        .ratio_count = pyramid.ratio_count};
  for (int32_t m = 0; m < pyramid.map_count; ++m) {
    options.sizes_px[m] = pyramid.size_px << m;
    logits[m] = pyramid_logits(pyramid, m, element);
    deltas[m] = pyramid_deltas(pyramid, m, element);
    logits[m].channels = padded(on, logits[m].channels);
    deltas[m].channels = padded(on, deltas[m].channels);
  }
  Rpn rpn;
  CHECK_OK(rpn_plan(options, pyramid.map_count, logits, deltas, &rpn));
  return rpn;
}

Rpn rpn_of_a_row(const TestBackend *on, int32_t images, int32_t width)
{
  return (Rpn){.images = images,
               .map_count = 1,
               .anchor_count = 1,
               .logit_channels = padded(on, 1),
               .delta_channels = padded(on, 4),
               .element = ELEMENT_F32,
               .maps = {{.height = 1,
                         .width = width,
                         .stride_y_px = 10,
                         .stride_x_px = 10,
                         .cells = {{0, 0, 10, 10}}}}};
}
