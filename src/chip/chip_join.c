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
  void *values, *pixels, *chips, *objects, *colours;
  TRY(arena_allocate(join->arena, (size_t)count * sizeof(int64_t), &values));
  TRY(arena_allocate(join->arena, (size_t)count * sizeof(int64_t), &pixels));
  TRY(arena_allocate(join->arena, (size_t)count * sizeof(int64_t), &chips));
  TRY(arena_allocate(join->arena, (size_t)count * sizeof(int64_t), &objects));
  TRY(arena_allocate(join->arena, (size_t)count * 3, &colours));
  for (int32_t i = 0; i < count; ++i) {
    ((int64_t *)values)[i] = join->form->classes[i].value;
    ((int64_t *)pixels)[i] = join->sum->classes[i].pixel_count;
    ((int64_t *)chips)[i] = join->sum->classes[i].chip_count;
    ((int64_t *)objects)[i] = join->sum->objects[i].count;
    class_colour(&join->form->classes[i], (uint8_t *)colours + (ptrdiff_t)3 * i);
  }
  TRY(write_ints(join, "classes/value", values, count));
  TRY(write_class_names(join));
  TRY(write_ints(join, "classes/pixel_count", pixels, count));
  TRY(write_ints(join, "classes/chip_count", chips, count));
  if (chip_format_has_objects(join->form->format))
    TRY(write_ints(join, "classes/object_count", objects, count));
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

static Status write_object_attributes(const Join *join)
{
  if (!chip_format_has_objects(join->form->format)) return STATUS_OK;
  TRY(array_set_text(join->file, "/", "kind", "instances"));
  TRY(array_set_int(join->file, "/", "objects_most", join->sum->objects_most));
  return array_set_int(join->file, "/", "mask_bytes_most", join->sum->mask_bytes_most);
}

static Status write_attributes(const Join *join)
{
  const Grid *grid = &join->story->rasters[0];
  double width_m = 0, height_m = 0;
  char content[17];
  if (grid_cell_size_m(grid, &width_m, &height_m) != STATUS_OK) width_m = 0;
  TRY(array_set_text(join->file, "/", "format", CHIP_FILE_FORMAT));
  TRY(array_set_int(join->file, "/", "format_version", chip_set_version(join->form->format)));
  TRY(array_set_text(join->file, "/", "crs_wkt", grid->crs_wkt));
  TRY(array_set_reals(join->file, "/", "pixel_to_map", grid->pixel_to_map, 6));
  TRY(array_set_real(join->file, "/", "cell_size_m", width_m));
  TRY(array_set_int(join->file, "/", "unlabelled_is_background",
                    join->story->unlabelled_is_background));
  checksum_text(checksum_value(&join->sum->content), content);
  TRY(array_set_text(join->file, "/", "content", content));
  TRY(write_object_attributes(join));
  TRY(array_set_text(join->file, "/", "pixel_type", pixel_name(join->form->pixel)));
  return array_set_text(join->file, "/", "provenance", join->story->provenance);
}

/* Where the shards lie: a reader goes to them, since an array joined by HDF5 shows a shard that is
 * missing as zeros. */
static Status write_shards(const Join *join, const char *folder, int32_t shard_count,
                           const ShardCount *counts, const char **names, size_t *name_count)
{
  void *chips;
  TRY(arena_allocate(join->arena, (size_t)shard_count * sizeof(int64_t), &chips));
  *name_count = 0;
  for (int32_t i = 0; i < shard_count; ++i) {
    char name[CHIP_SHARD_NAME_BYTES], path[4096];
    char *kept;
    if (counts[i].chips == 0) continue;
    chip_shard_name(i, name);
    const int bytes = snprintf(path, sizeof path, "%s/%s", folder, name);
    if (bytes < 0 || bytes >= (int)sizeof path)
      return status_set(STATUS_BAD_OPTION, "the path %.80s… is too long", folder);
    TRY(arena_copy_text(join->arena, path, &kept));
    names[*name_count] = kept;
    ((int64_t *)chips)[(*name_count)++] = counts[i].chips;
  }
  TRY(array_write_texts(join->file, "shards/file", names, *name_count));
  return write_ints(join, "shards/chip_count", chips, (int64_t)*name_count);
}

static ShardCount sum_counts(const ShardCount *counts, int32_t shard_count)
{
  ShardCount all = {0};
  for (int32_t i = 0; i < shard_count; ++i) {
    all.chips += counts[i].chips;
    all.objects += counts[i].objects;
    all.mask_bytes += counts[i].mask_bytes;
  }
  return all;
}

/* pieces: room for shard_count of them. names: of the shards with chips. */
static Status write_virtual(const Join *join, ChipArray array, const char *const *names,
                            const ShardCount *counts, int32_t shard_count, ArrayPiece *pieces)
{
  const ArrayLayout whole = chip_array_layout(array, join->form, sum_counts(counts, shard_count));
  int64_t first = 0;
  size_t piece_count = 0;
  for (int32_t i = 0; i < shard_count; ++i) {
    const ArrayLayout layout = chip_array_layout(array, join->form, counts[i]);
    const char *name = *names;
    names += counts[i].chips > 0;
    if (layout.dims[0] == 0) continue;
    ArrayPiece *piece = &pieces[piece_count++];
    *piece =
        (ArrayPiece){.file = name, .array = chip_array_name(array), .source_rank = layout.rank};
    memcpy(piece->source_dims, layout.dims, sizeof layout.dims);
    memcpy(piece->source_count, layout.dims, sizeof layout.dims);
    memcpy(piece->target_count, layout.dims, sizeof layout.dims);
    piece->target_start[0] = first;
    first += layout.dims[0];
  }
  if (piece_count == 0) /* no objects at all: an array of its own, empty */
    return array_create(join->file, chip_array_name(array), &whole);
  return array_create_virtual(join->file, chip_array_name(array), whole.type, whole.rank,
                              whole.dims, 0, pieces, piece_count);
}

static Status write_arrays(const Join *join, const char *folder, int32_t shard_count,
                           const ShardCount *counts)
{
  void *pieces, *names;
  size_t name_count;
  TRY(arena_allocate(join->arena, (size_t)shard_count * sizeof(ArrayPiece), &pieces));
  TRY(arena_allocate(join->arena, ((size_t)shard_count + 1) * sizeof(char *), &names));
  TRY(write_shards(join, folder, shard_count, counts, names, &name_count));
  for (int i = 0; i < chip_array_count(join->form->format); ++i)
    TRY(write_virtual(join, (ChipArray)i, names, counts, shard_count, pieces));
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
                        const ChipStory *story, int32_t shard_count, const ShardCount *counts,
                        const SetSum *sum)
{
  Join join = {.form = form, .story = story, .sum = sum};
  TRY(arena_open(&join.arena));
  Status status = array_file_create(path, &join.file);
  if (status == STATUS_OK) status = write_tables(&join);
  if (status == STATUS_OK) status = write_arrays(&join, shard_folder_name, shard_count, counts);
  if (status == STATUS_OK) status = array_file_commit(&join.file);
  array_file_close(join.file);
  arena_close(join.arena);
  return status;
}
