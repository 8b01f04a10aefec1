#include <string.h>

#include "array_door.h"

static bool block_fits(int32_t rank, const int64_t *dims, const int64_t *start,
                       const int64_t *count, int64_t *elements)
{
  *elements = 1;
  if (rank < 1 || rank > ARRAY_RANK_MAX) return false;
  for (int32_t i = 0; i < rank; ++i) {
    if (start[i] < 0 || count[i] < 1 || start[i] > dims[i] || count[i] > dims[i] - start[i])
      return false;
    if (__builtin_mul_overflow(*elements, count[i], elements)) return false;
  }
  return true;
}

static Status check_piece(const ArrayFile *file, const char *path, int32_t rank,
                          const int64_t *dims, const ArrayPiece *piece)
{
  int64_t source_count;
  int64_t target_count;
  if (!block_fits(piece->source_rank, piece->source_dims, piece->source_start, piece->source_count,
                  &source_count) ||
      !block_fits(rank, dims, piece->target_start, piece->target_count, &target_count) ||
      source_count != target_count)
    return status_set(STATUS_BAD_SHAPE, "%s: “%s”: the piece from %s does not fit", file->path,
                      path, piece->file);
  if (*piece->file == '\0' || *piece->file == '/')
    return status_set(STATUS_BAD_OPTION,
                      "%s: “%s”: the shard “%s” must be named relative to the file's folder",
                      file->path, path, piece->file);
  return STATUS_OK;
}

static hid_t select_block(int32_t rank, const int64_t *dims, const int64_t *start,
                          const int64_t *count)
{
  hsize_t whole[ARRAY_RANK_MAX];
  hsize_t first[ARRAY_RANK_MAX];
  hsize_t extent[ARRAY_RANK_MAX];
  for (int32_t i = 0; i < rank; ++i) {
    whole[i] = (hsize_t)dims[i];
    first[i] = (hsize_t)start[i];
    extent[i] = (hsize_t)count[i];
  }
  const hid_t space = H5Screate_simple(rank, whole, NULL);
  (void)H5Sselect_hyperslab(space, H5S_SELECT_SET, first, NULL, extent, NULL);
  return space;
}

static Status map_piece(const ArrayFile *file, const char *path, int32_t rank, const int64_t *dims,
                        const ArrayPiece *piece, hid_t creation)
{
  TRY(check_piece(file, path, rank, dims, piece));
  const hid_t source = select_block(piece->source_rank, piece->source_dims, piece->source_start,
                                    piece->source_count);
  const hid_t target = select_block(rank, dims, piece->target_start, piece->target_count);
  const herr_t outcome = H5Pset_virtual(creation, target, piece->file, piece->array, source);
  const Status status =
      outcome < 0 ? array_failed(file, path, STATUS_IO, "map a shard into") : STATUS_OK;
  (void)H5Sclose(target);
  (void)H5Sclose(source);
  return status;
}

static Status map_pieces(const ArrayFile *file, const char *path, int32_t rank, const int64_t *dims,
                         const ArrayPiece *pieces, size_t piece_count, hid_t creation)
{
  for (size_t i = 0; i < piece_count; ++i)
    TRY(map_piece(file, path, rank, dims, &pieces[i], creation));
  return STATUS_OK;
}

static Status create_mapped(const ArrayFile *file, const char *path, ArrayType type, int32_t rank,
                            const int64_t *dims, hid_t creation)
{
  const int64_t origin[ARRAY_RANK_MAX] = {0};
  const hid_t space = select_block(rank, dims, origin, dims);
  const hid_t links = array_link_list();
  const hid_t dataset =
      H5Dcreate2(file->file, path, array_file_type(type), space, links, creation, H5P_DEFAULT);
  const Status status =
      dataset < 0 ? array_failed(file, path, STATUS_IO, "create the array") : STATUS_OK;
  (void)H5Pclose(links);
  (void)H5Sclose(space);
  if (dataset >= 0) (void)H5Dclose(dataset); /* to be opened by the way that finds the shards */
  return status;
}

static Status create_virtual_unlocked(ArrayFile *file, const char *path, ArrayType type,
                                      int32_t rank, const int64_t *dims, double fill,
                                      const ArrayPiece *pieces, size_t piece_count)
{
  if (!file->writing)
    return status_set(STATUS_BAD_OPTION, "%s was opened for reading only", file->path);
  if (rank < 1 || rank > ARRAY_RANK_MAX)
    return status_set(STATUS_BAD_SHAPE, "%s: “%s” cannot have %d dimensions", file->path, path,
                      rank);
  TRY(array_make_groups_above(file, path));
  const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
  (void)H5Pset_obj_track_times(creation, false);
  if (fill != 0) (void)H5Pset_fill_value(creation, H5T_NATIVE_DOUBLE, &fill);
  Status status = map_pieces(file, path, rank, dims, pieces, piece_count, creation);
  if (status == STATUS_OK) status = create_mapped(file, path, type, rank, dims, creation);
  (void)H5Pclose(creation);
  return status;
}

Status array_create_virtual(ArrayFile *file, const char *path, ArrayType type, int32_t rank,
                            const int64_t *dims, double fill, const ArrayPiece *pieces,
                            size_t piece_count)
{
  array_lock();
  return array_unlock(
      create_virtual_unlocked(file, path, type, rank, dims, fill, pieces, piece_count));
}
