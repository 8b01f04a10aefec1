#include <math.h>

#include "support/backends.h"

/* Proposals of a pyramid. logits and deltas: each map's, N x H x W x anchors and x 4 anchors. */
typedef struct Input {
  int32_t images;
  int32_t map_count;
  int32_t sizes[PYRAMID_MAPS_MOST][2]; /* of the maps: height, width */
  RpnOptions options;
  ProposalLimits limits;
  Element element;
  const float *logits[PYRAMID_MAPS_MOST];
  const float *deltas[PYRAMID_MAPS_MOST];
  const float *image_sizes;
} Input;

typedef struct Output {
  const float *boxes;
  const float *scores;
  const int32_t *counts;
} Output;

static Output run(Room *room, const TestBackend *on, const Input *in)
{
  Shape logit_shapes[PYRAMID_MAPS_MOST], delta_shapes[PYRAMID_MAPS_MOST];
  RpnMaps maps;
  for (int32_t m = 0; m < in->map_count; ++m) {
    const int32_t anchors = in->options.ratio_count;
    const TestImage logits = room_image(
        room, image_shape(in->images, in->sizes[m][0], in->sizes[m][1], anchors, in->element),
        in->logits[m]);
    const TestImage deltas = room_image(
        room, image_shape(in->images, in->sizes[m][0], in->sizes[m][1], 4 * anchors, in->element),
        in->deltas[m]);
    logit_shapes[m] = logits.shape;
    delta_shapes[m] = deltas.shape;
    maps.logits[m] = logits.memory;
    maps.deltas[m] = deltas.memory;
  }
  Rpn rpn;
  CHECK_OK(rpn_plan(in->options, in->map_count, logit_shapes, delta_shapes, &rpn));
  const int64_t places = (int64_t)in->images * in->limits.post_count;
  float *boxes = room_device(room, (size_t)places * 4 * sizeof(float));
  float *scores = room_device(room, (size_t)places * sizeof(float));
  int32_t *counts = room_device(room, (size_t)in->images * sizeof(int32_t));
  on->ops->rpn_proposals(on->device, &rpn, &maps, in->limits,
                         room_upload_floats(room, in->image_sizes, (int64_t)in->images * 2), boxes,
                         scores, counts,
                         room_device(room, on->ops->rpn_proposals_scratch_bytes(&rpn, in->limits)));
  return (Output){.boxes = room_download_floats(room, boxes, places * 4),
                  .scores = room_download_floats(room, scores, places),
                  .counts = room_download(room, counts, (size_t)in->images * sizeof(int32_t))};
}

static float sigmoid(float x)
{
  return 1.0F / (1.0F + expf(-x));
}

/* An input of 16 x 32 px with one map of 1 x 2 px and two anchors of 8 x 8 px at (0, 0) and
 * (16, 0): what is inside the image of each is 4 x 4 and 8 x 4 px. */
static Input small_input(const float logits[4], const float deltas[16])
{
  static const float image_sizes[2] = {16, 32};
  return (Input){
      .images = 1,
      .map_count = 1,
      .sizes = {{1, 2}},
      .options =
          {.height_px = 16, .width_px = 32, .sizes_px = {8}, .ratios = {1, 1}, .ratio_count = 2},
      .limits = {.pre_count = 4, .post_count = 4, .iou_most = 0.7F, .least_side_px = 1e-3F},
      .logits = {logits},
      .deltas = {deltas},
      .image_sizes = image_sizes};
}

static void expect_proposals(const TestBackend *on, Element element, const Output *got,
                             int32_t count, int32_t most, const float *boxes, const float *logits)
{
  assert_int_equal(got->counts[0], count);
  expect_floats((Expectation){on, element, "box", 0}, 4 * (int64_t)count, got->boxes, boxes);
  for (int32_t i = 0; i < most; ++i) {
    const float score = i < count ? sigmoid(logits[i]) : 0.0F;
    expect_floats((Expectation){on, element, "score", 1e-7}, 1, got->scores + i, &score);
  }
  for (int32_t k = 4 * count; k < 4 * most; ++k)
    assert_true(got->boxes[k] == 0.0F);
}

