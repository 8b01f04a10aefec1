/* COCO's figures against those of pycocotools, which tests/golden/coco_eval.py wrote. */
#include "coco_score.h"

#include <math.h>
#include <stdio.h>

#include "support/check.h"

static const char *const kinds[2] = {"box", "mask"};

static void list_figures(const DetectionSummary *summary, double figures[12])
{
  const double all[12] = {summary->ap,       summary->ap50,      summary->ap75,
                          summary->ap_small, summary->ap_medium, summary->ap_large,
                          summary->ar[0],    summary->ar[1],     summary->ar[2],
                          summary->ar_small, summary->ar_medium, summary->ar_large};
  memcpy(figures, all, sizeof all);
}

static void check_figures(const Document *expected, DetectionScore *score)
{
  size_t count;
  double wanted[12], found[12];
  DetectionSummary summary;
  CHECK_OK(document_get_reals(expected, "figures", wanted, 12, &count, NULL));
  assert_int_equal(count, 12);
  CHECK_OK(detection_score_summary(score, -1, &summary));
  list_figures(&summary, found);
  for (int i = 0; i < 12; ++i)
    if (!(fabs(found[i] - wanted[i]) <= 1e-12))
      fail_msg("figure %d is %.15g, not %.15g", i, found[i], wanted[i]);
}

static void check_classes(const Document *expected, const CocoSet *set, DetectionScore *score)
{
  const Document *classes;
  CHECK_OK(document_get_object(expected, "ap_by_category", &classes, NULL));
  assert_int_equal(document_count(classes), set->category_count);
  for (int32_t c = 0; c < set->category_count; ++c) {
    char key[32];
    double wanted;
    DetectionSummary summary;
    (void)snprintf(key, sizeof key, "%lld", (long long)set->categories[c].id);
    CHECK_OK(document_get_real(classes, key, &wanted, NULL));
    CHECK_OK(detection_score_summary(score, c, &summary));
    if (!(fabs(summary.ap - wanted) <= 1e-12))
      fail_msg("AP of category %s is %.15g, not %.15g", key, summary.ap, wanted);
  }
}

static void check_case(const char *name)
{
  char path[512];
  Document *document;
  const Document *truth, *results, *expected;
  CocoSet set;
  CocoObjects found, there;
  int judged = 0;
  (void)snprintf(path, sizeof path, "%s/%s.json", COCO_FOLDER, name);
  CHECK_OK(document_read(path, &document));
  CHECK_OK(document_get_object(document, "truth", &truth, NULL));
  CHECK_OK(document_get_list(document, "results", &results, NULL));
  assert_true(coco_is_truth(truth) && !coco_is_truth(results));
  CHECK_OK(coco_set_read(truth, name, &set));
  CHECK_OK(coco_results_read(results, name, &set, &found));
  CHECK_OK(coco_truth_read(truth, name, &set, true, &there));
  for (int shape = COCO_BOX; shape <= COCO_MASK; ++shape) {
    DetectionScore *score;
    expected = document_child(document_child(document, "expected"), kinds[shape]);
    if (expected == NULL) continue;
    assert_true(shape == COCO_BOX ? found.has_boxes : found.has_masks && there.has_masks);
    CHECK_OK(detection_score_open(set.category_count, detection_limits_coco, &score));
    CHECK_OK(coco_score_add(&found, &there, (CocoShape)shape, score, NULL));
    check_figures(expected, score);
    check_classes(expected, &set, score);
    detection_score_close(score);
    ++judged;
  }
  assert_true(judged > 0);
  coco_objects_free(&found);
  coco_objects_free(&there);
  coco_set_free(&set);
  document_close(document);
}

