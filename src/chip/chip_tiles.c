/* Reads the folders: Classified_Tiles, and those with objects. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/output.h"
#include "base/path.h"
#include "chip/chip_statistics.h"
#include "chip_set_form.h"
#include "geo/raster.h"
#include "geo/tiff_chip.h"
#include "tile_labels.h"
#include "tile_map.h"
#include "tile_place.h"
#include "tile_tables.h"

typedef struct ChipTiles {
  TilePair *pairs;   /* one per chip */
  TileLabels labels; /* of sets with objects */
} ChipTiles;

static Status read_first(ChipSet *set, const char *path)
{
  ChipImage first;
  ChipSetInfo *info = &set->info;
  TRY(chip_image_read(path, &first));
  info->width_px = first.width_px;
  info->height_px = first.height_px;
  info->band_count = first.band_count;
  info->pixel = first.type;
  chip_image_free(&first);
  return STATUS_OK;
}

static Status place_one(ChipSet *set, const TilePair *pair, int64_t chip, Grid *first,
                        bool *has_first)
{
  Grid grid;
  bool found;
  ChipPlace *place = &set->places[chip];
  TRY(tile_grid(pair->image, set->info.width_px, set->info.height_px, &grid, &found));
  *place = (ChipPlace){.raster = -1};
  if (found && !*has_first) {
    *first = grid;
    *has_first = true;
  }
  if (found) *place = tile_place(first, &grid);
  if (place->raster >= 0) return STATUS_OK;
  if (chip >= INT32_MAX)
    return status_set(STATUS_UNSUPPORTED, "%s: more than 2^31 chips without a place", set->path);
  *place = (ChipPlace){.raster = (int32_t)chip + 1,
                       .width_px = set->info.width_px,
                       .height_px = set->info.height_px};
  return STATUS_OK;
}

static Status place_all(ChipSet *set, const TilePair *pairs, Grid *first, bool *has_first)
{
  void *memory;
  TRY(arena_allocate(set->arena, (size_t)set->info.chip_count * sizeof(ChipPlace), &memory));
  set->places = memory;
  *has_first = false;
  for (int64_t i = 0; i < set->info.chip_count; ++i)
    TRY(place_one(set, &pairs[i], i, first, has_first));
  return STATUS_OK;
}

/* The system of the first picture, else the one that the tables name. */
static Status take_crs(ChipSet *set, const char *image_path, const char *named_wkt)
{
  Raster *raster = NULL;
  TRY(raster_open(image_path, &raster));
  const char *own = raster_grid(raster)->crs_wkt;
  const Status status =
      arena_copy_text(set->arena, own[0] != '\0' ? own : named_wkt, &set->info.crs_wkt);
  raster_close(raster);
  return status;
}

static void take_cell_size(ChipSet *set, const Grid *first, bool has_first)
{
  double width_m, height_m;
  Grid grid = *first;
  grid.crs_wkt = set->info.crs_wkt;
  if (has_first && grid_cell_size_m(&grid, &width_m, &height_m) == STATUS_OK)
    set->info.cell_size_m = width_m;
}

static Status misfit(const ChipSet *set, const char *path, const ChipImage *image)
{
  const ChipSetInfo *info = &set->info;
  return status_set(
      STATUS_BAD_INPUT,
      "%s: is %d x %d px with %d bands of %s; the set is %d x %d px with %d bands of %s", path,
      image->width_px, image->height_px, image->band_count, pixel_name(image->type), info->width_px,
      info->height_px, info->band_count, pixel_name(info->pixel));
}

static Status read_image(const ChipSet *set, const char *path, void *image)
{
  ChipImage chip;
  const ChipSetInfo *info = &set->info;
  TRY(chip_image_read(path, &chip));
  const size_t bytes = (size_t)info->width_px * (size_t)info->height_px * (size_t)info->band_count *
                       pixel_bytes(info->pixel);
  const bool fits = chip.width_px == info->width_px && chip.height_px == info->height_px &&
                    chip.band_count == info->band_count && chip.type == info->pixel;
  if (fits) memcpy(image, chip.pixels, bytes);
  const Status status = fits ? STATUS_OK : misfit(set, path, &chip);
  chip_image_free(&chip);
  return status;
}

