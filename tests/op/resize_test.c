#include <math.h>

#include "support/backends.h"

enum { CASES = 3, IMAGES = 2, BANDS_MOST = 5, STEP = 5 };

/* A batch: images by name in the corners of x, all else NaN; sizes of x and of y. */
typedef struct Batch {
  Shape x_shape, y_shape;
  float *x;
  int32_t sizes[4 * IMAGES];
} Batch;

static void place(Batch *b, Room *room, int32_t image, const char *name, const int32_t size[4])
{
  const int32_t bands = b->x_shape.channels;
  const float *pixels = room_formula(room, name, (int64_t)size[0] * size[1] * bands);
  memcpy(b->sizes + 4 * image, size, 4 * sizeof *size);
  for (int32_t row = 0; row < size[0]; ++row)
    memcpy(b->x + (((int64_t)image * b->x_shape.height + row) * b->x_shape.width) * (int64_t)bands,
           pixels + (int64_t)row * size[1] * bands,
           (size_t)size[1] * (size_t)bands * sizeof *pixels);
}

static Batch batch_of(Room *room, Shape x_shape, Shape y_shape)
{
  Batch b = {.x_shape = x_shape, .y_shape = y_shape};
  b.x = room_equal(room, shape_elements(x_shape), NAN);
  return b;
}

/* y, N x H x W x bands. */
static float *resize(Room *room, const TestBackend *on, const Batch *b)
{
  const TestImage y = room_image(room, b->y_shape, NULL);
  CHECK_OK(resize_bilinear_plan(b->x_shape, b->x_shape.channels, y.shape));
  on->ops->resize_bilinear(on->device, b->x_shape,
                           room_upload_floats(room, b->x, shape_elements(b->x_shape)),
                           room_upload(room, b->sizes, sizeof b->sizes), y.shape, y.memory);
  return room_numbers_of(room, y);
}

static void plan_refuses_what_does_not_fit(void **state)
{
  const Shape x = image_shape(2, 9, 8, 3, ELEMENT_F32);
  CHECK_OK(resize_bilinear_plan(x, 3, image_shape(2, 32, 32, 8, ELEMENT_BF16)));
  CHECK_FAILS(STATUS_BAD_SHAPE, "resize",
              resize_bilinear_plan(x, 3, image_shape(2, 32, 32, 2, ELEMENT_F32)));
  CHECK_FAILS(STATUS_BAD_SHAPE, "resize",
              resize_bilinear_plan(x, 3, image_shape(1, 32, 32, 3, ELEMENT_F32)));
  CHECK_FAILS(STATUS_BAD_SHAPE, "resize",
              resize_bilinear_plan(image_shape(2, 9, 8, 3, ELEMENT_U8), 3,
                                   image_shape(2, 32, 32, 3, ELEMENT_F32)));
}

static void sides_are_torchvisions(void **state)
{
  Golden *golden = golden_open("op_resize.txt");
  const GoldenTensor *sizes = golden_find(golden, "sizes");
  for (int64_t i = 0; i < sizes->dims[0]; ++i) {
    const double *row = sizes->values + 4 * i;
    int32_t size[2];
    resize_size((int32_t)row[0], (int32_t)row[1], 800, 1333, size);
    assert_int_equal(size[0], (int32_t)row[2]);
    assert_int_equal(size[1], (int32_t)row[3]);
  }
  golden_close(golden);
}

/* By hand: two pixels 0 and 8 become four. */
static void values_lie_between_the_centres_of_pixels(void **state)
{
  FOR_EACH_BACKEND(on)
  FOR_EACH_ELEMENT(element)
  {
    Room *room = room_open(on);
    Batch b = batch_of(room, image_shape(IMAGES, 1, 3, 1, ELEMENT_F32),
                       image_shape(IMAGES, 2, 5, 1, element));
    const int32_t sizes[] = {1, 2, 1, 4, 1, 1, 2, 1};
    memcpy(b.sizes, sizes, sizeof sizes);
    b.x[0] = 0;
    b.x[1] = 8;
    b.x[3] = 5;
    const float expected[] = {0, 2, 6, 8, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 5, 0, 0, 0, 0};
    expect_floats((Expectation){on, element, "y", 0}, 20, resize(room, on, &b), expected);
    room_close(room);
  }
}

