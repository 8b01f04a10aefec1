/* The file that shows the arrays of all shards as one, with the tables that say what they are. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "chip_file.h"

typedef struct Join {
  ArrayFile *file;
  const ChipForm *form;
  const ChipStory *story;
  const SetSum *sum;
  Arena *arena;
} Join;

static Status write_ints(const Join *join, const char *path, const int64_t *values, int64_t count)
{
  return array_write_whole(join->file, path, ARRAY_I64, 1, &count, values);
}

static Status write_class_names(const Join *join)
{
  const char **names;
  void *memory;
  const size_t count = (size_t)join->form->class_count;
  TRY(arena_allocate(join->arena, count * sizeof *names, &memory));
  names = memory;
  for (size_t i = 0; i < count; ++i)
    names[i] = join->form->classes[i].name;
  return array_write_texts(join->file, "classes/name", names, count);
}

static Status write_classes(const Join *join)
{
  const int32_t count = join->form->class_count;
  const int64_t colour_dims[2] = {count, 3};
  void *values, *pixels, *chips, *colours;
  TRY(arena_allocate(join->arena, (size_t)count * sizeof(int64_t), &values));
  TRY(arena_allocate(join->arena, (size_t)count * sizeof(int64_t), &pixels));
  TRY(arena_allocate(join->arena, (size_t)count * sizeof(int64_t), &chips));
  TRY(arena_allocate(join->arena, (size_t)count * 3, &colours));
  for (int32_t i = 0; i < count; ++i) {
    ((int64_t *)values)[i] = join->form->classes[i].value;
    ((int64_t *)pixels)[i] = join->sum->classes[i].pixel_count;
    ((int64_t *)chips)[i] = join->sum->classes[i].chip_count;
    class_colour(&join->form->classes[i], (uint8_t *)colours + (ptrdiff_t)3 * i);
  }
  TRY(write_ints(join, "classes/value", values, count));
  TRY(write_class_names(join));
  TRY(write_ints(join, "classes/pixel_count", pixels, count));
  TRY(write_ints(join, "classes/chip_count", chips, count));
  return array_write_whole(join->file, "classes/colour", ARRAY_U8, 2, colour_dims, colours);
}

static Status write_bands(const Join *join)
{
  const int32_t count = join->form->band_count;
  const int64_t dims[2] = {count, BAND_SUM_NUMBERS};
  TRY(array_write_texts(join->file, "bands/name", join->story->band_names, (size_t)count));
  TRY(array_write_whole(join->file, "bands/sum", ARRAY_F64, 2, dims, join->sum->bands));
  return array_set_text(join->file, "bands/sum", "columns",
                        "pixels, least, most, mean, sum of squared distances from the mean");
}

static Status write_raster_grids(const Join *join, const char **systems)
{
  const int64_t count = join->story->raster_count;
  const int64_t map_dims[2] = {count, 6};
  const int64_t size_dims[2] = {count, 2};
  void *maps, *sizes;
  TRY(arena_allocate(join->arena, (size_t)count * 6 * sizeof(double), &maps));
  TRY(arena_allocate(join->arena, (size_t)count * 2 * sizeof(int64_t), &sizes));
  for (int64_t i = 0; i < count; ++i) {
    const Grid *grid = &join->story->rasters[i];
    memcpy((double *)maps + 6 * i, grid->pixel_to_map, sizeof grid->pixel_to_map);
    ((int64_t *)sizes)[2 * i] = grid->width_px;
    ((int64_t *)sizes)[2 * i + 1] = grid->height_px;
    systems[i] = grid->crs_wkt;
  }
  TRY(array_write_texts(join->file, "rasters/crs_wkt", systems, (size_t)count));
  TRY(array_write_whole(join->file, "rasters/pixel_to_map", ARRAY_F64, 2, map_dims, maps));
  return array_write_whole(join->file, "rasters/size_px", ARRAY_I64, 2, size_dims, sizes);
}

static Status write_rasters(const Join *join)
{
  void *systems;
  const size_t count = (size_t)join->story->raster_count;
  TRY(arena_allocate(join->arena, count * sizeof(char *), &systems));
  TRY(array_write_texts(join->file, "rasters/path", join->story->raster_paths, count));
  return write_raster_grids(join, systems);
}

static Status write_attributes(const Join *join)
{
  const Grid *grid = &join->story->rasters[0];
  double width_m = 0, height_m = 0;
  char content[17];
  if (grid_cell_size_m(grid, &width_m, &height_m) != STATUS_OK) width_m = 0;
  TRY(array_set_text(join->file, "/", "format", CHIP_FILE_FORMAT));
  TRY(array_set_int(join->file, "/", "format_version", CHIP_SET_VERSION));
  TRY(array_set_text(join->file, "/", "crs_wkt", grid->crs_wkt));
  TRY(array_set_reals(join->file, "/", "pixel_to_map", grid->pixel_to_map, 6));
  TRY(array_set_real(join->file, "/", "cell_size_m", width_m));
  TRY(array_set_int(join->file, "/", "unlabelled_is_background",
                    join->story->unlabelled_is_background));
  checksum_text(checksum_value(&join->sum->content), content);
  TRY(array_set_text(join->file, "/", "content", content));
  TRY(array_set_text(join->file, "/", "pixel_type", pixel_name(join->form->pixel)));
  return array_set_text(join->file, "/", "provenance", join->story->provenance);
}

/* Where the shards lie: a reader goes to them, since an array joined by HDF5 shows a shard that is
 * missing as zeros. */
