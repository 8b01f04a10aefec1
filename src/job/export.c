#include "export.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/interrupt.h"
#include "base/memory.h"
#include "base/progress.h"
#include "export_output.h"
#include "export_report.h"
#include "geo/geo.h"
#include "store/document.h"

/* Rows of chips that overlap read the same blocks again. */
static const int64_t raster_cache_bytes = (int64_t)192 << 20;

/* One run of the tool on one rank. */
typedef struct Export {
  const Job *job;
  const ExportOptions *options;
  ExportOutput output;
  ExportSources sources;
  int32_t first_part, end_part; /* of this rank */
  ChipForm form;
  bool labels_are_features;
} Export;

static bool speaks(const Export *export)
{
  return comm_rank(export->job->comm) == 0;
}

static void share_out(Export *export)
{
  const int64_t ranks = comm_rank_count(export->job->comm);
  const int64_t rank = comm_rank(export->job->comm);
  export->first_part = (int32_t)(export->sources.part_count * rank / ranks);
  export->end_part = (int32_t)(export->sources.part_count * (rank + 1) / ranks);
}

/* Rank 0 looks at all labels, so that what is wrong with them is said at once. */
static Status open_labels(Export *export)
{
  for (int32_t i = 0; i < export->sources.count; ++i)
    TRY(export_source_open_labels(&export->sources, i, export->options, export->first_part,
                                  export->end_part, speaks(export)));
  return STATUS_OK;
}

/* Value 0 first, whether the labels have a class for it or not. */
static Status list_classes(Export *export, const LabelSource *labels)
{
  int32_t count;
  void *memory;
  const ClassEntry *found = label_source_classes(labels, &count);
  TRY(arena_allocate(export->job->arena, (size_t)(count + 1) * sizeof *found, &memory));
  ClassEntry *classes = memory;
  const bool has_zero = count > 0 && found[0].value == 0;
  export->labels_are_features = !label_source_is_raster(labels);
  classes[0] = class_entry(0, export->labels_are_features ? "background" : "unlabelled");
  if (count > 0) memcpy(classes + !has_zero, found, (size_t)count * sizeof *found);
  export->form.classes = classes;
  export->form.class_count = count + !has_zero;
  return STATUS_OK;
}

/* Said before any chip is cut. */
static Status check_labels(const Export *export)
{
  if (!chip_format_has_objects(export->form.format) || export->labels_are_features)
    return STATUS_OK;
  return status_set(STATUS_UNSUPPORTED,
                    "%s: a raster of classes does not tell objects apart; format=%s needs features",
                    export->options->labels, chip_format_name(export->form.format));
}

static Status make_form(Export *export)
{
  const ExportOptions *options = export->options;
  export->form = (ChipForm){.format = (ChipFormat)options->format,
                            .width_px = (int32_t)options->tile_size,
                            .height_px = (int32_t)options->tile_size,
                            .band_count = export->sources.band_count,
                            .pixel = raster_type(export->sources.sources[0].raster),
                            .deflate_level = (int32_t)options->compress};
  for (int32_t i = 0; i < export->sources.count; ++i)
    if (export->sources.sources[i].labels != NULL) {
      TRY(list_classes(export, export->sources.sources[i].labels));
      return check_labels(export);
    }
  return STATUS_OK; /* a rank without work */
}

static Status open_cutters(Export *export)
{
  const ExportOptions *options = export->options;
  for (int32_t i = 0; i < export->sources.count; ++i) {
    ExportSource *source = &export->sources.sources[i];
    const CutterOptions cutter = {.form = &export->form,
                                  .raster = source->raster,
                                  .raster_number = i,
                                  .labels = source->labels,
                                  .mask = source->mask,
                                  .bands = export->sources.bands,
                                  .all_tiles = options->all_tiles,
                                  .minimum_label_share = options->minimum_label_share,
                                  .minimum_valid_share = options->minimum_valid_share,
                                  .minimum_overlap = options->min_polygon_overlap_ratio};
    if (source->labels != NULL) TRY(cutter_open(&cutter, &source->cutter));
  }
  return STATUS_OK;
}

/* Local. */
static Status open_inputs(Export *export)
{
  TRY(export_options_check(export->options));
  TRY(export_output_name(export->options, &export->output));
  TRY(export_sources_open(export->options, export->job->arena, &export->sources));
  share_out(export);
  TRY(open_labels(export));
  TRY(make_form(export));
  return open_cutters(export);
}

static Status cut_place(const Export *export, const ExportSource *source, int64_t place,
                        ChipShard *shard)
{
  Chip chip;
  ChipOutcome outcome;
  double angle_degrees;
  if (interrupt_requested())
    return status_set(STATUS_INTERRUPTED,
                      "stopped by a signal; the same command goes on where this one stopped");
  const Window window = export_place(source, export->options, place, &angle_degrees);
  TRY(cutter_cut(source->cutter, window, angle_degrees, &chip, &outcome));
  return chip_shard_add(shard, outcome, &chip);
}

