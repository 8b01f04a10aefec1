#pragma once

#include "detect_list.h"
#include "detect_views.h"
#include "device/outbox.h"
#include "object_merge.h"

/* Looks at batches of tiles with an engine, as often as it takes: in several views where that is
 * wanted, and closer where a tile is full.
 *
 * A full tile (DetectTile) is laid out in parts, as a raster is in tiles: squares of five eighths
 * of its longer side, rounded up to the network's multiple, that overlap by about a quarter of it.
 * Each is looked at as a tile of its own, the network's size, without data beyond the part; so the
 * network's limits hold for less ground. What the parts found is merged by the rules of
 * object_merge.h, with the tile as the raster, and stands for what the first look found. A part
 * that is full is looked at in parts once more, but not in parts of less than 64 px: so a tile
 * costs 20 looks more at most, as a rule, also with a network that finds things everywhere. Where
 * the last look was full, what it found is all, and the tile is counted as still full. */
typedef struct DetectLookOptions {
  PixelType pixel;
  int32_t band_count;
  int32_t batch_size;
  int32_t tile_width_px;
  int32_t tile_height_px;
  int32_t tile_multiple_px;
  bool has_masks;
  bool augments;
  DetectPolicy policy;
  MergeOptions merge; /* of parts; exclude_pad_detections has no say there */
} DetectLookOptions;

/* What was seen in a tile. */
typedef struct DetectSeen {
  DetectList things;
  bool was_full;
  bool is_still_full;
  int32_t part_count; /* looks at parts of it */
} DetectSeen;

typedef struct DetectLook DetectLook;

/* The engine must outlive it. */
Status detect_look_open(const DetectEngine *table, void *engine, Device *device,
                        const DetectLookOptions *options, DetectLook **look);
void detect_look_close(DetectLook *look); /* accepts NULL */

/* pixels, valid and lane as for the engine; LOOK_LANE is the look's own. begin issues the first look
 * and does not wait. seen: batch_size, whose lists end fills anew. */
enum { LOOK_LANE = OUTBOX_LANES - 1 };
void detect_look_begin(DetectLook *look, int32_t lane, const void *pixels, const uint8_t *valid);
Status detect_look_end(DetectLook *look, int32_t lane, const void *pixels, const uint8_t *valid,
                       DetectSeen *seen);
