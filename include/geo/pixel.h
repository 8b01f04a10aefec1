#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Types of pixels that rasters and chips may have. */
typedef enum PixelType { PIXEL_U8, PIXEL_U16, PIXEL_I16, PIXEL_F32 } PixelType;

enum { PIXEL_TYPE_COUNT = 4 };

size_t pixel_bytes(PixelType type);
const char *pixel_name(PixelType type); /* "uint8", "uint16", "int16", "float32" */
/* False if name is none of these; type is then untouched. */
bool pixel_type_of_name(const char *name, PixelType *type);
/* A pixel as a number; index counts elements of type. */
double pixel_value(PixelType type, const void *pixels, size_t index);
