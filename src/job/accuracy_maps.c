/* A class map against another one, or against features burnt onto its grid. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "accuracy_options.h"
#include "base/interrupt.h"
#include "base/memory.h"
#include "confusion.h"
#include "geo/class_map.h"
#include "geo/label_source.h"
#include "geo/polygon_layer.h"
#include "geo/raster.h"

enum {
  BLOCK_PX = 512,
  CLASSES_MOST = 1024,
  CLASSES_SHOWN_MOST = 100,
  MATRIX_SHOWN_MOST = 12,
  VALUE_LEAST = -32768, /* of int16 */
  VALUE_MOST = 65535    /* of uint16 */
};

typedef struct MapJob {
  const Accuracy *accuracy;
  Raster *result;
  Raster *truth;                      /* NULL: features */
  LabelSource *labels;                /* NULL: a raster */
  int64_t truth_x_px, truth_y_px;     /* the truth's first pixel in the result's */
  Window shared;                      /* pixels of the result that the truth covers */
  void *result_pixels, *truth_pixels; /* of a block */
  uint8_t *result_valid, *truth_valid;
  int32_t *places;              /* of a value among those seen; 0: not seen, else place + 1 */
  int32_t values[CLASSES_MOST]; /* seen */
  int32_t class_count;
  int64_t *seen;   /* CLASSES_MOST x CLASSES_MOST by places */
  int64_t *sorted; /* class_count x class_count by value */
  int64_t left_out_px;
  const ClassEntry *names;
  int32_t name_count;
} MapJob;

static Status open_map(const char *path, Raster **raster)
{
  TRY(raster_open(path, raster));
  if (raster_type(*raster) != PIXEL_F32) return STATUS_OK;
  return status_set(STATUS_UNSUPPORTED,
                    "%s: holds float32; a class map is of whole numbers (uint8, uint16, int16)",
                    path);
}

static Status open_truth_map(MapJob *job)
{
  Arena *arena = job->accuracy->job->arena;
  const AccuracyOptions *given = job->accuracy->options;
  TRY(open_map(given->truth, &job->truth));
  TRY(grid_check_aligned(raster_grid(job->result), raster_grid(job->truth), &job->truth_x_px,
                         &job->truth_y_px));
  TRY(class_map_names(given->truth, arena, &job->names, &job->name_count));
  if (job->name_count == 0)
    TRY(class_map_names(given->result, arena, &job->names, &job->name_count));
  Window covered = grid_window(raster_grid(job->truth));
  covered.x_px = job->truth_x_px;
  covered.y_px = job->truth_y_px;
  job->shared = window_intersect(job->shared, covered);
  if (!window_is_empty(job->shared)) return STATUS_OK;
  return status_set(STATUS_MISMATCH, "%s and %s do not overlap", given->result, given->truth);
}

static Status open_truth_features(MapJob *job)
{
  const AccuracyOptions *given = job->accuracy->options;
  const LabelOptions wanted = {.layer = given->truth_layer,
                               .class_field = given->ground_truth_class_value_field,
                               .assume_raster_crs = given->assume_same_crs};
  TRY(label_source_open(given->truth, &wanted, raster_grid(job->result), NULL, &job->labels));
  job->names = label_source_classes(job->labels, &job->name_count);
  return STATUS_OK;
}

static Status check_options(const AccuracyOptions *given)
{
  if (*given->mask_features == '\0') return STATUS_OK;
  return status_set(STATUS_BAD_OPTION,
                    "--mask_features=%s: a mask chooses features; cut the map, or set what shall "
                    "not count to NoData",
                    given->mask_features);
}

static Status open_inputs(MapJob *job)
{
  bool truth_is_features;
  const AccuracyOptions *given = job->accuracy->options;
  TRY(check_options(given));
  TRY(open_map(given->result, &job->result));
  job->shared = grid_window(raster_grid(job->result));
  TRY(polygon_layer_probe(given->truth, &truth_is_features));
  return truth_is_features ? open_truth_features(job) : open_truth_map(job);
}

static Status allocate(size_t count, size_t bytes, void **memory)
{
  return memory_allocate(count, bytes, "a block of two maps", memory);
}

static Status make_room(MapJob *job)
{
  void *memory;
  const size_t block_px = (size_t)BLOCK_PX * BLOCK_PX;
  TRY(allocate(block_px, sizeof(uint16_t), &job->result_pixels));
  TRY(allocate(block_px, sizeof(uint16_t), &job->truth_pixels));
  TRY(allocate(block_px, 1, &memory));
  job->result_valid = memory;
  TRY(allocate(block_px, 1, &memory));
  job->truth_valid = memory;
  TRY(allocate(VALUE_MOST - VALUE_LEAST + 1, sizeof(int32_t), &memory));
  job->places = memory;
  TRY(allocate((size_t)CLASSES_MOST * CLASSES_MOST, sizeof(int64_t), &memory));
  job->seen = memory;
  return STATUS_OK;
}

