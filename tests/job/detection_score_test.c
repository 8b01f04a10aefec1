#include "detection_score.h"

#include <math.h>

#include "support/check.h"

static const DetectionBox square = {0, 0, 10, 10}; /* 100 px² */

static DetectionScore *open_coco(int32_t class_count)
{
  DetectionScore *score;
  CHECK_OK(detection_score_open(class_count, detection_limits_coco, &score));
  return score;
}

static DetectionSummary summary_of(DetectionScore *score, int32_t class_index)
{
  DetectionSummary summary;
  CHECK_OK(detection_score_summary(score, class_index, &summary));
  return summary;
}

/* Detections and truths of 100 px². */
static void add(DetectionScore *score, int64_t image, int32_t class_index, int32_t detection_count,
                const double *scores, int32_t truth_count, const double *ious)
{
  static const double areas[4] = {100, 100, 100, 100};
  const DetectionCase found = {.image = image,
                               .class_index = class_index,
                               .detection_count = detection_count,
                               .scores = scores,
                               .detection_areas_px = areas,
                               .truth_count = truth_count,
                               .truth_areas_px = areas,
                               .ious = ious};
  CHECK_OK(detection_score_add(score, &found));
}

static void boxes_that_touch_have_iou_0(void **state)
{
  const DetectionBox beside = {10, 0, 10, 10}, half = {5, 0, 10, 10}, around = {-5, -5, 20, 20};
  assert_true(detection_box_iou(square, beside, false) == 0);
  assert_true(detection_box_iou(square, half, false) == 50.0 / 150);
  assert_true(detection_box_iou(square, around, false) == 0.25);
  assert_true(detection_box_iou(square, around, true) == 1); /* over the detection's area */
}

static void a_perfect_detection_scores_1_and_an_absent_class_minus_1(void **state)
{
  DetectionScore *score = open_coco(2);
  add(score, 1, 0, 1, (double[]){0.9}, 1, (double[]){1});
  const DetectionSummary all = summary_of(score, -1), absent = summary_of(score, 1);
  assert_true(fabs(all.ap - 1) < 1e-12 && fabs(all.ap50 - 1) < 1e-12 && all.ar[0] == 1);
  assert_true(fabs(all.ap_small - 1) < 1e-12);
  assert_true(all.ap_medium == -1 && all.ar_large == -1);
  assert_true(absent.ap == -1 && absent.ar[2] == -1);
  assert_int_equal(all.truth_count, 1);
  detection_score_close(score);
}

static void a_truth_that_nothing_found_is_missed(void **state)
{
  DetectionScore *score = open_coco(1);
  add(score, 1, 0, 0, NULL, 1, NULL);
  const DetectionSummary all = summary_of(score, -1);
  assert_true(all.ap == 0 && all.ar[2] == 0);
  assert_int_equal(all.truth_count, 1);
  assert_int_equal(all.detection_count, 0);
  detection_score_close(score);
}

static void an_iou_counts_at_the_thresholds_up_to_it(void **state)
{
  DetectionScore *score = open_coco(1);
  add(score, 1, 0, 1, (double[]){0.9}, 1, (double[]){0.72}); /* 0.5, 0.55, 0.6, 0.65, 0.7 */
  const DetectionSummary all = summary_of(score, -1);
  assert_true(fabs(all.ap - 0.5) < 1e-12 && fabs(all.ar[2] - 0.5) < 1e-12);
  assert_true(fabs(all.ap50 - 1) < 1e-12 && all.ap75 == 0);
  detection_score_close(score);
}

static void precision_is_the_best_at_this_recall_or_a_higher_one(void **state)
{
  /* Right, wrong, right of two truths: precision 1 up to recall 0.5, then 2/3. */
  DetectionScore *score = open_coco(1);
  add(score, 1, 0, 3, (double[]){0.7, 0.9, 0.8}, 2, (double[]){0, 1, 1, 0, 0, 0});
  const DetectionSummary all = summary_of(score, -1);
  assert_true(fabs(all.ap50 - (51 + 50 * 2.0 / 3) / 101) < 1e-12);
  assert_true(fabs(all.ar[0] - 0.5) < 1e-12 && fabs(all.ar[1] - 1) < 1e-12);
  detection_score_close(score);
}

static void each_truth_is_matched_once_and_by_the_best_score(void **state)
{
  DetectionScore *score = open_coco(1);
  add(score, 1, 0, 2, (double[]){0.5, 0.9}, 1, (double[]){1, 0.6});
  int64_t count;
  const DetectionRow *rows = detection_score_rows(score, &count);
  assert_int_equal(count, 2);
  assert_true(rows[0].score == 0.9 && rows[1].score == 0.5);
  assert_int_equal(rows[0].matched[0], 0x7);   /* 0.5, 0.55, 0.6 */
  assert_int_equal(rows[1].matched[0], 0x3F8); /* the rest */
  detection_score_close(score);
}

static void of_equal_ious_the_last_truth_wins(void **state)
{
  /* The second detection overlaps the first truth alone, so it finds its truth free. */
  DetectionScore *score = open_coco(1);
  add(score, 1, 0, 2, (double[]){0.9, 0.8}, 2, (double[]){0.6, 0.6, 0.6, 0});
  assert_true(fabs(summary_of(score, -1).ar[2] - 0.3) < 1e-12);
  detection_score_close(score);
}