/* dx = 1 moves by the anchor's width; dw = log 2 doubles it. */
static void anchors_are_moved_stretched_and_cut_to_the_image(void **state)
{
  const float logits[4] = {1, -2, 0, 3};
  const float ln2 = logf(2);
  const float deltas[16] = {0, 0, 0, 0, 1, 0.5F, 0, 0, 0, 1, 0, ln2, 9, 0, 0, 0};
  const float boxes[12] = {0, 0, 4, 4, 12, 0, 20, 16, 4, 0, 12, 8};
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    const Input in = small_input(logits, deltas);
    const Output out = run(room, on, &in); /* the last anchor is right of the image */
    expect_proposals(on, ELEMENT_F32, &out, 3, 4, boxes, (float[]){1, 0, -2});
    room_close(room);
  }
}

static void what_overlaps_more_than_the_limit_is_dropped_but_not_at_it(void **state)
{
  /* All 8 x 4 px: the best at x = 12, one 4 px to the left (IoU 16 / 48), one 1 px (28 / 36). */
  const float logits[4] = {-9, 3, 1, 2};
  const float deltas[16] = {0, 9, 0, 0, 2, 0, 0, 0, -0.5F, 0, 0, 0, -0.125F, 0, 0, 0};
  const float boxes[8] = {12, 0, 20, 4, 8, 0, 16, 4};
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    Input in = small_input(logits, deltas);
    in.limits.iou_most = 16.0F / 48.0F;
    const Output at_limit = run(room, on, &in);
    expect_proposals(on, ELEMENT_F32, &at_limit, 2, 4, boxes, (float[]){3, 1});
    in.limits.iou_most = nextafterf(16.0F / 48.0F, 0);
    const Output below = run(room, on, &in);
    expect_proposals(on, ELEMENT_F32, &below, 1, 4, boxes, (float[]){3});
    in.limits.iou_most = 28.0F / 36.0F;
    const Output above = run(room, on, &in);
    assert_int_equal(above.counts[0], 3);
    room_close(room);
  }
}

/* Where boxes do not overlap much, the order is that of logits, then of maps, then of anchors. */
static void equal_logits_leave_the_lower_anchor_first(void **state)
{
  const float logits[4] = {2, 2, 2, 2};
  const float deltas[16] = {0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0};
  const float boxes[16] = {0, 0, 4, 4, 4, 0, 12, 4, 12, 0, 20, 4, 20, 0, 28, 4};
  FOR_EACH_BACKEND(on)
  FOR_EACH_ELEMENT(element)
  for (int32_t pre = 1; pre <= 5; ++pre) {
    Room *room = room_open(on);
    Input in = small_input(logits, deltas);
    in.element = element;
    in.limits.pre_count = pre;
    const Output out = run(room, on, &in);
    expect_proposals(on, element, &out, pre < 4 ? pre : 4, 4, boxes, logits);
    room_close(room);
  }
}

/* 50, 60, 70 and infinity have the sigmoid 1: the first map goes first, though its logits are lower,
 * and in a map the higher logit. */
static void equal_scores_leave_the_first_map_first(void **state)
{
  const float first[4] = {60, -INFINITY, 50, -1}, second[4] = {-3, 70, -3, INFINITY};
  const float deltas[16] = {0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0};
  const float boxes[32] = {0,  0, 4,  4, 12, 0, 20, 4, 20, 0, 28, 4, 4, 0, 12, 4,
                           20, 0, 28, 4, 0,  0, 4,  4, 12, 0, 20, 4, 4, 0, 12, 4};
  const float logits[8] = {60, 50, INFINITY, 70, -1, -3, -3, -INFINITY};
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    Input in = small_input(first, deltas);
    in.map_count = 2;
    in.sizes[1][0] = 1;
    in.sizes[1][1] = 2;
    in.options.sizes_px[1] = 8;
    in.logits[1] = second;
    in.deltas[1] = deltas;
    in.limits.post_count = 9;
    const Output out = run(room, on, &in);
    expect_proposals(on, ELEMENT_F32, &out, 8, 9, boxes, logits);
    room_close(room);
  }
}

static void a_nan_is_dropped_and_takes_no_place(void **state)
{
  const float logits[4] = {NAN, 1, 3, -NAN};
  const float deltas[16] = {0, 0, 0, 0, 1, 0, 0, 0, 0, NAN, 0, 0, 1, 0, 0, 0};
  const float boxes[4] = {4, 0, 12, 4};
  FOR_EACH_BACKEND(on)
  FOR_EACH_ELEMENT(element)
  for (int32_t pre = 1; pre <= 5; ++pre) {
    Room *room = room_open(on);
    Input in = small_input(logits, deltas);
    in.element = element;
    in.limits.pre_count = pre; /* the box that is NaN has a logit, and takes a place */
    const Output out = run(room, on, &in);
    expect_proposals(on, element, &out, pre > 1, 4, boxes, logits + 1);
    room_close(room);
  }
}