/* A part that an earlier run finished is passed over. */
static Status make_part(const Export *export, int32_t part, Progress *progress, int64_t *done)
{
  const ExportSource *source = export_source_of_part(&export->sources, part);
  ChipShard *shard = NULL;
  int64_t first, end, found;
  export_part_places(&export->sources, part, &first, &end);
  TRY(chip_shard_count(export->output.work, part, &found));
  if (found >= 0) {
    *done += end - first;
    return STATUS_OK;
  }
  Status status = chip_shard_create(export->output.work, part, &export->form, &shard);
  for (int64_t place = first; status == STATUS_OK && place < end; ++place) {
    status = cut_place(export, source, place, shard);
    progress_show(progress, ++*done, NULL);
  }
  if (status == STATUS_OK) return chip_shard_commit(&shard);
  chip_shard_close(shard);
  return status;
}

/* Local. */
static Status make_parts(const Export *export)
{
  int64_t total = 0, done = 0;
  char what[48];
  for (int32_t part = export->first_part; part < export->end_part; ++part) {
    int64_t first, end;
    export_part_places(&export->sources, part, &first, &end);
    total += end - first;
  }
  const int ranks = comm_rank_count(export->job->comm);
  (void)snprintf(what, sizeof what, ranks == 1 ? "export" : "export, rank 0 of %d", ranks);
  Progress progress = progress_start(export->job->log, what, "places", total, 0);
  for (int32_t part = export->first_part; part < export->end_part; ++part)
    TRY(make_part(export, part, &progress, &done));
  progress_end(&progress, done);
  return STATUS_OK;
}

static bool has_refused(const SetSum *sum)
{
  const int64_t *o = sum->object_outcomes;
  return o[OBJECT_SMALL_SHARE] + o[OBJECT_NO_PIXEL] + o[OBJECT_NO_AREA] > 0;
}

static Status refused_all(const Export *export, const SetSum *sum)
{
  const int64_t *o = sum->object_outcomes;
  return status_set(
      STATUS_MISMATCH,
      "%s gives no object to any chip, so nothing is written: %" PRId64
      " have too small a share in their chip, %" PRId64 " no pixel that is data, %" PRId64
      " no area; lower min_polygon_overlap_ratio, or give points and lines a buffer",
      export->options->labels, o[OBJECT_SMALL_SHARE], o[OBJECT_NO_PIXEL], o[OBJECT_NO_AREA]);
}

static Status check_sum(const Export *export, const SetSum *sum)
{
  const int64_t *o = sum->outcomes;
  if (sum->chip_count > 0 && set_sum_labelled(sum) > 0) return STATUS_OK;
  if (has_refused(sum)) return refused_all(export, sum);
  return status_set(
      STATUS_MISMATCH,
      "%s labels no pixel of a chip, so nothing is written: of %" PRId64
      " places for chips %" PRId64 " have no label on data, %" PRId64
      " lie outside the mask, %" PRId64 " have too few labels and %" PRId64
      " too little data; check that labels and raster show the same ground, and the classes",
      export->options->labels, export->sources.place_count, o[CHIP_UNLABELLED] + o[CHIP_KEPT],
      o[CHIP_OUTSIDE_MASK], o[CHIP_FEW_LABELS], o[CHIP_LITTLE_DATA]);
}

static Status set_inputs(const Export *export, Document *root)
{
  Document *options;
  char *text;
  TRY(document_set_object(root, "options", &options));
  for (size_t i = 0; i < export_table.count; ++i) {
    TRY(options_format(&export_table, export->options, i, export->job->arena, &text));
    TRY(document_set_text(options, export_table.options[i].name, text));
  }
  return STATUS_OK;
}

static Status build_provenance(const Export *export, Document *root)
{
  char now[21];
  clock_utc(now);
  TRY(document_set_text(root, "tool", "quadrat export"));
  TRY(document_set_text(root, "command", export->job->command));
  TRY(document_set_text(root, "created", now));
  TRY(document_set_text(root, "gdal", geo_version()));
  return set_inputs(export, root);
}

static Status write_provenance(const Export *export, const char **provenance)
{
  Document *root = NULL;
  char *text = NULL, *kept = NULL;
  TRY(document_new_object(&root));
  Status status = build_provenance(export, root);
  if (status == STATUS_OK) status = document_format(root, DOCUMENT_ONE_LINE, &text);
  if (status == STATUS_OK) status = arena_copy_text(export->job->arena, text, &kept);
  *provenance = kept;
  memory_free(text);
  document_close(root);
  return status;
}

