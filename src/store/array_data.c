#include <stdio.h>
#include <string.h>

#include "array_door.h"
#include "base/memory.h"

/* HDF5 keeps whole chunks in a cache of 1 MiB; a chunk that does not fit is decoded anew at each
 * touch. */
static const size_t chunk_cache_bytes_min = 1 << 20;

hid_t array_link_list(void)
{
  const hid_t list = H5Pcreate(H5P_LINK_CREATE);
  (void)H5Pset_char_encoding(list, H5T_CSET_UTF8);
  return list;
}

void array_keep_dataset(ArrayFile *file, const char *path, hid_t dataset)
{
  OpenArray *place = &file->open[file->next_open];
  file->next_open = (file->next_open + 1) % ARRAY_OPEN_MAX;
  if (place->dataset > 0) (void)H5Dclose(place->dataset);
  place->dataset = dataset;
  (void)snprintf(place->path, sizeof place->path, "%s", path);
}

static size_t chunk_bytes_of(hid_t dataset)
{
  hsize_t dims[H5S_MAX_RANK];
  const hid_t creation = H5Dget_create_plist(dataset);
  const hid_t type = H5Dget_type(dataset);
  size_t bytes = H5Tget_size(type);
  const int rank =
      H5Pget_layout(creation) == H5D_CHUNKED ? H5Pget_chunk(creation, H5S_MAX_RANK, dims) : 0;
  for (int i = 0; i < rank; ++i)
    bytes *= (size_t)dims[i];
  (void)H5Tclose(type);
  (void)H5Pclose(creation);
  return rank > 0 ? bytes : 0;
}

/* Shards are looked for beside the file, wherever it was moved. */
static hid_t dataset_access(size_t chunk_bytes)
{
  const hid_t list = H5Pcreate(H5P_DATASET_ACCESS);
  (void)H5Pset_virtual_prefix(list, "${ORIGIN}");
  if (2 * chunk_bytes > chunk_cache_bytes_min)
    (void)H5Pset_chunk_cache(list, 521, 2 * chunk_bytes, 1.0);
  return list;
}

static Status open_with_cache(const ArrayFile *file, const char *path, size_t chunk_bytes,
                              hid_t *dataset)
{
  const hid_t access = dataset_access(chunk_bytes);
  *dataset = H5Dopen2(file->file, path, access);
  const Status status =
      *dataset < 0 ? array_failed_reading(file, path, "open the array") : STATUS_OK;
  (void)H5Pclose(access);
  return status;
}

Status array_open_dataset(ArrayFile *file, const char *path, hid_t *dataset)
{
  for (size_t i = 0; i < ARRAY_OPEN_MAX; ++i)
    if (file->open[i].dataset > 0 && strcmp(file->open[i].path, path) == 0) {
      *dataset = file->open[i].dataset;
      return STATUS_OK;
    }
  if (strlen(path) >= ARRAY_PATH_BYTES)
    return status_set(STATUS_BAD_INPUT, "%s: the name “%.80s…” is too long", file->path, path);
  if (!array_exists_unlocked(file, path))
    return status_set(STATUS_BAD_INPUT, "%s: there is no array “%s” in it", file->path, path);
  TRY(open_with_cache(file, path, 0, dataset));
  const size_t chunk_bytes = chunk_bytes_of(*dataset);
  if (2 * chunk_bytes > chunk_cache_bytes_min) {
    (void)H5Dclose(*dataset);
    TRY(open_with_cache(file, path, chunk_bytes, dataset));
  }
  array_keep_dataset(file, path, *dataset);
  return STATUS_OK;
}

static Status check_layout(const ArrayFile *file, const char *path, const ArrayLayout *layout)
{
  bool sizes_fit = layout->rank >= 1 && layout->rank <= ARRAY_RANK_MAX;
  bool chunked = false;
  for (int32_t i = 0; sizes_fit && i < layout->rank; ++i) {
    chunked = chunked || layout->chunk_dims[i] != 0;
    sizes_fit = layout->dims[i] >= 0;
  }
  for (int32_t i = 0; sizes_fit && chunked && i < layout->rank; ++i)
    sizes_fit = layout->chunk_dims[i] >= 1;
  if (!sizes_fit || (!chunked && (layout->extendible || layout->deflate_level > 0)) ||
      layout->deflate_level < 0 || layout->deflate_level > 9)
    return status_set(STATUS_BAD_SHAPE,
                      "%s: “%s”: a layout that no array can have (rank %d, deflate %d)", file->path,
                      path, layout->rank, layout->deflate_level);
  return STATUS_OK;
}

