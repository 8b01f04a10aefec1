#pragma once

/* A small set of chips with objects, written in any form that has them. */

#include "chip/chip_writer.h"
#include "geo/geo_fixture.h"

enum { OBJECT_W = 24, OBJECT_H = 20, OBJECT_PIXELS = OBJECT_W * OBJECT_H, OBJECT_CHIPS = 5 };

/* Classes 2, "roof", and 7, "tree/top". Chip 0: objects that overlap, within and across classes; 1:
 * one with a hole, one of several parts, two of which touch by a corner; 2: none; 3: 300 of one
 * pixel, and one in the last corner; 4: one that fills the chip. */
void object_fixture_fill(int64_t chip, ChipObjects *objects);
/* folder/set.h5, or folder itself; path: what to open. */
void object_fixture_write(const char *folder, ChipFormat format, char path[FIXTURE_PATH_BYTES]);
/* Adds a rectangle to a list, and clears one in the last object. */
void object_fixture_add(ChipObjects *objects, uint16_t value, int x, int y, int width, int height);
void object_fixture_clear(ChipObjects *objects, int x, int y, int width, int height);
void object_fixture_text(const char *folder, const char *name, const char *text);