static Status tell_story(const Export *export, ChipStory *story)
{
  const ExportSources *sources = &export->sources;
  void *grids, *paths, *names;
  Arena *arena = export->job->arena;
  TRY(arena_allocate(arena, (size_t)sources->count * sizeof(Grid), &grids));
  TRY(arena_allocate(arena, (size_t)sources->count * sizeof(char *), &paths));
  TRY(arena_allocate(arena, (size_t)sources->band_count * sizeof(char *), &names));
  for (int32_t i = 0; i < sources->count; ++i) {
    ((Grid *)grids)[i] = *raster_grid(sources->sources[i].raster);
    ((const char **)paths)[i] = sources->sources[i].path;
  }
  for (int32_t i = 0; i < sources->band_count; ++i)
    ((const char **)names)[i] = raster_band_name(sources->sources[0].raster,
                                                 sources->bands == NULL ? i : sources->bands[i]);
  *story = (ChipStory){.rasters = grids,
                       .raster_paths = paths,
                       .raster_count = sources->count,
                       .band_names = names,
                       .unlabelled_is_background = export->labels_are_features,
                       .forward_slashes = export->options->forward_slashes};
  return write_provenance(export, &story->provenance);
}

/* What rank 0 knows when all parts are there. */
typedef struct Whole {
  ShardCount *counts; /* per part; on all ranks */
  SetSum sum;
  ChipStory story;
} Whole;

static Status add_up(const Export *export, Whole *whole)
{
  if (!speaks(export)) return STATUS_OK;
  TRY(set_sum_open(export->job->arena, export->form.band_count, export->form.class_count,
                   &whole->sum));
  TRY(chip_shards_sum(export->output.work, export->sources.part_count, &export->form, whole->counts,
                      &whole->sum));
  TRY(check_sum(export, &whole->sum));
  return tell_story(export, &whole->story);
}

/* Local. Numbers follow from the parts before, so any rank can give them. */
static Status number_tiles(const Export *export, const Whole *whole)
{
  int64_t first = 0;
  if (chip_format_is_arrays(export->form.format)) return STATUS_OK;
  for (int32_t part = 0; part < export->end_part; ++part) {
    if (part >= export->first_part)
      TRY(chip_tiles_number(export->output.work, &export->form, part, whole->counts[part].chips,
                            first, export->output.set_folder));
    first += whole->counts[part].chips;
  }
  return STATUS_OK;
}

static Status publish(const Export *export, const Whole *whole)
{
  if (!speaks(export)) return STATUS_OK;
  if (!chip_format_is_arrays(export->form.format))
    return export_output_publish_tiles(&export->output, &export->form, &whole->story,
                                       export->sources.part_count, whole->counts, &whole->sum);
  return export_output_publish_arrays(&export->output, &export->form, &whole->story,
                                      export->sources.part_count, whole->counts, &whole->sum);
}

/* Collective. */
static Status join(const Export *export)
{
  const Comm *comm = export->job->comm;
  const size_t parts = (size_t) export->sources.part_count;
  Whole whole = {.counts = NULL};
  void *counts = NULL;
  Status status =
      comm_agree(comm, arena_allocate(export->job->arena, parts * sizeof *whole.counts, &counts));
  whole.counts = counts;
  if (status == STATUS_OK) status = comm_agree(comm, add_up(export, &whole));
  if (status == STATUS_OK) status = comm_broadcast(comm, 0, counts, parts * sizeof *whole.counts);
  if (status == STATUS_OK) status = comm_agree(comm, number_tiles(export, &whole));
  if (status == STATUS_OK) status = comm_agree(comm, publish(export, &whole));
  if (status == STATUS_OK && speaks(export))
    export_report(&export->form, &whole.story, &whole.sum, export->output.path);
  return status;
}

static Status prepare(const Export *export)
{
  if (!speaks(export)) return STATUS_OK;
  export_report_labels(export->job->log, &export->sources, export->options);
  return export_output_prepare(&export->output, export->options, &export->sources,
                               export->job->arena);
}

/* Collective. What a signal stopped stays, to be gone on with; all else is removed. */
static Status make_set(const Export *export)
{
  Status status = comm_agree(export->job->comm, make_parts(export));
  if (status == STATUS_OK) status = join(export);
  if (status != STATUS_OK && status != STATUS_INTERRUPTED && speaks(export))
    export_output_discard(&export->output);
  return status;
}

static Status run(const Job *job, const void *values)
{
  Export export = {.job = job, .options = values};
  geo_start(raster_cache_bytes);
  Status status = comm_agree(job->comm, open_inputs(&export));
  if (status == STATUS_OK) status = comm_agree(job->comm, prepare(&export));
  if (status == STATUS_OK) status = make_set(&export);
  export_sources_close(&export.sources);
  geo_stop();
  return status;
}

const Tool export_tool = {
    .table = &export_table, .values_bytes = sizeof(ExportOptions), .run = run};
