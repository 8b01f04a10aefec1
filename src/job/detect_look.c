#include "detect_look.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

enum { LEVELS = 2, PART_LEAST_PX = 64 };

/* Memory of one depth of looking closer: a batch of parts. */
typedef struct Level {
  void *pixels;
  uint8_t *valid;
  DetectSeen *seen;
} Level;

struct DetectLook {
  const DetectEngine *table;
  void *engine;
  Device *device;
  DetectLookOptions options;
  size_t pixel_bytes; /* all bands */
  int64_t tile_px;
  int32_t view_count;
  DetectTile *tiles; /* the engine's answer */
  DetectList *views; /* batch x views */
  void *view_pixels; /* a batch in one view */
  uint8_t *view_valid;
  Level levels[LEVELS];
};

static Status allocate_batch(const DetectLook *look, void **pixels, uint8_t **valid)
{
  void *memory;
  const size_t count = (size_t)look->options.batch_size * (size_t)look->tile_px;
  TRY(device_allocate_host(look->device, count * look->pixel_bytes, "tiles", pixels));
  TRY(device_allocate_host(look->device, count, "masks of tiles", &memory));
  *valid = memory;
  return STATUS_OK;
}

static Status allocate(DetectLook *look)
{
  void *memory;
  const size_t batch = (size_t)look->options.batch_size;
  TRY(memory_allocate(batch, sizeof *look->tiles, "a batch's things", &memory));
  look->tiles = memory;
  if (!look->options.augments) return STATUS_OK;
  TRY(memory_allocate(batch * DETECT_VIEWS_MOST, sizeof *look->views, "views", &memory));
  look->views = memory;
  return allocate_batch(look, &look->view_pixels, &look->view_valid);
}

Status detect_look_open(const DetectEngine *table, void *engine, Device *device,
                        const DetectLookOptions *options, DetectLook **look)
{
  void *memory;
  *look = NULL;
  TRY(memory_allocate(1, sizeof **look, "looking at tiles", &memory));
  DetectLook *opening = memory;
  opening->table = table;
  opening->engine = engine;
  opening->device = device;
  opening->options = *options;
  opening->options.merge.exclude_pad_detections = false;
  opening->pixel_bytes = (size_t)options->band_count * pixel_bytes(options->pixel);
  opening->tile_px = (int64_t)options->tile_width_px * options->tile_height_px;
  opening->view_count =
      options->augments ? detect_view_count(options->tile_width_px, options->tile_height_px) : 1;
  const Status status = allocate(opening);
  if (status == STATUS_OK)
    *look = opening;
  else
    detect_look_close(opening);
  return status;
}

static void close_level(const DetectLook *look, Level *level)
{
  for (int32_t i = 0; level->seen != NULL && i < look->options.batch_size; ++i)
    detect_list_free(&level->seen[i].things);
  memory_free(level->seen);
  device_release_host(look->device, level->pixels);
  device_release_host(look->device, level->valid);
}

void detect_look_close(DetectLook *look)
{
  if (look == NULL) return;
  for (int32_t i = 0; i < LEVELS; ++i)
    close_level(look, &look->levels[i]);
  for (int32_t i = 0; look->views != NULL && i < look->options.batch_size * DETECT_VIEWS_MOST; ++i)
    detect_list_free(&look->views[i]);
  memory_free(look->views);
  memory_free(look->tiles);
  device_release_host(look->device, look->view_pixels);
  device_release_host(look->device, look->view_valid);
  memory_free(look);
}

/* One look. */

static bool lies_inside(const DetectThing *thing, int32_t width_px, int32_t height_px)
{
  const bool box = thing->x1 >= 0 && thing->x1 <= thing->x2 && thing->x2 <= (float)width_px &&
                   thing->y1 >= 0 && thing->y1 <= thing->y2 && thing->y2 <= (float)height_px;
  const bool window = thing->mask_x_px >= 0 && thing->mask_y_px >= 0 && thing->mask_width_px >= 0 &&
                      thing->mask_height_px >= 0 &&
                      thing->mask_width_px <= width_px - thing->mask_x_px &&
                      thing->mask_height_px <= height_px - thing->mask_y_px;
  return box && (thing->mask == NULL || window) && isfinite(thing->score);
}

