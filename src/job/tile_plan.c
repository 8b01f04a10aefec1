#include "tile_plan.h"

static int64_t round_up(int64_t value, int64_t multiple)
{
  return (value + multiple - 1) / multiple * multiple;
}

/* That count tiles cover the source with, so that they overlap no more than they must. */
static int32_t smallest_tile(int64_t source_px, int64_t count, const TileOptions *options)
{
  const int64_t multiple = options->size_multiple;
  for (int64_t tile_px = round_up((source_px + count - 1) / count, multiple);
       tile_px < options->tile_px; tile_px += multiple) {
    const int64_t steps = (source_px - tile_px + multiple - 1) / multiple;
    const int64_t widest = (steps + count - 2) / (count - 1); /* between neighbours, in steps */
    if (tile_px - widest * multiple >= 2 * options->padding_px) return (int32_t)tile_px;
  }
  return options->tile_px;
}

static TileAxis lay_axis(int64_t raster_px, int64_t output_start_px, int64_t output_px,
                         const TileOptions *options)
{
  const int32_t multiple = options->size_multiple;
  const int64_t reach_px = output_start_px - options->padding_px;
  const int64_t start = reach_px > 0 ? reach_px / multiple * multiple : 0;
  const int64_t wish = output_start_px + output_px + options->padding_px;
  const int64_t source_px = (wish < raster_px ? wish : raster_px) - start;
  TileAxis axis = {.output_start_px = output_start_px,
                   .output_px = output_px,
                   .first_px = start,
                   .step_px = multiple,
                   .tile_px = options->tile_px,
                   .count = 1};
  if (source_px <= axis.tile_px) {
    axis.tile_px = (int32_t)round_up(source_px, multiple);
    return axis;
  }
  /* What a tile adds to those before it. */
  const int64_t gain_px = (axis.tile_px - 2 * options->padding_px) / multiple * multiple;
  axis.count = 1 + (source_px - axis.tile_px + gain_px - 1) / gain_px;
  axis.tile_px = smallest_tile(source_px, axis.count, options);
  axis.steps = round_up(source_px - axis.tile_px, multiple) / multiple;
  return axis;
}

static int64_t tile_start(const TileAxis *axis, int64_t index)
{
  if (axis->count == 1) return axis->first_px;
  return axis->first_px + index * axis->steps / (axis->count - 1) * axis->step_px;
}

/* Where core index - 1 ends and core index begins. */
static int64_t core_start(const TileAxis *axis, int64_t index)
{
  const int64_t output_end_px = axis->output_start_px + axis->output_px;
  if (index == 0) return axis->output_start_px;
  if (index == axis->count) return output_end_px;
  return (tile_start(axis, index - 1) + axis->tile_px + tile_start(axis, index)) / 2;
}

static Status check(Window raster, Window output, const TileOptions *options)
{
  if (window_is_empty(output) || !window_contains(raster, output) || raster.x_px != 0 ||
      raster.y_px != 0)
    return status_set(STATUS_BAD_OPTION, "nothing of the raster is to be classified");
  if (options->tile_px < options->size_multiple || options->tile_px % options->size_multiple != 0)
    return status_set(STATUS_BAD_OPTION, "tile_size is %d px; this model wants a multiple of %d px",
                      (int)options->tile_px, (int)options->size_multiple);
  if (options->padding_px < 0 ||
      2 * options->padding_px > options->tile_px - options->size_multiple)
    return status_set(STATUS_BAD_OPTION,
                      "padding is %d px; with tiles of %d px it may be 0 to %d px",
                      (int)options->padding_px, (int)options->tile_px,
                      (int)(options->tile_px - options->size_multiple) / 2);
  if (options->batch_size < 1)
    return status_set(STATUS_BAD_OPTION, "batch_size is %d", (int)options->batch_size);
  return STATUS_OK;
}

Status tile_plan_make(Window raster, Window output, TileOptions options, TilePlan *plan)
{
  TRY(check(raster, output, &options));
  *plan = (TilePlan){.columns = lay_axis(raster.width_px, output.x_px, output.width_px, &options),
                     .rows = lay_axis(raster.height_px, output.y_px, output.height_px, &options),
                     .padding_px = options.padding_px};
  plan->tile_count = plan->columns.count * plan->rows.count;
  tile_plan_rebatch(plan, options.batch_size);
  return STATUS_OK;
}

void tile_plan_rebatch(TilePlan *plan, int32_t batch_size)
{
  plan->batch_size = batch_size;
  plan->unit_count = (plan->tile_count + batch_size - 1) / batch_size;
}

Window tile_plan_tile(const TilePlan *plan, int64_t tile)
{
  return (Window){.x_px = tile_start(&plan->columns, tile % plan->columns.count),
                  .y_px = tile_start(&plan->rows, tile / plan->columns.count),
                  .width_px = plan->columns.tile_px,
                  .height_px = plan->rows.tile_px};
}

/* The cores of the columns first … last of a row. */
static Window cores(const TilePlan *plan, int64_t row, int64_t first, int64_t last)
{
  const int64_t x_px = core_start(&plan->columns, first);
  const int64_t y_px = core_start(&plan->rows, row);
  return (Window){.x_px = x_px,
                  .y_px = y_px,
                  .width_px = core_start(&plan->columns, last + 1) - x_px,
                  .height_px = core_start(&plan->rows, row + 1) - y_px};
}

Window tile_plan_core(const TilePlan *plan, int64_t tile)
{
  const int64_t column = tile % plan->columns.count;
  return cores(plan, tile / plan->columns.count, column, column);
}

void tile_plan_unit(const TilePlan *plan, int64_t unit, int64_t *first, int64_t *end)
{
  *first = unit * plan->batch_size;
  *end =
      *first + plan->batch_size < plan->tile_count ? *first + plan->batch_size : plan->tile_count;
}

bool tile_plan_next_segment(const TilePlan *plan, int64_t *first, int64_t end, Window *segment)
{
  if (*first >= end) return false;
  const int64_t columns = plan->columns.count;
  const int64_t row = *first / columns;
  const int64_t stop = (row + 1) * columns < end ? (row + 1) * columns : end;
  *segment = cores(plan, row, *first - row * columns, stop - 1 - row * columns);
  *first = stop;
  return true;
}
