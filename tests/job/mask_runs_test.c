#include "mask_runs.h"

#include "base/random.h"
#include "support/check.h"

/* 3 rows of 4 px. */
enum { HEIGHT = 3, WIDTH = 4, PIXELS = HEIGHT * WIDTH };

static void check_counts(const MaskRuns *runs, size_t count, const uint32_t *wanted)
{
  assert_int_equal(runs->count, count);
  assert_memory_equal(runs->counts, wanted, count * sizeof *wanted);
}

static void runs_go_down_the_columns_and_begin_outside(void **state)
{
  const uint8_t pixels[PIXELS] = {1, 0, 0, 0, /**/ 1, 1, 0, 0, /**/ 0, 1, 0, 7};
  MaskRuns runs;
  CHECK_OK(mask_runs_of_pixels(pixels, HEIGHT, WIDTH, &runs));
  check_counts(&runs, 6, (uint32_t[]){0, 2, 2, 2, 5, 1});
  assert_int_equal(mask_runs_area_px(&runs), 5);
  const DetectionBox box = mask_runs_box(&runs);
  assert_true(box.x == 0 && box.y == 0 && box.width == 4 && box.height == 3);
  mask_runs_free(&runs);
}

static void a_box_holds_the_pixels_and_no_more(void **state)
{
  const uint8_t pixels[PIXELS] = {0, 0, 0, 0, /**/ 0, 1, 1, 0, /**/ 0, 0, 1, 0};
  MaskRuns runs, empty;
  CHECK_OK(mask_runs_of_pixels(pixels, HEIGHT, WIDTH, &runs));
  const DetectionBox box = mask_runs_box(&runs);
  assert_true(box.x == 1 && box.y == 1 && box.width == 2 && box.height == 2);
  CHECK_OK(mask_runs_of_pixels((uint8_t[PIXELS]){0}, HEIGHT, WIDTH, &empty));
  assert_int_equal(mask_runs_area_px(&empty), 0);
  assert_true(mask_runs_box(&empty).width == 0);
  assert_true(mask_runs_iou(&runs, &empty, false) == 0);
  mask_runs_free(&runs);
  mask_runs_free(&empty);
}

static void a_text_is_read_as_pycocotools_writes_it(void **state)
{
  /* encode(numpy.asfortranarray of 10 x 10 with rows 2 … 4 and columns 3 … 8) */
  MaskRuns runs;
  CHECK_OK(mask_runs_of_text("P1370000000008", 10, 10, &runs));
  check_counts(&runs, 13, (uint32_t[]){32, 3, 7, 3, 7, 3, 7, 3, 7, 3, 7, 3, 15});
  mask_runs_free(&runs);
}

static void texts_and_runs_that_do_not_fill_the_image_are_refused(void **state)
{
  MaskRuns runs;
  CHECK_FAILS(STATUS_BAD_INPUT, "make 82 px", mask_runs_of_text("P13700000000", 10, 10, &runs));
  CHECK_FAILS(STATUS_BAD_INPUT, "room for", mask_runs_of_text("P1370000000008", 9, 10, &runs));
  CHECK_FAILS(STATUS_BAD_INPUT, "no text", mask_runs_of_text("P13 7", 10, 10, &runs));
  CHECK_FAILS(STATUS_BAD_INPUT, "no text", mask_runs_of_text("P", 10, 10, &runs)); /* goes on */
  CHECK_FAILS(STATUS_BAD_INPUT, "no text", mask_runs_of_text("oooooooooooo", 10, 10, &runs));
  CHECK_FAILS(STATUS_BAD_INPUT, "run 0", mask_runs_of_text("N", 10, 10, &runs)); /* below 0 */
  CHECK_FAILS(STATUS_BAD_INPUT, "make 0 px", mask_runs_of_text("", 10, 10, &runs));
  CHECK_FAILS(STATUS_BAD_INPUT, "make 3 px",
              mask_runs_of_counts((int64_t[]){1, 2}, 2, 2, 2, &runs));
  CHECK_FAILS(STATUS_BAD_INPUT, "run 1", mask_runs_of_counts((int64_t[]){4, -1}, 2, 2, 2, &runs));
  CHECK_FAILS(STATUS_BAD_INPUT, "0 x 5 px", mask_runs_of_counts((int64_t[]){0}, 1, 5, 0, &runs));
  CHECK_FAILS(STATUS_BAD_INPUT, "cannot hold",
              mask_runs_of_counts((int64_t[]){0}, 1, 65536, 65536, &runs));
  assert_null(runs.counts);
}

