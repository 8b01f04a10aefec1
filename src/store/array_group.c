#include <stdio.h>
#include <string.h>

#include "array_door.h"
#include "base/memory.h"

static const int64_t texts_bytes_max = INT64_C(1) << 30;

/* HDF5 answers only if all groups above are there, so each is asked for in turn. */
bool array_exists_unlocked(const ArrayFile *file, const char *path)
{
  char prefix[ARRAY_PATH_BYTES];
  const size_t length = strlen(path);
  if (length == 0 || strcmp(path, "/") == 0) return true;
  if (length >= sizeof prefix) return false;
  memcpy(prefix, path, length + 1);
  for (size_t i = 1; i <= length; ++i) {
    if (prefix[i] != '/' && prefix[i] != '\0') continue;
    prefix[i] = '\0';
    const bool found = H5Lexists(file->file, prefix, H5P_DEFAULT) > 0;
    prefix[i] = path[i];
    if (!found) {
      (void)H5Eclear2(H5E_DEFAULT);
      return false;
    }
  }
  return true;
}

bool array_exists(ArrayFile *file, const char *path)
{
  array_lock();
  const bool found = array_exists_unlocked(file, path);
  (void)array_unlock(STATUS_OK);
  return found;
}

Status array_open_object(const ArrayFile *file, const char *path, hid_t *object)
{
  const char *name = *path == '\0' ? "/" : path;
  if (!array_exists_unlocked(file, path))
    return status_set(STATUS_BAD_INPUT, "%s: there is no “%s” in it", file->path, path);
  *object = H5Oopen(file->file, name, H5P_DEFAULT);
  return *object < 0 ? array_failed_reading(file, path, "open") : STATUS_OK;
}

/* Without the time of its making, which HDF5 would note: the same arrays give the same bytes. */
static Status make_one_group(const ArrayFile *file, const char *group)
{
  if (array_exists_unlocked(file, group)) return STATUS_OK;
  const hid_t links = array_link_list();
  const hid_t creation = H5Pcreate(H5P_GROUP_CREATE);
  (void)H5Pset_obj_track_times(creation, false);
  const hid_t made = H5Gcreate2(file->file, group, links, creation, H5P_DEFAULT);
  const Status status =
      made < 0 ? array_failed(file, group, STATUS_IO, "create the group") : STATUS_OK;
  (void)H5Pclose(creation);
  (void)H5Pclose(links);
  if (made >= 0) (void)H5Gclose(made);
  return status;
}

Status array_make_groups_above(const ArrayFile *file, const char *path)
{
  char prefix[ARRAY_PATH_BYTES];
  const size_t length = strlen(path);
  if (length >= sizeof prefix)
    return status_set(STATUS_BAD_INPUT, "%s: the name “%.80s…” is too long", file->path, path);
  memcpy(prefix, path, length + 1);
  for (size_t i = 1; i < length; ++i) {
    if (prefix[i] != '/') continue;
    prefix[i] = '\0';
    TRY(make_one_group(file, prefix));
    prefix[i] = '/';
  }
  return STATUS_OK;
}

static Status make_group_unlocked(const ArrayFile *file, const char *group)
{
  if (!file->writing)
    return status_set(STATUS_BAD_OPTION, "%s was opened for reading only", file->path);
  TRY(array_make_groups_above(file, group));
  return make_one_group(file, group);
}

Status array_make_group(ArrayFile *file, const char *group)
{
  array_lock();
  return array_unlock(make_group_unlocked(file, group));
}

typedef struct Listing {
  Arena *arena;
  char **names;
  size_t count;
  size_t capacity;
  Status status;
} Listing;

static Status add_name(Listing *listing, const char *name, bool is_group)
{
  void *piece;
  if (listing->count == listing->capacity) {
    const size_t capacity = listing->capacity == 0 ? 64 : 2 * listing->capacity;
    TRY(arena_allocate(listing->arena, capacity * sizeof *listing->names, &piece));
    if (listing->count > 0) memcpy(piece, listing->names, listing->count * sizeof *listing->names);
    listing->names = piece;
    listing->capacity = capacity;
  }
  const size_t length = strlen(name);
  TRY(arena_allocate(listing->arena, length + 2, &piece));
  memcpy(piece, name, length);
  if (is_group) ((char *)piece)[length] = '/';
  listing->names[listing->count++] = piece;
  return STATUS_OK;
}

/* Links to other places or files are not followed. */
static herr_t visit_link(hid_t group, const char *name, const H5L_info_t *link, void *context)
{
  Listing *listing = context;
  H5O_info_t object;
  if (link->type != H5L_TYPE_HARD) return 0;
  if (H5Oget_info_by_name(group, name, &object, H5P_DEFAULT) < 0) return -1;
  listing->status = add_name(listing, name, object.type == H5O_TYPE_GROUP);
  return listing->status == STATUS_OK ? 0 : -1;
}

static Status list_unlocked(const ArrayFile *file, const char *group, Arena *arena, char ***names,
                            size_t *count)
{
  Listing listing = {.arena = arena};
  hid_t object = 0;
  hsize_t position = 0;
  TRY(array_open_object(file, group, &object));
  const herr_t outcome =
      H5Literate(object, H5_INDEX_NAME, H5_ITER_INC, &position, visit_link, &listing);
  if (outcome < 0 && listing.status == STATUS_OK)
    listing.status = array_failed_reading(file, group, "list");
  (void)H5Oclose(object);
  *names = listing.names;
  *count = listing.count;
  return listing.status;
}

