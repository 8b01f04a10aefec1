#include <math.h>

#include "support/backends.h"

enum { ROWS_MOST = 16 };

static Regions upload_regions(Room *room, int32_t rows, const float *boxes, const int32_t *images)
{
  return (Regions){.capacity = rows,
                   .boxes = room_upload_floats(room, boxes, 4 * (int64_t)rows),
                   .images = room_upload(room, images, (size_t)rows * sizeof *images)};
}

/* What targets are made from; masks are cut to their windows. */
typedef struct Input {
  int32_t images, objects; /* per image */
  int32_t height_px, width_px;
  const int32_t *windows;
  const uint8_t *bytes;
  int64_t byte_count;
  int32_t rows;
  const float *boxes;
  const int32_t *row_images, *matches;
} Input;

static float *targets_of(Room *room, const TestBackend *on, const Input *in, int32_t mask_px)
{
  const int64_t objects = (int64_t)in->images * in->objects;
  int64_t *offsets = room_host(room, objects, sizeof *offsets);
  for (int64_t i = 1; i < objects; ++i)
    offsets[i] = offsets[i - 1] + (int64_t)in->windows[4 * i - 2] * (int64_t)in->windows[4 * i - 1];
  const Truth truth = {
      .images = in->images,
      .capacity = in->objects,
      .mask_windows = room_upload(room, in->windows, (size_t)objects * 4 * sizeof(int32_t)),
      .mask_offsets = room_upload(room, offsets, (size_t)objects * sizeof *offsets),
      .mask_bytes = room_upload(room, in->bytes, (size_t)in->byte_count)};
  const Regions positives = upload_regions(room, in->rows, in->boxes, in->row_images);
  const int32_t *matches = room_upload(room, in->matches, (size_t)in->rows * sizeof *in->matches);
  const int64_t count = (int64_t)in->rows * mask_px * mask_px;
  float *targets = room_device(room, (size_t)count * sizeof(float));
  on->ops->mask_targets(on->device, &positives, matches, &truth, in->height_px, in->width_px,
                        mask_px, targets);
  return room_download_floats(room, targets, count);
}

/* Image 1's object: 4 x 3 px at 2, 1, all 1. A region of 2 x 2 px per bin, of four samples each. */
static void targets_are_shares_of_the_object(void **state)
{
  const int32_t windows[] = {0, 0, 1, 1, 2, 1, 4, 3};
  uint8_t bytes[13];
  memset(bytes, 1, sizeof bytes);
  const float boxes[] = {0, 0, 8, 4, 2.5F, 1.5F, 4.5F, 2.5F, 0, 0, 2, 2, 0, NAN, 8, 4};
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    const Input in = {.images = 2,
                      .objects = 1,
                      .height_px = 8,
                      .width_px = 8,
                      .windows = windows,
                      .bytes = bytes,
                      .byte_count = sizeof bytes,
                      .rows = 4,
                      .boxes = boxes,
                      .row_images = (int32_t[]){1, 1, -1, 1},
                      .matches = (int32_t[]){0, 0, 0, 0}};
    const float *got = targets_of(room, on, &in, 4);
    /* Columns of bins lie at 0.5 + 1.5, … as do the samples: x 0.5, 1.5 | 2.5, 3.5 | …; of the rows
     * one lies in each bin, at 0.5, 1.5, 2.5, 3.5. */
    const float across[4] = {0.25F, 1, 0.75F, 0}; /* means of 0, 0.5 | 1, 1 | 1, 0.5 | 0, 0 */
    const float down[4] = {0.5F, 1, 1, 0.5F};
    for (int i = 0; i < 64; ++i) {
      const float inside = i < 32 ? 1 : 0; /* the second region lies in the object */
      const float expected = i < 16 ? across[i % 4] * down[i / 4] : inside;
      expect_floats((Expectation){on, ELEMENT_F32, "target", 0}, 1, got + i, &expected);
    }
    room_close(room);
  }
}

/* A region that hangs out over the image takes the outermost pixels up to one pixel outside. */
static void targets_end_a_pixel_outside_of_the_image(void **state)
{
  const uint8_t bytes[4] = {1, 1, 1, 1};
  const float box[] = {-2, 0, 2, 2}; /* bins of 1 x 0.5 px */
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    const Input in = {.images = 1,
                      .objects = 1,
                      .height_px = 2,
                      .width_px = 2,
                      .windows = (int32_t[]){0, 0, 2, 2},
                      .bytes = bytes,
                      .byte_count = sizeof bytes,
                      .rows = 1,
                      .boxes = box,
                      .row_images = (int32_t[]){0},
                      .matches = (int32_t[]){0}};
    const float expected[16] = {0, 1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1};
    expect_floats((Expectation){on, ELEMENT_F32, "target", 0}, 16, targets_of(room, on, &in, 4),
                  expected);
    room_close(room);
  }
}

