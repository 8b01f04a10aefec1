#include "object_merge.h"

#include <math.h>

#include "base/memory.h"
#include "base/require.h"
#include "object_group.h"
#include "object_home.h"
#include "object_pool.h"
#include "object_rival.h"
#include "object_room.h"

struct ObjectMerge {
  Window raster;
  TilePlan plan;
  MergeOptions options;
  ObjectGroups *groups;
  ObjectPool *pool;
  MergeCounts counts;
  LiveThing *things; /* of the tile at hand */
  int64_t capacity;
  int64_t thing_count;
  int64_t last_tile; /* -1: none yet */
  int64_t row;       /* of tiles: those before it are complete */
};

/* Where a thing was found. */
typedef struct Finder {
  int64_t tile;
  Window seen;
  int cutting_sides;
  Window core;
} Finder;

static Status check_options(const MergeOptions *options)
{
  if (!(options->agreement > 0) || options->agreement > 1)
    return status_set(STATUS_BAD_OPTION, "agreement is %g; it is above 0 and at most 1",
                      options->agreement);
  if (!(options->nms_overlap >= 0) || options->nms_overlap > 1)
    return status_set(STATUS_BAD_OPTION, "nms_overlap is %g; it is 0 to 1", options->nms_overlap);
  if (options->edge_px < 1)
    return status_set(STATUS_BAD_OPTION, "edge is %d px; it is at least 1 px",
                      (int)options->edge_px);
  return STATUS_OK;
}

static Status open_parts(ObjectMerge *merge, TakeObject take, void *context)
{
  const LinkRule rule = {.agreement = merge->options.agreement, .edge_px = merge->options.edge_px};
  const PoolRules rules = {
      .options = merge->options, .take = take, .context = context, .plan = merge->plan};
  TRY(object_groups_open(rule, &merge->groups));
  return object_pool_open(&rules, &merge->pool);
}

Status object_merge_open(Window raster, const TilePlan *plan, MergeOptions options, TakeObject take,
                         void *context, ObjectMerge **merge)
{
  void *memory;
  *merge = NULL;
  TRY(check_options(&options));
  TRY(memory_allocate(1, sizeof(ObjectMerge), "merging of objects", &memory));
  ObjectMerge *opening = memory;
  *opening = (ObjectMerge){.raster = raster, .plan = *plan, .options = options, .last_tile = -1};
  const Status status = open_parts(opening, take, context);
  if (status == STATUS_OK)
    *merge = opening;
  else
    object_merge_close(opening);
  return status;
}

void object_merge_close(ObjectMerge *merge)
{
  if (merge == NULL) return;
  for (int64_t t = 0; t < merge->thing_count; ++t)
    object_thing_free(merge->things + t);
  memory_free(merge->things);
  object_groups_close(merge->groups);
  object_pool_close(merge->pool);
  memory_free(merge);
}

static Window output_window(const TilePlan *plan)
{
  return (Window){.x_px = plan->columns.output_start_px,
                  .y_px = plan->rows.output_start_px,
                  .width_px = plan->columns.output_px,
                  .height_px = plan->rows.output_px};
}

static Status pass_on(ObjectMerge *merge, const Candidate *candidate)
{
  if (object_mask_area_within(candidate->mask, output_window(&merge->plan)) > 0)
    return object_pool_add(merge->pool, candidate);
  merge->counts.outside += candidate->object.member_count;
  object_mask_close(candidate->mask);
  return STATUS_OK;
}

static Status advance(ObjectMerge *merge, int64_t frontier_px)
{
  Candidate candidate;
  bool more;
  TRY(object_groups_next_complete(merge->groups, frontier_px, &candidate, &more));
  while (more) {
    TRY(pass_on(merge, &candidate));
    TRY(object_groups_next_complete(merge->groups, frontier_px, &candidate, &more));
  }
  return object_pool_advance(merge->pool, merge->groups, &merge->counts);
}

/* Ends the rows of tiles before this one, one by one: so it does not matter who skipped one. */
static Status end_rows(ObjectMerge *merge, int64_t row)
{
  while (merge->row < row) {
    ++merge->row;
    TRY(advance(merge, tile_plan_tile(&merge->plan, merge->row * merge->plan.columns.count).y_px));
  }
  return STATUS_OK;
}

static Status check_thing(const FoundThing *thing, int64_t tile, int64_t index)
{
  const double far_px = (double)INT32_MAX;
  bool is_sound = isfinite(thing->score) && thing->class_index >= 0;
  for (int i = 0; i < 4; ++i)
    is_sound = is_sound && fabs(thing->box[i]) <= far_px; /* NaN is not */
  if (is_sound) return STATUS_OK;
  return status_set(STATUS_BAD_INPUT,
                    "thing %lld of tile %lld: class %d, score %g, box %g, %g to %g, %g are no "
                    "numbers of a thing found",
                    (long long)index, (long long)tile, (int)thing->class_index, thing->score,
                    thing->box[0], thing->box[1], thing->box[2], thing->box[3]);
}