static Status write_shards(const Join *join, const char *folder, int32_t shard_count,
                           const int64_t *chip_counts, ArrayPiece *pieces, size_t *piece_count)
{
  void *names, *counts;
  TRY(arena_allocate(join->arena, (size_t)shard_count * sizeof(char *), &names));
  TRY(arena_allocate(join->arena, (size_t)shard_count * sizeof(int64_t), &counts));
  *piece_count = 0;
  for (int32_t i = 0; i < shard_count; ++i) {
    char name[CHIP_SHARD_NAME_BYTES], path[4096];
    char *kept;
    if (chip_counts[i] == 0) continue;
    chip_shard_name(i, name);
    const int bytes = snprintf(path, sizeof path, "%s/%s", folder, name);
    if (bytes < 0 || bytes >= (int)sizeof path)
      return status_set(STATUS_BAD_OPTION, "the path %.80s… is too long", folder);
    TRY(arena_copy_text(join->arena, path, &kept));
    pieces[*piece_count].file = kept;
    ((const char **)names)[*piece_count] = kept;
    ((int64_t *)counts)[(*piece_count)++] = chip_counts[i];
  }
  TRY(array_write_texts(join->file, "shards/file", (const char *const *)names, *piece_count));
  return write_ints(join, "shards/chip_count", counts, (int64_t)*piece_count);
}

static Status write_virtual(const Join *join, ChipArray array, ArrayPiece *pieces,
                            const int64_t *counts, size_t piece_count)
{
  const ArrayLayout layout = chip_array_layout(array, join->form, join->sum->chip_count);
  int64_t first = 0;
  for (size_t i = 0; i < piece_count; ++i) {
    ArrayPiece *piece = &pieces[i];
    piece->array = chip_array_name(array);
    piece->source_rank = layout.rank;
    memcpy(piece->source_dims, layout.dims, sizeof layout.dims);
    piece->source_dims[0] = counts[i];
    memcpy(piece->source_count, piece->source_dims, sizeof layout.dims);
    memcpy(piece->target_count, piece->source_dims, sizeof layout.dims);
    piece->target_start[0] = first;
    first += counts[i];
  }
  return array_create_virtual(join->file, chip_array_name(array), layout.type, layout.rank,
                              layout.dims, 0, pieces, piece_count);
}

static Status write_arrays(const Join *join, const char *folder, int32_t shard_count,
                           const int64_t *chip_counts)
{
  void *pieces, *counts;
  size_t piece_count;
  TRY(arena_allocate(join->arena, (size_t)shard_count * sizeof(ArrayPiece), &pieces));
  TRY(arena_allocate(join->arena, (size_t)shard_count * sizeof(int64_t), &counts));
  TRY(write_shards(join, folder, shard_count, chip_counts, pieces, &piece_count));
  size_t kept = 0;
  for (int32_t i = 0; i < shard_count; ++i)
    if (chip_counts[i] > 0) ((int64_t *)counts)[kept++] = chip_counts[i];
  for (int i = 0; i < CHIP_ARRAY_COUNT; ++i)
    TRY(write_virtual(join, (ChipArray)i, pieces, counts, piece_count));
  return STATUS_OK;
}

static Status write_tables(const Join *join)
{
  TRY(write_attributes(join));
  TRY(write_bands(join));
  TRY(write_classes(join));
  return write_rasters(join);
}

Status chip_arrays_join(const char *path, const char *shard_folder_name, const ChipForm *form,
                        const ChipStory *story, int32_t shard_count, const int64_t *chip_counts,
                        const SetSum *sum)
{
  Join join = {.form = form, .story = story, .sum = sum};
  TRY(arena_open(&join.arena));
  Status status = array_file_create(path, &join.file);
  if (status == STATUS_OK) status = write_tables(&join);
  if (status == STATUS_OK)
    status = write_arrays(&join, shard_folder_name, shard_count, chip_counts);
  if (status == STATUS_OK) status = array_file_commit(&join.file);
  array_file_close(join.file);
  arena_close(join.arena);
  return status;
}