static int32_t window_of(const GoldenTensor *masks, int32_t object, int32_t window[4],
                         uint8_t *bytes)
{
  const int32_t height = (int32_t)masks->dims[1], width = (int32_t)masks->dims[2];
  int32_t left = width, top = height, right = 0, bottom = 0, count = 0;
  const double *values = masks->values + (ptrdiff_t)object * height * width;
  for (int32_t i = 0; i < height * width; ++i) {
    if (values[i] <= 0) continue;
    left = i % width < left ? i % width : left;
    right = i % width >= right ? i % width + 1 : right;
    top = i / width < top ? i / width : top;
    bottom = i / width + 1;
  }
  if (right <= left) left = right = top = bottom = 0; /* an empty mask: 0 x 0 */
  for (int32_t i = top; i < bottom; ++i)
    for (int32_t j = left; j < right; ++j)
      bytes[count++] = (uint8_t)values[i * width + j];
  memcpy(window, (int32_t[]){left, top, right - left, bottom - top}, 4 * sizeof *window);
  return count;
}

/* The masks of the golden file as the truth of one image, with the rows of prefix.boxes. */
static Input golden_input(Room *room, const Golden *golden, const char *prefix)
{
  const GoldenTensor *masks = golden_find(golden, "target.masks");
  const GoldenTensor *boxes = golden_find(golden, "%s.boxes", prefix);
  const GoldenTensor *matches = golden_find(golden, "%s.matches", prefix);
  const int32_t objects = (int32_t)masks->dims[0], rows = (int32_t)boxes->dims[0];
  int32_t *windows = room_host(room, 4 * objects, sizeof *windows);
  uint8_t *bytes = room_host(room, masks->count, 1);
  float *corners = room_numbers(room, 4 * rows);
  int32_t *match = room_host(room, rows, sizeof *match);
  Input in = {.images = 1,
              .objects = objects,
              .height_px = (int32_t)masks->dims[1],
              .width_px = (int32_t)masks->dims[2],
              .windows = windows,
              .bytes = bytes,
              .rows = rows,
              .boxes = corners,
              .row_images = room_host(room, rows, sizeof(int32_t)),
              .matches = match};
  for (int32_t k = 0; k < objects; ++k)
    in.byte_count += window_of(masks, k, windows + 4 * (ptrdiff_t)k, bytes + in.byte_count);
  for (int32_t i = 0; i < 4 * rows; ++i)
    corners[i] = (float)golden_value(boxes, i);
  for (int32_t i = 0; i < rows; ++i)
    match[i] = (int32_t)golden_value(matches, i);
  return in;
}

/* The twins' targets are torchvision's bit for bit; the naive ones are in double. */
static void targets_are_those_of_torchvision(void **state)
{
  Golden *golden = golden_open("op_mask_head.txt");
  FOR_EACH_BACKEND(on)
  for (int32_t mask_px = 28; mask_px >= 7; mask_px -= 21) {
    Room *room = room_open(on);
    const Input in = golden_input(room, golden, "target");
    const GoldenTensor *values = golden_find(golden, "target.values%d", mask_px);
    float *expected = room_numbers(room, values->count);
    for (int64_t i = 0; i < values->count; ++i)
      expected[i] = (float)values->values[i];
    const double tolerance = on == backends_naive() ? 5e-6 : 0.0;
    expect_floats((Expectation){on, ELEMENT_F32, values->name, tolerance}, values->count,
                  targets_of(room, on, &in, mask_px), expected);
    room_close(room);
  }
  golden_close(golden);
}

typedef struct Loss {
  float sums[MASK_SUMS];
  float *dlogits;
  float *selected;
} Loss;

