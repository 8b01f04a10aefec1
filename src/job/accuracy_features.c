/* Polygons against polygons. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "accuracy_options.h"
#include "accuracy_report.h"
#include "base/interrupt.h"
#include "base/memory.h"
#include "geo/polygon_layer.h"

/* A layer, and which of its polygons are judged. */
typedef struct Side {
  PolygonLayer *layer;
  int32_t *classes; /* of the layer's classes: places in the names of both */
  bool *judged;
  int64_t judged_count;
  int32_t *places; /* of each polygon among those of its class */
} Side;

/* Two polygons that overlap enough. */
typedef struct Overlap {
  int32_t class_index;
  DetectionPair polygon; /* places in the class; IoU of the polygons, 0 where it is too small */
  double box_iou;
} Overlap;

typedef struct Comparison {
  const Accuracy *accuracy;
  PolygonLayer *mask;
  Side result, truth;
  const char **names;
  int32_t class_count;
  Overlap *overlaps;
  int64_t overlap_count, overlap_capacity;
} Comparison;

enum { CLASSES_MOST = 4096 };

static Status open_side(const char *path, const PolygonLayerOptions *wanted, Side *side)
{
  void *memory;
  TRY(polygon_layer_open(path, wanted, &side->layer));
  const size_t count = (size_t)polygon_layer_count(side->layer);
  if (polygon_layer_class_count(side->layer) > CLASSES_MOST)
    return status_set(
        STATUS_BAD_OPTION, "%s: the field “%s” holds %d classes; name the field of the class", path,
        polygon_layer_class_field(side->layer), polygon_layer_class_count(side->layer));
  TRY(memory_allocate(count, sizeof(bool), "polygons", &memory));
  side->judged = memory;
  TRY(memory_allocate(count, sizeof(int32_t), "polygons", &memory));
  side->places = memory;
  TRY(memory_allocate((size_t)polygon_layer_class_count(side->layer), sizeof(int32_t), "classes",
                      &memory));
  side->classes = memory;
  return STATUS_OK;
}

/* The truth's reference system is that of all. */
static Status open_layers(Comparison *job)
{
  const AccuracyOptions *given = job->accuracy->options;
  const PolygonLayerOptions truth = {.layer = given->truth_layer,
                                     .class_field = given->ground_truth_class_value_field,
                                     .confidence_field = "none"};
  TRY(open_side(given->truth, &truth, &job->truth));
  const char *crs_wkt = polygon_layer_crs(job->truth.layer);
  const PolygonLayerOptions result = {.layer = given->result_layer,
                                      .class_field = given->detected_class_value_field,
                                      .confidence_field = given->confidence_score_field,
                                      .crs_wkt = crs_wkt,
                                      .assume_crs = given->assume_same_crs};
  TRY(open_side(given->result, &result, &job->result));
  const PolygonLayerOptions mask = {.layer = given->mask_layer,
                                    .class_field = "none",
                                    .confidence_field = "none",
                                    .crs_wkt = crs_wkt,
                                    .assume_crs = given->assume_same_crs};
  if (*given->mask_features == '\0') return STATUS_OK;
  TRY(polygon_layer_open(given->mask_features, &mask, &job->mask));
  if (polygon_layer_count(job->mask) > 0) return STATUS_OK;
  return status_set(STATUS_BAD_INPUT, "%s: holds no polygons, so no feature would be judged",
                    given->mask_features);
}

static Status check_polygons(const PolygonLayer *layer, const char *path)
{
  const PolygonLayerCounts counts = polygon_layer_counts(layer);
  if (counts.read == 0 || counts.kept > 0) return STATUS_OK;
  return status_set(STATUS_BAD_INPUT,
                    "%s: none of its %" PRId64 " features is a polygon with an area", path,
                    counts.read);
}

/* A side without a class field says nothing about classes. */
static bool has_classes(const Comparison *job)
{
  return *polygon_layer_class_field(job->truth.layer) != '\0' &&
         *polygon_layer_class_field(job->result.layer) != '\0';
}