static Status take_labels(const ChipSet *set, const char *path, const ChipImage *chip,
                          uint16_t *labels)
{
  const int64_t pixel_count = (int64_t)set->info.width_px * set->info.height_px;
  if (chip->width_px != set->info.width_px || chip->height_px != set->info.height_px)
    return status_set(STATUS_BAD_INPUT, "%s: is %d x %d px, its chip %d x %d", path, chip->width_px,
                      chip->height_px, set->info.width_px, set->info.height_px);
  for (int64_t i = 0; i < pixel_count; ++i) {
    const double value = pixel_value(chip->type, chip->pixels, (size_t)(i * chip->band_count));
    if (!(value >= 0 && value <= CLASS_LARGEST_VALUE) || value != floor(value))
      return status_set(STATUS_BAD_INPUT, "%s: holds the value %g; class values are 0 to %d", path,
                        value, CLASS_LARGEST_VALUE);
    labels[i] = (uint16_t)value;
  }
  return STATUS_OK;
}

static Status read_labels(const ChipSet *set, const char *path, uint16_t *labels)
{
  ChipImage chip;
  if (path == NULL) {
    memset(labels, 0, (size_t)set->info.width_px * (size_t)set->info.height_px * sizeof *labels);
    return STATUS_OK;
  }
  TRY(chip_image_read(path, &chip));
  const Status status = take_labels(set, path, &chip, labels);
  chip_image_free(&chip);
  return status;
}

/* 0: all bands are 0; 1: data; -1: a band is no finite number. */
static int kind_of_pixel(PixelType type, const void *image, int64_t pixel, int32_t band_count)
{
  int kind = 0;
  for (int32_t band = 0; band < band_count; ++band) {
    const double value = pixel_value(type, image, (size_t)(pixel * band_count + band));
    if (!isfinite(value)) return -1;
    if (value != 0) kind = 1;
  }
  return kind;
}

static void find_valid(const ChipSetInfo *info, void *image, uint8_t *valid, uint16_t *labels)
{
  const int64_t pixel_count = (int64_t)info->width_px * info->height_px;
  const size_t bytes = (size_t)info->band_count * pixel_bytes(info->pixel);
  for (int64_t i = 0; i < pixel_count; ++i) {
    const int kind = kind_of_pixel(info->pixel, image, i, info->band_count);
    valid[i] = kind > 0 || (kind == 0 && labels[i] != 0);
    if (valid[i] == 1) continue;
    memset((uint8_t *)image + (size_t)i * bytes, 0, bytes);
    labels[i] = 0;
  }
}

static Status read_tile_objects(ChipSet *set, int64_t chip, ChipObjects *objects)
{
  const ChipTiles *tiles = set->source;
  TileLeftOut left_out = {0};
  return tile_labels_read(&tiles->labels, chip, objects, &left_out);
}

static Status paint_labels(ChipSet *set, int64_t chip, uint16_t *labels)
{
  ChipObjects objects = {0};
  const Status status = read_tile_objects(set, chip, &objects);
  if (status == STATUS_OK)
    tile_labels_paint(&objects, set->info.width_px, set->info.height_px, labels);
  chip_objects_free(&objects);
  return status;
}

static Status read_chip(ChipSet *set, int64_t chip, void *image, uint8_t *valid, uint16_t *labels)
{
  const ChipTiles *tiles = set->source;
  const TilePair *pair = &tiles->pairs[chip];
  TRY(read_image(set, pair->image, image));
  TRY(tiles->labels.kind == TILE_LABELS_CLASSES ? read_labels(set, pair->label, labels)
                                                : paint_labels(set, chip, labels));
  find_valid(&set->info, image, valid, labels);
  return STATUS_OK;
}

/* Statistics that the folder lacks: all chips are read once. */
typedef struct Counting {
  void *image;
  uint8_t *valid;
  uint16_t *labels;
  int64_t *pixels, *chips, *last_chip; /* per class value */
  BandSum *chip_bands, *bands;
} Counting;

