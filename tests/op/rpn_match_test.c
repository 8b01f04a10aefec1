#include <math.h>

#include "support/detection.h"

static const RpnMatching usual = {.high = 0.7F, .low = 0.3F};

/* Matches of all anchors, on the host. */
static const int32_t *match(Room *room, const TestBackend *on, const Rpn *rpn, RpnMatching matching,
                            const Truth *truth)
{
  const size_t bytes = (size_t)rpn->images * (size_t)rpn_anchor_count(rpn) * sizeof(int32_t);
  int32_t *matches = room_device(room, bytes);
  void *scratch = room_device(room, on->ops->rpn_match_scratch_bytes(rpn, truth->capacity));
  on->ops->rpn_match(on->device, rpn, matching, truth, matches, scratch);
  return room_download(room, matches, bytes);
}

static void expect_matches(const TestBackend *on, const char *what, int64_t count,
                           const int32_t *got, const int32_t *expected)
{
  for (int64_t i = 0; i < count; ++i)
    if (got[i] != expected[i])
      fail_msg("%s, %s: anchor %d matches %d, expected %d", on->name, what, (int)i, got[i],
               expected[i]);
}

/* A row of five anchors, and some objects of one image. */
static void expect_row(const char *what, RpnMatching matching, int32_t objects, const float *boxes,
                       const int32_t expected[5])
{
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    const Rpn rpn = rpn_of_a_row(on, 1, 5);
    const Truth truth = room_truth(room, 1, objects, &objects, boxes, NULL);
    expect_matches(on, what, 5, match(room, on, &rpn, matching, &truth), expected);
    room_close(room);
  }
}

static void anchors_are_matched_ignored_or_background(void **state)
{
  /* IoU 1 of anchor 0, 0.75 of anchor 2 */
  const float apart[8] = {0, 0, 10, 10, 20, 0, 30, 7.5F};
  expect_row("high", usual, 2, apart, (int32_t[]){0, -1, 1, -1, -1});
  /* 0.625 of anchor 3, and exactly 0.3 of anchor 4 */
  const float wide[4] = {30, 0, 46, 10};
  expect_row("low", usual, 1, wide, (int32_t[]){-1, -1, -1, 0, -2});
  const RpnMatching just_low = {.high = 0.7F, .low = nextafterf(0.3F, 1)};
  expect_row("below low", just_low, 1, wide, (int32_t[]){-1, -1, -1, 0, -1});
  const RpnMatching just_high = {.high = 0.3F, .low = 0.1F};
  expect_row("at high", just_high, 1, wide, (int32_t[]){-1, -1, -1, 0, 0});
}

/* Object 0 has 3/7 of anchor 0 and 1/4 of anchor 1, object 1 has 1/5 of anchor 1 and of no other:
 * so anchor 1 is given an object, but the one that it overlaps most. */
static void a_rescued_anchor_gets_its_own_best_object(void **state)
{
  const float boxes[8] = {4, 0, 14, 10, 18, 0, 20, 10};
  expect_row("alone", usual, 1, boxes, (int32_t[]){0, -1, -1, -1, -1});
  expect_row("rescued", usual, 2, boxes, (int32_t[]){0, 0, -1, -1, -1});
}

static void of_equal_overlaps_the_first_object_and_every_anchor_count(void **state)
{
  const float twice[8] = {0, 0, 10, 10, 0, 0, 10, 10};
  expect_row("two objects", usual, 2, twice, (int32_t[]){0, -1, -1, -1, -1});
  const float middle[8] = {40, 0, 50, 10, 5, 0, 15, 10};
  expect_row("two anchors", usual, 2, middle, (int32_t[]){1, 1, -1, -1, 0});
}

static void an_object_that_no_anchor_touches_rescues_none(void **state)
{
  const float boxes[8] = {100, 100, 110, 110, 50, 0, 60, 10};
  expect_row("outside", usual, 2, boxes, (int32_t[]){-1, -1, -1, -1, -1});
}

static void images_do_not_touch_each_other(void **state)
{
  const float boxes[24] = {NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, 10, 0,   20, 10,
                           0,   0,   10,  10,  10,  0,   20,  10,  0,  NAN, 0,  0};
  const int32_t counts[3] = {0, 2, 1};
  const int32_t expected[9] = {-1, -1, -1, 1, 0, -1, -1, 0, -1};
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    const Rpn rpn = rpn_of_a_row(on, 3, 3);
    const Truth truth = room_truth(room, 3, 2, counts, boxes, NULL);
    expect_matches(on, "images", 9, match(room, on, &rpn, usual, &truth), expected);
    room_close(room);
  }
}

typedef struct Case {
  Pyramid pyramid;
  int32_t capacity;
  int32_t counts[3];
  int32_t least_px, most_px;
} Case;