static void of_equal_scores_the_first_detection_comes_first(void **state)
{
  /* Right, then wrong; and of two that fit one truth, the first takes it. */
  int64_t count;
  DetectionScore *score = open_coco(2);
  add(score, 1, 0, 2, (double[]){0.5, 0.5}, 1, (double[]){1, 0});
  add(score, 1, 1, 2, (double[]){0.5, 0.5}, 1, (double[]){0.6, 1});
  const DetectionRow *rows = detection_score_rows(score, &count);
  assert_true(rows[2].matched[0] == 0x7 && rows[3].matched[0] == 0x3F8);
  assert_true(fabs(summary_of(score, 0).ap - 1) < 1e-12);
  detection_score_close(score);
}

static void a_crowd_takes_any_number_and_counts_for_nothing(void **state)
{
  const double scores[3] = {0.9, 0.8, 0.7}, areas[3] = {100, 100, 100}, truth_areas[2] = {500, 100};
  const bool crowd[2] = {true, false};
  const double ious[6] = {1, 0, 0, 1, 1, 0};
  const DetectionCase found = {.detection_count = 3,
                               .scores = scores,
                               .detection_areas_px = areas,
                               .truth_count = 2,
                               .truth_areas_px = truth_areas,
                               .crowd = crowd,
                               .ious = ious};
  DetectionScore *score = open_coco(1);
  CHECK_OK(detection_score_add(score, &found));
  const DetectionSummary all = summary_of(score, -1);
  assert_true(fabs(all.ap - 1) < 1e-12);
  assert_int_equal(all.truth_count, 1);
  detection_score_close(score);
}

static void pairs_say_the_same_as_a_table_of_ious(void **state)
{
  const double scores[3] = {0.7, 0.9, 0.8}, areas[3] = {100, 2000, 10000};
  const double ious[6] = {0.55, 0.8, 0.95, 0, 0, 0.66};
  const DetectionPair pairs[4] = {{2, 1, 0.66}, {1, 0, 0.95}, {0, 1, 0.8}, {0, 0, 0.55}};
  DetectionCase found = {.detection_count = 3,
                         .scores = scores,
                         .detection_areas_px = areas,
                         .truth_count = 2,
                         .truth_areas_px = areas,
                         .ious = ious};
  DetectionScore *table = open_coco(1), *sparse = open_coco(1);
  CHECK_OK(detection_score_add(table, &found));
  found.ious = NULL;
  found.pairs = pairs;
  found.pair_count = 4;
  CHECK_OK(detection_score_add(sparse, &found));
  const DetectionSummary a = summary_of(table, -1), b = summary_of(sparse, -1);
  assert_memory_equal(&a, &b, sizeof a);
  assert_true(a.ap > 0.5 && a.ap < 1);
  detection_score_close(table);
  detection_score_close(sparse);
}

static void images_may_come_in_any_order_and_from_several_ranks(void **state)
{
  static const double one[1] = {1}, none[1] = {0}, same[1] = {0.5};
  DetectionScore *whole = open_coco(1), *first = open_coco(1), *second = open_coco(1);
  add(whole, 1, 0, 1, same, 1, one);
  add(whole, 2, 0, 1, same, 1, none);
  add(first, 2, 0, 1, same, 1, none);
  add(second, 1, 0, 1, same, 1, one);
  int64_t count;
  const DetectionRow *rows = detection_score_rows(second, &count);
  CHECK_OK(detection_score_merge(first, rows, count, detection_score_truth_counts(second)));
  const DetectionSummary a = summary_of(whole, -1), b = summary_of(first, -1);
  assert_memory_equal(&a, &b, sizeof a);
  assert_true(fabs(a.ap50 - 51.0 / 101) < 1e-12); /* image 2 before image 1 would halve it */
  detection_score_close(whole);
  detection_score_close(first);
  detection_score_close(second);
}

static void a_score_that_is_no_number_is_refused(void **state)
{
  static const double scores[2] = {0.5, NAN}, areas[2] = {1, 1};
  const DetectionCase found = {
      .image = 7, .detection_count = 2, .scores = scores, .detection_areas_px = areas};
  DetectionScore *score = open_coco(1);
  CHECK_FAILS(STATUS_BAD_INPUT, "detection 1 of image 7", detection_score_add(score, &found));
  detection_score_close(score);
}

int main(void)
{
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(boxes_that_touch_have_iou_0),
      cmocka_unit_test(a_perfect_detection_scores_1_and_an_absent_class_minus_1),
      cmocka_unit_test(a_truth_that_nothing_found_is_missed),
      cmocka_unit_test(an_iou_counts_at_the_thresholds_up_to_it),
      cmocka_unit_test(precision_is_the_best_at_this_recall_or_a_higher_one),
      cmocka_unit_test(each_truth_is_matched_once_and_by_the_best_score),
      cmocka_unit_test(of_equal_ious_the_last_truth_wins),
      cmocka_unit_test(of_equal_scores_the_first_detection_comes_first),
      cmocka_unit_test(a_crowd_takes_any_number_and_counts_for_nothing),
      cmocka_unit_test(pairs_say_the_same_as_a_table_of_ious),
      cmocka_unit_test(images_may_come_in_any_order_and_from_several_ranks),
      cmocka_unit_test(a_score_that_is_no_number_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
