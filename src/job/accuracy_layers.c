#include "accuracy_layers.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/interrupt.h"
#include "base/memory.h"
#include "geo/crs.h"

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

static void close_side(Side *side)
{
  polygon_layer_close(side->layer);
  memory_free(side->classes);
  memory_free(side->judged);
  memory_free(side->places);
  *side = (Side){.layer = NULL};
}

/* crs_wkt NULL: the layer's own. */
static Status open_truth(Comparison *job, const char *crs_wkt)
{
  const AccuracyOptions *given = job->accuracy->options;
  const PolygonLayerOptions wanted = {.layer = given->truth_layer,
                                      .class_field = given->ground_truth_class_value_field,
                                      .confidence_field = "none",
                                      .crs_wkt = crs_wkt,
                                      .assume_crs = given->assume_same_crs};
  close_side(&job->truth);
  return open_side(given->truth, &wanted, &job->truth);
}

static Status open_result(Comparison *job, const char *crs_wkt)
{
  const AccuracyOptions *given = job->accuracy->options;
  const PolygonLayerOptions wanted = {.layer = given->result_layer,
                                      .class_field = given->detected_class_value_field,
                                      .confidence_field = given->confidence_score_field,
                                      .crs_wkt = crs_wkt,
                                      .assume_crs = given->assume_same_crs};
  close_side(&job->result);
  return open_side(given->result, &wanted, &job->result);
}

/* The truth's reference system is that of all; but degrees are no measure of boxes and pixels where
 * the result has a better one. */
static Status open_both(Comparison *job)
{
  TRY(open_truth(job, NULL));
  if (crs_is_geographic(polygon_layer_crs(job->truth.layer))) {
    TRY(open_result(job, NULL));
    const char *crs_wkt = polygon_layer_crs(job->result.layer);
    if (*crs_wkt != '\0' && !crs_is_geographic(crs_wkt)) return open_truth(job, crs_wkt);
  }
  return open_result(job, polygon_layer_crs(job->truth.layer));
}

static Status open_layers(Comparison *job)
{
  const AccuracyOptions *given = job->accuracy->options;
  TRY(open_both(job));
  if (*given->mask_features == '\0') return STATUS_OK;
  const PolygonLayerOptions mask = {.layer = given->mask_layer,
                                    .class_field = "none",
                                    .confidence_field = "none",
                                    .crs_wkt = polygon_layer_crs(job->truth.layer),
                                    .assume_crs = given->assume_same_crs};
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
static bool have_classes(const Comparison *job)
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
  if (!have_classes(job)) {
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

int32_t accuracy_layers_class(const Side *side, int64_t index)
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
    side->places[i] = counts[accuracy_layers_class(side, i)]++;
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
  Overlap overlap = {.class_index = accuracy_layers_class(&job->truth, truth),
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
    if (job->truth.judged[near[i]] && accuracy_layers_class(&job->truth, near[i]) ==
                                          accuracy_layers_class(&job->result, detection))
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
  char crs[CRS_NAME_BYTES];
  const Log *log = job->accuracy->job->log;
  const PolygonLayerCounts counts = polygon_layer_counts(job->result.layer);
  const char *crs_wkt = polygon_layer_crs(job->truth.layer);
  log_side(job, given->result, &job->result);
  log_side(job, given->truth, &job->truth);
  if (!have_classes(job)) log_once(log, "all are judged as one class");
  crs_name(crs_wkt, crs);
  log_once(log, "compared in %s", crs);
  if (given->cell_size > 0 && crs_is_geographic(crs_wkt))
    log_warning(log, "cell_size is %g degrees there", given->cell_size);
  if (*polygon_layer_confidence_field(job->result.layer) == '\0')
    log_warning(log, "%s has no confidence: AP follows the order of features", given->result);
  else if (counts.unsure > 0)
    log_warning(log,
                "%s: %" PRId64
                " polygons have no number as their confidence; they count as the least certain",
                given->result, counts.unsure);
}

Status accuracy_layers_compare(Comparison *job)
{
  TRY(open_layers(job));
  TRY(check_polygons(job->result.layer, job->accuracy->options->result));
  TRY(check_polygons(job->truth.layer, job->accuracy->options->truth));
  TRY(name_classes(job));
  TRY(judge(job, &job->result));
  TRY(judge(job, &job->truth));
  log_sides(job);
  return compare_all(job);
}

void accuracy_layers_close(Comparison *job)
{
  close_side(&job->result);
  close_side(&job->truth);
  polygon_layer_close(job->mask);
  memory_free(job->names);
  memory_free(job->overlaps);
}
