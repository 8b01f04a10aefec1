/* Ops pixel by pixel: pooling, moving, losses and predictions of maps, the optimiser. Numbers are
 * drawn one statement after another (self_test_layers.c). */
#include "self_test_cases.h"

static BenchImage between(Bench *b, int32_t height, int32_t width, int32_t channels, double most)
{
  const int64_t count = 2 * (int64_t)height * width * channels;
  return bench_image(b, 2, height, width, channels, bench_between(b, count, -most, most));
}

/* Places inside of the image, for the backward pass by itself: the middle of a window of 3 x 3, or
 * what is left of it. */
static uint8_t *winners(Bench *b, Shape y)
{
  uint8_t *places = bench_host(b, shape_elements(y), 1);
  for (int64_t i = 0; i < shape_elements(y); ++i) {
    const int64_t pixel = i / y.channels, channel = i % y.channels;
    places[i] = pixel % y.width > 0 && (pixel + channel) % 2 == 1 ? 3 : 4;
  }
  return bench_upload(b, places, shape_elements(y), 1);
}

Status case_max_pool2d(Bench *b)
{
  enum { CHANNELS = 5 };
  const char *const backward = "max_pool2d_backward";
  const MaxPool2d pool = {.size = 3, .stride = 2, .pad = 1};
  const BenchImage x = between(b, 9, 8, CHANNELS, 1);
  Shape y_shape;
  TRY(max_pool2d_plan(pool, x.shape, &y_shape));
  const BenchImage y = bench_image(b, 2, y_shape.height, y_shape.width, CHANNELS, NULL);
  const BenchImage dy = between(b, y_shape.height, y_shape.width, CHANNELS, 1);
  const BenchImage set = bench_gradient(b, x, WRITE_SET);
  const BenchImage added = bench_gradient(b, x, WRITE_ADD);
  uint8_t *winner = bench_blank(b, shape_elements(y.shape), 1);
  const uint8_t *given = winners(b, y.shape);
  b->ops->max_pool2d_forward(b->device, pool, x.shape, x.memory, y.shape, y.memory, winner);
  bench_take_image(b, "max_pool2d_forward", y);
  bench_take_bytes(b, "max_pool2d_forward", winner, y);
  b->ops->max_pool2d_backward(b->device, pool, x.shape, set.memory, y.shape, dy.memory, given,
                              WRITE_SET);
  b->ops->max_pool2d_backward(b->device, pool, x.shape, added.memory, y.shape, dy.memory, given,
                              WRITE_ADD);
  bench_take_image(b, backward, set);
  bench_take_image(b, backward, added);
  return STATUS_OK;
}

Status case_relu(Bench *b)
{
  const BenchImage x = between(b, 5, 7, 9, 1);
  const BenchImage dy = between(b, 5, 7, 9, 1);
  const BenchImage y = bench_gradient(b, x, WRITE_SET);
  const BenchImage set = bench_gradient(b, x, WRITE_SET);
  const BenchImage added = bench_gradient(b, x, WRITE_ADD);
  b->ops->relu_forward(b->device, x.shape, x.memory, y.memory);
  b->ops->relu_backward(b->device, x.shape, x.memory, dy.memory, set.memory, WRITE_SET);
  b->ops->relu_backward(b->device, x.shape, x.memory, dy.memory, added.memory, WRITE_ADD);
  bench_take_image(b, "relu_forward", y);
  bench_take_image(b, "relu_backward", set);
  bench_take_image(b, "relu_backward", added);
  return STATUS_OK;
}

Status case_add(Bench *b)
{
  const BenchImage x = between(b, 5, 7, 9, 1);
  const BenchImage z = between(b, 5, 7, 9, 1);
  const BenchImage y = bench_gradient(b, x, WRITE_SET);
  const BenchImage set = bench_gradient(b, x, WRITE_SET);
  const BenchImage added = bench_gradient(b, x, WRITE_ADD);
  b->ops->add_forward(b->device, x.shape, x.memory, z.memory, y.memory);
  b->ops->accumulate(b->device, x.shape, z.memory, set.memory, WRITE_SET);
  b->ops->accumulate(b->device, x.shape, z.memory, added.memory, WRITE_ADD);
  bench_take_image(b, "add_forward", y);
  bench_take_image(b, "accumulate", set);
  bench_take_image(b, "accumulate", added);
  return STATUS_OK;
}

/* In memory as they mean on every backend: multiples of eight channels. */
enum { PART_CHANNELS = 8 };

Status case_upsample_nearest(Bench *b)
{
  const BenchImage x = between(b, 3, 5, PART_CHANNELS, 1);
  const BenchImage y = between(b, 6, 10, 2 * PART_CHANNELS, 1);
  const BenchImage dy = between(b, 6, 10, 2 * PART_CHANNELS, 1);
  const BenchImage set = bench_gradient(b, x, WRITE_SET);
  const BenchImage added = bench_gradient(b, x, WRITE_ADD);
  b->ops->upsample_nearest_forward(b->device, x.shape, x.memory, y.shape, PART_CHANNELS, y.memory);
  b->ops->upsample_nearest_backward(b->device, x.shape, set.memory, y.shape, PART_CHANNELS,
                                    dy.memory, WRITE_SET);
  b->ops->upsample_nearest_backward(b->device, x.shape, added.memory, y.shape, 0, dy.memory,
                                    WRITE_ADD);
  bench_take_image(b, "upsample_nearest_forward", y);
  bench_take_image(b, "upsample_nearest_backward", set);
  bench_take_image(b, "upsample_nearest_backward", added);
  return STATUS_OK;
}

