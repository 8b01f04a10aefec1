#pragma once

/* Which files of a Classified_Tiles folder belong together. */

#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"

typedef struct TilePair {
  const char *image; /* folder/images/000000019.tif */
  const char *label; /* NULL: a chip without a label */
} TilePair;

/* map.txt: columns parted by blanks, slashes of either kind, any line end, in any order; a chip
 * that stands twice counts once. Without map.txt: every picture in images, by name, with the label
 * of the same stem. Lives in the arena. Errors: STATUS_BAD_INPUT if there are no chips, or a name
 * leads out of the folder; STATUS_IO. */
Status tile_map_read(const char *folder, Arena *arena, TilePair **pairs, int64_t *count);
