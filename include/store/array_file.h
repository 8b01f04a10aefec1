#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"

/* Named arrays in an HDF5 file: chips, checkpoints, results. A path is "group/name"; groups on the
 * way are made. All functions may be called from several threads (one at a time does the work).
 * HDF5 promises nothing about a file whose writer died: a file is written aside and gets its name
 * when it is whole. Never open one file for writing twice. Errors everywhere: STATUS_IO (full
 * disk), STATUS_BAD_INPUT (damaged, no such array), with file and array in the sentence. */
typedef struct ArrayFile ArrayFile;

typedef enum ArrayType {
  ARRAY_U8,
  ARRAY_U16,
  ARRAY_I16,
  ARRAY_I32,
  ARRAY_I64,
  ARRAY_F32,
  ARRAY_F64
} ArrayType;
enum { ARRAY_RANK_MAX = 8 };

size_t array_type_bytes(ArrayType type);
const char *array_type_name(ArrayType type); /* "uint8", "float32", … */

Status array_file_create(const char *path, ArrayFile **file); /* for writing and reading, aside */
Status array_file_open(const char *path, ArrayFile **file);   /* for reading */
/* Closes it and gives it its name. On failure the file is closed and removed. Either way *file is
 * NULL afterwards. */
Status array_file_commit(ArrayFile **file);
void array_file_close(
    ArrayFile *file); /* accepts NULL; discards what was created and not committed */
const char *array_file_path(const ArrayFile *file);

typedef struct ArrayLayout {
  ArrayType type;
  int32_t rank; /* 1 … 8 */
  int64_t dims[ARRAY_RANK_MAX];
  int64_t chunk_dims[ARRAY_RANK_MAX]; /* all 0: one contiguous block */
  int32_t deflate_level;              /* 0: none; 1 … 9, with shuffle; needs chunks */
  bool extendible;                    /* dimension 0 may grow (array_append); needs chunks */
  double fill;                        /* value of what was never written */
} ArrayLayout;

Status array_create(ArrayFile *file, const char *path, const ArrayLayout *layout);
bool array_exists(ArrayFile *file, const char *path); /* an array or a group */
/* STATUS_BAD_INPUT where there is none; texts have no layout (STATUS_MISMATCH). */
Status array_layout(ArrayFile *file, const char *path, ArrayLayout *layout);

/* A block of the array: start and count per dimension, C order in memory. NULL start: from 0; NULL
 * count: to the end. type must be the array's own (STATUS_MISMATCH); a block outside the array is
 * STATUS_BAD_SHAPE. */
Status array_write(ArrayFile *file, const char *path, const int64_t *start, const int64_t *count,
                   ArrayType type, const void *values);
Status array_read(ArrayFile *file, const char *path, const int64_t *start, const int64_t *count,
                  ArrayType type, void *values);
/* Adds row_count rows (slices of dimension 0) at the end. */
Status array_append(ArrayFile *file, const char *path, int64_t row_count, ArrayType type,
                    const void *values);

/* Make and read in one go. */
Status array_write_whole(ArrayFile *file, const char *path, ArrayType type, int32_t rank,
                         const int64_t *dims, const void *values);

Status array_write_texts(ArrayFile *file, const char *path, const char *const *texts, size_t count);
Status array_read_texts(ArrayFile *file, const char *path, Arena *arena, char ***texts,
                        size_t *count);

/* Names of the members of a group ("" or "/": the root), sorted; groups end with "/". */
Status array_list(ArrayFile *file, const char *group, Arena *arena, char ***names, size_t *count);
Status array_make_group(ArrayFile *file, const char *group);

/* Attributes of an array or a group ("" or "/": of the file). Setting replaces. Getting: present as
 * in document.h (NULL: absence is an error). */
Status array_set_text(ArrayFile *file, const char *path, const char *key, const char *value);
Status array_set_int(ArrayFile *file, const char *path, const char *key, int64_t value);
Status array_set_real(ArrayFile *file, const char *path, const char *key, double value);
Status array_set_ints(ArrayFile *file, const char *path, const char *key, const int64_t *values,
                      size_t count);
Status array_set_reals(ArrayFile *file, const char *path, const char *key, const double *values,
                       size_t count);
Status array_get_text(ArrayFile *file, const char *path, const char *key, Arena *arena,
                      char **value, bool *present);
Status array_get_int(ArrayFile *file, const char *path, const char *key, int64_t *value,
                     bool *present);
Status array_get_real(ArrayFile *file, const char *path, const char *key, double *value,
                      bool *present);
/* Writes at most capacity; *count is the list's length. */
Status array_get_ints(ArrayFile *file, const char *path, const char *key, int64_t *values,
                      size_t capacity, size_t *count, bool *present);
Status array_get_reals(ArrayFile *file, const char *path, const char *key, double *values,
                       size_t capacity, size_t *count, bool *present);

/* An array whose bytes lie in other files (shards). A piece maps a block of a shard's array to a
 * block of this one; both have the same number of elements, ranks may differ. The shard's path is
 * relative to this file's folder, so that the folder can be moved; a shard that is missing reads as
 * fill. Every read looks at every piece: keep pieces in the thousands at most. */
typedef struct ArrayPiece {
  const char *file;  /* "shard_0003.h5" */
  const char *array; /* path in the shard */
  int32_t source_rank;
  int64_t source_dims[ARRAY_RANK_MAX]; /* of the shard's whole array */
  int64_t source_start[ARRAY_RANK_MAX];
  int64_t source_count[ARRAY_RANK_MAX];
  int64_t target_start[ARRAY_RANK_MAX];
  int64_t target_count[ARRAY_RANK_MAX];
} ArrayPiece;

Status array_create_virtual(ArrayFile *file, const char *path, ArrayType type, int32_t rank,
                            const int64_t *dims, double fill, const ArrayPiece *pieces,
                            size_t piece_count);

/* Tells GIS programs where a two-dimensional array (rows, columns; height_px, width_px) lies: CF
 * conventions, with coordinate arrays x and y in its group and a variable that holds the reference
 * system. pixel_to_map: GDAL's order; a rotated grid is STATUS_UNSUPPORTED. In GDAL:
 * NETCDF:"file.h5":path, or the file alone if it
 * ends with ".nc". One grid per group: a second array of the same grid shares x and y;
 * another grid is STATUS_MISMATCH. no_data: the value that means nothing, or NAN for none. */
Status array_georeference(ArrayFile *file, const char *path, const char *crs_wkt,
                          const double pixel_to_map[6], double no_data);
