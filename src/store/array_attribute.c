#include <string.h>

#include "array_door.h"
#include "base/memory.h"

static const size_t text_bytes_max = 1 << 20;

static Status replace(const ArrayFile *file, hid_t object, const char *key, hid_t file_type,
                      hid_t memory_type, hid_t space, const void *values)
{
  static const char what[] = "write the attribute";
  if (H5Aexists(object, key) > 0 && H5Adelete(object, key) < 0)
    return array_failed(file, key, STATUS_IO, what);
  const hid_t attribute = H5Acreate2(object, key, file_type, space, H5P_DEFAULT, H5P_DEFAULT);
  if (attribute < 0) return array_failed(file, key, STATUS_IO, what);
  const herr_t outcome = H5Awrite(attribute, memory_type, values);
  const Status status = outcome < 0 ? array_failed(file, key, STATUS_IO, what) : STATUS_OK;
  (void)H5Aclose(attribute);
  return status;
}

Status array_put_attribute(ArrayFile *file, const char *path, const char *key, hid_t file_type,
                           hid_t memory_type, size_t count, bool scalar, const void *values)
{
  const hsize_t dims[1] = {count};
  hid_t object = 0;
  if (!file->writing)
    return status_set(STATUS_BAD_OPTION, "%s was opened for reading only", file->path);
  TRY(array_open_object(file, path, &object));
  const hid_t space = scalar ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, dims, NULL);
  const Status status = replace(file, object, key, file_type, memory_type, space, values);
  (void)H5Sclose(space);
  (void)H5Oclose(object);
  return status;
}

Status array_put_text(ArrayFile *file, const char *path, const char *key, const char *value)
{
  const hid_t type = H5Tcopy(H5T_C_S1);
  (void)H5Tset_size(type, strlen(value) + 1);
  (void)H5Tset_cset(type, H5T_CSET_UTF8);
  const Status status = array_put_attribute(file, path, key, type, type, 1, true, value);
  (void)H5Tclose(type);
  return status;
}

Status array_set_text(ArrayFile *file, const char *path, const char *key, const char *value)
{
  array_lock();
  return array_unlock(array_put_text(file, path, key, value));
}

Status array_set_int(ArrayFile *file, const char *path, const char *key, int64_t value)
{
  array_lock();
  return array_unlock(
      array_put_attribute(file, path, key, H5T_STD_I64LE, H5T_NATIVE_INT64, 1, true, &value));
}

Status array_set_real(ArrayFile *file, const char *path, const char *key, double value)
{
  array_lock();
  return array_unlock(
      array_put_attribute(file, path, key, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, 1, true, &value));
}

Status array_set_ints(ArrayFile *file, const char *path, const char *key, const int64_t *values,
                      size_t count)
{
  array_lock();
  return array_unlock(
      array_put_attribute(file, path, key, H5T_STD_I64LE, H5T_NATIVE_INT64, count, false, values));
}

Status array_set_reals(ArrayFile *file, const char *path, const char *key, const double *values,
                       size_t count)
{
  array_lock();
  return array_unlock(array_put_attribute(file, path, key, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, count,
                                          false, values));
}

/* What an attribute holds. */
typedef struct Attribute {
  hid_t id; /* 0: absent */
  H5T_class_t kind;
  bool variable;
  size_t item_bytes;
  size_t count;
} Attribute;

static void measure(Attribute *attribute)
{
  const hid_t type = H5Aget_type(attribute->id);
  const hid_t space = H5Aget_space(attribute->id);
  const hssize_t count = H5Sget_simple_extent_npoints(space);
  attribute->kind = H5Tget_class(type);
  attribute->variable = attribute->kind == H5T_STRING && H5Tis_variable_str(type) > 0;
  attribute->item_bytes = H5Tget_size(type);
  attribute->count = count < 0 ? 0 : (size_t)count;
  (void)H5Sclose(space);
  (void)H5Tclose(type);
}

static Status open_attribute(const ArrayFile *file, const char *path, const char *key,
                             bool *present, Attribute *attribute)
{
  hid_t object = 0;
  *attribute = (Attribute){.id = 0};
  TRY(array_open_object(file, path, &object));
  const bool found = H5Aexists(object, key) > 0;
  if (found) attribute->id = H5Aopen(object, key, H5P_DEFAULT);
  const Status status =
      attribute->id < 0 ? array_failed_reading(file, key, "open the attribute") : STATUS_OK;
  (void)H5Oclose(object);
  TRY(status);
  if (present != NULL) *present = found;
  if (!found && present == NULL)
    return status_set(STATUS_BAD_INPUT, "%s: “%s” has no attribute “%s”", file->path, path, key);
  if (found) measure(attribute);
  return STATUS_OK;
}

static Status wrong_kind(const ArrayFile *file, const char *path, const char *key,
                         const char *wanted)
{
  return status_set(STATUS_BAD_INPUT, "%s: the attribute “%s” of “%s” is not %s", file->path, key,
                    path, wanted);
}

static Status read_variable(const ArrayFile *file, const char *key, const Attribute *attribute,
                            hid_t type, Arena *arena, char **value)
{
  char *text = NULL;
  (void)H5Tset_size(type, H5T_VARIABLE);
  if (H5Aread(attribute->id, type, (void *)&text) < 0)
    return array_failed_reading(file, key, "read the attribute");
  const Status status = arena_copy_text(arena, text == NULL ? "" : text, value);
  (void)H5free_memory(text);
  return status;
}