Status case_concat(Bench *b)
{
  const BenchImage x = between(b, 6, 5, PART_CHANNELS, 1);
  const BenchImage y = between(b, 6, 5, 3 * PART_CHANNELS, 1);
  const BenchImage dy = between(b, 6, 5, 3 * PART_CHANNELS, 1);
  const BenchImage set = bench_gradient(b, x, WRITE_SET);
  const BenchImage added = bench_gradient(b, x, WRITE_ADD);
  b->ops->concat_forward(b->device, x.shape, x.memory, y.shape, PART_CHANNELS, y.memory);
  b->ops->concat_backward(b->device, x.shape, set.memory, y.shape, 2 * PART_CHANNELS, dy.memory,
                          WRITE_SET);
  b->ops->concat_backward(b->device, x.shape, added.memory, y.shape, 0, dy.memory, WRITE_ADD);
  bench_take_image(b, "concat_forward", y);
  bench_take_image(b, "concat_backward", set);
  bench_take_image(b, "concat_backward", added);
  return STATUS_OK;
}

/* Numbers between those of bfloat16, and back; the bits must be the very ones. */
Status case_convert(Bench *b)
{
  enum { COUNT = 333 };
  float *numbers = bench_host(b, COUNT, sizeof *numbers);
  for (int i = 0; i < COUNT; ++i)
    numbers[i] = (float)random_between(&b->random, -4, 4);
  const float *x = bench_floats(b, numbers, COUNT);
  uint16_t *narrow = bench_blank(b, COUNT, sizeof *narrow);
  float *wide = bench_blank(b, COUNT, sizeof *wide);
  b->ops->convert(b->device, COUNT, ELEMENT_F32, x, ELEMENT_BF16, narrow);
  b->ops->convert(b->device, COUNT, ELEMENT_BF16, narrow, ELEMENT_F32, wide);
  bench_take(b, "convert", ELEMENT_U16, narrow, COUNT);
  bench_take(b, "convert", ELEMENT_F32, wide, COUNT);
  return STATUS_OK;
}

Status case_normalize(Bench *b)
{
  enum { BANDS = 3 };
  const Shape x_shape = {2, 6, 7, BANDS, ELEMENT_U8};
  const uint8_t *pixels = bench_bytes(b, shape_elements(x_shape), 256);
  const uint8_t *valid = bench_bytes(b, shape_pixels(x_shape), 2);
  const float *mean = bench_between(b, BANDS, 64, 192);
  const float *inverse_std = bench_between(b, BANDS, 0.01, 0.1);
  const BenchImage y = bench_image(b, 2, 6, 7, BANDS, NULL);
  TRY(normalize_plan(x_shape, BANDS, y.shape));
  b->ops->normalize(b->device, x_shape, bench_upload(b, pixels, shape_elements(x_shape), 1),
                    bench_upload(b, valid, shape_pixels(x_shape), 1), bench_floats(b, mean, BANDS),
                    bench_floats(b, inverse_std, BANDS), y.shape, y.memory);
  bench_take_image(b, "normalize", y);
  return STATUS_OK;
}

enum { CLASSES = 4 };

/* One pixel in five has no label. */
static uint8_t *labels(Bench *b, int64_t count)
{
  uint8_t *list = bench_bytes(b, count, CLASSES + 1);
  for (int64_t i = 0; i < count; ++i)
    if (list[i] == CLASSES) list[i] = LABEL_IGNORE;
  return bench_upload(b, list, count, 1);
}

Status case_segmentation_loss(Bench *b)
{
  const SegmentationLoss loss = {.class_count = CLASSES, .focal_gamma = 2, .dice_fraction = 0.5F};
  const int64_t sums_count = segmentation_sums_count(CLASSES);
  const BenchImage logits = between(b, 6, 5, CLASSES, 3);
  const uint8_t *truth = labels(b, shape_pixels(logits.shape));
  const float *weights = bench_floats(b, bench_between(b, CLASSES, 0.5, 2), CLASSES);
  const BenchImage dlogits = bench_gradient(b, logits, WRITE_SET);
  float *sums = bench_blank(b, sums_count, sizeof *sums);
  void *scratch;
  TRY(segmentation_loss_plan(loss, logits.shape));
  TRY(bench_scratch(b, b->ops->segmentation_loss_scratch_bytes(loss, logits.shape), &scratch));
  b->ops->segmentation_loss_sums(b->device, loss, weights, logits.shape, logits.memory, truth, sums,
                                 scratch);
  b->ops->segmentation_loss_backward(b->device, loss, weights, sums, bench_equal(b, 1, 64),
                                     logits.shape, logits.memory, truth, dlogits.memory);
  bench_take(b, "segmentation_loss_sums", ELEMENT_F32, sums, sums_count);
  bench_take_image(b, "segmentation_loss_backward", dlogits);
  return STATUS_OK;
}

