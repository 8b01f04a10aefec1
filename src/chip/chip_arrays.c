/* Reads the HDF5 form. Shards are read directly: an array joined by HDF5 would show a missing shard
 * as zeros. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/output.h"
#include "base/path.h"
#include "chip_arrays.h"

Status chip_arrays_allocate(ChipSet *set, int64_t count, size_t size, void **memory)
{
  if (count < 0 || (size_t)count > SIZE_MAX / 4 / size)
    return status_set(STATUS_BAD_INPUT, "%s: has impossible sizes", set->path);
  return arena_allocate(set->arena, (size_t)count * size, memory);
}

/* An array with the shape that others promise. */
static Status check_shape(const ChipSet *set, ArrayFile *file, const char *name, ArrayType type,
                          int32_t rank, const int64_t *dims)
{
  ArrayLayout layout;
  TRY(array_layout(file, name, &layout));
  bool fits = layout.type == type && layout.rank == rank;
  for (int32_t i = 0; fits && i < rank; ++i)
    fits = layout.dims[i] == dims[i];
  if (fits) return STATUS_OK;
  return status_set(
      STATUS_BAD_INPUT,
      "%s: the array “%s” of %s has another shape or type than the set says; export it again",
      set->path, name, array_file_path(file));
}

static Status check_format(const ChipSet *set, ArrayFile *file, int64_t *version)
{
  char *format = NULL;
  bool present = false;
  *version = 0;
  TRY(array_get_text(file, "/", "format", set->arena, &format, &present));
  if (!present || strcmp(format, CHIP_FILE_FORMAT) != 0)
    return status_set(STATUS_BAD_INPUT, "%s: is HDF5, but no chip set; quadrat export makes one",
                      set->path);
  TRY(array_get_int(file, "/", "format_version", version, NULL));
  if (*version != CHIP_SET_VERSION && *version != CHIP_SET_VERSION_OBJECTS)
    return status_set(STATUS_UNSUPPORTED,
                      "%s: chip set of version %" PRId64 "; this program reads %d and %d",
                      set->path, *version, CHIP_SET_VERSION, CHIP_SET_VERSION_OBJECTS);
  return STATUS_OK;
}

static Status read_shape(ChipSet *set, ArrayFile *file)
{
  ArrayLayout layout;
  ChipSetInfo *info = &set->info;
  TRY(array_layout(file, chip_array_name(CHIP_ARRAY_IMAGES), &layout));
  bool fits = layout.rank == 4 && chip_pixel_type(layout.type, &info->pixel);
  for (int i = 1; fits && i < 4; ++i)
    fits = layout.dims[i] >= 1 && layout.dims[i] <= INT32_MAX / 65536;
  if (!fits)
    return status_set(STATUS_BAD_INPUT, "%s: its images are no chips (N x H x W x bands)",
                      set->path);
  info->chip_count = layout.dims[0];
  info->height_px = (int32_t)layout.dims[1];
  info->width_px = (int32_t)layout.dims[2];
  info->band_count = (int32_t)layout.dims[3];
  return STATUS_OK;
}

static Status read_attributes(ChipSet *set, ArrayFile *file)
{
  int64_t background = 0;
  TRY(array_get_text(file, "/", "crs_wkt", set->arena, &set->info.crs_wkt, NULL));
  TRY(array_get_int(file, "/", "unlabelled_is_background", &background, NULL));
  set->info.unlabelled_is_background = background != 0;
  return array_get_real(file, "/", "cell_size_m", &set->info.cell_size_m, NULL);
}

static Status read_texts(const ChipSet *set, ArrayFile *file, const char *path, int64_t wanted,
                         char ***texts)
{
  size_t count;
  TRY(array_read_texts(file, path, set->arena, texts, &count));
  if ((int64_t)count == wanted) return STATUS_OK;
  return status_set(STATUS_BAD_INPUT, "%s: “%s” has %zu rows instead of %" PRId64, set->path, path,
                    count, wanted);
}

static Status read_bands(ChipSet *set, ArrayFile *file)
{
  const int32_t count = set->info.band_count;
  const int64_t dims[2] = {count, BAND_SUM_NUMBERS};
  void *memory, *bands;
  char **names;
  TRY(chip_arrays_allocate(set, count, sizeof(BandSum), &memory));
  TRY(chip_arrays_allocate(set, count, sizeof(ChipBand), &bands));
  TRY(check_shape(set, file, "bands/sum", ARRAY_F64, 2, dims));
  TRY(array_read(file, "bands/sum", NULL, NULL, ARRAY_F64, memory));
  TRY(read_texts(set, file, "bands/name", count, &names));
  set->info.bands = bands;
  for (int32_t i = 0; i < count; ++i) {
    const BandSum *sum = (const BandSum *)memory + i;
    ChipBand *band = &set->info.bands[i];
    (void)snprintf(band->name, sizeof band->name, "%s", names[i]);
    band->least = sum->least;
    band->most = sum->most;
    band->mean = sum->mean;
    band->standard_deviation = band_sum_standard_deviation(sum);
    band->pixel_count = (int64_t)sum->count;
  }
  return STATUS_OK;
}

