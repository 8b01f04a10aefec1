#include <math.h>

#include "support/backends.h"

enum { MAPS_MOST = 4, ROWS_MOST = 32 };

/* Maps, regions and dy as the host knows them. */
typedef struct Input {
  int32_t map_count;
  Shape maps[MAPS_MOST]; /* channels: those that mean something */
  const float *values[MAPS_MOST];
  int32_t input_height_px, pooled, sampling;
  int32_t rows; /* of y; also the capacity */
  const float *boxes;
  const int32_t *images;
  const float *dy; /* NULL: forward only */
  Write write;
} Input;

typedef struct Output {
  int64_t y_count;
  float *y;
  float *dmaps[MAPS_MOST];
} Output;

static const float dmap_before = 1.0F;

static Regions upload_regions(Room *room, const Input *in)
{
  const size_t rows = (size_t)in->rows;
  return (Regions){.capacity = in->rows,
                   .boxes = room_upload_floats(room, in->boxes, 4 * (int64_t)rows),
                   .images = room_upload(room, in->images, rows * sizeof(int32_t))};
}

static void run_backward(Room *room, const TestBackend *on, const Input *in, const RoiAlign *align,
                         const Regions *regions, Shape y_shape, Output *out)
{
  const TestImage dy = room_image(room, y_shape, in->dy);
  TestImage dmaps[MAPS_MOST];
  void *memories[MAPS_MOST];
  for (int32_t i = 0; i < in->map_count; ++i) {
    const float *before = room_equal(room, shape_elements(in->maps[i]), dmap_before);
    dmaps[i] = room_image(room, in->maps[i], in->write == WRITE_ADD ? before : NULL);
    memories[i] = dmaps[i].memory;
  }
  if (in->write == WRITE_ADD) /* padded channels of dy are 0, those of dmaps too */
    assert_true(dy.channels == dmaps[0].channels);
  void *scratch = room_device(room, on->ops->roi_align_backward_scratch_bytes(align, in->rows));
  on->ops->roi_align_backward(on->device, align, regions, dy.shape, dy.memory, memories, in->write,
                              scratch);
  for (int32_t i = 0; i < in->map_count; ++i)
    out->dmaps[i] = room_numbers_of(room, dmaps[i]);
}

static Output run(Room *room, const TestBackend *on, const Input *in)
{
  Shape shapes[MAPS_MOST];
  const void *memories[MAPS_MOST];
  for (int32_t i = 0; i < in->map_count; ++i) {
    const TestImage map = room_image(room, in->maps[i], in->values[i]);
    shapes[i] = map.shape;
    memories[i] = map.memory;
  }
  RoiAlign align;
  Shape y_shape;
  CHECK_OK(roi_align_plan(in->map_count, shapes, in->input_height_px, in->pooled, in->sampling,
                          in->rows, &align, &y_shape));
  y_shape.channels = in->maps[0].channels;
  const TestImage y = room_image(room, y_shape, NULL);
  const Regions regions = upload_regions(room, in);
  on->ops->roi_align_forward(on->device, &align, memories, &regions, y.shape, y.memory);
  Output out = {.y_count = shape_elements(y_shape), .y = room_numbers_of(room, y)};
  if (in->dy != NULL) run_backward(room, on, in, &align, &regions, y_shape, &out);
  return out;
}

static void plan_gives_scales_by_powers_of_two(void **state)
{
  const Shape maps[4] = {
      image_shape(2, 34, 40, 16, ELEMENT_BF16), image_shape(2, 17, 20, 16, ELEMENT_BF16),
      image_shape(2, 9, 10, 16, ELEMENT_BF16), image_shape(2, 5, 5, 16, ELEMENT_BF16)};
  RoiAlign align;
  Shape y;
  CHECK_OK(roi_align_plan(4, maps, 136, 7, 2, 500, &align, &y));
  assert_true(shape_equal(y, image_shape(500, 7, 7, 16, ELEMENT_BF16)));
  assert_int_equal(align.least_level, 2);
  for (int i = 0; i < 4; ++i)
    assert_true(align.scales[i] == 0.25F / (float)(1 << i));
}