/* The names of both sides, each once; without classes there is one. */
static Status name_classes(Comparison *job)
{
  void *memory;
  const int32_t truth_count = polygon_layer_class_count(job->truth.layer);
  const int32_t result_count = polygon_layer_class_count(job->result.layer);
  TRY(memory_allocate((size_t)(truth_count + result_count), sizeof(char *), "classes", &memory));
  job->names = memory;
  if (!has_classes(job)) {
    job->class_count = truth_count + result_count > 0 ? 1 : 0;
    if (job->class_count > 0) job->names[0] = "";
    return STATUS_OK; /* and all places are 0 */
  }
  for (int32_t i = 0; i < truth_count; ++i) {
    job->names[i] = polygon_layer_class(job->truth.layer, i);
    job->truth.classes[i] = i;
  }
  job->class_count = truth_count;
  for (int32_t i = 0; i < result_count; ++i) {
    int32_t found = 0;
    const char *name = polygon_layer_class(job->result.layer, i);
    while (found < truth_count && strcmp(job->names[found], name) != 0)
      ++found;
    if (found == truth_count) {
      found = job->class_count++;
      job->names[found] = name;
    }
    job->result.classes[i] = found;
  }
  if (truth_count > 0 && result_count > 0 && job->class_count == truth_count + result_count)
    return status_set(
        STATUS_MISMATCH,
        "no class of the result (“%s”, …) is one of the truth (“%s”, …); name the "
        "fields by --detected_class_value_field and --ground_truth_class_value_field, "
        "or none",
        polygon_layer_class(job->result.layer, 0), job->names[0]);
  return STATUS_OK;
}

static int32_t class_of(const Side *side, int64_t index)
{
  return side->classes[polygon_layer_item(side->layer, index)->class_index];
}

static Status judge(const Comparison *job, Side *side)
{
  void *memory;
  TRY(memory_allocate((size_t)job->class_count, sizeof(int32_t), "classes", &memory));
  int32_t *counts = memory;
  Status status = STATUS_OK;
  for (int64_t i = 0; status == STATUS_OK && i < polygon_layer_count(side->layer); ++i) {
    side->judged[i] = true;
    if (job->mask != NULL)
      status = polygon_layer_touches(side->layer, i, job->mask, &side->judged[i]);
    if (!side->judged[i]) continue;
    side->places[i] = counts[class_of(side, i)]++;
    ++side->judged_count;
  }
  memory_free(memory);
  return status;
}

static Status add_overlap(Comparison *job, Overlap overlap)
{
  void *memory;
  if (job->overlap_count == job->overlap_capacity) {
    const int64_t capacity = job->overlap_capacity == 0 ? 1024 : 2 * job->overlap_capacity;
    TRY(memory_allocate((size_t)capacity, sizeof(Overlap), "polygons that overlap", &memory));
    if (job->overlap_count > 0)
      memcpy(memory, job->overlaps, (size_t)job->overlap_count * sizeof(Overlap));
    memory_free(job->overlaps);
    job->overlaps = memory;
    job->overlap_capacity = capacity;
  }
  job->overlaps[job->overlap_count++] = overlap;
  return STATUS_OK;
}

static double iou_of(double a_area, double b_area, double shared)
{
  return shared / (a_area + b_area - shared);
}

/* GEOS is asked only where the boxes leave a chance. */
static Status compare(Comparison *job, int64_t detection, int64_t truth)
{
  double shared;
  const double least_iou = fmin(job->accuracy->options->min_iou, detection_iou_threshold(0));
  const PolygonItem *a = polygon_layer_item(job->result.layer, detection);
  const PolygonItem *b = polygon_layer_item(job->truth.layer, truth);
  const double boxes_share = extent_shared_area(a->box, b->box);
  const double most = fmin(boxes_share, fmin(a->area, b->area));
  Overlap overlap = {.class_index = class_of(&job->truth, truth),
                     .polygon = {job->result.places[detection], job->truth.places[truth], 0},
                     .box_iou = iou_of(extent_area(a->box), extent_area(b->box), boxes_share)};
  if (iou_of(a->area, b->area, most) >= least_iou) {
    TRY(polygon_layer_shared_area(job->result.layer, detection, job->truth.layer, truth, &shared));
    overlap.polygon.iou = iou_of(a->area, b->area, shared);
  }
  if (overlap.polygon.iou < least_iou && overlap.box_iou < least_iou) return STATUS_OK;
  return add_overlap(job, overlap);
}

