#include "nms.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/output.h"
#include "base/path.h"
#include "geo/geo.h"
#include "nms_suppress.h"

typedef struct NmsOptions {
  const char *input, *layer, *output, *format, *confidence_score_field, *class_value_field;
  double max_overlap_ratio;
  int32_t overlap; /* NmsOverlap */
  bool across_classes, overwrite;
} NmsOptions;

#define FIELD(name) offsetof(NmsOptions, name)

static const Option options[] = {
    {"input", OPTION_TEXT, FIELD(input), NULL, NULL, 0, 0, NULL,
     "The detections: polygons of any format that GDAL opens."},
    {"layer", OPTION_TEXT, FIELD(layer), "", NULL, 0, 0, NULL,
     "Layer of the input. Empty: the first with features."},
    {"output", OPTION_TEXT, FIELD(output), NULL, NULL, 0, 0, NULL,
     "The copy without duplicates: .gpkg, .fgb, .geojson, .shp or the ending of any other format "
     "that GDAL writes; without an ending .gpkg. Fields and reference system are kept."},
    {"format", OPTION_TEXT, FIELD(format), "", NULL, 0, 0, NULL,
     "GDAL's name of the output's format. Empty: by the ending."},
    {"confidence_score_field", OPTION_TEXT, FIELD(confidence_score_field), "", NULL, 0, 0, NULL,
     "Field that holds the confidence. Empty: Confidence, confidence_score or score. none: the "
     "larger polygon is the better one."},
    {"class_value_field", OPTION_TEXT, FIELD(class_value_field), "", NULL, 0, 0, NULL,
     "Field that holds the class. Empty: Class, Classvalue, class_value, class_id, Value or "
     "class_name; where there is none, or with none, all are one class."},
    {"max_overlap_ratio", OPTION_REAL, FIELD(max_overlap_ratio), "0", NULL, 0, 1, NULL,
     "Of two polygons that overlap by more than this, the one of lower confidence goes. 0: any "
     "area shared is too much, touching is not."},
    {"overlap", OPTION_CHOICE, FIELD(overlap), "iou", NULL, 0, 0, "iou|smaller",
     "iou: shared area over the area of both together. smaller: over that of the smaller polygon, "
     "which finds fragments inside of whole objects."},
    {"across_classes", OPTION_FLAG, FIELD(across_classes), "no", NULL, 0, 0, NULL,
     "Polygons of different classes compete, too."},
    {"overwrite", OPTION_FLAG, FIELD(overwrite), "no", NULL, 0, 0, NULL,
     "Replaces an output that is there."},
};

static const OptionTable nms_table = {
    "nms", "features -> features without overlaps",
    "quadrat nms --input=detections.gpkg --output=objects.gpkg --max_overlap_ratio=0.3", options,
    sizeof options / sizeof *options};

/* One run of the tool, on rank 0. */
typedef struct Nms {
  const Job *job;
  const NmsOptions *options;
  char output[OUTPUT_PATH_BYTES];
  PolygonLayer *layer;
  bool *kept;         /* by polygon */
  bool *kept_numbers; /* by feature */
  int64_t removed_count;
} Nms;

static Status name_output(Nms *nms)
{
  const char *output = nms->options->output;
  const bool has_ending = strchr(path_file_name(output), '.') != NULL;
  const int length =
      snprintf(nms->output, sizeof nms->output, "%s%s", output, has_ending ? "" : ".gpkg");
  if (*output == '\0' || length < 0 || (size_t)length >= sizeof nms->output)
    return status_set(STATUS_BAD_OPTION, "--output=%.200s is no name for a file", output);
  if (path_exists(nms->output) && !nms->options->overwrite)
    return status_set(STATUS_BAD_OPTION, "%s is there already; --overwrite=yes replaces it",
                      nms->output);
  TRY(polygon_layer_check_format(nms->output, nms->options->format));
  return output_check_writable(nms->output);
}

static Status open_layer(Nms *nms)
{
  const NmsOptions *given = nms->options;
  const PolygonLayerOptions wanted = {.layer = given->layer,
                                      .class_field = given->class_value_field,
                                      .confidence_field = given->confidence_score_field,
                                      .needs_confidence =
                                          strcmp(given->confidence_score_field, "none") != 0};
  TRY(polygon_layer_open(given->input, &wanted, &nms->layer));
  const PolygonLayerCounts counts = polygon_layer_counts(nms->layer);
  if (counts.read > 0 && counts.kept == 0)
    return status_set(STATUS_BAD_INPUT,
                      "%s: none of its %" PRId64 " features is a polygon with an area",
                      given->input, counts.read);
  return STATUS_OK;
}