static Status read_fixed(const ArrayFile *file, const char *key, const Attribute *attribute,
                         hid_t type, Arena *arena, char **value)
{
  void *piece;
  TRY(arena_allocate(arena, attribute->item_bytes + 1, &piece));
  (void)H5Tset_size(type, attribute->item_bytes + 1);
  if (H5Aread(attribute->id, type, piece) < 0)
    return array_failed_reading(file, key, "read the attribute");
  *value = piece;
  return STATUS_OK;
}

/* Memory must be of the stored character set: HDF5 does not convert between them. */
static Status read_text(const ArrayFile *file, const char *key, const Attribute *attribute,
                        Arena *arena, char **value)
{
  const hid_t stored = H5Aget_type(attribute->id);
  const hid_t type = H5Tcopy(H5T_C_S1);
  (void)H5Tset_cset(type, H5Tget_cset(stored));
  const Status status = attribute->variable
                            ? read_variable(file, key, attribute, type, arena, value)
                            : read_fixed(file, key, attribute, type, arena, value);
  (void)H5Tclose(type);
  (void)H5Tclose(stored);
  return status;
}

static Status get_text_unlocked(const ArrayFile *file, const char *path, const char *key,
                                Arena *arena, char **value, bool *present)
{
  Attribute attribute;
  TRY(open_attribute(file, path, key, present, &attribute));
  if (attribute.id == 0) return STATUS_OK;
  const bool fits = attribute.kind == H5T_STRING && attribute.count == 1 &&
                    attribute.item_bytes <= text_bytes_max;
  const Status status =
      fits ? read_text(file, key, &attribute, arena, value) : wrong_kind(file, path, key, "a text");
  (void)H5Aclose(attribute.id);
  return status;
}

Status array_read_text_unlocked(const ArrayFile *file, const char *path, const char *key,
                                Arena *arena, char **value)
{
  return get_text_unlocked(file, path, key, arena, value, NULL);
}

Status array_get_text(ArrayFile *file, const char *path, const char *key, Arena *arena,
                      char **value, bool *present)
{
  array_lock();
  return array_unlock(get_text_unlocked(file, path, key, arena, value, present));
}

/* All numbers of an attribute go through memory of their own, since HDF5 reads no part of one. */
static Status read_numbers(const ArrayFile *file, const char *key, const Attribute *attribute,
                           hid_t type, void *values, size_t capacity)
{
  const size_t item_bytes = 8; /* int64 and double alike */
  void *block;
  TRY(memory_allocate(attribute->count, item_bytes, "attribute", &block));
  const herr_t outcome = H5Aread(attribute->id, type, block);
  const size_t kept = attribute->count < capacity ? attribute->count : capacity;
  if (outcome >= 0 && kept > 0) memcpy(values, block, kept * item_bytes);
  memory_free(block);
  return outcome < 0 ? array_failed_reading(file, key, "read the attribute") : STATUS_OK;
}

static Status get_numbers_unlocked(const ArrayFile *file, const char *path, const char *key,
                                   bool whole, void *values, size_t capacity, size_t *count,
                                   bool *present)
{
  Attribute attribute;
  TRY(open_attribute(file, path, key, present, &attribute));
  if (attribute.id == 0) return STATUS_OK;
  const bool fits = attribute.kind == H5T_INTEGER || (!whole && attribute.kind == H5T_FLOAT);
  *count = attribute.count;
  const Status status =
      fits ? read_numbers(file, key, &attribute, whole ? H5T_NATIVE_INT64 : H5T_NATIVE_DOUBLE,
                          values, capacity)
           : wrong_kind(file, path, key, whole ? "made of whole numbers" : "made of numbers");
  (void)H5Aclose(attribute.id);
  return status;
}

static Status get_one_unlocked(const ArrayFile *file, const char *path, const char *key, bool whole,
                               void *value, bool *present)
{
  size_t count = 1;
  TRY(get_numbers_unlocked(file, path, key, whole, value, 1, &count, present));
  return count == 1 ? STATUS_OK : wrong_kind(file, path, key, "one number");
}

Status array_get_int(ArrayFile *file, const char *path, const char *key, int64_t *value,
                     bool *present)
{
  array_lock();
  return array_unlock(get_one_unlocked(file, path, key, true, value, present));
}

Status array_get_real(ArrayFile *file, const char *path, const char *key, double *value,
                      bool *present)
{
  array_lock();
  return array_unlock(get_one_unlocked(file, path, key, false, value, present));
}

Status array_get_ints(ArrayFile *file, const char *path, const char *key, int64_t *values,
                      size_t capacity, size_t *count, bool *present)
{
  array_lock();
  return array_unlock(
      get_numbers_unlocked(file, path, key, true, values, capacity, count, present));
}

Status array_get_reals(ArrayFile *file, const char *path, const char *key, double *values,
                       size_t capacity, size_t *count, bool *present)
{
  array_lock();
  return array_unlock(
      get_numbers_unlocked(file, path, key, false, values, capacity, count, present));
}