static void plan_refuses_what_does_not_fit(void **state)
{
  Shape maps[2] = {image_shape(1, 8, 8, 4, ELEMENT_F32), image_shape(1, 4, 4, 4, ELEMENT_F32)};
  RoiAlign align;
  Shape y;
  CHECK_FAILS(STATUS_BAD_SHAPE, "0 maps", roi_align_plan(0, maps, 8, 7, 2, 1, &align, &y));
  CHECK_FAILS(STATUS_BAD_SHAPE, "9 maps", roi_align_plan(9, maps, 8, 7, 2, 1, &align, &y));
  CHECK_FAILS(STATUS_BAD_SHAPE, "bins", roi_align_plan(2, maps, 8, 0, 2, 1, &align, &y));
  CHECK_FAILS(STATUS_BAD_SHAPE, "bins", roi_align_plan(2, maps, 8, 7, 0, 1, &align, &y));
  CHECK_FAILS(STATUS_BAD_SHAPE, "bins", roi_align_plan(2, maps, 8, 33, 8, 1, &align, &y));
  CHECK_FAILS(STATUS_BAD_SHAPE, "0 regions", roi_align_plan(2, maps, 8, 7, 2, 0, &align, &y));
  CHECK_FAILS(STATUS_BAD_SHAPE, "0 px", roi_align_plan(2, maps, 0, 7, 2, 1, &align, &y));
  maps[1].channels = 3;
  CHECK_FAILS(STATUS_BAD_SHAPE, "map 1", roi_align_plan(2, maps, 8, 7, 2, 1, &align, &y));
  maps[1] = maps[0];
  maps[1].element = ELEMENT_BF16;
  assert_int_equal(roi_align_plan(2, maps, 8, 7, 2, 1, &align, &y), STATUS_BAD_SHAPE);
}

/* On a ramp every bin has the ramp's value at its centre: pixel i lies at coordinate i. */
static void a_ramp_is_sampled_at_the_centres_of_bins(void **state)
{
  enum { SIDE = 8 };
  const float box[4] = {1, 2, 5, 4}; /* bins of 2 x 1 px */
  FOR_EACH_BACKEND(on)
  FOR_EACH_ELEMENT(element)
  {
    Room *room = room_open(on);
    float *ramp = room_numbers(room, SIDE * SIDE);
    for (int i = 0; i < SIDE * SIDE; ++i)
      ramp[i] = (float)(i % SIDE) + 16.0F * (float)(i / SIDE);
    const Input in = {.map_count = 1,
                      .maps = {image_shape(1, SIDE, SIDE, 1, element)},
                      .values = {ramp},
                      .input_height_px = SIDE,
                      .pooled = 2,
                      .sampling = 2,
                      .rows = 1,
                      .boxes = box,
                      .images = (int32_t[]){0}};
    const Output out = run(room, on, &in);
    expect_floats((Expectation){on, element, "y", 0}, 4, out.y,
                  (float[]){2 + 16 * 2.5F, 4 + 16 * 2.5F, 2 + 16 * 3.5F, 4 + 16 * 3.5F});
    room_close(room);
  }
}

/* A 2 x 2 map of 4 with samples of one bin at: inside; up to a pixel outside (4, pulled in); more
 * than that (0). A region is at least 1 px wide, so a sample lies 0.5 px behind its corner. */
