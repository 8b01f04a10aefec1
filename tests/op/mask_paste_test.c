#include <math.h>

#include "support/backends.h"

enum { ROWS_MOST = 16 };

typedef struct Input {
  int32_t rows;
  const float *boxes;
  const int32_t *images;
  const float *image_sizes; /* of two images */
  const float *masks;
  int32_t mask_px;
  int64_t pixels_most;
} Input;

typedef struct Output {
  int32_t *windows;
  int64_t *offsets;
  uint8_t *pixels;
  float *values;
  int32_t missing;
} Output;

static const float threshold = 0.5F;

static Output paste(Room *room, const TestBackend *on, const Input *in, bool values)
{
  const size_t rows = (size_t)in->rows, pixels = (size_t)in->pixels_most;
  const Regions regions = {.capacity = in->rows,
                           .boxes = room_upload_floats(room, in->boxes, 4 * (int64_t)rows),
                           .images = room_upload(room, in->images, rows * sizeof(int32_t))};
  PastedMasks pasted = {.windows = room_device(room, 4 * rows * sizeof(int32_t)),
                        .offsets = room_device(room, (rows + 1) * sizeof(int64_t)),
                        .pixels = room_device(room, pixels),
                        .values = values ? room_device(room, pixels * sizeof(float)) : NULL,
                        .pixels_most = in->pixels_most,
                        .missing = room_device(room, sizeof(int32_t))};
  const float *masks =
      room_upload_floats(room, in->masks, (int64_t)rows * in->mask_px * in->mask_px);
  on->ops->mask_paste(on->device, &regions, masks, in->mask_px,
                      room_upload_floats(room, in->image_sizes, 4), threshold, &pasted);
  Output out = {.windows = room_download(room, pasted.windows, 4 * rows * sizeof(int32_t)),
                .offsets = room_download(room, pasted.offsets, (rows + 1) * sizeof(int64_t)),
                .pixels = room_download(room, pasted.pixels, pixels)};
  if (values) out.values = room_download(room, pasted.values, pixels * sizeof(float));
  out.missing = *(int32_t *)room_download(room, pasted.missing, sizeof(int32_t));
  return out;
}

static void expect_window(const TestBackend *on, const Output *out, int32_t row, int32_t x,
                          int32_t y, int32_t width, int32_t height)
{
  const int32_t *w = out->windows + 4 * (ptrdiff_t)row;
  if (w[0] != x || w[1] != y || w[2] != width || w[3] != height)
    fail_msg("%s: window %d is %d %d, %d x %d", on->name, row, w[0], w[1], w[2], w[3]);
  assert_int_equal(out->offsets[row + 1] - out->offsets[row], width * height);
}

/* A mask of one pixel over 2 x 2 px: with its padding it is 3 x 3 over 6 x 6 px, 7 x 7 with the
 * last pixel; the middle lies at the centre of the fourth. */
static void a_mask_is_stretched_with_its_padding(void **state)
{
  const float box[4] = {12, 7, 14, 9};
  const float steps[7] = {0, 1.0F / 7, 4.0F / 7, 1, 4.0F / 7, 1.0F / 7, 0};
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    const Input in = {.rows = 1,
                      .boxes = box,
                      .images = (int32_t[]){0},
                      .image_sizes = (float[]){30, 40, 1, 1},
                      .masks = (float[]){1},
                      .mask_px = 1,
                      .pixels_most = 49};
    const Output out = paste(room, on, &in, true);
    expect_window(on, &out, 0, 10, 5, 7, 7);
    assert_int_equal(out.missing, 0);
    for (int i = 0; i < 49; ++i) {
      const float expected = steps[i / 7] * steps[i % 7];
      expect_floats((Expectation){on, ELEMENT_F32, "value", 1e-6}, 1, out.values + i, &expected);
      assert_int_equal(out.pixels[i], expected > threshold);
    }
    room_close(room);
  }
}

static void windows_are_cut_to_their_image(void **state)
{
  const float boxes[] = {-3, -3, 3, 3,   16, 8, 24, 12, 100, 0, 110, 5, 4,   4,   4,   4,
                         0,  0,  5, NAN, 2,  2, 9,  9,  0,   0, 2,   2, -90, -90, -80, -80};
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    const Input in = {.rows = 8,
                      .boxes = boxes,
                      .images = (int32_t[]){0, 0, 0, 1, 1, -1, 1, 0},
                      .image_sizes = (float[]){10, 20, 4, 3},
                      .masks = room_equal(room, 8 * 4, 1),
                      .mask_px = 2,
                      .pixels_most = 1000};
    const Output out = paste(room, on, &in, false); /* boxes become twice as large */
    expect_window(on, &out, 0, 0, 0, 7, 7);         /* -6 … 6 */
    expect_window(on, &out, 1, 12, 6, 8, 4);        /* 12 … 28, 6 … 14 */
    expect_window(on, &out, 2, 0, 0, 0, 0);
    expect_window(on, &out, 3, 0, 0, 0, 0); /* of one pixel, at 4, 4 of an image of 3 x 4 px */
    expect_window(on, &out, 4, 0, 0, 0, 0);
    expect_window(on, &out, 5, 0, 0, 0, 0);
    expect_window(on, &out, 6, 0, 0, 3, 4); /* -1 … 3 */
    expect_window(on, &out, 7, 0, 0, 0, 0);
    assert_int_equal(out.offsets[8], 49 + 32 + 12);
    assert_int_equal(out.missing, 0);
    room_close(room);
  }
}

