#pragma once

/* The only door to HDF5. One set of signatures for 1.10, 1.12 and 1.14. */
#define H5_USE_110_API 1
#include <hdf5.h>

#include "store/array_file.h"

enum { ARRAY_OPEN_MAX = 32, ARRAY_PATH_BYTES = 1024 };

/* A dataset that stays open, so that its chunk cache lives from one call to the next. */
typedef struct OpenArray {
  char path[ARRAY_PATH_BYTES];
  hid_t dataset; /* 0: free */
} OpenArray;

struct ArrayFile {
  char *path;
  hid_t file; /* 0: closed */
  bool writing;
  OpenArray open[ARRAY_OPEN_MAX];
  size_t next_open; /* the place that is given up next */
};

/* Every entry from outside stands between these two: a build of HDF5 need not be thread-safe. Lock
 * also turns the printing of errors off, which HDF5 keeps per thread. */
void array_lock(void);
Status array_unlock(Status status); /* returns status */

/* Both must come right behind the call that failed: every other call of HDF5, a closing too, clears
 * the error stack. HDF5's error stack as one sentence: what was tried, on which array of which
 * file, and HDF5's innermost reason. */
Status array_failed(const ArrayFile *file, const char *path, Status status, const char *what);
/* Damage, unless the operating system gave a reason: then STATUS_IO. */
Status array_failed_reading(const ArrayFile *file, const char *path, const char *what);

/* Borrowed from the file's open arrays. */
Status array_open_dataset(ArrayFile *file, const char *path, hid_t *dataset);
void array_keep_dataset(ArrayFile *file, const char *path, hid_t dataset);

hid_t array_memory_type(ArrayType type); /* of HDF5; borrowed */
hid_t array_file_type(ArrayType type);   /* little-endian; borrowed */
/* STATUS_MISMATCH for texts, STATUS_UNSUPPORTED for other types. */
Status array_find_type(const ArrayFile *file, const char *path, hid_t stored, ArrayType *type);
/* A link-creation list, names in UTF-8; the caller closes it. */
hid_t array_link_list(void);
/* Makes the groups that a path goes through. */
Status array_make_groups_above(const ArrayFile *file, const char *path);
bool array_exists_unlocked(const ArrayFile *file, const char *path);
Status array_create_unlocked(ArrayFile *file, const char *path, const ArrayLayout *layout);
Status array_layout_unlocked(ArrayFile *file, const char *path, ArrayLayout *layout);
/* Writes (reading false) or reads a block that lies inside. */
Status array_move_unlocked(ArrayFile *file, const char *path, const int64_t *start,
                           const int64_t *count, ArrayType type, void *values, bool reading);
/* *array is filled with a handle (H5Oopen), or the root's. The caller closes it by H5Oclose. */
Status array_open_object(const ArrayFile *file, const char *path, hid_t *object);
/* Replaces an attribute; space is a scalar or a list. */
Status array_put_attribute(ArrayFile *file, const char *path, const char *key, hid_t file_type,
                           hid_t memory_type, size_t count, bool scalar, const void *values);
Status array_put_text(ArrayFile *file, const char *path, const char *key, const char *value);
Status array_read_text_unlocked(const ArrayFile *file, const char *path, const char *key,
                                Arena *arena, char **value);