static void samples_up_to_a_pixel_outside_are_pulled_in(void **state)
{
  const float boxes[] = {0,      0,     1,      1,     /* at 0.5, 0.5 */
                         -1.5,   0,     -1.5,   0,     /* at -1, 0.5 */
                         -1.75F, 0,     -1.75F, 0,     /* at -1.25, 0.5 */
                         1.5,    1.5,   1.75F,  1.5,   /* at 2, 2 */
                         1.5,    1.75F, 1.5,    1.75F, /* at 2, 2.25 */
                         1,      -9,    2,      -8};
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    const Input in = {.map_count = 1,
                      .maps = {image_shape(1, 2, 2, 1, ELEMENT_F32)},
                      .values = {(float[]){4, 4, 4, 4}},
                      .input_height_px = 2,
                      .pooled = 1,
                      .sampling = 1,
                      .rows = 6,
                      .boxes = boxes,
                      .images = (int32_t[]){0, 0, 0, 0, 0, 0},
                      .dy = (float[]){1, 1, 1, 1, 1, 1}};
    const Output out = run(room, on, &in);
    expect_floats((Expectation){on, ELEMENT_F32, "y", 0}, 6, out.y, (float[]){4, 4, 0, 4, 0, 0});
    expect_floats((Expectation){on, ELEMENT_F32, "dmap", 0}, 4, out.dmaps[0],
                  (float[]){0.75F, 0.25F, 0.75F, 1.25F});
    room_close(room);
  }
}

/* Maps whose values are their levels. */
static void the_level_follows_the_side_of_a_square(void **state)
{
  enum { ROWS = 9 };
  const float sides[ROWS] = {1, 111.9F, 112, 223.9F, 224, 447, 448, 895, 5000};
  const float levels[ROWS] = {2, 2, 3, 3, 4, 4, 5, 5, 5};
  float boxes[4 * ROWS] = {0};
  int32_t images[ROWS] = {0};
  for (int i = 0; i < ROWS; ++i)
    boxes[4 * i + 2] = boxes[4 * i + 3] = sides[i];
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    Input in = {.map_count = 4,
                .input_height_px = 512,
                .pooled = 1,
                .sampling = 1,
                .rows = ROWS,
                .boxes = boxes,
                .images = images};
    for (int i = 0; i < 4; ++i) {
      const int32_t side = 128 >> i;
      in.maps[i] = image_shape(1, side, side, 1, ELEMENT_F32);
      in.values[i] = room_equal(room, (int64_t)side * side, 2.0F + (float)i);
    }
    const Output out = run(room, on, &in);
    expect_floats((Expectation){on, ELEMENT_F32, "y", 1e-6}, ROWS - 1, out.y, levels);
    assert_true(out.y[ROWS - 1] == 0.0F); /* its only sample lies outside */
    room_close(room);
  }
}

static void rows_without_an_image_are_zero_and_give_no_gradient(void **state)
{
  const float boxes[] = {0, 0, 2, 2, 0, NAN, 2, 2, 0, 0, 2, 2, NAN, 0, 2, 2};
  FOR_EACH_BACKEND(on)
  FOR_EACH_ELEMENT(element)
  for (int write = WRITE_SET; write <= WRITE_ADD; ++write) {
    Room *room = room_open(on);
    const Input in = {.map_count = 1,
                      .maps = {image_shape(1, 3, 3, 1, element)},
                      .values = {(float[]){1, 1, 1, 1, 1, 1, 1, 1, 1}},
                      .input_height_px = 3,
                      .pooled = 2,
                      .sampling = 1,
                      .rows = 4,
                      .boxes = boxes,
                      .images = (int32_t[]){0, 0, -1, -1},
                      .dy = room_equal(room, 16, 1),
                      .write = (Write)write};
    const Output out = run(room, on, &in);
    const float expected[16] = {1, 1, 1, 1, NAN, NAN, NAN, NAN};
    expect_floats((Expectation){on, element, "y", 0}, 16, out.y, expected);
    const float b = write == WRITE_ADD ? dmap_before : 0.0F; /* samples at 0.5 and 1.5 */
    expect_floats((Expectation){on, element, "dmap", 0}, 9, out.dmaps[0],
                  (float[]){b + 0.25F, b + 0.5F, b + 0.25F, b + 0.5F, b + 1, b + 0.5F, b + 0.25F,
                            b + 0.5F, b + 0.25F});
    room_close(room);
  }
}