/* A column of the table of classes. */
static Status read_column(ChipSet *set, ArrayFile *file, const char *path, int64_t count,
                          int64_t **column)
{
  void *memory;
  TRY(check_shape(set, file, path, ARRAY_I64, 1, &count));
  TRY(chip_arrays_allocate(set, count, sizeof(int64_t), &memory));
  *column = memory;
  return array_read(file, path, NULL, NULL, ARRAY_I64, memory);
}

static Status count_classes(ChipSet *set, ArrayFile *file)
{
  ArrayLayout layout;
  TRY(array_layout(file, "classes/value", &layout));
  if (layout.rank != 1 || layout.dims[0] < 1 || layout.dims[0] > CLASS_LARGEST_VALUE + 1)
    return status_set(STATUS_BAD_INPUT, "%s: has no table of classes", set->path);
  set->info.class_count = (int32_t)layout.dims[0];
  return STATUS_OK;
}

static Status read_classes(ChipSet *set, ArrayFile *file)
{
  int64_t *values, *pixels, *chips;
  char **names;
  void *colours, *classes;
  TRY(count_classes(set, file));
  const int32_t count = set->info.class_count;
  const int64_t colour_dims[2] = {count, 3};
  TRY(read_column(set, file, "classes/value", count, &values));
  TRY(read_column(set, file, "classes/pixel_count", count, &pixels));
  TRY(read_column(set, file, "classes/chip_count", count, &chips));
  TRY(read_texts(set, file, "classes/name", count, &names));
  TRY(check_shape(set, file, "classes/colour", ARRAY_U8, 2, colour_dims));
  TRY(chip_arrays_allocate(set, count, 3, &colours));
  TRY(array_read(file, "classes/colour", NULL, NULL, ARRAY_U8, colours));
  TRY(chip_arrays_allocate(set, count, sizeof(ChipClass), &classes));
  set->info.classes = classes;
  for (int32_t i = 0; i < count; ++i) {
    ChipClass *one = &set->info.classes[i];
    if (values[i] < 0 || values[i] > CLASS_LARGEST_VALUE || (i > 0 && values[i] <= values[i - 1]) ||
        (i == 0 && values[i] != 0))
      return status_set(STATUS_BAD_INPUT, "%s: its class values are not 0 and rising", set->path);
    *one = (ChipClass){.entry = class_entry((int32_t)values[i], names[i]),
                       .pixel_count = pixels[i],
                       .chip_count = chips[i]};
    memcpy(one->entry.rgb, (const uint8_t *)colours + (ptrdiff_t)3 * i, 3);
    set->info.labels_are_wide = values[i] > UINT8_MAX;
  }
  return STATUS_OK;
}

/* What is needed to know a shard's layout. */
static Status make_form(ChipSet *set, ChipForm *form)
{
  void *entries;
  const ChipSetInfo *info = &set->info;
  TRY(chip_arrays_allocate(set, info->class_count, sizeof(ClassEntry), &entries));
  for (int32_t i = 0; i < info->class_count; ++i)
    ((ClassEntry *)entries)[i] = info->classes[i].entry;
  *form = (ChipForm){.width_px = info->width_px,
                     .height_px = info->height_px,
                     .band_count = info->band_count,
                     .pixel = info->pixel,
                     .classes = entries,
                     .class_count = info->class_count};
  return STATUS_OK;
}

static Status shard_path(ChipSet *set, const char *name, char **path)
{
  char joined[OUTPUT_PATH_BYTES];
  const size_t folder = (size_t)(path_file_name(set->path) - set->path);
  if (*name == '/' || strstr(name, "..") != NULL)
    return status_set(STATUS_BAD_INPUT, "%s: names a shard outside of its folder (%s)", set->path,
                      name);
  const int bytes = snprintf(joined, sizeof joined, "%.*s%s", (int)folder, set->path, name);
  if (bytes < 0 || bytes >= (int)sizeof joined)
    return status_set(STATUS_BAD_OPTION, "the path %.80s… is too long", set->path);
  return arena_copy_text(set->arena, joined, path);
}