static Loss loss_of(Room *room, const TestBackend *on, Shape shape, const float *logits,
                    const int32_t *images, const int32_t *classes, const float *targets,
                    float row_count, float scale)
{
  const int32_t rows = shape.images;
  const TestImage z = room_image(room, shape, logits);
  const TestImage dz = room_image(room, shape, NULL);
  const Regions positives = upload_regions(room, rows, room_numbers(room, 4 * rows), images);
  const int32_t *of_rows = room_upload(room, classes, (size_t)rows * sizeof *classes);
  const float *wanted = room_upload_floats(room, targets, shape_pixels(shape));
  float *sums = room_device(room, MASK_SUMS * sizeof *sums);
  float *selected = room_device(room, (size_t)shape_pixels(shape) * sizeof *selected);
  MaskHead head;
  CHECK_OK(mask_head_plan(shape.channels, z.shape, &head));
  on->ops->mask_loss_sums(on->device, &head, z.memory, &positives, of_rows, wanted, sums,
                          room_device(room, on->ops->mask_loss_scratch_bytes(&head)));
  on->ops->mask_loss_backward(on->device, &head, z.memory, &positives, of_rows, wanted,
                              room_upload_floats(room, &row_count, 1), scale_on(room, scale),
                              dz.memory);
  on->ops->mask_select(on->device, &head, z.memory, &positives, of_rows, selected);
  Loss loss = {.dlogits = room_numbers_of(room, dz),
               .selected = room_download_floats(room, selected, shape_pixels(shape))};
  memcpy(loss.sums, room_download_floats(room, sums, MASK_SUMS), sizeof loss.sums);
  return loss;
}

static void plan_refuses_what_does_not_fit(void **state)
{
  MaskHead head;
  CHECK_FAILS(STATUS_BAD_SHAPE, "1 classes",
              mask_head_plan(1, image_shape(2, 28, 28, 8, ELEMENT_F32), &head));
  CHECK_FAILS(STATUS_BAD_SHAPE, "9 classes",
              mask_head_plan(9, image_shape(2, 28, 28, 8, ELEMENT_F32), &head));
  CHECK_FAILS(STATUS_BAD_SHAPE, "28 x 14",
              mask_head_plan(2, image_shape(2, 14, 28, 8, ELEMENT_F32), &head));
  CHECK_FAILS(STATUS_BAD_SHAPE, "257 x 257",
              mask_head_plan(2, image_shape(2, 257, 257, 8, ELEMENT_F32), &head));
}

/* Logits of 0 cost log 2 whatever the target; the slope is 0.5 - target. Row 1 has no image. */
static void the_loss_is_the_mean_over_rows_and_pixels(void **state)
{
  const float targets[8] = {0, 1, 0.25F, 0.5F, 1, 1, 1, 1};
  const float slopes[4] = {0.5F, -0.5F, 0.25F, 0};
  FOR_EACH_BACKEND(on)
  FOR_EACH_ELEMENT(element)
  {
    Room *room = room_open(on);
    const Shape shape = image_shape(2, 2, 2, 3, element);
    const Loss loss = loss_of(room, on, shape, room_numbers(room, 24), (int32_t[]){0, -1},
                              (int32_t[]){2, 2}, targets, 2, 16);
    expect_floats((Expectation){on, element, "sums", 1e-6}, 2, loss.sums,
                  (float[]){0.693147181F, 1});
    for (int i = 0; i < 24; ++i) {
      const float expected = i < 12 && i % 3 == 2 ? 2 * slopes[i / 3] : 0;
      expect_floats((Expectation){on, element, "dlogits", 0}, 1, loss.dlogits + i, &expected);
    }
    expect_floats((Expectation){on, element, "selected", 0}, 8, loss.selected,
                  (float[]){0.5F, 0.5F, 0.5F, 0.5F, 0, 0, 0, 0});
    room_close(room);
  }
}

static void large_logits_overflow_nothing_and_no_rows_give_no_gradient(void **state)
{
  const float logits[8] = {0, 200, 0, -200, 0, -200, 0, NAN};
  FOR_EACH_BACKEND(on)
  {
    if (on == backends_naive()) continue; /* takes logarithms of 0 */
    Room *room = room_open(on);
    const Shape shape = image_shape(1, 2, 2, 2, ELEMENT_F32);
    const float targets[4] = {1, 0, 1, 0};
    const Loss loss =
        loss_of(room, on, shape, logits, (int32_t[]){0}, (int32_t[]){1}, targets, 1, 4);
    const float expected[8] = {0, 0, 0, 0, 0, -1, 0, NAN};
    expect_floats((Expectation){on, ELEMENT_F32, "dlogits", 0}, 8, loss.dlogits, expected);
    assert_true(isnan(loss.sums[0]) && isnan(loss.selected[3]));
    expect_floats((Expectation){on, ELEMENT_F32, "selected", 0}, 3, loss.selected,
                  (float[]){1, 0, 0});
    const float zeros[8] = {0};
    const Loss none =
        loss_of(room, on, shape, zeros, (int32_t[]){-1}, (int32_t[]){-1}, targets, 0, 4);
    expect_floats((Expectation){on, ELEMENT_F32, "sums of none", 0}, 2, none.sums, zeros);
    expect_floats((Expectation){on, ELEMENT_F32, "dlogits of none", 0}, 8, none.dlogits, zeros);
    room_close(room);
  }
}