static const Case cases[] = {
    {{1, 64, 64, 4, 5, 3, 32}, 6, {6}, 4, 60},
    {{3, 50, 75, 4, 3, 3, 16}, 40, {40, 0, 17}, 2, 40},
    {{2, 32, 300, 4, 2, 2, 8}, 90, {90, 1}, 1, 20}, /* rows of more than one span */
    {{2, 40, 48, 8, 1, 1, 16}, 3, {3, 2}, 16, 16},  /* many ties */
};
enum { CASE_COUNT = sizeof cases / sizeof cases[0] };

static void matches_are_those_of_plain_loops(void **state)
{
  FOR_EACH_TWIN(on)
  for (int i = 0; i < CASE_COUNT; ++i) {
    const Case c = cases[i];
    const TestBackend *naive = backends_naive();
    Room *truth = room_open(naive);
    Room *room = room_open(on);
    const float *boxes =
        room_boxes(room, room_name(room, "match%d", i), (int64_t)c.pyramid.images * c.capacity,
                   c.pyramid.height_px, c.pyramid.width_px, c.least_px, c.most_px);
    const Rpn rpn = rpn_of(on, c.pyramid, ELEMENT_F32);
    const Truth of_naive = room_truth(truth, c.pyramid.images, c.capacity, c.counts, boxes, NULL);
    const Truth of_twin = room_truth(room, c.pyramid.images, c.capacity, c.counts, boxes, NULL);
    expect_matches(on, room_name(room, "case %d", i), c.pyramid.images * rpn_anchor_count(&rpn),
                   match(room, on, &rpn, usual, &of_twin),
                   match(truth, naive, &rpn, usual, &of_naive));
    room_close(room);
    room_close(truth);
  }
}

static void matches_are_those_of_torchvision(void **state)
{
  enum { IMAGES = 3, CAPACITY = 4 };
  Golden *golden = golden_open("op_rpn_loss.txt");
  const GoldenTensor *expected = golden_find(golden, "rpn.matches");
  int32_t counts[IMAGES];
  float boxes[IMAGES * CAPACITY * 4] = {0};
  int64_t from = 0;
  for (int n = 0; n < IMAGES; ++n) {
    counts[n] = (int32_t)golden_value(golden_find(golden, "rpn.truth_counts"), n);
    assert_true(counts[n] <= CAPACITY);
    for (int k = 0; k < 4 * counts[n]; ++k)
      boxes[n * CAPACITY * 4 + k] = (float)golden_value(golden_find(golden, "rpn.truths"), from++);
  }
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    const Rpn rpn = rpn_of(on, (Pyramid){IMAGES, 64, 64, 4, 5, 3, 32}, ELEMENT_F32);
    const Truth truth = room_truth(room, IMAGES, CAPACITY, counts, boxes, NULL);
    const int32_t *got = match(room, on, &rpn, usual, &truth);
    assert_int_equal(expected->count, IMAGES * rpn_anchor_count(&rpn));
    for (int64_t i = 0; i < expected->count; ++i)
      if (got[i] != (int32_t)golden_value(expected, i))
        fail_msg("%s: anchor %d matches %d, expected %g", on->name, (int)i, got[i],
                 golden_value(expected, i));
    room_close(room);
  }
  golden_close(golden);
}

static void plan_refuses_what_makes_no_sense(void **state)
{
  const RpnSampling sampling = {.count = 256, .positive_count = 128};
  const RpnMatching bad[] = {{0.7F, 0}, {0.3F, 0.7F}, {1.5F, 0.3F}, {NAN, 0.3F}, {0.7F, NAN}};
  CHECK_OK(rpn_training_plan(usual, sampling));
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; ++i)
    CHECK_FAILS(STATUS_BAD_OPTION, "IoU", rpn_training_plan(bad[i], sampling));
  const RpnSampling none[] = {{0, 0}, {4, 5}, {4, -1}};
  for (size_t i = 0; i < sizeof none / sizeof none[0]; ++i)
    CHECK_FAILS(STATUS_BAD_OPTION, "sampled", rpn_training_plan(usual, none[i]));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(plan_refuses_what_makes_no_sense),
      cmocka_unit_test(anchors_are_matched_ignored_or_background),
      cmocka_unit_test(a_rescued_anchor_gets_its_own_best_object),
      cmocka_unit_test(of_equal_overlaps_the_first_object_and_every_anchor_count),
      cmocka_unit_test(an_object_that_no_anchor_touches_rescues_none),
      cmocka_unit_test(images_do_not_touch_each_other),
      cmocka_unit_test(matches_are_those_of_plain_loops),
      cmocka_unit_test(matches_are_those_of_torchvision),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