/* What an engine gives is used as an address: it is not taken on trust. */
static Status check_tiles(const DetectLook *look, int32_t width_px, int32_t height_px)
{
  for (int32_t i = 0; i < look->options.batch_size; ++i)
    for (int32_t k = 0; k < look->tiles[i].count; ++k)
      if (!lies_inside(&look->tiles[i].things[k], width_px, height_px))
        return status_set(STATUS_BAD_INPUT,
                          "the model gave an object outside of its tile, or one that is no number; "
                          "are its weights whole?");
  return STATUS_OK;
}

static void begin(DetectLook *look, int32_t lane, const void *pixels, const uint8_t *valid)
{
  if (look->table->begin != NULL) look->table->begin(look->engine, lane, pixels, valid);
}

/* Ends what was begun. */
static Status look_once(DetectLook *look, int32_t lane, const void *pixels, const uint8_t *valid,
                        DetectSeen *seen)
{
  TRY(look->table->end(look->engine, lane, pixels, valid, look->tiles));
  TRY(check_tiles(look, look->options.tile_width_px, look->options.tile_height_px));
  for (int32_t i = 0; i < look->options.batch_size; ++i) {
    seen[i].was_full = look->tiles[i].full;
    TRY(detect_list_take(&seen[i].things, &look->tiles[i]));
  }
  return STATUS_OK;
}

static Status look_in_view(DetectLook *look, int32_t view, const void *pixels, const uint8_t *valid,
                           DetectSeen *seen)
{
  const int32_t width = look->options.tile_width_px;
  const int32_t height = look->options.tile_height_px;
  for (int32_t i = 0; i < look->options.batch_size; ++i) {
    const size_t at = (size_t)i * (size_t)look->tile_px;
    detect_view_show(view, width, height, look->pixel_bytes,
                     (const char *)pixels + at * look->pixel_bytes,
                     (char *)look->view_pixels + at * look->pixel_bytes);
    detect_view_show(view, width, height, 1, valid + at, look->view_valid + at);
  }
  begin(look, LOOK_LANE, look->view_pixels, look->view_valid);
  TRY(look->table->end(look->engine, LOOK_LANE, look->view_pixels, look->view_valid, look->tiles));
  TRY(check_tiles(look, (view & 4) != 0 ? height : width, (view & 4) != 0 ? width : height));
  for (int32_t i = 0; i < look->options.batch_size; ++i) {
    DetectList *list = &look->views[i * DETECT_VIEWS_MOST + view];
    detect_list_clear(list);
    seen[i].was_full = seen[i].was_full || look->tiles[i].full;
    TRY(detect_view_return(view, width, height, &look->tiles[i], list));
  }
  return STATUS_OK;
}

/* seen: its lists hold what was found. What is looked at once only was begun before. */
static Status look_at(DetectLook *look, int32_t lane, const void *pixels, const uint8_t *valid,
                      DetectSeen *seen)
{
  for (int32_t i = 0; i < look->options.batch_size; ++i) {
    detect_list_clear(&seen[i].things);
    seen[i].was_full = seen[i].is_still_full = false;
    seen[i].part_count = 0;
  }
  if (!look->options.augments) return look_once(look, lane, pixels, valid, seen);
  for (int32_t view = 0; view < look->view_count; ++view)
    TRY(look_in_view(look, view, pixels, valid, seen));
  for (int32_t i = 0; i < look->options.batch_size; ++i)
    TRY(detect_views_merge(&look->views[i * DETECT_VIEWS_MOST], look->view_count,
                           look->options.policy, &seen[i].things));
  return STATUS_OK;
}

