#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "device/device.h"
#include "geo/class_table.h"
#include "geo/pixel.h"
#include "job/job.h"
#include "tensor/shape.h"

/* What finds objects in tiles, behind a table of functions: a network, or what a test puts in its
 * place. detect asks for nothing else, so all that is about rasters, borders and ranks is tested
 * without a network. */

/* What a model says of itself; texts and lists live as long as the model is open. */
typedef struct DetectModel {
  const char *name;     /* for the log: "Mask R-CNN with resnet50" */
  const char *identity; /* a digest of weights and definition: written with each object */
  PixelType pixel;      /* of the rasters it reads */
  int32_t band_count;
  const int32_t *extract_bands; /* the raster's band (from 0) that is the network's band i */
  const ClassEntry *classes;    /* class index i (from 1) is classes[i - 1]; no background */
  int32_t class_count;
  bool has_masks;
  int32_t tile_size_px;     /* that it was trained on; 0: unknown */
  int32_t tile_multiple_px; /* sides of tiles are multiples of it */
  double cell_size_m;       /* 0: unknown */
  double threshold;         /* its own default, 0 … 1; below 0: it has none */
  double nms_overlap;       /* likewise */
  int32_t edge_px; /* how near to a side of a tile the mask comes of a thing cut by it, at least 1:
                      the outermost pixels */
} DetectModel;

typedef struct DetectEngineOptions {
  Element element;
  int32_t batch_size;
  int32_t tile_width_px;
  int32_t tile_height_px;
  double threshold;   /* things of a lower score are not given */
  double nms_overlap; /* IoU of boxes of a class above which the weaker one goes */
  bool wants_masks;   /* false: boxes alone, though the model may have masks */
} DetectEngineOptions;

/* One thing found in a tile. Places are in pixels of the tile, (0, 0) its outer upper left corner:
 * a thing that is pixel (3, 5) alone has the box 3, 5, 4, 6. */
typedef struct DetectThing {
  int32_t class_index;  /* from 1 */
  float score;          /* threshold … 1 */
  float x1, y1, x2, y2; /* inside the tile */
  int32_t mask_x_px;    /* the mask's window, inside the tile */
  int32_t mask_y_px;
  int32_t mask_width_px;
  int32_t mask_height_px;
  const uint8_t *mask; /* mask_height_px x mask_width_px, 0 or 1; NULL where there are no masks */
} DetectThing;

/* What was found in a tile. The engine's, until its next end. */
typedef struct DetectTile {
  const DetectThing *things;
  int32_t count;
  bool full; /* a limit of the network was reached: there may be more. detect looks again, closer */
} DetectTile;

typedef struct DetectEngine {
  /* Collective. Reads a model on rank 0 and gives it to all; all ranks succeed or none does.
   * Errors: as model_open; STATUS_MISMATCH for a model that finds no objects. */
  Status (*open_model)(const Job *job, const char *path, void **model, DetectModel *facts);
  void (*close_model)(void *model); /* accepts NULL */

  /* Local. Bytes of device memory that an engine of these options takes. */
  Status (*bytes)(void *model, Device *device, const DetectEngineOptions *options, size_t *bytes);
  /* Local. The model outlives it. On failure *engine is NULL. */
  Status (*open)(void *model, Device *device, const DetectEngineOptions *options, void **engine);
  void (*close)(void *engine); /* accepts NULL */

  /* Local. pixels: batch x height x width x bands of the model's type; valid: batch x height x width,
   * 1 = data (elsewhere pixels are 0); both in host memory of the device, the same for both calls of
   * a lane (device/outbox.h). tiles: batch_size of them. begin issues what it can and does not wait
   * (NULL: end does all); end waits until the lane is done. Two lanes may be begun at once.
   *
   * What it must keep: the same tile gives the same things in the same order, to the last bit,
   * whatever else is in the batch and wherever the tile stands in it. A tile without data gives
   * nothing. Only whole numbers of memory: scores and boxes are finite, windows lie in the tile. */
  void (*begin)(void *engine, int32_t lane, const void *pixels, const uint8_t *valid);
  Status (*end)(void *engine, int32_t lane, const void *pixels, const uint8_t *valid,
                DetectTile *tiles);
} DetectEngine;

/* The networks of this program: Mask R-CNN and Faster R-CNN. */
extern const DetectEngine detect_network;