Status case_prediction(Bench *b)
{
  const BenchImage logits = between(b, 6, 5, CLASSES, 3);
  const int64_t pixels = shape_pixels(logits.shape);
  float *probabilities = bench_blank(b, pixels * CLASSES, sizeof *probabilities);
  uint8_t *classes = bench_blank(b, pixels, 1);
  TRY(prediction_plan(logits.shape, CLASSES));
  b->ops->softmax(b->device, logits.shape, logits.memory, CLASSES, probabilities);
  b->ops->argmax(b->device, logits.shape, logits.memory, CLASSES, classes);
  bench_take(b, "softmax", ELEMENT_F32, probabilities, pixels * CLASSES);
  bench_take(b, "argmax", ELEMENT_U8, classes, pixels);
  return STATUS_OK;
}

Status case_confusion(Bench *b)
{
  enum { PIXELS = 500 };
  const uint8_t *classes = bench_bytes(b, PIXELS, CLASSES);
  const uint8_t *truth = labels(b, PIXELS);
  const int64_t *zeros = bench_host(b, CLASSES * CLASSES, sizeof *zeros);
  int64_t *counts = bench_upload(b, zeros, CLASSES * CLASSES, sizeof *counts);
  b->ops->confusion(b->device, PIXELS, bench_upload(b, classes, PIXELS, 1), truth, CLASSES, counts);
  bench_take_counts(b, "confusion", counts, CLASSES * CLASSES);
  return STATUS_OK;
}

/* One image grows, one shrinks. */
Status case_resize_bilinear(Bench *b)
{
  enum { BANDS = 3 };
  const int32_t sizes[8] = {6, 7, 9, 10, 5, 6, 4, 3};
  const Shape x_shape = {2, 6, 7, BANDS, ELEMENT_F32};
  const float *pixels = bench_between(b, shape_elements(x_shape), -1, 1);
  const BenchImage y = bench_image(b, 2, 9, 10, BANDS, NULL);
  TRY(resize_bilinear_plan(x_shape, BANDS, y.shape));
  b->ops->resize_bilinear(b->device, x_shape, bench_floats(b, pixels, shape_elements(x_shape)),
                          bench_upload(b, sizes, 8, sizeof *sizes), y.shape, y.memory);
  bench_take_image(b, "resize_bilinear", y);
  return STATUS_OK;
}

Status case_optimizer(Bench *b)
{
  enum { COUNT = 777 };
  const SgdStep sgd = {.rate = 0.1F, .momentum = 0.9F, .weight_decay = 0.01F};
  const AdamwStep adamw = {.rate = 0.1F,
                           .beta1 = 0.9F,
                           .beta2 = 0.99F,
                           .eps = 1e-6F,
                           .weight_decay = 0.1F,
                           .correction1 = 0.19F,
                           .correction2 = 0.0199F};
  float *blocks[5]; /* w, v; w, m, v */
  const float *g = bench_floats(b, bench_between(b, COUNT, -1, 1), COUNT);
  for (int i = 0; i < 5; ++i)
    blocks[i] = bench_floats(b, bench_between(b, COUNT, i == 4 ? 0 : -1, 1), COUNT);
  float *norm = bench_blank(b, 1, sizeof *norm);
  float *clipped = bench_blank(b, 1, sizeof *clipped);
  const float *scale = bench_equal(b, 1, 0.5F);
  void *scratch;
  TRY(bench_scratch(b, b->ops->clip_scratch_bytes(COUNT), &scratch));
  b->ops->clip_scale(b->device, COUNT, g, 2, norm, clipped, scratch);
  b->ops->sgd_step(b->device, bench_upload(b, &sgd, 1, sizeof sgd), COUNT, scale, g, blocks[0],
                   blocks[1]);
  b->ops->adamw_step(b->device, bench_upload(b, &adamw, 1, sizeof adamw), COUNT, scale, g,
                     blocks[2], blocks[3], blocks[4]);
  bench_take(b, "clip_scale", ELEMENT_F32, norm, 1);
  bench_take(b, "clip_scale", ELEMENT_F32, clipped, 1);
  for (int i = 0; i < 5; ++i)
    bench_take(b, i < 2 ? "sgd_step" : "adamw_step", ELEMENT_F32, blocks[i], COUNT);
  float *scaled_norm = bench_equal(b, 1, 8);
  float *scaled_clip = bench_blank(b, 1, sizeof *scaled_clip);
  float *scaling = bench_floats(b, (float[]){4, LOSS_SCALE_STEPS - 1}, 2);
  b->ops->loss_scale_step(b->device, 1, scaled_norm, scaled_clip, scaling);
  bench_take(b, "loss_scale_step", ELEMENT_F32, scaled_norm, 1);
  bench_take(b, "loss_scale_step", ELEMENT_F32, scaled_clip, 1);
  bench_take(b, "loss_scale_step", ELEMENT_F32, scaling, 2);
  return STATUS_OK;
}
