#include "detect_sink.h"

#include <string.h>

#include "base/memory.h"

static Status open_file(DetectSink *sink, const Raster *raster)
{
  const DetectTask *task = sink->task;
  const ObjectFileOptions options = {
      .format = sink->given->format,
      .grid = raster_grid(raster),
      .classes = task->model.classes,
      .class_count = task->model.class_count,
      .model = task->model.identity,
      .confidence_scale = sink->given->confidence_scale == CONFIDENCE_HUNDRED ? 100 : 1,
      .min_area_m2 = sink->given->min_area,
      .simplify_px = task->simplify_px,
      .regularize = sink->given->regularize};
  return object_file_create(sink->given->output, &options, &sink->file);
}

Status detect_sink_open(const Job *job, const DetectOptions *given, const DetectTask *task,
                        Raster *raster, DetectCounts *counts, DetectSink *sink)
{
  const QuicklookOptions options = {.max_side_px = 0};
  *sink = (DetectSink){.job = job, .given = given, .task = task, .counts = counts};
  TRY(open_file(sink, raster));
  TRY(detect_result_open(task->result, &sink->result));
  if (*given->quicklook == '\0') return STATUS_OK;
  return quicklook_open(raster, task->raster.output, &options, &sink->look);
}

void detect_sink_close(DetectSink *sink)
{
  object_file_close(sink->file);
  detect_result_close(sink->result);
  quicklook_close(sink->look);
  memory_free(sink->runs);
  *sink = (DetectSink){0};
}

static Status copy_runs(DetectSink *sink, const ObjectMask *mask, PixelSet *set)
{
  const int64_t count = object_mask_runs(mask);
  if (count > sink->run_capacity) {
    void *memory;
    TRY(memory_allocate(2 * (size_t)count, sizeof *sink->runs, "runs of an object", &memory));
    memory_free(sink->runs);
    sink->runs = memory;
    sink->run_capacity = 2 * count;
  }
  for (int64_t i = 0; i < count; ++i)
    sink->runs[i] = (PixelRun){.first_px = mask->runs[i].first_px, .end_px = mask->runs[i].end_px};
  *set = (PixelSet){.window = mask->window, .row_start = mask->row_start, .runs = sink->runs};
  return STATUS_OK;
}

static Status outline_of(DetectSink *sink, const WholeObject *object, Outline *outline)
{
  PixelSet set;
  if (sink->task->takes_boxes) return outline_of_box(object->box, outline);
  TRY(copy_runs(sink, object->mask, &set));
  return outline_trace(&set, outline);
}

static Status write_object(DetectSink *sink, const WholeObject *object, const ClassEntry *entry,
                           const Outline *outline, bool *wanted)
{
  ObjectWritten written;
  uint8_t rgb[3];
  const ObjectFields fields = {.class_value = entry->value,
                               .confidence = object->score,
                               .tile = object->owner_tile,
                               .fragments = object->member_count};
  TRY(object_file_write(sink->file, outline, &fields, &written));
  *wanted = written.is_written;
  sink->counts->too_small += !written.is_written;
  sink->counts->regular += written.is_regular;
  if (!written.is_written) return STATUS_OK;
  class_colour(entry, rgb);
  if (sink->look != NULL) quicklook_draw(sink->look, outline, rgb);
  return detect_result_add(sink->result, object, entry->value, written.area_m2);
}

Status detect_sink_take(void *context, const WholeObject *object, bool *wanted)
{
  DetectSink *sink = context;
  Outline outline;
  const DetectModel *model = &sink->task->model;
  if (object->class_index < 1 || object->class_index > model->class_count)
    return status_set(STATUS_BAD_INPUT, "the model gave the class %d; it has 1 to %d",
                      (int)object->class_index, (int)model->class_count);
  *wanted = sink->task->wanted[object->class_index];
  sink->counts->other_class += !*wanted;
  if (!*wanted) return STATUS_OK;
  TRY(outline_of(sink, object, &outline));
  const Status status =
      write_object(sink, object, &model->classes[object->class_index - 1], &outline, wanted);
  outline_free(&outline);
  return status;
}

static Status write_notes(DetectSink *sink)
{
  char *options;
  char *counts;
  const DetectTask *task = sink->task;
  TRY(detect_options_text(sink->job, sink->given, &options));
  TRY(detect_counts_text(sink->job, sink->counts, &counts));
  object_file_note(sink->file, "quadrat_command", sink->job->command);
  object_file_note(sink->file, "quadrat_options", options);
  object_file_note(sink->file, "quadrat_model", task->model.name);
  object_file_note(sink->file, "quadrat_model_digest", task->model.identity);
  object_file_note(sink->file, "quadrat_counters", counts);
  return STATUS_OK;
}

Status detect_sink_finish(DetectSink *sink)
{
  TRY(write_notes(sink));
  TRY(detect_result_finish(sink->result, sink->job, sink->given, sink->task, sink->counts));
  if (sink->look != NULL) TRY(quicklook_save(sink->look, sink->given->quicklook));
  return object_file_finish(sink->file);
}