static Status read_shard_list(ChipSet *set, ArrayFile *file, ChipArrays *arrays)
{
  ArrayLayout layout;
  int64_t *counts;
  char **names;
  void *paths, *firsts;
  TRY(array_layout(file, "shards/chip_count", &layout));
  TRY(read_column(set, file, "shards/chip_count", layout.dims[0], &counts));
  TRY(read_texts(set, file, "shards/file", layout.dims[0], &names));
  TRY(chip_arrays_allocate(set, layout.dims[0], sizeof(char *), &paths));
  TRY(chip_arrays_allocate(set, layout.dims[0] + 1, sizeof(int64_t), &firsts));
  arrays->shard_count = (int32_t)layout.dims[0];
  arrays->shard_paths = paths;
  arrays->first_chips = firsts;
  for (int32_t i = 0; i < arrays->shard_count; ++i) {
    if (counts[i] < 1 || counts[i] > set->info.chip_count - arrays->first_chips[i])
      return status_set(STATUS_BAD_INPUT, "%s: its shards do not add up", set->path);
    arrays->first_chips[i + 1] = arrays->first_chips[i] + counts[i];
    TRY(shard_path(set, names[i], &arrays->shard_paths[i]));
  }
  if (arrays->first_chips[arrays->shard_count] != set->info.chip_count)
    return status_set(STATUS_BAD_INPUT, "%s: its shards do not add up", set->path);
  return STATUS_OK;
}

static Status check_shard(ChipSet *set, const ChipArrays *arrays, ArrayFile *file, int64_t count)
{
  for (int i = 0; i < CHIP_ARRAY_OBJECT_COUNTS; ++i) { /* those of objects: by their index */
    const ArrayLayout layout =
        chip_array_layout((ChipArray)i, &arrays->form, (ShardCount){.chips = count});
    TRY(check_shape(set, file, chip_array_name((ChipArray)i), layout.type, layout.rank,
                    layout.dims));
  }
  return STATUS_OK;
}

static Status read_places(ChipSet *set, ArrayFile *file, int64_t first, int64_t count)
{
  enum { ROWS = 256 };
  int64_t rows[ROWS][5];
  for (int64_t from = 0; from < count; from += ROWS) {
    const int64_t start[2] = {from, 0};
    const int64_t extent[2] = {count - from < ROWS ? count - from : ROWS, 5};
    TRY(array_read(file, chip_array_name(CHIP_ARRAY_PLACES), start, extent, ARRAY_I64, rows));
    for (int64_t i = 0; i < extent[0]; ++i)
      set->places[first + from + i] = (ChipPlace){.raster = (int32_t)rows[i][0],
                                                  .x_px = rows[i][1],
                                                  .y_px = rows[i][2],
                                                  .width_px = rows[i][3],
                                                  .height_px = rows[i][4]};
  }
  return STATUS_OK;
}

static Status look_at_shard(ChipSet *set, ChipArrays *arrays, int32_t shard)
{
  ArrayFile *file = NULL;
  const int64_t first = arrays->first_chips[shard];
  const int64_t count = arrays->first_chips[shard + 1] - first;
  Status status = array_file_open(arrays->shard_paths[shard], &file);
  if (status == STATUS_IO && !path_exists(arrays->shard_paths[shard]))
    status =
        status_set(STATUS_IO, "%s: its shard %s is missing; the folder belongs beside the file",
                   set->path, arrays->shard_paths[shard]);
  if (status == STATUS_OK) status = check_shard(set, arrays, file, count);
  if (status == STATUS_OK) status = read_places(set, file, first, count);
  if (status == STATUS_OK)
    status = array_read(file, chip_array_name(CHIP_ARRAY_CHECKSUMS), NULL, NULL, ARRAY_I64,
                        arrays->checksums + first);
  if (status == STATUS_OK) status = chip_arrays_read_index(set, file, shard);
  array_file_close(file);
  return status;
}

static Status look_at_shards(ChipSet *set, ChipArrays *arrays)
{
  void *places, *checksums;
  TRY(chip_arrays_allocate(set, set->info.chip_count, sizeof(ChipPlace), &places));
  TRY(chip_arrays_allocate(set, set->info.chip_count, sizeof(int64_t), &checksums));
  set->places = places;
  arrays->checksums = checksums;
  for (int32_t i = 0; i < arrays->shard_count; ++i)
    TRY(look_at_shard(set, arrays, i));
  return STATUS_OK;
}

