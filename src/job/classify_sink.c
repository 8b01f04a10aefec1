#include "classify_sink.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "blend.h"

enum { JOINED_CHUNK_PX = 512 };

static Status open_map(const ClassifyJoin *join, ClassifySink *sink)
{
  const ClassifyTask *task = sink->task;
  const ClassMapOptions options = {
      .type = task->map_type, .nodata = task->nodata, .thread_count = join->thread_count};
  return class_map_create(join->map_path, &task->raster.output_grid, task->classes,
                          task->class_count, &options, &sink->map);
}

static Status open_probability(const ClassifyJoin *join, ClassifySink *sink)
{
  const ClassifyTask *task = sink->task;
  const char *names[256];
  if (*join->probability_path == '\0') return STATUS_OK;
  for (int32_t i = 0; i < task->class_count; ++i)
    names[i] = task->classes[i].name;
  const BandMapOptions options = {.type = PIXEL_U8,
                                  .band_count = task->class_count,
                                  .band_names = names,
                                  .has_nodata = true,
                                  .nodata = BLEND_NODATA,
                                  .scale = 1.0 / BLEND_ONE,
                                  .thread_count = join->thread_count};
  return band_map_create(join->probability_path, &task->raster.output_grid, &options,
                         &sink->probability);
}

static int64_t least(int64_t a, int64_t b)
{
  return a < b ? a : b;
}

static Status open_joined(const ClassifyJoin *join, ClassifySink *sink)
{
  const ClassifyTask *task = sink->task;
  const int64_t height = task->raster.output.height_px;
  const int64_t width = task->raster.output.width_px;
  if (join->joined_path == NULL) return STATUS_OK;
  TRY(array_file_create(join->joined_path, &sink->joined));
  const ArrayLayout classes = {
      .type = classify_array_type(task),
      .rank = 2,
      .dims = {height, width},
      .chunk_dims = {least(height, JOINED_CHUNK_PX), least(width, JOINED_CHUNK_PX)},
      .deflate_level = 1,
      .fill = task->nodata};
  TRY(array_create(sink->joined, "class", &classes));
  if (*join->probability_path == '\0') return STATUS_OK;
  ArrayLayout bytes = classes;
  bytes.type = ARRAY_U8;
  bytes.rank = 3;
  bytes.dims[2] = bytes.chunk_dims[2] = task->class_count;
  bytes.fill = BLEND_NODATA;
  return array_create(sink->joined, "probability", &bytes);
}

static Status open_all(const ClassifyJoin *join, ClassifySink *sink)
{
  TRY(open_map(join, sink));
  TRY(open_probability(join, sink));
  return open_joined(join, sink);
}

Status classify_sink_open(const ClassifyTask *task, const ClassifyJoin *join, ClassifySink *sink)
{
  memset(sink, 0, sizeof *sink);
  sink->task = task;
  sink->coverage.output_px = window_pixels(task->raster.output);
  memset(sink->index_of_value, BLEND_NODATA, sizeof sink->index_of_value);
  for (int32_t i = 0; i < task->class_count; ++i)
    sink->index_of_value[task->classes[i].value] = (uint8_t)i;
  const Status status = open_all(join, sink);
  if (status != STATUS_OK) classify_sink_close(sink);
  return status;
}

void classify_sink_close(ClassifySink *sink)
{
  class_map_close(sink->map);
  band_map_close(sink->probability);
  array_file_close(sink->joined);
  sink->map = NULL;
  sink->probability = NULL;
  sink->joined = NULL;
}

static void count(ClassifySink *sink, int64_t pixels, const void *values)
{
  const bool narrow = sink->task->map_type == PIXEL_U8;
  int64_t found[256] = {0};
  for (int64_t i = 0; i < pixels; ++i)
    ++found[sink->index_of_value[narrow ? ((const uint8_t *)values)[i]
                                        : ((const uint16_t *)values)[i]]];
  for (int32_t i = 0; i < sink->task->class_count; ++i)
    sink->coverage.class_px[i] += found[i];
  sink->coverage.nodata_px += found[BLEND_NODATA];
}

static Status write_joined(ClassifySink *sink, Window place, const void *values,
                           const uint8_t *bytes)
{
  const int64_t start[3] = {place.y_px, place.x_px, 0};
  const int64_t size[3] = {place.height_px, place.width_px, sink->task->class_count};
  if (sink->joined == NULL) return STATUS_OK;
  TRY(array_write(sink->joined, "class", start, size, classify_array_type(sink->task), values));
  if (bytes == NULL || sink->probability == NULL) return STATUS_OK;
  return array_write(sink->joined, "probability", start, size, ARRAY_U8, bytes);
}

Status classify_sink_write(ClassifySink *sink, Window window, const void *values,
                           const uint8_t *bytes)
{
  Window place = window;
  place.x_px -= sink->task->raster.output.x_px;
  place.y_px -= sink->task->raster.output.y_px;
  count(sink, window_pixels(window), values);
  TRY(class_map_write(sink->map, place, values));
  if (sink->probability != NULL) TRY(band_map_write(sink->probability, place, bytes));
  return write_joined(sink, place, values, bytes);
}

void classify_sink_skip(ClassifySink *sink, Window window)
{
  sink->coverage.nodata_px += window_pixels(window);
}

Status classify_sink_finish(ClassifySink *sink)
{
  TRY(class_map_finish(sink->map));
  if (sink->probability != NULL) TRY(band_map_finish(sink->probability));
  if (sink->joined == NULL) return STATUS_OK;
  return array_file_commit(&sink->joined);
}