/* Corners go toward 0, not down. */
static void corners_are_truncated_toward_zero(void **state)
{
  const float box[4] = {-0.8F, 1.2F, 0.8F, 2.6F};
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    const Input in = {.rows = 1,
                      .boxes = box,
                      .images = (int32_t[]){0},
                      .image_sizes = (float[]){10, 20, 1, 1},
                      .masks = room_equal(room, 4, 1),
                      .mask_px = 2,
                      .pixels_most = 9};
    const Output out = paste(room, on, &in, true); /* -1.6 … 1.6, 0.5 … 3.3 */
    expect_window(on, &out, 0, 0, 0, 2, 4);
    room_close(room);
  }
}

static void rows_without_room_are_counted(void **state)
{
  const float boxes[] = {2, 2, 4, 4, 2, 2, 8, 8, 2, 2, 4, 4, 2, 2, 4, 4};
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    const Input in = {.rows = 4,
                      .boxes = boxes,
                      .images = (int32_t[]){0, 0, 0, 0},
                      .image_sizes = (float[]){40, 40, 1, 1},
                      .masks = room_equal(room, 4 * 4, 1),
                      .mask_px = 2,
                      .pixels_most = 50}; /* of 25 + 169 + 25 + 25 */
    const Output out = paste(room, on, &in, true);
    expect_window(on, &out, 0, 1, 1, 5, 5);
    expect_window(on, &out, 1, 0, 0, 0, 0);
    expect_window(on, &out, 2, 1, 1, 5, 5);
    expect_window(on, &out, 3, 0, 0, 0, 0);
    assert_int_equal(out.missing, 2);
    room_close(room);
  }
}

/* Where a window's pixel stands in the whole image of the golden file. */
static double golden_pixel(const GoldenTensor *values, const Output *out, int32_t row, int64_t i)
{
  const int32_t *w = out->windows + 4 * (ptrdiff_t)row;
  const int64_t y = w[1] + i / w[2], x = w[0] + i % w[2];
  return golden_value(values, (row * values->dims[1] + y) * values->dims[2] + x);
}

/* More rows than a GPU's grid has along its second axis, and than a block has threads. Every
 * thousandth has a mask of 1 x 1 px, at its place in the image. */
static void any_number_of_rows_is_pasted(void **state)
{
  enum { ROWS = 66000, STEP = 1000 };
  static const float image_sizes[4] = {100, 100, 100, 100};
  FOR_EACH_BACKEND(on)
  for (int short_by = 0; short_by < 2; ++short_by) {
    Room *room = room_open(on);
    float *boxes = room_numbers(room, 4 * ROWS);
    int32_t *images = room_host(room, ROWS, sizeof *images);
    for (int32_t r = 0; r < ROWS; ++r) {
      const float x = (float)(r / STEP);
      images[r] = r % STEP == 0 ? 0 : -1;
      memcpy(boxes + 4 * (ptrdiff_t)r, (float[]){x + 1, 3, x + 1, 3}, 4 * sizeof *boxes);
    }
    const Input in = {.rows = ROWS,
                      .boxes = boxes,
                      .images = images,
                      .image_sizes = image_sizes,
                      .masks = room_equal(room, ROWS, 1),
                      .mask_px = 1,
                      .pixels_most = ROWS / STEP - short_by};
    const Output out = paste(room, on, &in, false);
    assert_int_equal(out.missing, short_by);
    for (int32_t r = 0; r <= ROWS; ++r)
      assert_int_equal(out.offsets[r], r <= ROWS - STEP ? (r + STEP - 1) / STEP : in.pixels_most);
    expect_window(on, &out, STEP, 2, 3, 1, 1);
    for (int32_t i = 0; i < ROWS / STEP - short_by; ++i)
      assert_int_equal(out.pixels[i], 1);
    room_close(room);
  }
}

/* The twins' values are torchvision's bit for bit, since both fuse products with sums where PyTorch
 * does; the naive ones are in double. */
