#include "geo/pixel.h"

#include <stdint.h>
#include <string.h>

static const struct {
  const char *name;
  size_t bytes;
} kinds[PIXEL_TYPE_COUNT] = {
    [PIXEL_U8] = {"uint8", sizeof(uint8_t)},
    [PIXEL_U16] = {"uint16", sizeof(uint16_t)},
    [PIXEL_I16] = {"int16", sizeof(int16_t)},
    [PIXEL_F32] = {"float32", sizeof(float)},
};

size_t pixel_bytes(PixelType type)
{
  return kinds[type].bytes;
}

const char *pixel_name(PixelType type)
{
  return kinds[type].name;
}

bool pixel_type_of_name(const char *name, PixelType *type)
{
  for (int i = 0; i < PIXEL_TYPE_COUNT; ++i) {
    if (strcmp(kinds[i].name, name) != 0) continue;
    *type = (PixelType)i;
    return true;
  }
  return false;
}

double pixel_value(PixelType type, const void *pixels, size_t index)
{
  switch (type) {
  case PIXEL_U8: return ((const uint8_t *)pixels)[index];
  case PIXEL_U16: return ((const uint16_t *)pixels)[index];
  case PIXEL_I16: return ((const int16_t *)pixels)[index];
  case PIXEL_F32: break;
  }
  return (double)((const float *)pixels)[index];
}