/* Pixels whose centres lie between, at least one. */
static void pixels_between(double low, double high, int64_t *first_px, int64_t *count_px)
{
  *first_px = (int64_t)ceil(low - 0.5);
  *count_px = (int64_t)ceil(high - 0.5) - *first_px;
  if (*count_px > 0 || !(high > low)) return;
  *first_px = (int64_t)floor(low);
  *count_px = 1;
}

static Status shape_of(const FoundThing *thing, Window seen, ObjectMask **mask)
{
  Window box;
  if (thing->mask != NULL) return object_mask_clip(thing->mask, seen, mask);
  pixels_between(thing->box[0], thing->box[2], &box.x_px, &box.width_px);
  pixels_between(thing->box[1], thing->box[3], &box.y_px, &box.height_px);
  return object_mask_from_window(window_intersect(box, seen), mask);
}

static bool is_home(const Finder *finder, Window window)
{
  int64_t column;
  int64_t row;
  object_centre(window, &column, &row);
  return window_contains_pixel(finder->core, column, row);
}

static Status list_thing(ObjectMerge *merge, const Finder *finder, const FoundThing *thing,
                         int64_t index)
{
  ObjectMask *mask;
  TRY(check_thing(thing, finder->tile, index));
  TRY(shape_of(thing, finder->seen, &mask));
  ++merge->counts.found;
  if (mask->area_px == 0) {
    ++merge->counts.empty;
    object_mask_close(mask);
    return STATUS_OK;
  }
  LiveThing live = {.seen = {.mask = mask,
                             .seen = finder->seen,
                             .cutting_sides = finder->cutting_sides,
                             .tile_column = finder->tile % merge->plan.columns.count,
                             .tile_row = finder->tile / merge->plan.columns.count},
                    .mask = mask,
                    .tile = finder->tile,
                    .index = index,
                    .class_index = thing->class_index,
                    .score = thing->score,
                    .is_home = is_home(finder, mask->window)};
  for (int i = 0; i < 4; ++i)
    live.box[i] = thing->box[i];
  const int sides = object_mask_sides(mask, finder->seen, merge->options.edge_px);
  live.seen.is_cut = (sides & finder->cutting_sides) != 0;
  merge->counts.cut += live.seen.is_cut;
  merge->things[merge->thing_count++] = live;
  return STATUS_OK;
}

static Status list_things(ObjectMerge *merge, const Finder *finder, const FoundThing *things,
                          int64_t count)
{
  TRY(object_room((void **)&merge->things, &merge->capacity, count, sizeof *merge->things,
                  "things of a tile"));
  for (int64_t index = 0; index < count; ++index)
    TRY(list_thing(merge, finder, things + index, index));
  return object_rivals_find(merge->options.agreement, merge->things, merge->thing_count);
}

static Status group_things(ObjectMerge *merge)
{
  const int64_t count = merge->thing_count;
  Status status = STATUS_OK;
  merge->thing_count = 0;
  for (int64_t t = 0; t < count; ++t) {
    if (status == STATUS_OK)
      status = object_groups_add(merge->groups, merge->things + t);
    else
      object_thing_free(merge->things + t);
  }
  return status;
}

Status object_merge_add(ObjectMerge *merge, int64_t tile, const FoundThing *things, int64_t count)
{
  if (tile <= merge->last_tile || tile >= merge->plan.tile_count)
    return status_set(STATUS_BAD_INPUT, "tile %lld comes after tile %lld of %lld", (long long)tile,
                      (long long)merge->last_tile, (long long)merge->plan.tile_count);
  merge->last_tile = tile;
  TRY(end_rows(merge, tile / merge->plan.columns.count));
  Finder finder = {.tile = tile, .core = tile_plan_core(&merge->plan, tile)};
  finder.seen = object_seen(merge->raster, &merge->plan, tile, &finder.cutting_sides);
  TRY(list_things(merge, &finder, things, count));
  return group_things(merge);
}

Status object_merge_finish(ObjectMerge *merge, MergeCounts *counts)
{
  TRY(end_rows(merge, merge->plan.rows.count - 1));
  TRY(advance(merge, INT64_MAX));
  require(object_pool_waiting(merge->pool) == 0);
  MergeCounts *all = &merge->counts;
  all->suppressed = all->empty + all->outside + all->excluded + all->by_nms + all->unwanted;
  require(all->found == all->kept + all->merged + all->suppressed);
  *counts = *all;
  return STATUS_OK;
}
