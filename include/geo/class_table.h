#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { CLASS_NAME_BYTES = 96, CLASS_LARGEST_VALUE = 65535 };

/* One class of a label, a model or a map. */
typedef struct ClassEntry {
  int32_t value; /* of its pixels: 0 … 65535; 0 is background or unlabelled */
  bool has_colour;
  uint8_t rgb[3];
  char name[CLASS_NAME_BYTES]; /* UTF-8; longer ones are cut at a character */
  int64_t feature_count;       /* of a vector label source: features near the raster; else 0 */
} ClassEntry;

/* Fills name, cut if need be, and gives the class its colour from a fixed list of 20 that are
 * easily told apart; value 0 is light grey. */
ClassEntry class_entry(int32_t value, const char *name);
/* Copies the colour, or takes the one of the fixed list where there is none. */
void class_colour(const ClassEntry *entry, uint8_t rgb[3]);
/* NULL if no entry has the value. */
const ClassEntry *class_find(const ClassEntry *entries, int32_t count, int32_t value);
/* -1 for an empty list. */
int32_t class_largest_value(const ClassEntry *entries, int32_t count);
