#include "array_door.h"

static const struct {
  const char *name;
  size_t bytes;
} types[] = {
    [ARRAY_U8] = {"uint8", 1},    [ARRAY_U16] = {"uint16", 2}, [ARRAY_I16] = {"int16", 2},
    [ARRAY_I32] = {"int32", 4},   [ARRAY_I64] = {"int64", 8},  [ARRAY_F32] = {"float32", 4},
    [ARRAY_F64] = {"float64", 8},
};

size_t array_type_bytes(ArrayType type)
{
  return types[type].bytes;
}

const char *array_type_name(ArrayType type)
{
  return types[type].name;
}

/* HDF5's ids are no constants: they are known once the library is open. */
hid_t array_memory_type(ArrayType type)
{
  switch (type) {
  case ARRAY_U8: return H5T_NATIVE_UINT8;
  case ARRAY_U16: return H5T_NATIVE_UINT16;
  case ARRAY_I16: return H5T_NATIVE_INT16;
  case ARRAY_I32: return H5T_NATIVE_INT32;
  case ARRAY_I64: return H5T_NATIVE_INT64;
  case ARRAY_F32: return H5T_NATIVE_FLOAT;
  default: return H5T_NATIVE_DOUBLE;
  }
}

hid_t array_file_type(ArrayType type)
{
  switch (type) {
  case ARRAY_U8: return H5T_STD_U8LE;
  case ARRAY_U16: return H5T_STD_U16LE;
  case ARRAY_I16: return H5T_STD_I16LE;
  case ARRAY_I32: return H5T_STD_I32LE;
  case ARRAY_I64: return H5T_STD_I64LE;
  case ARRAY_F32: return H5T_IEEE_F32LE;
  default: return H5T_IEEE_F64LE;
  }
}

Status array_find_type(const ArrayFile *file, const char *path, hid_t stored, ArrayType *type)
{
  for (int i = ARRAY_U8; i <= ARRAY_F64; ++i) {
    *type = (ArrayType)i;
    if (H5Tequal(stored, array_file_type(*type)) > 0) return STATUS_OK;
  }
  if (H5Tget_class(stored) == H5T_STRING)
    return status_set(STATUS_MISMATCH, "%s: “%s” holds texts, not numbers", file->path, path);
  return status_set(STATUS_UNSUPPORTED, "%s: “%s” has an element type that is not read", file->path,
                    path);
}