/* Closer. */

static int32_t larger(int32_t a, int32_t b)
{
  return a > b ? a : b;
}

/* False where parts would be too small, or no smaller than what they are parts of. */
static bool lay_parts(const DetectLook *look, Window window, TilePlan *parts)
{
  const int64_t multiple = look->options.tile_multiple_px;
  const int64_t side = larger((int32_t)window.width_px, (int32_t)window.height_px);
  const int64_t part = (side * 5 / 8 + multiple - 1) / multiple * multiple;
  if (part >= side || part < PART_LEAST_PX) return false;
  const TileOptions tiles = {.tile_px = (int32_t)part,
                             .padding_px = (int32_t)((2 * part - side) / 2),
                             .batch_size = look->options.batch_size,
                             .size_multiple = (int32_t)multiple};
  return tile_plan_make(window, window, tiles, parts) == STATUS_OK && parts->tile_count > 1;
}

static Status open_level(DetectLook *look, Level *level)
{
  void *memory;
  if (level->seen != NULL) return STATUS_OK;
  TRY(allocate_batch(look, &level->pixels, &level->valid));
  TRY(memory_allocate((size_t)look->options.batch_size, sizeof *level->seen, "parts", &memory));
  level->seen = memory;
  return STATUS_OK;
}

/* Copies a window of a tile to the upper left corner of another, which is empty. What hangs over
 * the parent stays empty. */
static void cut_part(const DetectLook *look, const void *pixels, const uint8_t *valid,
                     Window parent, Window part, void *cut_pixels, uint8_t *cut_valid)
{
  const int64_t stride = look->options.tile_width_px;
  const Window inside = window_intersect(parent, part);
  for (int64_t row = 0; row < inside.height_px; ++row) {
    const int64_t from = (inside.y_px + row) * stride + inside.x_px;
    const int64_t to = row * stride;
    memcpy((char *)cut_pixels + (size_t)to * look->pixel_bytes,
           (const char *)pixels + (size_t)from * look->pixel_bytes,
           (size_t)inside.width_px * look->pixel_bytes);
    memcpy(cut_valid + to, valid + from, (size_t)inside.width_px);
  }
}

static void cut_parts(const DetectLook *look, const void *pixels, const uint8_t *valid,
                      Window parent, const TilePlan *parts, int64_t unit, const Level *level)
{
  int64_t first;
  int64_t end;
  const size_t count = (size_t)look->options.batch_size * (size_t)look->tile_px;
  memset(level->pixels, 0, count * look->pixel_bytes);
  memset(level->valid, 0, count);
  tile_plan_unit(parts, unit, &first, &end);
  for (int64_t part = first; part < end; ++part) {
    const size_t at = (size_t)(part - first) * (size_t)look->tile_px;
    cut_part(look, pixels, valid, parent, tile_plan_tile(parts, part),
             (char *)level->pixels + at * look->pixel_bytes, level->valid + at);
  }
}

/* What merging of parts gives goes into a list, in pixels of the parent. */
typedef struct Taking {
  DetectList *list;
  bool has_masks;
} Taking;

static Status take_object(void *context, const WholeObject *object, bool *wanted)
{
  const Taking *taking = context;
  DetectFound found = {.class_index = object->class_index,
                       .score = (float)object->score,
                       .x1 = (float)object->box[0],
                       .y1 = (float)object->box[1],
                       .x2 = (float)object->box[2],
                       .y2 = (float)object->box[3]};
  uint8_t *mask;
  if (taking->has_masks) {
    const Window window = object->mask->window;
    found.mask_x_px = (int32_t)window.x_px;
    found.mask_y_px = (int32_t)window.y_px;
    found.mask_width_px = (int32_t)window.width_px;
    found.mask_height_px = (int32_t)window.height_px;
  }
  TRY(detect_list_add(taking->list, &found, &mask));
  if (mask != NULL)
    object_mask_paint(object->mask, object->mask->window, 1, mask, found.mask_width_px);
  return STATUS_OK;
}

