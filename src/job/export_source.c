#include "export_source.h"

#include <math.h>
#include <string.h>

static const int64_t places_per_part_least = 4;
static const int64_t parts_most = 256; /* a reader looks at each; ranks share them out */

static Status count_paths(const char *list, int32_t *count)
{
  enum { RASTERS_MAX = 1000 };
  *count = 1;
  for (const char *c = list; *c != '\0'; ++c)
    *count += *c == ';';
  if (*count > RASTERS_MAX)
    return status_set(STATUS_BAD_OPTION,
                      "--raster names %d rasters; at most %d are taken (a VRT "
                      "joins many)",
                      *count, RASTERS_MAX);
  return STATUS_OK;
}

static Status split_paths(const char *list, Arena *arena, ExportSources *sources)
{
  void *memory;
  char *text;
  TRY(count_paths(list, &sources->count));
  TRY(arena_allocate(arena, (size_t)sources->count * sizeof(ExportSource), &memory));
  TRY(arena_copy_text(arena, list, &text));
  sources->sources = memory;
  for (int32_t i = 0; i < sources->count; ++i) {
    char *end = text + strcspn(text, ";");
    *end = '\0';
    sources->sources[i].path = text;
    if (*text == '\0')
      return status_set(STATUS_BAD_OPTION, "--raster=%s: a name in the list is empty", list);
    text = end + 1;
  }
  return STATUS_OK;
}

static Status choose_bands(const ExportOptions *options, Arena *arena, ExportSources *sources)
{
  void *memory;
  sources->band_count = raster_band_count(sources->sources[0].raster);
  if (options->bands.count == 0) return STATUS_OK;
  TRY(arena_allocate(arena, options->bands.count * sizeof(int32_t), &memory));
  sources->bands = memory;
  sources->band_count = (int32_t)options->bands.count;
  for (int32_t i = 0; i < sources->band_count; ++i)
    sources->bands[i] = (int32_t)options->bands.values[i] - 1;
  return STATUS_OK;
}

static Status check_bands(const ExportSources *sources, const ExportSource *source)
{
  const int32_t has = raster_band_count(source->raster);
  const Raster *first = sources->sources[0].raster;
  for (int32_t i = 0; sources->bands != NULL && i < sources->band_count; ++i)
    if (sources->bands[i] >= has)
      return status_set(STATUS_BAD_OPTION, "--bands: %s has no band %d; it has %d", source->path,
                        sources->bands[i] + 1, has);
  if (raster_type(source->raster) != raster_type(first) ||
      (sources->bands == NULL && has != sources->band_count))
    return status_set(
        STATUS_MISMATCH, "%s has %d bands of %s, but %s %d of %s; chips of one set are alike",
        source->path, has, pixel_name(raster_type(source->raster)), sources->sources[0].path,
        raster_band_count(first), pixel_name(raster_type(first)));
  return STATUS_OK;
}

static Status lay_grid(const ExportOptions *options, ExportSource *source)
{
  static const double full_turn = 360 - 1e-9;
  Window area = grid_window(raster_grid(source->raster));
  const double *e = options->extent.values;
  if (options->extent.count == 4)
    TRY(raster_window_of_extent(source->raster, (Extent){e[0], e[1], e[2], e[3]}, &area));
  TRY(chip_grid_make((ChipGridKind)options->grid, area, options->tile_size,
                     options->stride == 0 ? options->tile_size : options->stride, &source->grid));
  source->angle_count = options->rotation == 0 ? 1 : (int32_t)ceil(full_turn / options->rotation);
  source->place_count = chip_grid_count(&source->grid) * source->angle_count;
  return STATUS_OK;
}

static int64_t ceil_divide(int64_t a, int64_t b)
{
  return (a + b - 1) / b;
}

static void cut_into_parts(ExportSources *sources)
{
  for (int32_t i = 0; i < sources->count; ++i)
    sources->place_count += sources->sources[i].place_count;
  sources->places_per_part = ceil_divide(sources->place_count, parts_most);
  if (sources->places_per_part < places_per_part_least)
    sources->places_per_part = places_per_part_least;
  for (int32_t i = 0; i < sources->count; ++i) {
    ExportSource *source = &sources->sources[i];
    source->first_part = sources->part_count;
    source->part_count = (int32_t)ceil_divide(source->place_count, sources->places_per_part);
    sources->part_count += source->part_count;
  }
}