static void small_sides_are_dropped_and_an_image_may_have_none(void **state)
{
  const float logits[4] = {1, 1, 1, 1}, image_sizes[4] = {16, 0.25F, 4, 13};
  const float zeros[32] = {0};
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    Input in = small_input(room_equal(room, 8, 1), zeros);
    in.images = 2;
    in.image_sizes = image_sizes;
    in.limits.least_side_px = 1;
    const Output out = run(room, on, &in); /* of the second, 4 x 4 and 1 x 4 px, each twice */
    assert_int_equal(out.counts[0], 0);
    assert_int_equal(out.counts[1], 2);
    expect_floats((Expectation){on, ELEMENT_F32, "box", 0}, 32, out.boxes,
                  (float[32]){[16] = 0, 0, 4, 4, 12, 0, 13, 4});
    expect_floats((Expectation){on, ELEMENT_F32, "score", 1e-7}, 8, out.scores,
                  (float[8]){[4] = sigmoid(logits[0]), sigmoid(logits[0])});
    in.limits.least_side_px = nextafterf(1, 2);
    assert_int_equal(run(room, on, &in).counts[1], 1);
    room_close(room);
  }
}

/* Pyramids as of torchvision: sides of an input of this size over 4, 8, 16, 32 and 64, rounded up.
 */
static Input pyramid(int32_t images, int32_t height, int32_t width, Element element)
{
  Input in = {.images = images,
              .map_count = 5,
              .options = {.height_px = height,
                          .width_px = width,
                          .sizes_px = {32, 64, 128, 256, 512},
                          .ratios = {0.5F, 1, 2},
                          .ratio_count = 3},
              .limits = {.iou_most = 0.7F, .least_side_px = 1e-3F},
              .element = element};
  for (int32_t m = 0; m < 5; ++m) {
    in.sizes[m][0] = (height + (4 << m) - 1) >> (m + 2);
    in.sizes[m][1] = (width + (4 << m) - 1) >> (m + 2);
  }
  return in;
}

static float *scaled(float *values, int64_t count, float scale)
{
  for (int64_t i = 0; i < count; ++i)
    values[i] *= scale;
  return values;
}

static void fill_pyramid(Room *room, Input *in, const char *name, float delta_size)
{
  for (int32_t m = 0; m < in->map_count; ++m) {
    const int64_t pixels = (int64_t)in->images * in->sizes[m][0] * in->sizes[m][1];
    in->logits[m] = scaled(room_formula(room, room_name(room, "%s.logits%d", name, m), pixels * 3),
                           pixels * 3, 2);
    in->deltas[m] = scaled(room_formula(room, room_name(room, "%s.deltas%d", name, m), pixels * 12),
                           pixels * 12, delta_size);
  }
}

static void proposals_are_those_of_torchvision(void **state)
{
  FOR_EACH_BACKEND(on)
  {
    Golden *golden = golden_open("op_proposals.txt");
    for (int i = 0; i < 4; ++i) {
      const double *row = golden_find(golden, "prop%d.case", i)->values;
      const int attempt = (int)golden_value(golden_find(golden, "prop%d.attempt", i), 0);
      Room *room = room_open(on);
      Input in = pyramid((int32_t)row[0], (int32_t)row[1], (int32_t)row[2], ELEMENT_F32);
      in.limits.pre_count = (int32_t)row[3];
      in.limits.post_count = (int32_t)row[4];
      in.limits.iou_most = (float)row[5];
      fill_pyramid(room, &in, room_name(room, "prop%d.%d", i, attempt), (float)row[7]);
      float image_sizes[4];
      for (int k = 0; k < 2 * in.images; ++k)
        image_sizes[k] = (float)golden_value(golden_find(golden, "prop%d.sizes", i), k);
      in.image_sizes = image_sizes;
      const Output out = run(room, on, &in);
      for (int n = 0; n < in.images; ++n) {
        const GoldenTensor *scores = golden_find(golden, "prop%d.scores%d", i, n);
        assert_int_equal(out.counts[n], scores->count);
        expect_golden((Expectation){.on = on, .element = ELEMENT_F32, .tolerance = 1e-6},
                      golden_find(golden, "prop%d.boxes%d", i, n),
                      out.boxes + (ptrdiff_t)n * in.limits.post_count * 4, 0);
        expect_golden((Expectation){.on = on, .element = ELEMENT_F32, .tolerance = 1e-6}, scores,
                      out.scores + (ptrdiff_t)n * in.limits.post_count, 0);
      }
      room_close(room);
    }
    golden_close(golden);
  }
}