Status array_list(ArrayFile *file, const char *group, Arena *arena, char ***names, size_t *count)
{
  array_lock();
  return array_unlock(list_unlocked(file, group, arena, names, count));
}

static hid_t text_type(size_t bytes)
{
  const hid_t type = H5Tcopy(H5T_C_S1);
  (void)H5Tset_size(type, bytes);
  (void)H5Tset_strpad(type, H5T_STR_NULLTERM);
  (void)H5Tset_cset(type, H5T_CSET_UTF8);
  return type;
}

static Status write_block(const ArrayFile *file, const char *path, const char *block, size_t bytes,
                          size_t count)
{
  const hsize_t dims[1] = {count};
  const hid_t type = text_type(bytes);
  const hid_t space = H5Screate_simple(1, dims, NULL);
  const hid_t links = array_link_list();
  const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
  (void)H5Pset_obj_track_times(creation, false);
  const hid_t dataset = H5Dcreate2(file->file, path, type, space, links, creation, H5P_DEFAULT);
  herr_t outcome = dataset < 0 ? -1 : 0;
  if (outcome >= 0 && count > 0)
    outcome = H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, block);
  const Status status =
      outcome < 0 ? array_failed(file, path, STATUS_IO, "write the texts") : STATUS_OK;
  if (dataset >= 0) (void)H5Dclose(dataset);
  (void)H5Pclose(creation);
  (void)H5Pclose(links);
  (void)H5Sclose(space);
  (void)H5Tclose(type);
  return status;
}

/* Texts of one width: variable-length texts of HDF5 are neither compact nor robust. */
static Status write_texts_unlocked(const ArrayFile *file, const char *path,
                                   const char *const *texts, size_t count)
{
  size_t bytes = 1;
  void *block;
  if (!file->writing)
    return status_set(STATUS_BAD_OPTION, "%s was opened for reading only", file->path);
  TRY(array_make_groups_above(file, path));
  for (size_t i = 0; i < count; ++i)
    if (strlen(texts[i]) + 1 > bytes) bytes = strlen(texts[i]) + 1;
  TRY(memory_allocate(count, bytes, "texts", &block));
  for (size_t i = 0; i < count; ++i)
    memcpy((char *)block + i * bytes, texts[i], strlen(texts[i]));
  const Status status = write_block(file, path, block, bytes, count);
  memory_free(block);
  return status;
}

Status array_write_texts(ArrayFile *file, const char *path, const char *const *texts, size_t count)
{
  array_lock();
  return array_unlock(write_texts_unlocked(file, path, texts, count));
}

/* How many texts of how many bytes; STATUS_MISMATCH if they are none. */
static Status measure_texts(const ArrayFile *file, const char *path, hid_t dataset, size_t *bytes,
                            size_t *count)
{
  hsize_t dims[H5S_MAX_RANK] = {0};
  const hid_t type = H5Dget_type(dataset);
  const hid_t space = H5Dget_space(dataset);
  const int rank = space < 0 ? -1 : H5Sget_simple_extent_dims(space, dims, NULL);
  const bool texts = type >= 0 && H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0;
  *bytes = texts ? H5Tget_size(type) : 0;
  (void)H5Sclose(space);
  (void)H5Tclose(type);
  if (!texts || rank != 1)
    return status_set(STATUS_MISMATCH, "%s: “%s” is no list of texts", file->path, path);
  if (*bytes == 0 || dims[0] > (hsize_t)texts_bytes_max / *bytes)
    return status_set(STATUS_BAD_INPUT, "%s: “%s” holds too many texts", file->path, path);
  *count = (size_t)dims[0];
  return STATUS_OK;
}

static Status copy_texts(const char *block, size_t bytes, size_t count, Arena *arena, char ***texts)
{
  void *piece;
  TRY(arena_allocate(arena, count * sizeof **texts, &piece));
  *texts = piece;
  for (size_t i = 0; i < count; ++i) {
    const char *text = block + i * bytes;
    const size_t length = strnlen(text, bytes);
    TRY(arena_allocate(arena, length + 1, &piece));
    memcpy(piece, text, length);
    (*texts)[i] = piece;
  }
  return STATUS_OK;
}

static Status read_texts_unlocked(ArrayFile *file, const char *path, Arena *arena, char ***texts,
                                  size_t *count)
{
  hid_t dataset = 0;
  size_t bytes = 0;
  void *block;
  TRY(array_open_dataset(file, path, &dataset));
  TRY(measure_texts(file, path, dataset, &bytes, count));
  TRY(memory_allocate(*count, bytes, "texts", &block));
  const hid_t type = text_type(bytes);
  const herr_t outcome =
      *count == 0 ? 0 : H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, block);
  const Status status = outcome < 0 ? array_failed_reading(file, path, "read")
                                    : copy_texts(block, bytes, *count, arena, texts);
  (void)H5Tclose(type);
  memory_free(block);
  return status;
}

Status array_read_texts(ArrayFile *file, const char *path, Arena *arena, char ***texts,
                        size_t *count)
{
  array_lock();
  return array_unlock(read_texts_unlocked(file, path, arena, texts, count));
}