static hid_t creation_list(const ArrayLayout *layout)
{
  const hid_t list = H5Pcreate(H5P_DATASET_CREATE);
  (void)H5Pset_obj_track_times(list, false); /* the same arrays give the same bytes */
  /* 0 is HDF5's own default; set as the user's, netCDF would take it for NoData. */
  if (layout->fill != 0) (void)H5Pset_fill_value(list, H5T_NATIVE_DOUBLE, &layout->fill);
  if (layout->chunk_dims[0] == 0) return list;
  hsize_t chunk[ARRAY_RANK_MAX];
  for (int32_t i = 0; i < layout->rank; ++i)
    chunk[i] = (hsize_t)layout->chunk_dims[i];
  (void)H5Pset_chunk(list, layout->rank, chunk);
  if (layout->deflate_level > 0) {
    (void)H5Pset_shuffle(list);
    (void)H5Pset_deflate(list, (unsigned)layout->deflate_level);
  }
  return list;
}

static hid_t space_of(const ArrayLayout *layout)
{
  hsize_t dims[ARRAY_RANK_MAX];
  hsize_t limits[ARRAY_RANK_MAX];
  for (int32_t i = 0; i < layout->rank; ++i) {
    dims[i] = (hsize_t)layout->dims[i];
    limits[i] = i == 0 && layout->extendible ? H5S_UNLIMITED : dims[i];
  }
  return H5Screate_simple(layout->rank, dims, limits);
}

static size_t chunk_bytes_wanted(const ArrayLayout *layout)
{
  size_t bytes = layout->chunk_dims[0] == 0 ? 0 : array_type_bytes(layout->type);
  for (int32_t i = 0; i < layout->rank; ++i)
    bytes *= (size_t)layout->chunk_dims[i];
  return bytes;
}

Status array_create_unlocked(ArrayFile *file, const char *path, const ArrayLayout *layout)
{
  TRY(check_layout(file, path, layout));
  if (!file->writing)
    return status_set(STATUS_BAD_OPTION, "%s was opened for reading only", file->path);
  TRY(array_make_groups_above(file, path));
  const hid_t links = array_link_list();
  const hid_t creation = creation_list(layout);
  const hid_t access = dataset_access(chunk_bytes_wanted(layout));
  const hid_t space = space_of(layout);
  const hid_t dataset =
      H5Dcreate2(file->file, path, array_file_type(layout->type), space, links, creation, access);
  const Status status =
      dataset < 0 ? array_failed(file, path, STATUS_IO, "create the array") : STATUS_OK;
  (void)H5Sclose(space);
  (void)H5Pclose(access);
  (void)H5Pclose(creation);
  (void)H5Pclose(links);
  if (status == STATUS_OK) array_keep_dataset(file, path, dataset);
  return status;
}

Status array_create(ArrayFile *file, const char *path, const ArrayLayout *layout)
{
  array_lock();
  return array_unlock(array_create_unlocked(file, path, layout));
}

static Status read_type(const ArrayFile *file, const char *path, hid_t dataset, ArrayType *type)
{
  const hid_t stored = H5Dget_type(dataset);
  if (stored < 0) return array_failed_reading(file, path, "read the type of");
  const Status status = array_find_type(file, path, stored, type);
  (void)H5Tclose(stored);
  return status;
}