#define CASE(name)                                                                                 \
  static void name##_scores_as_in_pycocotools(void **state)                                        \
  {                                                                                                \
    check_case(#name);                                                                             \
  }

CASE(mixed)
CASE(crowd)
CASE(ties)
CASE(masks_without_boxes)
CASE(dense)
CASE(empty_classes)
CASE(over_a_hundred)
CASE(area_ranges)
CASE(thresholds)
CASE(crowd_boxes)
CASE(segmentations)

static void check_polygon(const Document *one)
{
  double xy[64];
  size_t count;
  int64_t height_px, width_px;
  const char *text;
  MaskRuns drawn, wanted;
  CHECK_OK(document_get_reals(one, "polygon", xy, 64, &count, NULL));
  CHECK_OK(document_get_int(one, "height", &height_px, NULL));
  CHECK_OK(document_get_int(one, "width", &width_px, NULL));
  CHECK_OK(document_get_text(one, "counts", &text, NULL));
  CHECK_OK(
      mask_runs_of_polygon(xy, (int64_t)count / 2, (int32_t)height_px, (int32_t)width_px, &drawn));
  CHECK_OK(mask_runs_of_text(text, (int32_t)height_px, (int32_t)width_px, &wanted));
  assert_int_equal(drawn.count, wanted.count);
  assert_memory_equal(drawn.counts, wanted.counts, (size_t)wanted.count * sizeof *wanted.counts);
  mask_runs_free(&drawn);
  mask_runs_free(&wanted);
}

static void polygons_are_drawn_run_by_run_as_in_pycocotools(void **state)
{
  Document *list;
  CHECK_OK(document_read(COCO_FOLDER "/polygons.json", &list));
  assert_true(document_count(list) >= 60);
  for (size_t i = 0; i < document_count(list); ++i)
    check_polygon(document_item(list, i));
  document_close(list);
}

static void without_an_area_that_of_the_mask_counts(void **state)
{
  static const char text[] =
      "{\"images\":[{\"id\":1,\"width\":9,\"height\":9}],\"categories\":[{\"id\":1}],"
      "\"annotations\":[{\"id\":1,\"image_id\":1,\"category_id\":1,\"bbox\":[0,0,4,4],"
      "\"segmentation\":[[0,0,2,0,2,3,0,3]]}]}";
  Document *truth;
  CocoSet set;
  CocoObjects there;
  CHECK_OK(document_parse(text, strlen(text), "t", &truth));
  CHECK_OK(coco_set_read(truth, "t", &set));
  CHECK_OK(coco_truth_read(truth, "t", &set, true, &there));
  assert_true(there.items[0].area_px == 6);
  coco_objects_free(&there);
  CHECK_OK(coco_truth_read(truth, "t", &set, false, &there)); /* masks are not asked for */
  assert_true(there.items[0].area_px == 16 && !there.has_masks);
  coco_objects_free(&there);
  coco_set_free(&set);
  document_close(truth);
}

static void read_both(const char *truth_text, const char *results_text, Status wanted,
                      const char *words)
{
  Document *truth, *results;
  CocoSet set;
  CocoObjects found = {.count = 0}, there = {.count = 0};
  CHECK_OK(document_parse(truth_text, strlen(truth_text), "t", &truth));
  CHECK_OK(document_parse(results_text, strlen(results_text), "r", &results));
  Status status = coco_set_read(truth, "t.json", &set);
  if (status == STATUS_OK) status = coco_results_read(results, "r.json", &set, &found);
  if (status == STATUS_OK) status = coco_truth_read(truth, "t.json", &set, true, &there);
  CHECK_FAILS(wanted, words, status);
  coco_objects_free(&found);
  coco_objects_free(&there);
  coco_set_free(&set);
  document_close(truth);
  document_close(results);
}

#define IMAGES "\"images\":[{\"id\":1,\"width\":9,\"height\":9}],\"categories\":[{\"id\":1}]"
#define BOX "\"bbox\":[1,1,4,4]"

static void what_is_not_coco_is_refused_by_name(void **state)
{
  static const char truth[] = "{" IMAGES ",\"annotations\":[{\"id\":1,\"image_id\":1,"
                              "\"category_id\":1," BOX ",\"area\":16}]}";
  read_both(truth, "[{\"image_id\":2,\"category_id\":1,\"score\":1," BOX "}]", STATUS_MISMATCH,
            "r.json: result 0: its image 2 is not in the truth");
  read_both(truth, "[{\"image_id\":1,\"category_id\":1," BOX "}]", STATUS_BAD_INPUT, "score");
  read_both(truth, "[{\"image_id\":1,\"category_id\":1,\"score\":1}]", STATUS_BAD_INPUT,
            "neither a bbox nor a segmentation");
  read_both(truth,
            "[{\"image_id\":1,\"category_id\":1,\"score\":1," BOX
            "},{\"image_id\":1,\"category_id\":1,\"score\":1,\"bbox\":[1,2,3]}]",
            STATUS_BAD_INPUT, "result 1: key “bbox”");
  read_both(truth,
            "[{\"image_id\":1,\"category_id\":1,\"score\":1,\"segmentation\":{\"size\":[9,9],"
            "\"counts\":\"P1\"}}]",
            STATUS_BAD_INPUT, "the runs of a mask make");
  read_both(truth, "[{\"image_id\":1,\"category_id\":1,\"score\":1,\"segmentation\":[[1,2,3,4]]}]",
            STATUS_BAD_INPUT, "a polygon of 4 numbers");
  read_both(truth, "[{\"image_id\":1,\"category_id\":1,\"score\":1,\"segmentation\":\"P1\"}]",
            STATUS_BAD_INPUT, "neither");
  read_both("{\"categories\":[],\"annotations\":[]}", "[]", STATUS_BAD_INPUT, "images");
  read_both("{\"images\":[{\"id\":1},{\"id\":1}],\"categories\":[],\"annotations\":[]}", "[]",
            STATUS_BAD_INPUT, "two images have the id 1");
  read_both("{" IMAGES ",\"annotations\":[{\"id\":5,\"image_id\":1,\"category_id\":1," BOX
            "},{\"id\":5,\"image_id\":1,\"category_id\":1," BOX "}]}",
            "[]", STATUS_BAD_INPUT, "two annotations have the id 5");
}

int main(void)
{
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(mixed_scores_as_in_pycocotools),
      cmocka_unit_test(crowd_scores_as_in_pycocotools),
      cmocka_unit_test(ties_scores_as_in_pycocotools),
      cmocka_unit_test(masks_without_boxes_scores_as_in_pycocotools),
      cmocka_unit_test(dense_scores_as_in_pycocotools),
      cmocka_unit_test(empty_classes_scores_as_in_pycocotools),
      cmocka_unit_test(over_a_hundred_scores_as_in_pycocotools),
      cmocka_unit_test(area_ranges_scores_as_in_pycocotools),
      cmocka_unit_test(thresholds_scores_as_in_pycocotools),
      cmocka_unit_test(crowd_boxes_scores_as_in_pycocotools),
      cmocka_unit_test(segmentations_scores_as_in_pycocotools),
      cmocka_unit_test(polygons_are_drawn_run_by_run_as_in_pycocotools),
      cmocka_unit_test(without_an_area_that_of_the_mask_counts),
      cmocka_unit_test(what_is_not_coco_is_refused_by_name),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