static void a_rectangle_on_pixel_edges_is_its_pixels(void **state)
{
  const double xy[8] = {1, 1, 3, 1, 3, 3, 1, 3};
  const uint8_t pixels[PIXELS] = {0, 0, 0, 0, /**/ 0, 1, 1, 0, /**/ 0, 1, 1, 0};
  MaskRuns drawn, wanted;
  CHECK_OK(mask_runs_of_polygon(xy, 4, HEIGHT, WIDTH, &drawn));
  CHECK_OK(mask_runs_of_pixels(pixels, HEIGHT, WIDTH, &wanted));
  assert_true(mask_runs_iou(&drawn, &wanted, false) == 1);
  mask_runs_free(&drawn);
  mask_runs_free(&wanted);
}

static void a_polygon_that_hangs_over_is_cut(void **state)
{
  const double xy[8] = {-50, -50, 100, -50, 100, 100, -50, 100};
  MaskRuns drawn;
  CHECK_OK(mask_runs_of_polygon(xy, 4, HEIGHT, WIDTH, &drawn));
  assert_int_equal(mask_runs_area_px(&drawn), PIXELS);
  mask_runs_free(&drawn);
}

static void corners_that_are_nowhere_are_refused(void **state)
{
  const double far[6] = {0, 0, 2e6, 1, 1, 1};
  const double unknown[6] = {0, 0, 1, 0.0 / 0.0, 1, 1};
  static double zigzag[400];
  MaskRuns drawn;
  for (int i = 0; i < 400; i += 4)
    zigzag[i] = 1e6;
  CHECK_FAILS(STATUS_BAD_INPUT, "corner 1", mask_runs_of_polygon(far, 3, 4, 4, &drawn));
  CHECK_FAILS(STATUS_BAD_INPUT, "corner 1", mask_runs_of_polygon(unknown, 3, 4, 4, &drawn));
  CHECK_FAILS(STATUS_BAD_INPUT, "px long", mask_runs_of_polygon(zigzag, 200, 4, 4, &drawn));
}

/* Pixel by pixel, of random masks. */
static void union_and_iou_are_those_of_the_pixels(void **state)
{
  Random random = random_stream(5, 1);
  for (int round = 0; round < 200; ++round) {
    uint8_t a[PIXELS], b[PIXELS], both[PIXELS];
    int64_t shared = 0, either = 0, of_a = 0;
    for (int i = 0; i < PIXELS; ++i) {
      a[i] = random_below(&random, 3) == 0;
      b[i] = random_below(&random, 2) == 0;
      both[i] = a[i] || b[i];
      shared += a[i] && b[i];
      either += both[i];
      of_a += a[i];
    }
    MaskRuns runs[3];
    CHECK_OK(mask_runs_of_pixels(a, HEIGHT, WIDTH, &runs[0]));
    CHECK_OK(mask_runs_of_pixels(b, HEIGHT, WIDTH, &runs[1]));
    CHECK_OK(mask_runs_of_pixels(both, HEIGHT, WIDTH, &runs[2]));
    double ious[2];
    ious[0] = mask_runs_iou(&runs[0], &runs[1], false);
    ious[1] = mask_runs_iou(&runs[0], &runs[1], true);
    assert_true(ious[0] == (either == 0 ? 0 : (double)shared / (double)either));
    assert_true(ious[1] == (of_a == 0 ? 0 : (double)shared / (double)of_a));
    CHECK_OK(mask_runs_unite(&runs[0], &runs[1]));
    check_counts(&runs[0], (size_t)runs[2].count, runs[2].counts);
    for (int i = 0; i < 3; ++i)
      mask_runs_free(&runs[i]);
  }
}

static void masks_of_other_images_match_nothing(void **state)
{
  MaskRuns a, b;
  CHECK_OK(mask_runs_of_counts((int64_t[]){0, 4}, 2, 2, 2, &a));
  CHECK_OK(mask_runs_of_counts((int64_t[]){0, 4}, 2, 4, 1, &b));
  assert_true(mask_runs_iou(&a, &b, false) == -1);
  mask_runs_free(&a);
  mask_runs_free(&b);
}

int main(void)
{
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(runs_go_down_the_columns_and_begin_outside),
      cmocka_unit_test(a_box_holds_the_pixels_and_no_more),
      cmocka_unit_test(a_text_is_read_as_pycocotools_writes_it),
      cmocka_unit_test(texts_and_runs_that_do_not_fill_the_image_are_refused),
      cmocka_unit_test(a_rectangle_on_pixel_edges_is_its_pixels),
      cmocka_unit_test(a_polygon_that_hangs_over_is_cut),
      cmocka_unit_test(corners_that_are_nowhere_are_refused),
      cmocka_unit_test(union_and_iou_are_those_of_the_pixels),
      cmocka_unit_test(masks_of_other_images_match_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
