#include "found_score.h"

#include <math.h>

#include "support/check.h"

static void add(FoundScore *score, int64_t image, int32_t detection_count, const double *scores,
                int32_t truth_count, const double *ious)
{
  const DetectionCase found = {.image = image,
                               .detection_count = detection_count,
                               .scores = scores,
                               .truth_count = truth_count,
                               .ious = ious};
  CHECK_OK(found_score_add(score, &found));
}

static FoundSummary summary_of(FoundScore *score, int32_t class_index)
{
  FoundSummary summary;
  CHECK_OK(found_score_summary(score, class_index, &summary));
  return summary;
}

static void counts_are_those_of_spacenet(void **state)
{
  /* Three roofs, four detections. 0.9 finds roof 0 (IoU 0.8); 0.8 overlaps roof 0 by 0.7, which is
   * taken, and roof 1 by 0.5, which is enough; 0.7 finds nothing free; 0.6 has 0.49 of roof 2. */
  const double ious[12] = {0.7, 0.5, 0, 0.8, 0, 0, 0.1, 0, 0.49, 0, 0.9, 0};
  FoundScore *score;
  CHECK_OK(found_score_open(1, 0.5, &score));
  add(score, 0, 4, (double[]){0.8, 0.9, 0.6, 0.7}, 3, ious);
  const FoundSummary found = summary_of(score, 0);
  assert_int_equal(found.true_positive, 2);
  assert_int_equal(found.false_positive, 2);
  assert_int_equal(found.false_negative, 1);
  assert_true(found.precision == 0.5 && found.recall == 2.0 / 3 && found.f1 == 4.0 / 7);
  assert_true(fabs(found.ap - 2.0 / 3) < 1e-15); /* right, right, wrong, wrong */
  found_score_close(score);
}

static void of_equal_ious_the_first_truth_wins(void **state)
{
  /* The second detection overlaps the last truth alone: free, if the first one took the first. */
  FoundScore *score;
  CHECK_OK(found_score_open(1, 0.5, &score));
  add(score, 0, 2, (double[]){0.9, 0.8}, 2, (double[]){0.6, 0.6, 0, 0.6});
  assert_int_equal(summary_of(score, 0).true_positive, 2);
  found_score_close(score);
}

static void average_precision_takes_all_points(void **state)
{
  /* Right, wrong, right, wrong, right of four truths: precision 1, 1/2, 2/3, 1/2, 3/5, which made
   * falling is 1, 2/3, 2/3, 3/5, 3/5. */
  FoundScore *score;
  CHECK_OK(found_score_open(1, 0.5, &score));
  add(score, 1, 3, (double[]){0.9, 0.7, 0.5}, 3, (double[]){1, 0, 0, 0, 1, 0, 0, 0, 1});
  add(score, 0, 2, (double[]){0.8, 0.6}, 1, (double[]){0.4, 0});
  const FoundSummary found = summary_of(score, -1);
  assert_true(fabs(found.ap - (1 + 2.0 / 3 + 3.0 / 5) / 4) < 1e-15);
  assert_int_equal(found.false_negative, 1);
  found_score_close(score);
}

static void precision_never_rises_with_recall(void **state)
{
  /* Wrong, right, right of two truths: precision 1/2 and 2/3, so 2/3 for both. Equal scores are
   * taken in their order. */
  FoundScore *score;
  CHECK_OK(found_score_open(1, 0.5, &score));
  add(score, 0, 3, (double[]){0.5, 0.5, 0.5}, 2, (double[]){0, 0, 1, 0, 0, 1});
  assert_true(fabs(summary_of(score, 0).ap - 2.0 / 3) < 1e-15);
  found_score_close(score);
}

static void classes_are_summed_and_their_precisions_averaged(void **state)
{
  const double one[1] = {1}, scores[1] = {0.5};
  DetectionCase found = {.detection_count = 1, .scores = scores, .truth_count = 1, .ious = one};
  FoundScore *score;
  CHECK_OK(found_score_open(4, 0.5, &score));
  found.class_index = 2;
  CHECK_OK(found_score_add(score, &found));
  found = (DetectionCase){.class_index = 0, .truth_count = 1};
  CHECK_OK(found_score_add(score, &found));
  found = (DetectionCase){.class_index = 3, .detection_count = 1, .scores = scores};
  CHECK_OK(found_score_add(score, &found));
  const FoundSummary all = summary_of(score, -1);
  assert_int_equal(all.true_positive, 1);
  assert_int_equal(all.false_positive, 1);
  assert_int_equal(all.false_negative, 1);
  assert_true(all.ap == 0.5); /* of the classes 0 and 2 */
  assert_true(summary_of(score, 0).ap == 0 && summary_of(score, 2).ap == 1);
  assert_true(isnan(summary_of(score, 1).ap) && isnan(summary_of(score, 3).ap));
  assert_true(summary_of(score, 1).f1 == 0 && summary_of(score, 3).precision == 0);
  found_score_close(score);
}

static void what_lies_in_a_crowd_does_not_count(void **state)
{
  const bool crowd[2] = {true, false};
  const double scores[3] = {0.9, 0.8, 0.7}, ious[6] = {1, 0, 0.9, 0.8, 0, 0};
  const DetectionCase found = {
      .detection_count = 3, .scores = scores, .truth_count = 2, .crowd = crowd, .ious = ious};
  FoundScore *score;
  CHECK_OK(found_score_open(1, 0.5, &score));
  CHECK_OK(found_score_add(score, &found));
  const FoundSummary all = summary_of(score, -1);
  assert_int_equal(all.true_positive, 1);
  assert_int_equal(all.false_positive, 1);
  assert_int_equal(all.false_negative, 0);
  found_score_close(score);
}

int main(void)
{
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(counts_are_those_of_spacenet),
      cmocka_unit_test(of_equal_ious_the_first_truth_wins),
      cmocka_unit_test(average_precision_takes_all_points),
      cmocka_unit_test(precision_never_rises_with_recall),
      cmocka_unit_test(classes_are_summed_and_their_precisions_averaged),
      cmocka_unit_test(what_lies_in_a_crowd_does_not_count),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
