/* COCO's files as one object, {truth, results}: what is read is scored, no figure is above 1. */
#include "base/memory.h"
#include "coco_score.h"
#include "fuzzer.h"

static void check_range(double figure)
{
  if (!(figure == -1 || (figure >= 0 && figure <= 1))) __builtin_trap();
}

static void score(const CocoSet *set, const CocoObjects *results, const CocoObjects *truths,
                  CocoShape shape)
{
  DetectionScore *coco = NULL;
  FoundScore *found = NULL;
  DetectionSummary summary;
  FoundSummary counts;
  if (detection_score_open(set->category_count, detection_limits_coco, &coco) == STATUS_OK &&
      found_score_open(set->category_count, 0.5, &found) == STATUS_OK &&
      coco_score_add(results, truths, shape, coco, found) == STATUS_OK &&
      detection_score_summary(coco, -1, &summary) == STATUS_OK &&
      found_score_summary(found, -1, &counts) == STATUS_OK) {
    check_range(summary.ap);
    check_range(summary.ap_large);
    check_range(summary.ar[2]);
    check_range(counts.f1);
    if (counts.true_positive > results->count || counts.false_negative < 0) __builtin_trap();
  }
  detection_score_close(coco);
  found_score_close(found);
}

static void judge(const Document *truth, const Document *results)
{
  CocoSet set;
  CocoObjects found = {.count = 0}, there = {.count = 0};
  if (coco_set_read(truth, "truth", &set) == STATUS_OK &&
      coco_results_read(results, "results", &set, &found) == STATUS_OK &&
      coco_truth_read(truth, "truth", &set, found.has_masks, &there) == STATUS_OK) {
    if (found.has_boxes && there.has_boxes) score(&set, &found, &there, COCO_BOX);
    if (found.has_masks && there.has_masks) score(&set, &found, &there, COCO_MASK);
  }
  coco_objects_free(&found);
  coco_objects_free(&there);
  coco_set_free(&set);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count)
{
  Document *document;
  if (document_parse((const char *)bytes, byte_count, "input", &document) != STATUS_OK) return 0;
  judge(document_child(document, "truth"), document_child(document, "results"));
  document_close(document);
  return 0;
}