static Status compare_near(Comparison *job, int64_t detection)
{
  int64_t *near, count;
  Status status = polygon_layer_near(
      job->truth.layer, polygon_layer_item(job->result.layer, detection)->box, &near, &count);
  for (int64_t i = 0; status == STATUS_OK && i < count; ++i)
    if (job->truth.judged[near[i]] &&
        class_of(&job->truth, near[i]) == class_of(&job->result, detection))
      status = compare(job, detection, near[i]);
  memory_free(near);
  return status;
}

static Status compare_all(Comparison *job)
{
  for (int64_t i = 0; i < polygon_layer_count(job->result.layer); ++i) {
    if (interrupt_requested()) return status_set(STATUS_INTERRUPTED, "stopped by a signal");
    if (job->result.judged[i]) TRY(compare_near(job, i));
  }
  return STATUS_OK;
}

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
    if (!job->result.judged[i] || class_of(&job->result, i) != class_index) continue;
    const int32_t place = one->found.detection_count++;
    one->scores[place] = isnan(item->confidence) ? -INFINITY : item->confidence;
    one->detection_areas[place] = area_px(job, item->area);
    one->box_areas[place] = area_px(job, extent_area(item->box));
  }
  for (int64_t i = 0; i < polygon_layer_count(job->truth.layer); ++i)
    if (job->truth.judged[i] && class_of(&job->truth, i) == class_index)
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

static void log_side(const Comparison *job, const char *path, const Side *side)
{
  const Log *log = job->accuracy->job->log;
  const PolygonLayerCounts counts = polygon_layer_counts(side->layer);
  const char *field = polygon_layer_class_field(side->layer);
  log_once(log,
           "%s: %" PRId64 " features, %" PRId64 " polygons (%" PRId64 " repaired), %" PRId64
           " judged; %s%s",
           path, counts.read, counts.kept, counts.repaired, side->judged_count,
           *field == '\0' ? "one class" : "class by the field ", field);
  if (counts.without_area > 0)
    log_warning(log, "%s: %" PRId64 " features have no area and are not judged", path,
                counts.without_area);
  if (counts.unplaced > 0)
    log_warning(log,
                "%s: %" PRId64
                " features cannot be taken into the truth's reference system and are not judged",
                path, counts.unplaced);
}

static void log_sides(const Comparison *job)
{
  const AccuracyOptions *given = job->accuracy->options;
  const Log *log = job->accuracy->job->log;
  const PolygonLayerCounts counts = polygon_layer_counts(job->result.layer);
  log_side(job, given->result, &job->result);
  log_side(job, given->truth, &job->truth);
  if (!has_classes(job)) log_once(log, "all are judged as one class");
  if (*polygon_layer_confidence_field(job->result.layer) == '\0')
    log_warning(log, "%s has no confidence: AP follows the order of features", given->result);
  else if (counts.unsure > 0)
    log_warning(log,
                "%s: %" PRId64
                " polygons have no number as their confidence; they count as the least certain",
                given->result, counts.unsure);
}

/* Owns nothing. */
static Status compare_layers(Comparison *job)
{
  TRY(open_layers(job));
  TRY(check_polygons(job->result.layer, job->accuracy->options->result));
  TRY(check_polygons(job->truth.layer, job->accuracy->options->truth));
  TRY(name_classes(job));
  TRY(judge(job, &job->result));
  TRY(judge(job, &job->truth));
  log_sides(job);
  TRY(compare_all(job));
  return score_all(job);
}

static void close_side(Side *side)
{
  polygon_layer_close(side->layer);
  memory_free(side->classes);
  memory_free(side->judged);
  memory_free(side->places);
}

Status accuracy_of_features(const Accuracy *accuracy)
{
  Comparison job = {.accuracy = accuracy};
  const Status status = compare_layers(&job);
  close_side(&job.result);
  close_side(&job.truth);
  polygon_layer_close(job.mask);
  memory_free(job.names);
  memory_free(job.overlaps);
  return status;
}