static double loss(const TestBackend *on, const Input *in)
{
  Room *room = room_open(on);
  Input forward = *in;
  forward.dy = NULL;
  const Output out = run(room, on, &forward);
  double sum = 0;
  for (int64_t i = 0; i < out.y_count; ++i)
    sum += (double)out.y[i] * (double)in->dy[i];
  room_close(room);
  return sum;
}

/* Exact, since all weights, values and steps are multiples of powers of two. */
static void gradients_are_the_slopes_of_forward(void **state)
{
  const float boxes[] = {0, 0, 4, 3, -2.5F, 1, 7, 8, 3, 3, 3, 3.5F};
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    const Shape map = image_shape(2, 3, 4, 1, ELEMENT_F32);
    float *values = room_eighths(room, "map", shape_elements(map));
    const Input in = {.map_count = 1,
                      .maps = {map},
                      .values = {values},
                      .input_height_px = 6,
                      .pooled = 2,
                      .sampling = 2,
                      .rows = 3,
                      .boxes = boxes,
                      .images = (int32_t[]){0, 1, 1},
                      .dy = room_eighths(room, "dy", 12)};
    const Output out = run(room, on, &in);
    for (int64_t i = 0; i < shape_elements(map); ++i) {
      const float centre = values[i];
      values[i] = centre + 0.25F;
      const double above = loss(on, &in);
      values[i] = centre - 0.25F;
      const double below = loss(on, &in);
      values[i] = centre;
      expect_doubles((Expectation){on, ELEMENT_F32, "dmap", 0}, 1, out.dmaps[0] + i,
                     &(double){2.0 * (above - below)});
    }
    room_close(room);
  }
}

/* torchvision takes regions in any order, the ops by image: at place r stands torchvision's
 * order[r]. */
static void order_by_image(const GoldenTensor *rois, int32_t *order)
{
  int32_t next = 0;
  for (int32_t image = 0; next < rois->dims[0]; ++image)
    for (int32_t r = 0; r < rois->dims[0]; ++r)
      if ((int32_t)golden_value(rois, 5 * r) == image) order[next++] = r;
}

static void reorder(const int32_t *order, int32_t rows, int64_t row_count, const float *from,
                    float *to)
{
  for (int32_t r = 0; r < rows; ++r)
    memcpy(to + r * row_count, from + order[r] * row_count, (size_t)row_count * sizeof *to);
}

/* The twins' float32 forward passes round as torchvision's does, bit for bit; the naive one is in
 * double. */
static void expect_forward(Room *room, const TestBackend *on, const GoldenTensor *golden,
                           const int32_t *order, const float *got)
{
  float *values = room_numbers(room, golden->count);
  float *expected = room_numbers(room, golden->count);
  for (int64_t i = 0; i < golden->count; ++i)
    values[i] = (float)golden->values[i];
  reorder(order, (int32_t)golden->dims[0], golden->count / golden->dims[0], values, expected);
  const double tolerance = on == backends_naive() ? 2e-6 : 0.0;
  expect_floats((Expectation){on, ELEMENT_F32, golden->name, tolerance}, golden->count, got,
                expected);
}