static Status look_closer(DetectLook *look, int32_t depth, const void *pixels, const uint8_t *valid,
                          Window window, DetectSeen *seen);

static Status add_part(DetectLook *look, int32_t depth, int64_t part, int64_t slot,
                       const TilePlan *parts, ObjectMerge *merge, DetectSeen *whole)
{
  Level *level = &look->levels[depth];
  DetectSeen *seen = &level->seen[slot];
  const Window window = tile_plan_tile(parts, part);
  const size_t at = (size_t)slot * (size_t)look->tile_px;
  const Window own = {0, 0, window.width_px, window.height_px};
  DetectThings things = {0};
  if (seen->was_full)
    TRY(look_closer(look, depth + 1, (const char *)level->pixels + at * look->pixel_bytes,
                    level->valid + at, own, seen));
  whole->part_count += 1 + seen->part_count;
  whole->is_still_full = whole->is_still_full || seen->is_still_full;
  Status status = detect_things_make(&seen->things, window.x_px, window.y_px, &things);
  if (status == STATUS_OK) status = object_merge_add(merge, part, things.items, things.count);
  detect_things_free(&things);
  return status;
}

static Status look_at_parts(DetectLook *look, int32_t depth, const void *pixels,
                            const uint8_t *valid, Window window, const TilePlan *parts,
                            ObjectMerge *merge, DetectSeen *whole)
{
  Level *level = &look->levels[depth];
  for (int64_t unit = 0; unit < parts->unit_count; ++unit) {
    int64_t first;
    int64_t end;
    cut_parts(look, pixels, valid, window, parts, unit, level);
    detect_look_begin(look, LOOK_LANE, level->pixels, level->valid);
    TRY(look_at(look, LOOK_LANE, level->pixels, level->valid, level->seen));
    tile_plan_unit(parts, unit, &first, &end);
    for (int64_t part = first; part < end; ++part)
      TRY(add_part(look, depth, part, part - first, parts, merge, whole));
  }
  return STATUS_OK;
}

/* window: the part of the tile that there is, from its corner (0, 0). */
static Status look_closer(DetectLook *look, int32_t depth, const void *pixels, const uint8_t *valid,
                          Window window, DetectSeen *seen)
{
  TilePlan parts;
  ObjectMerge *merge;
  MergeCounts counts;
  if (depth >= LEVELS || !lay_parts(look, window, &parts)) {
    seen->is_still_full = true;
    return STATUS_OK;
  }
  Taking taking = {.list = &seen->things, .has_masks = look->options.has_masks};
  TRY(open_level(look, &look->levels[depth]));
  TRY(object_merge_open(window, &parts, look->options.merge, take_object, &taking, &merge));
  detect_list_clear(&seen->things);
  Status status = look_at_parts(look, depth, pixels, valid, window, &parts, merge, seen);
  if (status == STATUS_OK) status = object_merge_finish(merge, &counts);
  object_merge_close(merge);
  return status;
}

void detect_look_begin(DetectLook *look, int32_t lane, const void *pixels, const uint8_t *valid)
{
  if (!look->options.augments) begin(look, lane, pixels, valid);
}

Status detect_look_end(DetectLook *look, int32_t lane, const void *pixels, const uint8_t *valid,
                       DetectSeen *seen)
{
  const Window window = {0, 0, look->options.tile_width_px, look->options.tile_height_px};
  TRY(look_at(look, lane, pixels, valid, seen));
  for (int32_t i = 0; i < look->options.batch_size; ++i) {
    const size_t at = (size_t)i * (size_t)look->tile_px;
    if (seen[i].was_full)
      TRY(look_closer(look, 0, (const char *)pixels + at * look->pixel_bytes, valid + at, window,
                      &seen[i]));
  }
  return STATUS_OK;
}
