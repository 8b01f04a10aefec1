#include "geo/class_table.h"

#include <stddef.h>
#include <string.h>

enum { PALETTE_COUNT = 20 };

/* Sasha Trubetskoy's "20 simple, distinct colors" (2017), the strong ones first. */
static const uint8_t palette[PALETTE_COUNT][3] = {
    {230, 25, 75},   {60, 180, 75},   {255, 225, 25},  {0, 130, 200},   {245, 130, 48},
    {145, 30, 180},  {70, 240, 240},  {240, 50, 230},  {210, 245, 60},  {250, 190, 212},
    {0, 128, 128},   {220, 190, 255}, {170, 110, 40},  {255, 250, 200}, {128, 0, 0},
    {170, 255, 195}, {128, 128, 0},   {255, 215, 180}, {0, 0, 128},     {128, 128, 128},
};

static void palette_colour(int32_t value, uint8_t rgb[3])
{
  static const uint8_t background[3] = {225, 225, 225};
  const uint8_t *colour =
      value < 1 ? background : palette[(size_t)(value - 1) % (size_t)PALETTE_COUNT];
  memcpy(rgb, colour, 3);
}

/* Bytes 10xxxxxx continue a character of UTF-8. */
static size_t cut_at_character(const char *text, size_t bytes)
{
  while (bytes > 0 && ((unsigned char)text[bytes] & 0xC0) == 0x80)
    --bytes;
  return bytes;
}

ClassEntry class_entry(int32_t value, const char *name)
{
  ClassEntry entry = {.value = value, .has_colour = true};
  size_t bytes = strlen(name);
  if (bytes >= CLASS_NAME_BYTES) bytes = cut_at_character(name, CLASS_NAME_BYTES - 1);
  memcpy(entry.name, name, bytes);
  palette_colour(value, entry.rgb);
  return entry;
}

void class_colour(const ClassEntry *entry, uint8_t rgb[3])
{
  if (entry->has_colour)
    memcpy(rgb, entry->rgb, 3);
  else
    palette_colour(entry->value, rgb);
}

const ClassEntry *class_find(const ClassEntry *entries, int32_t count, int32_t value)
{
  for (int32_t i = 0; i < count; ++i)
    if (entries[i].value == value) return &entries[i];
  return NULL;
}

int32_t class_largest_value(const ClassEntry *entries, int32_t count)
{
  int32_t largest = -1;
  for (int32_t i = 0; i < count; ++i)
    if (entries[i].value > largest) largest = entries[i].value;
  return largest;
}
