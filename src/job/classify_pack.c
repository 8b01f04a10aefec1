#include "classify_pack.h"

#include <string.h>

#include "base/memory.h"
#include "blend.h"

ArrayType classify_array_type(const ClassifyTask *task)
{
  return task->map_type == PIXEL_U8 ? ARRAY_U8 : ARRAY_U16;
}

ShardArray classify_class_array(const ClassifyTask *task)
{
  return (ShardArray){.name = "class", .type = classify_array_type(task)};
}

ShardArray classify_probability_array(const ClassifyTask *task)
{
  return (ShardArray){.name = "probability", .type = ARRAY_U8, .columns = task->class_count};
}

static int32_t map_value(const ClassifyTask *task, uint8_t index)
{
  return index < task->class_count ? task->classes[index].value : task->nodata;
}

void classify_map_values(const ClassifyTask *task, const uint8_t *indices, int64_t count, void *to)
{
  uint16_t values[256];
  for (int32_t i = 0; i < 256; ++i)
    values[i] = (uint16_t)map_value(task, (uint8_t)i);
  if (task->map_type == PIXEL_U8)
    for (int64_t i = 0; i < count; ++i)
      ((uint8_t *)to)[i] = (uint8_t)values[indices[i]];
  else
    for (int64_t i = 0; i < count; ++i)
      ((uint16_t *)to)[i] = values[indices[i]];
}

static int64_t tile_pixels(const ClassifyTask *task)
{
  return (int64_t)task->raster.tiles.columns.tile_px * task->raster.tiles.rows.tile_px;
}

/* Of a pixel: its class's index, its value, its probabilities. */
static size_t probability_bytes(const ClassifyTask *task)
{
  return task->has_probability ? (size_t)task->class_count : 0;
}

static size_t batch_pixels(const ClassifyTask *task)
{
  return (size_t)(task->raster.tiles.batch_size * tile_pixels(task));
}

size_t classify_pack_bytes(const ClassifyTask *task)
{
  return batch_pixels(task) * (1 + pixel_bytes(task->map_type) + probability_bytes(task));
}

static Status allocate(ClassifyPack *pack)
{
  void *memory;
  const ClassifyTask *task = pack->task;
  const size_t pixels = batch_pixels(task);
  TRY(memory_allocate(pixels, 1, "classes of a batch", &memory));
  pack->indices = memory;
  TRY(memory_allocate(pixels, pixel_bytes(task->map_type), "classes of a batch", &pack->values));
  if (!task->has_probability) return STATUS_OK;
  TRY(memory_allocate(pixels, probability_bytes(task), "probabilities of a batch", &memory));
  pack->bytes = memory;
  return STATUS_OK;
}

Status classify_pack_open(const ClassifyTask *task, ClassifyPack *pack)
{
  *pack = (ClassifyPack){.task = task};
  const Status status = allocate(pack);
  if (status != STATUS_OK) classify_pack_close(pack);
  return status;
}

void classify_pack_close(ClassifyPack *pack)
{
  memory_free(pack->indices);
  memory_free(pack->values);
  memory_free(pack->bytes);
  *pack = (ClassifyPack){0};
}

/* Rows of one tile's core: where they lie in the batch, and among the unit's cores. */
typedef struct CoreRows {
  int64_t source_px; /* of the first row */
  int64_t target_px;
  int64_t source_step_px;
  int64_t target_step_px;
  int64_t width_px;
  int64_t height_px;
} CoreRows;

/* segment: the rectangle of cores that holds this one, segment_px pixels behind the unit's first.
 */
static CoreRows core_rows(const ClassifyTask *task, int64_t tile, int64_t slot, Window segment,
                          int64_t segment_px)
{
  const Window window = tile_plan_tile(&task->raster.tiles, tile);
  const Window core = tile_plan_core(&task->raster.tiles, tile);
  return (CoreRows){
      .source_px = slot * tile_pixels(task) + (core.y_px - window.y_px) * window.width_px +
                   (core.x_px - window.x_px),
      .target_px = segment_px + (core.x_px - segment.x_px),
      .source_step_px = window.width_px,
      .target_step_px = segment.width_px,
      .width_px = core.width_px,
      .height_px = core.height_px,
  };
}

/* Failed: data, but no number. */
static void pack_classes(ClassifyPack *pack, const ClassifyBatch *batch, CoreRows rows,
                         ShardUnit *unit)
{
  for (int64_t row = 0; row < rows.height_px; ++row) {
    const int64_t source = rows.source_px + row * rows.source_step_px;
    uint8_t *to = pack->indices + rows.target_px + row * rows.target_step_px;
    for (int64_t i = 0; i < rows.width_px; ++i) {
      const bool has_data = batch->valid[source + i] != 0;
      const uint8_t index = has_data ? batch->classes[source + i] : BLEND_NODATA;
      unit->nodata_px += !has_data;
      unit->failed_px += has_data && index >= pack->task->class_count;
      to[i] = index;
    }
  }
}

static void pack_probabilities(ClassifyPack *pack, const ClassifyBatch *batch, CoreRows rows)
{
  const int64_t classes = pack->task->class_count;
  for (int64_t row = 0; row < rows.height_px; ++row) {
    const int64_t source = rows.source_px + row * rows.source_step_px;
    const int64_t target = rows.target_px + row * rows.target_step_px;
    blend_bytes(batch->probabilities + source * classes, batch->valid + source, rows.width_px,
                pack->task->class_count, pack->bytes + target * classes);
  }
}

static void pack_cores(ClassifyPack *pack, const ClassifyBatch *batch, ShardUnit *unit)
{
  const ClassifyTask *task = pack->task;
  int64_t first;
  int64_t end;
  int64_t tile;
  int64_t segment_px = 0;
  Window segment;
  tile_plan_unit(&task->raster.tiles, batch->unit, &first, &end);
  tile = first;
  for (int64_t next = first; tile_plan_next_segment(&task->raster.tiles, &next, end, &segment);) {
    for (; tile < next; ++tile) {
      const CoreRows rows = core_rows(task, tile, tile - first, segment, segment_px);
      pack_classes(pack, batch, rows, unit);
      if (task->has_probability) pack_probabilities(pack, batch, rows);
    }
    segment_px += window_pixels(segment);
  }
  classify_map_values(task, pack->indices, segment_px, pack->values);
  unit->stored = segment_px;
  unit->values[0] = pack->values;
  unit->values[1] = pack->bytes;
}

bool classify_is_empty(const ClassifyTask *task, int64_t unit, const uint8_t *valid)
{
  int64_t core_px;
  const int64_t nodata = raster_unit_nodata(&task->raster, unit, valid, &core_px);
  return nodata == core_px;
}

void classify_pack_unit(ClassifyPack *pack, const ClassifyBatch *batch, ShardUnit *unit)
{
  const ClassifyTask *task = pack->task;
  int64_t core_px;
  int64_t first;
  int64_t end;
  *unit = (ShardUnit){.unit = batch->unit};
  if (batch->is_empty) {
    unit->nodata_px = raster_unit_nodata(&task->raster, batch->unit, batch->valid, &core_px);
    return;
  }
  if (!task->blends) {
    pack_cores(pack, batch, unit);
    return;
  }
  tile_plan_unit(&task->raster.tiles, batch->unit, &first, &end);
  unit->stored = (end - first) * tile_pixels(task);
  unit->nodata_px = raster_unit_nodata(&task->raster, batch->unit, batch->valid, &core_px);
  unit->values[0] = pack->bytes;
  blend_bytes(batch->probabilities, batch->valid, unit->stored, task->class_count, pack->bytes);
}
