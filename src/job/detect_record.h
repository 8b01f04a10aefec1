#pragma once

#include "detect_look.h"
#include "tile_shard.h"

/* What was found in the tiles of a unit, as bytes for shards: numbers in this machine's order, masks
 * packed. */
typedef struct DetectRecord {
  uint8_t *bytes;
  int64_t count;
  int64_t capacity;
} DetectRecord;

/* The one array of a shard: bytes. */
ShardArray detect_record_array(void);

/* What is said of a tile, before its things. */
typedef struct DetectTileNote {
  int64_t count;         /* of things */
  int64_t without_data;  /* things left out for lack of data */
  int64_t part_count;    /* looks at parts of it; 0: it was not full */
  int64_t is_still_full; /* as DetectSeen */
} DetectTileNote;

void detect_record_clear(DetectRecord *record);
void detect_record_free(DetectRecord *record);
/* Adds a tile: its note (count is found here) and the things of list, whose places are in a tile
 * that begins at the raster's pixel (x_px, y_px). */
Status detect_record_add(DetectRecord *record, DetectTileNote note, const DetectList *list,
                         int64_t x_px, int64_t y_px);
/* Writes down how long the record is, which all of detect_record_bytes begins with. */
void detect_record_finish(DetectRecord *record);

/* Reading: the first bytes say how many there are. */
enum { DETECT_RECORD_HEAD_BYTES = 8 };
int64_t detect_record_bytes(const uint8_t *head);
/* The next tile from *at on. things is freed by detect_things_free in any case. Errors:
 * STATUS_BAD_INPUT. */
Status detect_record_next(const DetectRecord *record, int64_t *at, DetectTileNote *note,
                          DetectThings *things);
/* Makes room for so many bytes. */
Status detect_record_reserve(DetectRecord *record, int64_t count);