static Status allocate_counting(Arena *arena, const ChipSetInfo *info, Counting *counting)
{
  const size_t pixels = (size_t)info->width_px * (size_t)info->height_px;
  const size_t values = CLASS_LARGEST_VALUE + 1;
  const size_t bands = (size_t)info->band_count;
  void *pieces[8];
  const size_t bytes[8] = {pixels * bands * pixel_bytes(info->pixel),
                           pixels,
                           2 * pixels,
                           values * sizeof(int64_t),
                           values * sizeof(int64_t),
                           values * sizeof(int64_t),
                           bands * sizeof(BandSum),
                           bands * sizeof(BandSum)};
  for (int i = 0; i < 8; ++i)
    TRY(arena_allocate(arena, bytes[i], &pieces[i]));
  *counting = (Counting){pieces[0], pieces[1], pieces[2], pieces[3],
                         pieces[4], pieces[5], pieces[6], pieces[7]};
  return STATUS_OK;
}

static Status count_chips(ChipSet *set, Counting *counting)
{
  const ChipSetInfo *info = &set->info;
  const int64_t pixel_count = (int64_t)info->width_px * info->height_px;
  for (int64_t chip = 0; chip < info->chip_count; ++chip) {
    TRY(read_chip(set, chip, counting->image, counting->valid, counting->labels));
    band_sum_of_chip(info->pixel, counting->image, counting->valid, pixel_count, info->band_count,
                     counting->chip_bands);
    for (int32_t band = 0; band < info->band_count; ++band)
      band_sum_merge(&counting->bands[band], &counting->chip_bands[band]);
    for (int64_t i = 0; i < pixel_count; ++i) {
      if (counting->valid[i] == 0) continue;
      const uint16_t value = counting->labels[i];
      ++counting->pixels[value];
      if (counting->last_chip[value] == chip + 1) continue;
      counting->last_chip[value] = chip + 1;
      ++counting->chips[value];
    }
  }
  return STATUS_OK;
}

/* Classes that are listed or occur, by value, 0 first. */
static Status take_classes(ChipSet *set, const TileTables *tables, const Counting *counting)
{
  void *memory;
  ChipSetInfo *info = &set->info;
  size_t count = (size_t)tables->class_count + 1;
  for (int32_t value = 0; value <= CLASS_LARGEST_VALUE; ++value)
    count += counting->chips[value] > 0;
  TRY(arena_allocate(set->arena, count * sizeof *info->classes, &memory));
  info->classes = memory;
  int32_t next = 0; /* of the listed ones */
  for (int32_t value = 0; value <= CLASS_LARGEST_VALUE; ++value) {
    char name[16];
    const bool listed = next < tables->class_count && tables->classes[next].entry.value == value;
    if (!listed && value > 0 && counting->chips[value] == 0) continue;
    (void)snprintf(name, sizeof name, "%d", value);
    info->classes[info->class_count++] =
        (ChipClass){.entry = listed ? tables->classes[next++].entry
                                    : class_entry(value, value == 0 ? "background" : name),
                    .pixel_count = counting->pixels[value],
                    .chip_count = counting->chips[value]};
  }
  return STATUS_OK;
}

static Status count_anew(ChipSet *set, const TileTables *tables, Arena *scratch)
{
  Counting counting;
  const ChipTiles *tiles = set->source;
  TRY(allocate_counting(scratch, &set->info, &counting));
  TRY(count_chips(set, &counting));
  for (int32_t i = 0; i < set->info.band_count; ++i) {
    ChipBand *band = &set->info.bands[i];
    band->least = counting.bands[i].least;
    band->most = counting.bands[i].most;
    band->mean = counting.bands[i].mean;
    band->standard_deviation = band_sum_standard_deviation(&counting.bands[i]);
    band->pixel_count = (int64_t)counting.bands[i].count;
  }
  if (tiles->labels.kind != TILE_LABELS_CLASSES) return STATUS_OK;
  return take_classes(set, tables, &counting);
}

