/* Polygons against polygons: what was found, one class after the other. */
#include <math.h>
#include <stdio.h>

#include "accuracy_layers.h"
#include "accuracy_report.h"
#include "base/memory.h"

/* What the scores of one class are made of. Arrays have room for all polygons. */
typedef struct ClassCase {
  double *scores, *detection_areas, *box_areas, *truth_areas;
  DetectionPair *polygon_pairs, *box_pairs;
  DetectionCase found;
} ClassCase;

static double area_px(const Comparison *job, double area)
{
  const double side = job->accuracy->options->cell_size;
  return side > 0 ? area / (side * side) : 1;
}

static void gather(const Comparison *job, int32_t class_index, ClassCase *one)
{
  one->found = (DetectionCase){.class_index = class_index};
  for (int64_t i = 0; i < polygon_layer_count(job->result.layer); ++i) {
    const PolygonItem *item = polygon_layer_item(job->result.layer, i);
    if (!job->result.judged[i] || accuracy_layers_class(&job->result, i) != class_index) continue;
    const int32_t place = one->found.detection_count++;
    one->scores[place] = isnan(item->confidence) ? -INFINITY : item->confidence;
    one->detection_areas[place] = area_px(job, item->area);
    one->box_areas[place] = area_px(job, extent_area(item->box));
  }
  for (int64_t i = 0; i < polygon_layer_count(job->truth.layer); ++i)
    if (job->truth.judged[i] && accuracy_layers_class(&job->truth, i) == class_index)
      one->truth_areas[one->found.truth_count++] =
          area_px(job, polygon_layer_item(job->truth.layer, i)->area);
  for (int64_t i = 0; i < job->overlap_count; ++i) {
    const Overlap *overlap = &job->overlaps[i];
    if (overlap->class_index != class_index) continue;
    one->polygon_pairs[one->found.pair_count] = overlap->polygon;
    one->box_pairs[one->found.pair_count] = overlap->polygon;
    one->box_pairs[one->found.pair_count++].iou = overlap->box_iou;
  }
  one->found.scores = one->scores;
  one->found.truth_areas_px = one->truth_areas;
}

/* The four that are asked. */
typedef struct Scores {
  FoundScore *polygon, *box;
  DetectionScore *coco_mask, *coco_box;
} Scores;

static Status score_class(const Comparison *job, int32_t class_index, ClassCase *one,
                          Scores *scores)
{
  gather(job, class_index, one);
  one->found.detection_areas_px = one->detection_areas;
  one->found.pairs = one->polygon_pairs;
  TRY(found_score_add(scores->polygon, &one->found));
  TRY(detection_score_add(scores->coco_mask, &one->found));
  one->found.detection_areas_px = one->box_areas;
  one->found.pairs = one->box_pairs;
  TRY(found_score_add(scores->box, &one->found));
  return detection_score_add(scores->coco_box, &one->found);
}

static Status score_classes(const Comparison *job, ClassCase *one, Scores *scores)
{
  void *memory;
  const size_t detections = (size_t)polygon_layer_count(job->result.layer);
  const size_t truths = (size_t)polygon_layer_count(job->truth.layer);
  const size_t pairs = (size_t)job->overlap_count;
  TRY(memory_allocate(3 * detections + truths, sizeof(double), "scores", &memory));
  one->scores = memory;
  one->detection_areas = one->scores + detections;
  one->box_areas = one->detection_areas + detections;
  one->truth_areas = one->box_areas + detections;
  TRY(memory_allocate(2 * pairs, sizeof(DetectionPair), "polygons that overlap", &memory));
  one->polygon_pairs = memory;
  one->box_pairs = one->polygon_pairs + pairs;
  for (int32_t c = 0; c < job->class_count; ++c)
    TRY(score_class(job, c, one, scores));
  return STATUS_OK;
}

static Status open_scores(const Comparison *job, Scores *scores)
{
  const double min_iou = job->accuracy->options->min_iou;
  TRY(found_score_open(job->class_count, min_iou, &scores->polygon));
  TRY(found_score_open(job->class_count, min_iou, &scores->box));
  TRY(detection_score_open(job->class_count, detection_no_limits, &scores->coco_mask));
  return detection_score_open(job->class_count, detection_no_limits, &scores->coco_box);
}

static Status set_side(Document *report, const char *key, const Side *side)
{
  Document *object;
  const PolygonLayerCounts counts = polygon_layer_counts(side->layer);
  TRY(document_set_object(report, key, &object));
  TRY(document_set_int(object, "features", counts.read));
  TRY(document_set_int(object, "polygons", counts.kept));
  TRY(document_set_int(object, "repaired", counts.repaired));
  TRY(document_set_int(object, "without_area", counts.without_area));
  TRY(document_set_int(object, "unplaced", counts.unplaced));
  TRY(document_set_int(object, "without_class", counts.classless));
  TRY(document_set_int(object, "judged", side->judged_count));
  return document_set_text(object, "class_field", polygon_layer_class_field(side->layer));
}

static Status report(const Comparison *job, const Scores *scores)
{
  char title[2][40];
  Document *into = job->accuracy->report;
  const double min_iou = job->accuracy->options->min_iou;
  (void)snprintf(title[0], sizeof title[0], "polygons, IoU >= %.3g", min_iou);
  (void)snprintf(title[1], sizeof title[1], "boxes, IoU >= %.3g", min_iou);
  TRY(document_set_text(into, "kind", "features"));
  TRY(document_set_real(into, "min_iou", min_iou));
  TRY(set_side(into, "result_features", &job->result));
  TRY(set_side(into, "truth_features", &job->truth));
  TRY(accuracy_report_found(scores->polygon, job->class_count, job->names, title[0], into,
                            "polygon"));
  TRY(accuracy_report_found(scores->box, job->class_count, job->names, title[1], into, "box"));
  const CocoColumn columns[2] = {{"box", scores->coco_box}, {"mask", scores->coco_mask}};
  return accuracy_report_coco(columns, 2, job->class_count, job->names,
                              job->accuracy->options->cell_size > 0, false, into);
}

static Status score_all(const Comparison *job)
{
  Scores scores = {.polygon = NULL};
  ClassCase one = {.scores = NULL};
  Status status = open_scores(job, &scores);
  if (status == STATUS_OK) status = score_classes(job, &one, &scores);
  if (status == STATUS_OK) status = report(job, &scores);
  memory_free(one.scores);
  memory_free(one.polygon_pairs);
  found_score_close(scores.polygon);
  found_score_close(scores.box);
  detection_score_close(scores.coco_mask);
  detection_score_close(scores.coco_box);
  return status;
}

Status accuracy_of_features(const Accuracy *accuracy)
{
  Comparison job = {.accuracy = accuracy};
  Status status = accuracy_layers_compare(&job);
  if (status == STATUS_OK) status = score_all(&job);
  accuracy_layers_close(&job);
  return status;
}
