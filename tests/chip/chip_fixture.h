#pragma once

/* A small chip set, written in both forms. */

#include "chip/chip_writer.h"
#include "geo/geo_fixture.h"

enum { FIXTURE_CHIPS = 5, FIXTURE_SHARDS = 3, FIXTURE_W = 8, FIXTURE_H = 6, FIXTURE_BANDS = 2 };
enum { FIXTURE_PIXELS = FIXTURE_W * FIXTURE_H };

typedef struct FixtureChip {
  uint16_t image[FIXTURE_PIXELS * FIXTURE_BANDS];
  uint8_t valid[FIXTURE_PIXELS];
  uint16_t labels[FIXTURE_PIXELS];
} FixtureChip;

extern const int64_t fixture_shard_chips[FIXTURE_SHARDS]; /* 2, 0, 3 */

/* Classes 0, 3 and, where wide is set, 300. The first row of every chip is NoData. */
ChipForm fixture_form(ChipFormat format, bool wide);
void fixture_fill_chip(int64_t number, bool wide, FixtureChip *chip);
ChipPlace fixture_place(int64_t number);

/* folder/chips.h5 with folder/chips.shards; returns the path. Folder is made. */
void fixture_write_arrays(const char *folder, bool wide, int32_t deflate_level,
                          char path[FIXTURE_PATH_BYTES]);
/* folder as Classified_Tiles. */
void fixture_write_tiles(const char *folder, bool wide);