static void values_are_those_of_torchvision(void **state)
{
  enum { MASK_PX = 28 };
  Golden *golden = golden_open("op_mask_head.txt");
  const GoldenTensor *corners = golden_find(golden, "paste.boxes");
  const GoldenTensor *values = golden_find(golden, "paste.values");
  const int32_t rows = (int32_t)corners->dims[0];
  float boxes[4 * ROWS_MOST];
  for (int32_t i = 0; i < 4 * rows; ++i)
    boxes[i] = (float)golden_value(corners, i);
  const int32_t images[ROWS_MOST] = {0};
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    float *masks = room_numbers(room, (int64_t)rows * MASK_PX * MASK_PX);
    for (int32_t i = 0; i < rows * MASK_PX * MASK_PX; ++i)
      masks[i] = formula_unit(formula_seed("paste.masks"), (uint32_t)i);
    const Input in = {.rows = rows,
                      .boxes = boxes,
                      .images = images,
                      .image_sizes = (float[]){40, 50, 1, 1},
                      .masks = masks,
                      .mask_px = MASK_PX,
                      .pixels_most = 40 * 50 * 10};
    const Output out = paste(room, on, &in, true);
    int64_t nonzero = 0, found = 0;
    for (int64_t i = 0; i < values->count; ++i)
      nonzero += values->values[i] > 0;
    for (int32_t row = 0; row < rows; ++row)
      for (int64_t i = 0; i < out.offsets[row + 1] - out.offsets[row]; ++i) {
        const int64_t at = out.offsets[row] + i;
        const float expected = (float)golden_pixel(values, &out, row, i);
        const double tolerance = on == backends_naive() ? 1e-5 : 0.0;
        expect_floats(
            (Expectation){on, ELEMENT_F32, room_name(room, "value of %d", row), tolerance}, 1,
            out.values + at, &expected);
        assert_int_equal(out.pixels[at], expected > threshold);
        found += expected > 0;
      }
    assert_int_equal(found, nonzero);
    room_close(room);
  }
  golden_close(golden);
}

static void values_are_those_of_plain_loops(void **state)
{
  enum { ROWS = 12, WIDTH = 700, HEIGHT = 300 };
  FOR_EACH_TWIN(on)
  for (int32_t mask_px = 3; mask_px <= 28; mask_px += 25) {
    Room *truth = room_open(backends_naive());
    Room *room = room_open(on);
    float *boxes = room_formula(room, "boxes", 4 * ROWS);
    float *masks = room_formula(room, "masks", ROWS * mask_px * mask_px);
    int32_t images[ROWS];
    for (int32_t i = 0; i < ROWS * mask_px * mask_px; ++i)
      masks[i] = fabsf(masks[i]);
    for (int32_t r = 0; r < ROWS; ++r) {
      float *box = boxes + 4 * (ptrdiff_t)r;
      const float side = r == 0 ? 1500 : 4.0F + 12.0F * (float)r;
      box[0] = WIDTH * (0.5F + 0.5F * box[0]);
      box[1] = HEIGHT * (0.5F + 0.5F * box[1]);
      box[2] = box[0] + side * (1.2F + box[2]);
      box[3] = box[1] + 0.2F * side * (1.2F + box[3]);
      images[r] = r % 2;
    }
    const Input in = {.rows = ROWS,
                      .boxes = boxes,
                      .images = images,
                      .image_sizes = (float[]){HEIGHT, WIDTH, HEIGHT - 50, WIDTH - 60},
                      .masks = masks,
                      .mask_px = mask_px,
                      .pixels_most = WIDTH * HEIGHT};
    const Output expected = paste(truth, backends_naive(), &in, true);
    const Output got = paste(room, on, &in, true);
    for (int32_t i = 0; i < 4 * ROWS; ++i)
      assert_int_equal(got.windows[i], expected.windows[i]);
    for (int32_t i = 0; i <= ROWS; ++i)
      assert_int_equal(got.offsets[i], expected.offsets[i]);
    assert_in_range(got.offsets[ROWS], 20000, in.pixels_most);
    expect_floats((Expectation){on, ELEMENT_F32, "value", 1e-5}, got.offsets[ROWS], got.values,
                  expected.values);
    for (int64_t i = 0; i < got.offsets[ROWS]; ++i)
      assert_int_equal(got.pixels[i], got.values[i] > threshold);
    room_close(room);
    room_close(truth);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_mask_is_stretched_with_its_padding),
      cmocka_unit_test(windows_are_cut_to_their_image),
      cmocka_unit_test(corners_are_truncated_toward_zero),
      cmocka_unit_test(rows_without_room_are_counted),
      cmocka_unit_test(any_number_of_rows_is_pasted),
      cmocka_unit_test(values_are_those_of_torchvision),
      cmocka_unit_test(values_are_those_of_plain_loops),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