static void the_loss_is_that_of_torchvision(void **state)
{
  Golden *golden = golden_open("op_mask_head.txt");
  FOR_EACH_BACKEND(on)
  for (int i = 0; i < 2; ++i) {
    Room *room = room_open(on);
    const GoldenTensor *row = golden_find(golden, "maskloss%d.case", i);
    const GoldenTensor *labels = golden_find(golden, "maskloss%d.labels", i);
    const int32_t rows = (int32_t)golden_value(row, 0), mask_px = (int32_t)golden_value(row, 1);
    const Shape shape =
        image_shape(rows, mask_px, mask_px, (int32_t)golden_value(row, 2), ELEMENT_F32);
    const Input in = golden_input(room, golden, room_name(room, "maskloss%d", i));
    float *logits =
        room_formula(room, room_name(room, "maskloss%d.logits", i), shape_elements(shape));
    for (int64_t k = 0; k < shape_elements(shape); ++k)
      logits[k] *= 3;
    int32_t classes[ROWS_MOST], images[ROWS_MOST] = {0};
    for (int32_t k = 0; k < rows; ++k)
      classes[k] = (int32_t)golden_value(labels, k);
    const Loss loss = loss_of(room, on, shape, logits, images, classes,
                              targets_of(room, on, &in, mask_px), (float)rows, 1);
    const float mean = loss.sums[0] / loss.sums[1];
    const Expectation e = {.on = on, .element = ELEMENT_F32, .tolerance = 2e-6};
    expect_golden(e, golden_find(golden, "maskloss%d.value", i), &mean, 0);
    expect_golden(e, golden_find(golden, "maskloss%d.dlogits", i), loss.dlogits, 0);
    expect_golden(e, golden_find(golden, "maskloss%d.chosen", i), loss.selected, 0);
    room_close(room);
  }
  golden_close(golden);
}

/* Regions at quarters of a pixel about an image of two, and objects of random bytes. */
static Input random_input(Room *room, int32_t rows, int32_t height_px, int32_t width_px)
{
  enum { IMAGES = 2, OBJECTS = 3, SIDE = 24 };
  int32_t *windows = room_host(room, 4 * IMAGES * OBJECTS, sizeof *windows);
  uint8_t *bytes = room_host(room, IMAGES * OBJECTS * SIDE * SIDE, 1);
  float *boxes = room_formula(room, "boxes", 4 * (int64_t)rows);
  int32_t *images = room_host(room, rows, sizeof *images);
  int32_t *matches = room_host(room, rows, sizeof *matches);
  Input in = {.images = IMAGES,
              .objects = OBJECTS,
              .height_px = height_px,
              .width_px = width_px,
              .windows = windows,
              .bytes = bytes,
              .rows = rows,
              .boxes = boxes,
              .row_images = images,
              .matches = matches};
  for (int32_t i = 0; i < IMAGES * OBJECTS; ++i) {
    int32_t *window = windows + 4 * (ptrdiff_t)i;
    window[2] = 1 + (i * 7) % SIDE;
    window[3] = 1 + (i * 11) % SIDE;
    window[0] = i % 2 == 0 ? 0 : width_px - window[2]; /* at an edge of the image */
    window[1] = i % 3 == 0 ? 0 : height_px - window[3];
    in.byte_count += (int64_t)window[2] * window[3];
  }
  for (int64_t i = 0; i < in.byte_count; ++i)
    bytes[i] = formula_bits(formula_seed("bytes"), (uint32_t)i) % 3 != 0;
  for (int32_t r = 0; r < rows; ++r) {
    float *box = boxes + 4 * (ptrdiff_t)r;
    const float x = 0.25F * rintf(4 * (float)width_px * (0.5F + 0.6F * box[0]));
    const float y = 0.25F * rintf(4 * (float)height_px * (0.5F + 0.6F * box[1]));
    box[2] = x + 0.25F * rintf(4 * (float)width_px * (0.51F + 0.5F * box[2]));
    box[3] = y + 0.25F * rintf(4 * (float)height_px * (0.51F + 0.5F * box[3]));
    box[0] = x;
    box[1] = y;
    images[r] = r % 5 == 4 ? -1 : r % IMAGES;
    matches[r] = r % OBJECTS;
  }
  return in;
}