static Status read_tables(ChipSet *set, ArrayFile *file)
{
  int64_t version;
  ChipArrays *arrays = set->source;
  TRY(check_format(set, file, &version));
  TRY(read_shape(set, file));
  TRY(read_attributes(set, file));
  TRY(read_bands(set, file));
  TRY(read_classes(set, file));
  TRY(make_form(set, &arrays->form));
  TRY(read_shard_list(set, file, arrays));
  return chip_arrays_read_kind(set, file, version);
}

static Status open_arrays(ChipSet *set)
{
  void *memory;
  ArrayFile *file = NULL;
  TRY(arena_allocate(set->arena, sizeof(ChipArrays), &memory));
  set->source = memory;
  (void)pthread_mutex_init(&((ChipArrays *)memory)->lock, NULL);
  Status status = array_file_open(set->path, &file);
  if (status == STATUS_OK) status = read_tables(set, file);
  array_file_close(file);
  return status == STATUS_OK ? look_at_shards(set, memory) : status;
}

static void close_arrays(ChipSet *set)
{
  ChipArrays *arrays = set->source;
  if (arrays == NULL) return;
  for (int i = 0; i < OPEN_SHARDS_MAX; ++i)
    array_file_close(arrays->open[i].file);
  (void)pthread_mutex_destroy(&arrays->lock);
}

static Status open_shard(ChipArrays *arrays, int32_t shard, ArrayFile **file)
{
  for (int i = 0; i < OPEN_SHARDS_MAX; ++i)
    if (arrays->open[i].file != NULL && arrays->open[i].shard == shard) {
      *file = arrays->open[i].file;
      return STATUS_OK;
    }
  const int32_t place = arrays->next_open;
  arrays->next_open = (place + 1) % OPEN_SHARDS_MAX;
  array_file_close(arrays->open[place].file);
  arrays->open[place].file = NULL;
  TRY(array_file_open(arrays->shard_paths[shard], &arrays->open[place].file));
  arrays->open[place].shard = shard;
  *file = arrays->open[place].file;
  return STATUS_OK;
}

static int32_t shard_of(const ChipArrays *arrays, int64_t chip)
{
  int32_t low = 0, high = arrays->shard_count - 1;
  while (low < high) {
    const int32_t middle = (low + high + 1) / 2;
    if (arrays->first_chips[middle] <= chip)
      low = middle;
    else
      high = middle - 1;
  }
  return low;
}

Status chip_arrays_shard_of(ChipArrays *arrays, int64_t chip, int32_t *shard, ArrayFile **file)
{
  *shard = shard_of(arrays, chip);
  return open_shard(arrays, *shard, file);
}

static Status read_stored(ChipArrays *arrays, int64_t chip, void *image, uint8_t *valid,
                          void *labels)
{
  ArrayFile *file;
  const ChipForm *form = &arrays->form;
  int32_t shard;
  TRY(chip_arrays_shard_of(arrays, chip, &shard, &file));
  const int64_t start[4] = {chip - arrays->first_chips[shard], 0, 0, 0};
  const int64_t count[4] = {1, form->height_px, form->width_px, form->band_count};
  TRY(array_read(file, chip_array_name(CHIP_ARRAY_IMAGES), start, count,
                 chip_array_type(form->pixel), image));
  TRY(array_read(file, chip_array_name(CHIP_ARRAY_VALID), start, count, ARRAY_U8, valid));
  return array_read(file, chip_array_name(CHIP_ARRAY_LABELS), start, count,
                    chip_form_is_wide(form) ? ARRAY_U16 : ARRAY_U8, labels);
}

static Status read_chip(ChipSet *set, int64_t chip, void *image, uint8_t *valid, uint16_t *labels)
{
  ChipArrays *arrays = set->source;
  const size_t pixels = (size_t)arrays->form.width_px * (size_t)arrays->form.height_px;
  const bool wide = chip_form_is_wide(&arrays->form);
  /* Narrow labels go into the second half and are widened from there, in place. */
  uint8_t *stored = wide ? (uint8_t *)labels : (uint8_t *)labels + pixels;
  (void)pthread_mutex_lock(&arrays->lock);
  const Status status = read_stored(arrays, chip, image, valid, stored);
  (void)pthread_mutex_unlock(&arrays->lock);
  if (status != STATUS_OK) return status;
  if ((int64_t)chip_checksum(&arrays->form, image, valid, stored) != arrays->checksums[chip])
    return status_set(STATUS_BAD_INPUT, "%s: chip %" PRId64 " is damaged (its checksum is wrong)",
                      set->path, chip);
  for (size_t i = 0; !wide && i < pixels; ++i)
    labels[i] = stored[i];
  return STATUS_OK;
}

const ChipSetForm chip_arrays_form = {open_arrays, close_arrays, read_chip,
                                      chip_arrays_read_objects};