static void values_are_those_of_torchvision(void **state)
{
  FOR_EACH_BACKEND(on)
  {
    Golden *golden = golden_open("op_roi_align.txt");
    for (int i = 0; i <= 2; i += 2) { /* 1 samples adaptively */
      Room *room = room_open(on);
      const GoldenTensor *row = golden_find(golden, "case%d", i);
      const GoldenTensor *rois = golden_find(golden, "roi%d.rois", i);
      int32_t v[6];
      for (int k = 0; k < 6; ++k)
        v[k] = (int32_t)golden_value(row, k);
      float boxes[4 * ROWS_MOST];
      int32_t images[ROWS_MOST], order[ROWS_MOST];
      order_by_image(rois, order);
      for (int r = 0; r < rois->dims[0]; ++r) {
        images[r] = (int32_t)golden_value(rois, 5 * order[r]);
        for (int k = 0; k < 4; ++k)
          boxes[4 * r + k] = (float)golden_value(rois, 5 * order[r] + 1 + k);
      }
      const Shape map = image_shape(v[0], v[1], v[2], v[3], ELEMENT_F32);
      const GoldenTensor *y = golden_find(golden, "roi%d.y", i);
      float *dy = room_numbers(room, y->count);
      const Input in = {
          .map_count = 1,
          .maps = {map},
          .values = {room_formula(room, room_name(room, "roi%d.x", i), shape_elements(map))},
          .input_height_px = (int32_t)(v[1] / golden_value(row, 6)),
          .pooled = v[4],
          .sampling = v[5],
          .rows = (int32_t)rois->dims[0],
          .boxes = boxes,
          .images = images,
          .dy = dy};
      reorder(order, in.rows, y->count / in.rows,
              room_formula(room, room_name(room, "roi%d.dy", i), y->count), dy);
      const Output out = run(room, on, &in);
      expect_forward(room, on, y, order, out.y);
      expect_golden((Expectation){on, ELEMENT_F32, NULL, 2e-6}, golden_find(golden, "roi%d.dx", i),
                    out.dmaps[0], 0);
      room_close(room);
    }
    golden_close(golden);
  }
}

static void a_pyramid_is_that_of_torchvision(void **state)
{
  Golden *golden = golden_open("op_roi_align.txt");
  const GoldenTensor *row = golden_find(golden, "levels.case");
  const GoldenTensor *of_boxes = golden_find(golden, "levels.boxes");
  const GoldenTensor *y = golden_find(golden, "levels.y");
  float boxes[4 * ROWS_MOST];
  int32_t images[ROWS_MOST], order[ROWS_MOST];
  for (int i = 0; i < of_boxes->count; ++i)
    boxes[i] = (float)golden_value(of_boxes, i);
  for (int r = 0; r < of_boxes->dims[0]; ++r) {
    images[r] = r >= (int32_t)golden_value(row, 6);
    order[r] = r;
  }
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    Input in = {.map_count = 4,
                .input_height_px = (int32_t)golden_value(row, 1),
                .pooled = (int32_t)golden_value(row, 4),
                .sampling = (int32_t)golden_value(row, 5),
                .rows = (int32_t)of_boxes->dims[0],
                .boxes = boxes,
                .images = images,
                .dy = room_formula(room, "levels.dy", y->count)};
    for (int k = 0; k < 4; ++k) {
      in.maps[k] = image_shape((int32_t)golden_value(row, 0), in.input_height_px >> (k + 2),
                               (int32_t)golden_value(row, 2) >> (k + 2),
                               (int32_t)golden_value(row, 3), ELEMENT_F32);
      in.values[k] =
          room_formula(room, room_name(room, "levels.x%d", k), shape_elements(in.maps[k]));
    }
    const Output out = run(room, on, &in);
    expect_forward(room, on, y, order, out.y);
    for (int k = 0; k < 4; ++k)
      expect_golden((Expectation){on, ELEMENT_F32, NULL, 2e-6},
                    golden_find(golden, "levels.dx%d", k), out.dmaps[k], 0);
    room_close(room);
  }
  golden_close(golden);
}

typedef struct Case {
  int32_t n, height, width, c; /* of the first of map_count maps, a quarter of the input */
  int32_t map_count, pooled, sampling, rows, count;
  float stretch; /* of regions about the input */
} Case;

static const Case cases[] = {
    {2, 16, 24, 5, 2, 4, 2, 12, 9, 1.5F}, {1, 32, 16, 16, 3, 2, 4, 7, 7, 1},
    {3, 8, 8, 64, 1, 8, 1, 20, 20, 3},    {1, 64, 64, 17, 4, 4, 2, 24, 23, 6},
    {2, 4, 4, 2100, 1, 2, 2, 3, 3, 1},    {1, 8, 8, 1, 1, 4, 8, 5, 0, 1},
    {2, 160, 96, 8, 1, 16, 2, 10, 10, 1}, {2, 8, 8, 3, 1, 2, 2, 700, 690, 1},
};