static void targets_are_those_of_plain_loops(void **state)
{
  static const int32_t sides[] = {1, 4, 28};
  FOR_EACH_TWIN(on)
  for (int i = 0; i < 3; ++i) {
    Room *truth = room_open(backends_naive());
    Room *room = room_open(on);
    const Input in = random_input(room, 23, 60, 90);
    const float *expected = targets_of(truth, backends_naive(), &in, sides[i]);
    const float *got = targets_of(room, on, &in, sides[i]);
    expect_floats((Expectation){on, ELEMENT_F32, room_name(room, "%d px: target", sides[i]), 2e-5},
                  (int64_t)in.rows * sides[i] * sides[i], got, expected);
    room_close(room);
    room_close(truth);
  }
}

/* More samples in a row than the CPU's table of them holds. */
static void targets_of_a_wide_region_are_those_of_plain_loops(void **state)
{
  enum { WIDTH = 3000 };
  const float boxes[4] = {1, 0, 2999, 6};
  FOR_EACH_TWIN(on)
  {
    Room *truth = room_open(backends_naive());
    Room *room = room_open(on);
    uint8_t *bytes = room_host(room, WIDTH * 4, 1);
    for (int i = 0; i < WIDTH * 4; ++i)
      bytes[i] = formula_bits(formula_seed("wide"), (uint32_t)i) % 2 == 0;
    const Input in = {.images = 1,
                      .objects = 1,
                      .height_px = 8,
                      .width_px = WIDTH,
                      .windows = (int32_t[]){0, 1, WIDTH, 4},
                      .bytes = bytes,
                      .byte_count = WIDTH * 4,
                      .rows = 1,
                      .boxes = boxes,
                      .row_images = (int32_t[]){0},
                      .matches = (int32_t[]){0}};
    expect_floats((Expectation){on, ELEMENT_F32, "target", 1e-4}, 49, targets_of(room, on, &in, 7),
                  targets_of(truth, backends_naive(), &in, 7));
    room_close(room);
    room_close(truth);
  }
}

static void losses_are_those_of_plain_loops(void **state)
{
  static const struct {
    int32_t rows, mask_px, classes;
  } cases[] = {{1, 28, 2}, {7, 14, 17}, {33, 4, 91}, {3, 1, 8}};
  FOR_EACH_TWIN(on)
  FOR_EACH_ELEMENT(element)
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
    Room *truth = room_open(backends_naive());
    Room *room = room_open(on);
    const int32_t rows = cases[i].rows;
    const Shape shape =
        image_shape(rows, cases[i].mask_px, cases[i].mask_px, cases[i].classes, element);
    const float *logits = room_eighths(room, "logits", shape_elements(shape));
    float *targets = room_formula(room, "targets", shape_pixels(shape));
    int32_t *classes = room_host(room, rows, sizeof *classes);
    int32_t *images = room_host(room, rows, sizeof *images);
    for (int64_t k = 0; k < shape_pixels(shape); ++k)
      targets[k] = fabsf(targets[k]);
    for (int32_t r = 0; r < rows; ++r) {
      classes[r] = (r * 5 + 1) % cases[i].classes;
      images[r] = r % 4 == 3 ? -1 : r % 2;
    }
    const Loss expected =
        loss_of(truth, backends_naive(), shape, logits, images, classes, targets, (float)rows, 100);
    const Loss got = loss_of(room, on, shape, logits, images, classes, targets, (float)rows, 100);
    const double rounding = element == ELEMENT_F32 ? 2e-6 : 0x1p-8;
    Expectation e = {on, element, "sums", 1e-6 * (double)expected.sums[0]};
    expect_floats(e, MASK_SUMS, got.sums, expected.sums);
    e.what = "dlogits";
    e.tolerance = rounding * largest_float(shape_elements(shape), expected.dlogits);
    expect_floats(e, shape_elements(shape), got.dlogits, expected.dlogits);
    e.what = "selected";
    e.tolerance = 1e-6;
    expect_floats(e, shape_pixels(shape), got.selected, expected.selected);
    room_close(room);
    room_close(truth);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(targets_are_shares_of_the_object),
      cmocka_unit_test(targets_end_a_pixel_outside_of_the_image),
      cmocka_unit_test(targets_are_those_of_torchvision),
      cmocka_unit_test(targets_are_those_of_plain_loops),
      cmocka_unit_test(targets_of_a_wide_region_are_those_of_plain_loops),
      cmocka_unit_test(plan_refuses_what_does_not_fit),
      cmocka_unit_test(the_loss_is_the_mean_over_rows_and_pixels),
      cmocka_unit_test(large_logits_overflow_nothing_and_no_rows_give_no_gradient),
      cmocka_unit_test(the_loss_is_that_of_torchvision),
      cmocka_unit_test(losses_are_those_of_plain_loops),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