/* -1: too many classes. */
static int32_t place_of(MapJob *job, int32_t value)
{
  int32_t *place = &job->places[value - VALUE_LEAST];
  if (*place == 0) {
    if (job->class_count == CLASSES_MOST) return -1;
    job->values[job->class_count++] = value;
    *place = job->class_count;
  }
  return *place - 1;
}

static Status read_truth(MapJob *job, Window block, PixelType *type)
{
  *type = PIXEL_U16;
  if (job->labels != NULL) {
    const Grid grid = grid_subgrid(raster_grid(job->result), block);
    memset(job->truth_valid, 1, (size_t)window_pixels(block));
    return label_source_burn(job->labels, &grid, PIXEL_U16, job->truth_pixels);
  }
  *type = raster_type(job->truth);
  block.x_px -= job->truth_x_px;
  block.y_px -= job->truth_y_px;
  return raster_read(job->truth, block, NULL, 1, job->truth_pixels, job->truth_valid);
}

static Status count_block(MapJob *job, Window block)
{
  PixelType truth_type;
  const PixelType result_type = raster_type(job->result);
  TRY(raster_read(job->result, block, NULL, 1, job->result_pixels, job->result_valid));
  TRY(read_truth(job, block, &truth_type));
  for (size_t i = 0; i < (size_t)window_pixels(block); ++i) {
    if (job->result_valid[i] == 0 || job->truth_valid[i] == 0) {
      ++job->left_out_px;
      continue;
    }
    const int32_t is = place_of(job, (int32_t)pixel_value(truth_type, job->truth_pixels, i));
    const int32_t taken_for =
        place_of(job, (int32_t)pixel_value(result_type, job->result_pixels, i));
    if (is < 0 || taken_for < 0)
      return status_set(
          STATUS_UNSUPPORTED, "%s and %s hold more than %d different values; are they class maps?",
          job->accuracy->options->result, job->accuracy->options->truth, CLASSES_MOST);
    ++job->seen[(int64_t)is * CLASSES_MOST + taken_for];
  }
  return STATUS_OK;
}

static Status count_all(MapJob *job)
{
  const Window all = job->shared;
  for (int64_t y = 0; y < all.height_px; y += BLOCK_PX)
    for (int64_t x = 0; x < all.width_px; x += BLOCK_PX) {
      const Window block = {all.x_px + x, all.y_px + y, BLOCK_PX, BLOCK_PX};
      if (interrupt_requested()) return status_set(STATUS_INTERRUPTED, "stopped by a signal");
      TRY(count_block(job, window_intersect(all, block)));
    }
  return STATUS_OK;
}

/* By value, so that a report does not depend on where a class is met first. */
static Status sort_classes(MapJob *job)
{
  void *memory;
  int32_t order[CLASSES_MOST], sorted_count = 0;
  const size_t count = (size_t)job->class_count;
  TRY(memory_allocate(count * count, sizeof(int64_t), "a confusion matrix", &memory));
  job->sorted = memory;
  for (int32_t value = VALUE_LEAST; value <= VALUE_MOST; ++value) {
    const int32_t place = job->places[value - VALUE_LEAST];
    if (place == 0) continue;
    job->values[sorted_count] = value;
    order[sorted_count++] = place - 1;
  }
  for (size_t is = 0; is < count; ++is)
    for (size_t taken_for = 0; taken_for < count; ++taken_for)
      job->sorted[is * count + taken_for] =
          job->seen[(int64_t)order[is] * CLASSES_MOST + order[taken_for]];
  return STATUS_OK;
}

static void name_class(const MapJob *job, int32_t place, char name[CLASS_NAME_BYTES])
{
  const int32_t value = job->values[place];
  const ClassEntry *entry = class_find(job->names, job->name_count, value);
  if (entry != NULL)
    (void)snprintf(name, CLASS_NAME_BYTES, "%s", entry->name);
  else if (value == 0 && job->labels != NULL)
    (void)snprintf(name, CLASS_NAME_BYTES, "background");
  else
    (void)snprintf(name, CLASS_NAME_BYTES, "%d", value);
}