static Status read_dims(const ArrayFile *file, const char *path, hid_t dataset, ArrayLayout *layout)
{
  hsize_t dims[H5S_MAX_RANK];
  hsize_t limits[H5S_MAX_RANK];
  const hid_t space = H5Dget_space(dataset);
  const int rank = space < 0 ? -1 : H5Sget_simple_extent_dims(space, dims, limits);
  const Status status =
      rank < 0 ? array_failed_reading(file, path, "read the shape of") : STATUS_OK;
  (void)H5Sclose(space);
  TRY(status);
  if (rank < 1 || rank > ARRAY_RANK_MAX)
    return status_set(STATUS_UNSUPPORTED, "%s: “%s” has %d dimensions; 1 to %d are read",
                      file->path, path, rank, ARRAY_RANK_MAX);
  layout->rank = rank;
  for (int i = 0; i < rank; ++i) {
    if (dims[i] > INT64_MAX)
      return status_set(STATUS_BAD_INPUT, "%s: “%s” has an impossible size", file->path, path);
    layout->dims[i] = (int64_t)dims[i];
  }
  layout->extendible = limits[0] == H5S_UNLIMITED;
  return STATUS_OK;
}

static void read_storage(hid_t dataset, ArrayLayout *layout)
{
  hsize_t chunk[H5S_MAX_RANK];
  unsigned level[1] = {0};
  size_t level_count = 1;
  unsigned flags;
  H5D_fill_value_t defined = H5D_FILL_VALUE_UNDEFINED;
  const hid_t creation = H5Dget_create_plist(dataset);
  if (H5Pget_layout(creation) == H5D_CHUNKED &&
      H5Pget_chunk(creation, H5S_MAX_RANK, chunk) == layout->rank)
    for (int32_t i = 0; i < layout->rank; ++i)
      layout->chunk_dims[i] = (int64_t)chunk[i];
  if (H5Pget_filter_by_id2(creation, H5Z_FILTER_DEFLATE, &flags, &level_count, level, 0, NULL,
                           NULL) >= 0)
    layout->deflate_level = (int32_t)level[0];
  (void)H5Pfill_value_defined(creation, &defined);
  if (defined == H5D_FILL_VALUE_USER_DEFINED)
    (void)H5Pget_fill_value(creation, H5T_NATIVE_DOUBLE, &layout->fill);
  (void)H5Pclose(creation);
  (void)H5Eclear2(H5E_DEFAULT);
}

Status array_layout_unlocked(ArrayFile *file, const char *path, ArrayLayout *layout)
{
  hid_t dataset;
  *layout = (ArrayLayout){.rank = 0};
  TRY(array_open_dataset(file, path, &dataset));
  TRY(read_type(file, path, dataset, &layout->type));
  TRY(read_dims(file, path, dataset, layout));
  read_storage(dataset, layout);
  return STATUS_OK;
}

Status array_layout(ArrayFile *file, const char *path, ArrayLayout *layout)
{
  array_lock();
  return array_unlock(array_layout_unlocked(file, path, layout));
}

/* The block that start and count name, checked; *empty if it holds nothing. */
static Status check_block(const ArrayFile *file, const char *path, const ArrayLayout *layout,
                          const int64_t *start, const int64_t *count, hsize_t *first,
                          hsize_t *extent, bool *empty)
{
  *empty = false;
  for (int32_t i = 0; i < layout->rank; ++i) {
    const int64_t from = start == NULL ? 0 : start[i];
    const int64_t size = count == NULL ? layout->dims[i] - from : count[i];
    if (from < 0 || size < 0 || from > layout->dims[i] || size > layout->dims[i] - from)
      return status_set(
          STATUS_BAD_SHAPE, "%s: “%s”: dimension %d goes from 0 to %lld, not from %lld for %lld",
          file->path, path, i, (long long)layout->dims[i], (long long)from, (long long)size);
    first[i] = (hsize_t)from;
    extent[i] = (hsize_t)size;
    *empty = *empty || size == 0;
  }
  return STATUS_OK;
}