static void expect_same(const TestBackend *on, const Input *in, const Output *got,
                        const Output *expected)
{
  const int64_t places = (int64_t)in->images * in->limits.post_count;
  for (int32_t n = 0; n < in->images; ++n)
    if (got->counts[n] != expected->counts[n])
      fail_msg("%s, %s: image %d has %d proposals, expected %d", on->name,
               element_name(in->element), n, got->counts[n], expected->counts[n]);
  expect_floats((Expectation){on, in->element, "score", 1e-6}, places, got->scores,
                expected->scores);
  expect_floats((Expectation){on, in->element, "box", 1e-4}, places * 4, got->boxes,
                expected->boxes);
}

typedef struct Case {
  int32_t images, height, width, pre, post;
  float iou;
  bool ties; /* logits in eighths: 33 values */
} Case;

static const Case cases[] = {
    {1, 64, 64, 100, 100, 0.7F, false},  {2, 96, 128, 300, 50, 0.5F, true},
    {3, 40, 72, 1000, 1000, 0.7F, true}, {1, 160, 96, 700, 2000, 0.9F, false},
    {2, 128, 128, 129, 64, 0.3F, true},  {1, 208, 208, 4500, 7500, 0.9F, true},
};

static void values_are_those_of_plain_loops(void **state)
{
  FOR_EACH_TWIN(on)
  FOR_EACH_ELEMENT(element)
  for (int i = 0; i < (int)(sizeof cases / sizeof cases[0]); ++i) {
    Room *truth = room_open(backends_naive());
    Room *room = room_open(on);
    Input in = pyramid(cases[i].images, cases[i].height, cases[i].width, element);
    in.limits.pre_count = cases[i].pre;
    in.limits.post_count = cases[i].post;
    in.limits.iou_most = cases[i].iou;
    fill_pyramid(room, &in, room_name(room, "case%d", i), 0.5F);
    for (int32_t m = 0; cases[i].ties && m < in.map_count; ++m) {
      const int64_t count = (int64_t)in.images * in.sizes[m][0] * in.sizes[m][1] * 3;
      in.logits[m] = room_eighths(room, room_name(room, "case%d.%d", i, m), count);
    }
    float image_sizes[6];
    for (int k = 0; k < 6; ++k)
      image_sizes[k] = (float)(k % 2 == 0 ? cases[i].height - 2 * k : cases[i].width - 3 * k);
    in.image_sizes = image_sizes;
    const Output expected = run(truth, backends_naive(), &in);
    const Output got = run(room, on, &in);
    expect_same(on, &in, &got, &expected);
    room_close(room);
    room_close(truth);
  }
}

static void a_call_gives_the_same_bits_again(void **state)
{
  FOR_EACH_TWIN(on)
  {
    Room *room = room_open(on);
    Input in = pyramid(2, 128, 96, ELEMENT_BF16);
    const float image_sizes[4] = {128, 96, 120, 90};
    in.limits.pre_count = 200;
    in.limits.post_count = 300;
    in.image_sizes = image_sizes;
    fill_pyramid(room, &in, "again", 0.5F);
    const Output first = run(room, on, &in), second = run(room, on, &in);
    assert_memory_equal(first.boxes, second.boxes, 2 * 300 * 4 * sizeof(float));
    assert_memory_equal(first.scores, second.scores, 2 * 300 * sizeof(float));
    assert_memory_equal(first.counts, second.counts, 2 * sizeof(int32_t));
    room_close(room);
  }
}