static Batch golden_batch(const Golden *golden, Room *room, int c)
{
  const double *sides = golden_find(golden, "sides.%d", c)->values;
  int32_t sizes[IMAGES][4], most[4] = {0};
  for (int i = 0; i < IMAGES; ++i) {
    const double *image = golden_find(golden, "image.%d.%d", c, i)->values;
    sizes[i][0] = (int32_t)image[0];
    sizes[i][1] = (int32_t)image[1];
    resize_size(sizes[i][0], sizes[i][1], (int32_t)sides[0], (int32_t)sides[1], sizes[i] + 2);
    for (int k = 0; k < 4; ++k)
      most[k] = sizes[i][k] > most[k] ? sizes[i][k] : most[k];
  }
  const int32_t bands = (int32_t)golden_value(golden_find(golden, "image.%d.0", c), 2);
  Batch b = batch_of(room, image_shape(IMAGES, most[0] + 1, most[1] + 2, bands, ELEMENT_F32),
                     image_shape(IMAGES, most[2] + 3, most[3] + 1, bands, ELEMENT_F32));
  for (int i = 0; i < IMAGES; ++i)
    place(&b, room, i, room_name(room, "resize.%d.%d", c, i), sizes[i]);
  return b;
}

static void expect_image(const TestBackend *on, const Golden *golden, const Batch *b, int c, int i,
                         const float *y)
{
  const GoldenTensor *expected = golden_find(golden, "y.%d.%d", c, i);
  const double *size = golden_find(golden, "size.%d.%d", c, i)->values;
  const int32_t bands = b->x_shape.channels;
  const double tolerance = on == backends_naive() ? 1e-4 : 0;
  assert_int_equal(b->sizes[4 * i + 2], (int32_t)size[0]);
  assert_int_equal(b->sizes[4 * i + 3], (int32_t)size[1]);
  for (int32_t row = 0; row < b->y_shape.height; ++row)
    for (int32_t column = 0; column < b->y_shape.width; ++column) {
      const float *got =
          y + (((int64_t)i * b->y_shape.height + row) * b->y_shape.width + column) * bands;
      const float zeros[BANDS_MOST] = {0};
      const bool inside = row < b->sizes[4 * i + 2] && column < b->sizes[4 * i + 3];
      if (!inside)
        expect_floats((Expectation){on, ELEMENT_F32, "outside", 0}, bands, got, zeros);
      else if (row % STEP == 0 && column % STEP == 0) {
        float values[BANDS_MOST];
        for (int32_t k = 0; k < bands; ++k)
          values[k] =
              (float)expected->values[(row / STEP * expected->dims[1] + column / STEP) * bands + k];
        expect_floats((Expectation){on, ELEMENT_F32, expected->name, tolerance}, bands, got,
                      values);
      }
    }
}

/* To the last bit; naive coordinates are float64. */
static void images_are_torchvisions(void **state)
{
  Golden *golden = golden_open("op_resize.txt");
  FOR_EACH_BACKEND(on)
  for (int c = 0; c < CASES; ++c) {
    Room *room = room_open(on);
    const Batch b = golden_batch(golden, room, c);
    const float *y = resize(room, on, &b);
    for (int i = 0; i < IMAGES; ++i)
      expect_image(on, golden, &b, c, i, y);
    room_close(room);
  }
  golden_close(golden);
}

static void boxes_take_the_scales_of_their_images(void **state)
{
  const float scales[] = {2, 3, 0.5F, 10};
  const float boxes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 1, 1, 1, 1};
  const int32_t images[] = {1, -1, 0, 1};
  const float by_list[] = {10, 1, 30, 2, 5, 6, 7, 8, 27, 20, 33, 24, 10, 0.5F, 10, 0.5F};
  const float by_row[] = {3, 4, 9, 8, 15, 12, 21, 16, 90, 5, 110, 6, 10, 0.5F, 10, 0.5F};
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    const float *given = room_upload_floats(room, scales, 4);
    float *listed = room_upload_floats(room, boxes, 16);
    float *rows = room_upload_floats(room, boxes, 16);
    on->ops->resize_boxes(on->device, 4, 0, room_upload(room, images, sizeof images), given,
                          listed);
    on->ops->resize_boxes(on->device, 4, 2, NULL, given, rows);
    expect_floats((Expectation){on, ELEMENT_F32, "boxes by list", 0}, 16,
                  room_download_floats(room, listed, 16), by_list);
    expect_floats((Expectation){on, ELEMENT_F32, "boxes by row", 0}, 16,
                  room_download_floats(room, rows, 16), by_row);
    room_close(room);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(plan_refuses_what_does_not_fit),
      cmocka_unit_test(sides_are_torchvisions),
      cmocka_unit_test(values_lie_between_the_centres_of_pixels),
      cmocka_unit_test(images_are_torchvisions),
      cmocka_unit_test(boxes_take_the_scales_of_their_images),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