static Status take_statistics(ChipSet *set, const TileTables *tables)
{
  ChipSetInfo *info = &set->info;
  const ChipTiles *tiles = set->source;
  const bool has_objects = tiles->labels.kind != TILE_LABELS_CLASSES;
  Arena *scratch = NULL;
  info->bands = tables->bands;
  if (has_objects || tables->has_counts) {
    info->classes = tables->classes;
    info->class_count = tables->class_count;
  }
  if (has_objects ? tables->has_bands : tables->has_counts) return STATUS_OK;
  TRY(arena_open(&scratch));
  const Status status = count_anew(set, tables, scratch);
  arena_close(scratch);
  return status;
}

/* Annotations of COCO, which list the chips too. */
static Status open_coco(ChipSet *set, const Document *root, TileLabels *labels)
{
  CocoChips *coco = &labels->coco;
  TRY(coco_chips_tables(root, set->path, set->arena, coco));
  set->info.chip_count = coco->image_count;
  TRY(read_first(set, coco->pairs[0].image));
  return coco_chips_objects(root, set->info.width_px, set->info.height_px, coco);
}

static Status list_coco(ChipSet *set, ChipTiles *tiles)
{
  static const int64_t largest_bytes = (int64_t)1 << 30;
  char path[OUTPUT_PATH_BYTES];
  Document *root = NULL;
  TRY(path_join(set->path, coco_annotations_name(set->path), sizeof path, path));
  TRY(document_read_large(path, largest_bytes, &root));
  const Status status = open_coco(set, root, &tiles->labels);
  document_close(root);
  tiles->pairs = tiles->labels.coco.pairs;
  return status_prefix(status, "%s", path);
}

static Status list_chips(ChipSet *set, ChipTiles *tiles)
{
  if (tiles->labels.kind == TILE_LABELS_COCO) return list_coco(set, tiles);
  TRY(tile_map_read(set->path, set->arena, &tiles->pairs, &set->info.chip_count));
  return read_first(set, tiles->pairs[0].image);
}

/* Which classes labels with objects have. */
static Status name_classes(ChipSet *set, ChipTiles *tiles, TileTables *tables)
{
  TileLabels *labels = &tiles->labels;
  labels->folder = set->path;
  labels->pairs = tiles->pairs;
  labels->width_px = set->info.width_px;
  labels->height_px = set->info.height_px;
  if (labels->kind == TILE_LABELS_CLASSES) return STATUS_OK;
  if (labels->kind != TILE_LABELS_COCO)
    return tile_labels_name(labels, set->info.chip_count, set->arena, tables);
  tables->classes = labels->coco.classes;
  tables->class_count = labels->coco.class_count;
  return STATUS_OK;
}

static Status open_tiles(ChipSet *set)
{
  void *memory;
  TileTables tables;
  Grid first = {.crs_wkt = ""};
  bool has_first = false;
  ChipSetInfo *info = &set->info;
  TRY(arena_allocate(set->arena, sizeof(ChipTiles), &memory));
  ChipTiles *tiles = memory;
  set->source = tiles;
  TRY(tile_labels_detect(set->path, &tiles->labels.kind));
  TRY(list_chips(set, tiles));
  TRY(tile_tables_read(set->path, set->arena, info->chip_count, info->band_count, &tables));
  TRY(name_classes(set, tiles, &tables));
  TRY(place_all(set, tiles->pairs, &first, &has_first));
  TRY(take_crs(set, tiles->pairs[0].image, tables.crs_wkt));
  take_cell_size(set, &first, has_first);
  info->unlabelled_is_background = true;
  TRY(take_statistics(set, &tables));
  if (tiles->labels.kind != TILE_LABELS_CLASSES) TRY(tile_labels_count(&tiles->labels, set));
  info->labels_are_wide = info->classes[info->class_count - 1].entry.value > UINT8_MAX;
  return STATUS_OK;
}

static void close_tiles(ChipSet *set)
{
  ChipTiles *tiles = set->source;
  if (tiles != NULL) coco_chips_free(&tiles->labels.coco); /* all else lives in the set's arena */
}

const ChipSetForm chip_tiles_form = {open_tiles, close_tiles, read_chip, read_tile_objects};