static void plan_refuses_what_does_not_fit(void **state)
{
  const Shape logits[2] = {image_shape(2, 8, 4, 3, ELEMENT_F32),
                           image_shape(2, 4, 2, 3, ELEMENT_F32)};
  const Shape deltas[2] = {image_shape(2, 8, 4, 12, ELEMENT_F32),
                           image_shape(2, 4, 2, 12, ELEMENT_F32)};
  const RpnOptions good = {.height_px = 64,
                           .width_px = 32,
                           .sizes_px = {32, 64},
                           .ratios = {0.5F, 1, 2},
                           .ratio_count = 3};
  Rpn rpn;
  CHECK_OK(rpn_plan(good, 2, logits, deltas, &rpn));
  assert_int_equal(rpn_anchor_count(&rpn), 3 * (32 + 8));
  assert_int_equal(rpn.maps[1].stride_y_px, 16);
  CHECK_FAILS(STATUS_BAD_SHAPE, "9 maps", rpn_plan(good, 9, logits, deltas, &rpn));
  RpnOptions bad = good;
  bad.ratio_count = 4;
  bad.ratios[3] = 1;
  CHECK_FAILS(STATUS_BAD_SHAPE, "4 anchors", rpn_plan(bad, 2, logits, deltas, &rpn));
  bad = good;
  bad.ratios[1] = 0;
  CHECK_FAILS(STATUS_BAD_SHAPE, "ratio", rpn_plan(bad, 2, logits, deltas, &rpn));
  bad = good;
  bad.sizes_px[1] = 0;
  CHECK_FAILS(STATUS_BAD_SHAPE, "size of 0 px", rpn_plan(bad, 2, logits, deltas, &rpn));
  bad = good;
  bad.height_px = 7;
  CHECK_FAILS(STATUS_BAD_SHAPE, "larger than", rpn_plan(bad, 2, logits, deltas, &rpn));
  const Shape other[2] = {deltas[0], image_shape(2, 4, 3, 12, ELEMENT_F32)};
  CHECK_FAILS(STATUS_BAD_SHAPE, "map 1", rpn_plan(good, 2, logits, other, &rpn));
  const Shape mixed[2] = {logits[0], image_shape(2, 4, 2, 4, ELEMENT_F32)};
  CHECK_FAILS(STATUS_BAD_SHAPE, "differs", rpn_plan(good, 2, mixed, deltas, &rpn));
}

static void cells_are_those_of_torchvision(void **state)
{
  Golden *golden = golden_open("op_proposals.txt");
  const Shape logits = image_shape(1, 1, 1, 3, ELEMENT_F32),
              deltas = image_shape(1, 1, 1, 12, ELEMENT_F32);
  const int32_t sizes[7] = {32, 64, 128, 256, 512, 8, 12};
  for (int i = 0; i < 7; ++i) {
    const bool other = i >= 5; /* of both sizes, ratio by ratio */
    const GoldenTensor *cells = golden_find(golden, other ? "cells_other" : "cells");
    RpnOptions options = {.height_px = 1, .width_px = 1, .sizes_px = {sizes[i]}, .ratio_count = 3};
    memcpy(options.ratios, other ? (float[]){0.3F, 1, 3.7F} : (float[]){0.5F, 1, 2},
           3 * sizeof(float));
    Rpn rpn;
    CHECK_OK(rpn_plan(options, 1, &logits, &deltas, &rpn));
    for (int k = 0; k < 12; ++k) {
      const int64_t row = other ? k / 4 * 2 + i - 5 : 3 * i + k / 4;
      assert_true((double)rpn.maps[0].cells[k / 4][k % 4] == cells->values[4 * row + k % 4]);
    }
  }
  golden_close(golden);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(plan_refuses_what_does_not_fit),
      cmocka_unit_test(cells_are_those_of_torchvision),
      cmocka_unit_test(anchors_are_moved_stretched_and_cut_to_the_image),
      cmocka_unit_test(what_overlaps_more_than_the_limit_is_dropped_but_not_at_it),
      cmocka_unit_test(equal_logits_leave_the_lower_anchor_first),
      cmocka_unit_test(equal_scores_leave_the_first_map_first),
      cmocka_unit_test(a_nan_is_dropped_and_takes_no_place),
      cmocka_unit_test(small_sides_are_dropped_and_an_image_may_have_none),
      cmocka_unit_test(proposals_are_those_of_torchvision),
      cmocka_unit_test(values_are_those_of_plain_loops),
      cmocka_unit_test(a_call_gives_the_same_bits_again),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