static void report_input(const Nms *nms)
{
  const PolygonLayerCounts counts = polygon_layer_counts(nms->layer);
  const char *confidence = polygon_layer_confidence_field(nms->layer);
  const char *class_field = polygon_layer_class_field(nms->layer);
  log_once(nms->job->log,
           "%s: %" PRId64 " features, %" PRId64 " polygons (%" PRId64 " repaired), %" PRId64
           " without an area",
           nms->options->input, counts.read, counts.kept, counts.repaired, counts.without_area);
  log_once(nms->job->log, "confidence by %s%s, %s%s", *confidence == '\0' ? "area" : "the field ",
           confidence, *class_field == '\0' ? "one class" : "class by the field ", class_field);
  if (*confidence != '\0' && counts.unsure > 0)
    log_warning(nms->job->log,
                "%" PRId64 " polygons have no number as their confidence; they count as the least "
                "certain",
                counts.unsure);
  if (counts.without_area > 0)
    log_warning(nms->job->log,
                "%" PRId64 " features have no area (points, lines, no geometry); they overlap "
                "nothing and are copied",
                counts.without_area);
}

static Status suppress(Nms *nms)
{
  void *kept, *kept_numbers;
  const NmsRule rule = {.max_overlap = nms->options->max_overlap_ratio,
                        .overlap = (NmsOverlap)nms->options->overlap,
                        .across_classes = nms->options->across_classes};
  const int64_t count = polygon_layer_count(nms->layer);
  const int64_t read = polygon_layer_counts(nms->layer).read;
  TRY(arena_allocate(nms->job->arena, (size_t)count + 1, &kept));
  TRY(arena_allocate(nms->job->arena, (size_t)read + 1, &kept_numbers));
  nms->kept = kept;
  nms->kept_numbers = kept_numbers;
  TRY(nms_suppress(nms->layer, rule, nms->kept));
  memset(kept_numbers, 1, (size_t)read);
  for (int64_t i = 0; i < count; ++i) {
    if (nms->kept[i]) continue;
    nms->kept_numbers[polygon_layer_item(nms->layer, i)->number] = false;
    ++nms->removed_count;
  }
  return STATUS_OK;
}

static void report_class(const Nms *nms, int32_t class_index)
{
  int64_t all = 0, kept = 0;
  for (int64_t i = 0; i < polygon_layer_count(nms->layer); ++i) {
    if (polygon_layer_item(nms->layer, i)->class_index != class_index) continue;
    ++all;
    kept += nms->kept[i];
  }
  const char *name = polygon_layer_class(nms->layer, class_index);
  printf("%-24s %12" PRId64 " %12" PRId64 " %12" PRId64 "\n", *name == '\0' ? "-" : name, all,
         all - kept, kept);
}

enum { CLASSES_SHOWN_MOST = 100 };

static void report_result(const Nms *nms)
{
  const PolygonLayerCounts counts = polygon_layer_counts(nms->layer);
  printf("%-24s %12s %12s %12s\n", "class", "polygons", "removed", "kept");
  for (int32_t c = 0; c < polygon_layer_class_count(nms->layer) && c < CLASSES_SHOWN_MOST; ++c)
    report_class(nms, c);
  printf("%-24s %12" PRId64 " %12" PRId64 " %12" PRId64 "\n", "all", counts.kept,
         nms->removed_count, counts.kept - nms->removed_count);
  printf("\n%s: %" PRId64 " features\n", nms->output, counts.read - nms->removed_count);
  (void)fflush(stdout);
}

/* Local. */
static Status make(Nms *nms)
{
  TRY(name_output(nms));
  TRY(open_layer(nms));
  report_input(nms);
  TRY(suppress(nms));
  TRY(polygon_layer_copy(nms->layer, nms->kept_numbers, nms->output, nms->options->format));
  report_result(nms);
  return STATUS_OK;
}

/* Collective. Rank 0 does it all: polygons that overlap are no two jobs. */
static Status run(const Job *job, const void *values)
{
  Nms nms = {.job = job, .options = values};
  geo_start(0);
  const Status status = comm_agree(job->comm, comm_rank(job->comm) == 0 ? make(&nms) : STATUS_OK);
  polygon_layer_close(nms.layer);
  geo_stop();
  return status;
}

const Tool nms_tool = {.table = &nms_table, .values_bytes = sizeof(NmsOptions), .run = run};