/* Regions at multiples of 4 px, so that with powers of two as numbers of bins and samples every
 * weight is a multiple of a small power of two. */
static Input exact_input(Room *room, Case row, Element element)
{
  Input in = {.map_count = row.map_count,
              .input_height_px = 4 * row.height,
              .pooled = row.pooled,
              .sampling = row.sampling,
              .rows = row.rows};
  for (int32_t i = 0; i < row.map_count; ++i) {
    in.maps[i] = image_shape(row.n, row.height >> i, row.width >> i, row.c, element);
    in.values[i] = room_eighths(room, room_name(room, "map%d", i), shape_elements(in.maps[i]));
  }
  const float *corners = room_formula(room, "corners", 4 * row.rows);
  float *boxes = room_numbers(room, 4 * row.rows);
  int32_t *images = room_host(room, row.rows, sizeof *images);
  for (int32_t r = 0; r < row.rows; ++r) {
    const float *u = corners + 4 * (ptrdiff_t)r;
    float *box = boxes + 4 * (ptrdiff_t)r;
    box[0] = 4 * rintf((float)row.width * (0.5F + 0.5F * row.stretch * u[0]));
    box[1] = 4 * rintf((float)row.height * (0.5F + 0.5F * row.stretch * u[1]));
    box[2] = box[0] + 4 * rintf((float)row.width * 0.5F * (1 + u[2]) * row.stretch);
    box[3] = box[1] + 4 * rintf((float)row.height * 0.5F * (1 + u[3]) * row.stretch);
    images[r] = r < row.count ? r * row.n / row.rows : -1;
  }
  in.boxes = boxes;
  in.images = images;
  in.dy = room_eighths(room, "dy", (int64_t)row.rows * row.pooled * row.pooled * row.c);
  return in;
}

/* Multiples of small powers of two are summed exactly, and rounded once to bfloat16. */
static void values_and_gradients_are_those_of_plain_loops(void **state)
{
  FOR_EACH_TWIN(on)
  FOR_EACH_ELEMENT(element)
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i)
    for (int write = WRITE_SET; write <= WRITE_ADD; ++write) {
      Room *truth = room_open(backends_naive());
      Room *room = room_open(on);
      Input in = exact_input(room, cases[i], element);
      in.write = (Write)write;
      const Output expected = run(truth, backends_naive(), &in);
      const Output got = run(room, on, &in);
      expect_floats((Expectation){on, element, room_name(room, "case %d: y", (int)i), 0},
                    got.y_count, got.y, expected.y);
      for (int32_t k = 0; k < in.map_count; ++k)
        expect_floats((Expectation){on, element, room_name(room, "case %d: dmap%d", (int)i, k), 0},
                      shape_elements(in.maps[k]), got.dmaps[k], expected.dmaps[k]);
      room_close(room);
      room_close(truth);
    }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(plan_gives_scales_by_powers_of_two),
      cmocka_unit_test(plan_refuses_what_does_not_fit),
      cmocka_unit_test(a_ramp_is_sampled_at_the_centres_of_bins),
      cmocka_unit_test(samples_up_to_a_pixel_outside_are_pulled_in),
      cmocka_unit_test(the_level_follows_the_side_of_a_square),
      cmocka_unit_test(rows_without_an_image_are_zero_and_give_no_gradient),
      cmocka_unit_test(gradients_are_the_slopes_of_forward),
      cmocka_unit_test(values_are_those_of_torchvision),
      cmocka_unit_test(a_pyramid_is_that_of_torchvision),
      cmocka_unit_test(values_and_gradients_are_those_of_plain_loops),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