static void print_matrix(const MapJob *job)
{
  printf("\n%-24s", "truth \\ result, px");
  for (int32_t c = 0; c < job->class_count; ++c)
    printf(" %12d", job->values[c]);
  printf("\n");
  for (int32_t is = 0; is < job->class_count; ++is) {
    printf("%-24d", job->values[is]);
    for (int32_t c = 0; c < job->class_count; ++c)
      printf(" %12" PRId64, job->sorted[is * job->class_count + c]);
    printf("\n");
  }
}

static void print_all(const MapJob *job, Confusion confusion)
{
  int64_t all = 0;
  printf("%6s  %-16s %12s %12s %10s %10s %10s %10s\n", "value", "class", "label px", "map px",
         "precision", "recall", "F1", "IoU");
  for (int32_t c = 0; c < job->class_count; ++c) {
    char name[CLASS_NAME_BYTES];
    const ClassScore score = confusion_score(confusion, c);
    name_class(job, c, name);
    all += score.label_count;
    if (c < CLASSES_SHOWN_MOST)
      printf("%6d  %-16s %12" PRId64 " %12" PRId64 " %10.3f %10.3f %10.3f %10.3f\n", job->values[c],
             name, score.label_count, score.prediction_count, score.precision, score.recall,
             score.f1, score.iou);
  }
  if (job->class_count <= MATRIX_SHOWN_MOST) print_matrix(job);
  const bool has_zero = job->class_count > 0 && job->values[0] == 0;
  printf("\nmean IoU %.4f", confusion_mean_iou(confusion, 0));
  if (has_zero) printf(", without class 0 %.4f", confusion_mean_iou(confusion, 1));
  printf(", mean F1 %.4f", confusion_mean_f1(confusion, 0));
  const double kappa = confusion_kappa(confusion);
  if (!isnan(kappa)) printf(", kappa %.4f", kappa);
  printf("\n%.2f %% of %" PRId64 " pixels are right; %" PRId64 " are NoData\n",
         100 * confusion_accuracy(confusion), all, job->left_out_px);
}

static Status set_names(const MapJob *job, Confusion confusion)
{
  void *memory;
  Arena *arena = job->accuracy->job->arena;
  const size_t count = (size_t)job->class_count;
  TRY(arena_allocate(arena, (count + 1) * sizeof(char *), &memory));
  char **names = memory;
  for (int32_t c = 0; c < job->class_count; ++c) {
    char name[CLASS_NAME_BYTES];
    name_class(job, c, name);
    TRY(arena_copy_text(arena, name, &names[c]));
  }
  return confusion_report(confusion, (const char *const *)names, job->accuracy->report);
}

static Status set_values(const MapJob *job, Document *report)
{
  Document *list;
  TRY(document_set_list(report, "class_values", &list));
  for (int32_t c = 0; c < job->class_count; ++c)
    TRY(document_add_int(list, job->values[c]));
  return STATUS_OK;
}

static Status report_all(const MapJob *job)
{
  Document *report = job->accuracy->report;
  const Confusion confusion = {job->class_count, job->sorted};
  const bool has_zero = job->class_count > 0 && job->values[0] == 0;
  print_all(job, confusion);
  TRY(document_set_text(report, "kind", "maps"));
  TRY(set_names(job, confusion));
  TRY(set_values(job, report));
  TRY(document_set_real(report, "kappa", confusion_kappa(confusion)));
  TRY(document_set_real(report, "mean_f1", confusion_mean_f1(confusion, 0)));
  if (has_zero)
    TRY(document_set_real(report, "mean_iou_without_0", confusion_mean_iou(confusion, 1)));
  TRY(document_set_int(report, "pixels", window_pixels(job->shared) - job->left_out_px));
  return document_set_int(report, "nodata_pixels", job->left_out_px);
}

static Status judge(MapJob *job)
{
  TRY(open_inputs(job));
  TRY(make_room(job));
  TRY(count_all(job));
  if (job->class_count == 0)
    return status_set(STATUS_MISMATCH, "%s and %s share no pixel with data",
                      job->accuracy->options->result, job->accuracy->options->truth);
  TRY(sort_classes(job));
  return report_all(job);
}

Status accuracy_of_maps(const Accuracy *accuracy)
{
  MapJob job = {.accuracy = accuracy};
  const Status status = judge(&job);
  memory_free(job.result_pixels);
  memory_free(job.truth_pixels);
  memory_free(job.result_valid);
  memory_free(job.truth_valid);
  memory_free(job.places);
  memory_free(job.seen);
  memory_free(job.sorted);
  label_source_close(job.labels);
  raster_close(job.truth);
  raster_close(job.result);
  return status;
}