static Status move_block(const ArrayFile *file, const char *path, hid_t dataset,
                         const ArrayLayout *layout, const hsize_t *first, const hsize_t *extent,
                         void *values, bool reading)
{
  const hid_t type = array_memory_type(layout->type);
  const hid_t space = H5Dget_space(dataset);
  const hid_t memory = H5Screate_simple(layout->rank, extent, NULL);
  herr_t outcome =
      space < 0 ? -1 : H5Sselect_hyperslab(space, H5S_SELECT_SET, first, NULL, extent, NULL);
  if (outcome >= 0)
    outcome = reading ? H5Dread(dataset, type, memory, space, H5P_DEFAULT, values)
                      : H5Dwrite(dataset, type, memory, space, H5P_DEFAULT, values);
  Status status = STATUS_OK;
  if (outcome < 0)
    status = reading ? array_failed_reading(file, path, "read")
                     : array_failed(file, path, STATUS_IO, "write");
  (void)H5Sclose(memory);
  (void)H5Sclose(space);
  return status;
}

Status array_move_unlocked(ArrayFile *file, const char *path, const int64_t *start,
                           const int64_t *count, ArrayType type, void *values, bool reading)
{
  ArrayLayout layout = {.rank = 0};
  hid_t dataset = 0;
  hsize_t first[ARRAY_RANK_MAX];
  hsize_t extent[ARRAY_RANK_MAX];
  bool empty;
  TRY(array_open_dataset(file, path, &dataset));
  TRY(read_type(file, path, dataset, &layout.type));
  TRY(read_dims(file, path, dataset, &layout));
  if (layout.type != type)
    return status_set(STATUS_MISMATCH, "%s: “%s” is %s, not %s", file->path, path,
                      array_type_name(layout.type), array_type_name(type));
  TRY(check_block(file, path, &layout, start, count, first, extent, &empty));
  return empty ? STATUS_OK
               : move_block(file, path, dataset, &layout, first, extent, values, reading);
}

Status array_write(ArrayFile *file, const char *path, const int64_t *start, const int64_t *count,
                   ArrayType type, const void *values)
{
  array_lock();
  return array_unlock(
      array_move_unlocked(file, path, start, count, type, (void *)(uintptr_t)values, false));
}

Status array_read(ArrayFile *file, const char *path, const int64_t *start, const int64_t *count,
                  ArrayType type, void *values)
{
  array_lock();
  return array_unlock(array_move_unlocked(file, path, start, count, type, values, true));
}

static Status append_unlocked(ArrayFile *file, const char *path, int64_t row_count, ArrayType type,
                              const void *values)
{
  ArrayLayout layout;
  hid_t dataset = 0;
  hsize_t dims[ARRAY_RANK_MAX];
  int64_t start[ARRAY_RANK_MAX] = {0};
  TRY(array_layout_unlocked(file, path, &layout));
  TRY(array_open_dataset(file, path, &dataset));
  if (!layout.extendible || row_count < 0 || row_count > INT64_MAX - layout.dims[0])
    return status_set(STATUS_BAD_SHAPE, "%s: “%s” cannot grow by %lld rows", file->path, path,
                      (long long)row_count);
  start[0] = layout.dims[0];
  layout.dims[0] += row_count;
  for (int32_t i = 0; i < layout.rank; ++i)
    dims[i] = (hsize_t)layout.dims[i];
  if (H5Dset_extent(dataset, dims) < 0) return array_failed(file, path, STATUS_IO, "extend");
  return array_move_unlocked(file, path, start, NULL, type, (void *)(uintptr_t)values, false);
}

Status array_append(ArrayFile *file, const char *path, int64_t row_count, ArrayType type,
                    const void *values)
{
  array_lock();
  return array_unlock(append_unlocked(file, path, row_count, type, values));
}

static Status write_whole_unlocked(ArrayFile *file, const char *path, ArrayType type, int32_t rank,
                                   const int64_t *dims, const void *values)
{
  ArrayLayout layout = {.type = type, .rank = rank};
  for (int32_t i = 0; i < rank && i < ARRAY_RANK_MAX; ++i)
    layout.dims[i] = dims[i];
  TRY(array_create_unlocked(file, path, &layout));
  return array_move_unlocked(file, path, NULL, NULL, type, (void *)(uintptr_t)values, false);
}

Status array_write_whole(ArrayFile *file, const char *path, ArrayType type, int32_t rank,
                         const int64_t *dims, const void *values)
{
  array_lock();
  return array_unlock(write_whole_unlocked(file, path, type, rank, dims, values));
}