Status export_sources_open(const ExportOptions *options, Arena *arena, ExportSources *sources)
{
  *sources = (ExportSources){.count = 0};
  TRY(split_paths(options->raster, arena, sources));
  for (int32_t i = 0; i < sources->count; ++i) {
    ExportSource *source = &sources->sources[i];
    TRY(raster_open(source->path, &source->raster));
    if (i == 0) TRY(choose_bands(options, arena, sources));
    TRY(check_bands(sources, source));
    TRY(lay_grid(options, source));
  }
  cut_into_parts(sources);
  return STATUS_OK;
}

void export_sources_close(ExportSources *sources)
{
  for (int32_t i = 0; i < sources->count; ++i) {
    cutter_close(sources->sources[i].cutter);
    mask_layer_close(sources->sources[i].mask);
    label_source_close(sources->sources[i].labels);
    raster_close(sources->sources[i].raster);
  }
  *sources = (ExportSources){.count = 0};
}

static int32_t index_of_part(const ExportSources *sources, int32_t part)
{
  int32_t index = 0;
  while (part >= sources->sources[index].first_part + sources->sources[index].part_count)
    ++index;
  return index;
}

const ExportSource *export_source_of_part(const ExportSources *sources, int32_t part)
{
  return &sources->sources[index_of_part(sources, part)];
}

void export_part_places(const ExportSources *sources, int32_t part, int64_t *first, int64_t *end)
{
  const ExportSource *source = export_source_of_part(sources, part);
  *first = (part - source->first_part) * sources->places_per_part;
  *end = *first + sources->places_per_part;
  if (*end > source->place_count) *end = source->place_count;
}

Window export_place(const ExportSource *source, const ExportOptions *options, int64_t place,
                    double *angle_degrees)
{
  *angle_degrees = (double)(place % source->angle_count) * options->rotation;
  return chip_grid_window(&source->grid, place / source->angle_count);
}

/* What the chips of some parts cover, with room for the corners of turned ones. */
static Window ground_of(const ExportSources *sources, const ExportSource *source,
                        int32_t first_part, int32_t end_part)
{
  int64_t first, end, unused;
  Window ground = {0};
  export_part_places(sources, first_part, &first, &unused);
  export_part_places(sources, end_part - 1, &unused, &end);
  for (int64_t place = first; place < end; place += source->angle_count)
    ground = window_cover(ground, chip_grid_window(&source->grid, place / source->angle_count));
  ground = window_cover(ground, chip_grid_window(&source->grid, (end - 1) / source->angle_count));
  return window_grow(ground, source->angle_count > 1 ? source->grid.tile_px / 4 + 1 : 0);
}

Status export_source_open_labels(const ExportSources *sources, int32_t index,
                                 const ExportOptions *options, int32_t first, int32_t end,
                                 bool whole)
{
  ExportSource *source = &sources->sources[index];
  const Grid *grid = raster_grid(source->raster);
  const LabelOptions labels = {.layer = options->layer,
                               .class_field = options->class_field,
                               .classes = options->classes,
                               .buffer = options->buffer,
                               .assume_raster_crs = options->assume_raster_crs};
  const int32_t source_end = source->first_part + source->part_count;
  if (first < source->first_part) first = source->first_part;
  if (end > source_end) end = source_end;
  if (!whole && first >= end) return STATUS_OK;
  const Window within = whole ? grid_window(grid) : ground_of(sources, source, first, end);
  const Status status =
      label_source_open(options->labels, &labels, grid, whole ? NULL : &within, &source->labels);
  if (status != STATUS_OK)
    return sources->count == 1 ? status : status_prefix(status, "%s", source->path);
  if (*options->mask == '\0') return STATUS_OK;
  return mask_layer_open(options->mask, options->mask_layer, options->assume_raster_crs, grid,
                         &source->mask);
}
