#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "chip/chip_objects.h"
#include "geo/class_table.h"
#include "geo/grid.h"
#include "geo/pixel.h"

/* Training chips on disk: images, which of their pixels are data, and the class of each; in sets of
 * objects also each object's class, box and mask. One HDF5 file (with the ranks' shards beside it),
 * or a folder: ArcGIS' Classified_Tiles, RCNN_Masks, PASCAL_VOC_rectangles and KITTI_rectangles, or
 * COCO (images and annotations.json); a reader need not know which. */
typedef struct ChipSet ChipSet;

typedef enum ChipSetKind {
  CHIP_SET_CLASSES,   /* a class per pixel, no objects */
  CHIP_SET_INSTANCES, /* objects with a mask each */
  CHIP_SET_BOXES      /* objects, some or all of which have a box only */
} ChipSetKind;

/* Counts of one class over all chips. */
typedef struct ChipClass {
  ClassEntry entry;    /* 0: pixels without a label */
  int64_t pixel_count; /* of valid pixels */
  int64_t chip_count;  /* chips that hold it; of class 0 in a folder whose statistics were read: all
                          chips, if it has pixels */
  int64_t object_count; /* of sets with objects; an object in two chips counts twice */
} ChipClass;

/* Over the valid pixels of all chips, in the raster's values. */
typedef struct ChipBand {
  char name[64];
  double least, most, mean, standard_deviation;
  int64_t pixel_count;
} ChipBand;

typedef struct ChipSetInfo {
  ChipSetKind kind;
  int64_t chip_count;
  int32_t width_px, height_px;
  int32_t band_count;
  PixelType pixel;
  bool labels_are_wide; /* class values over 255 occur: labels in memory are uint16 either way */
  bool unlabelled_is_background; /* labels were features: where none is, is background; else nobody
                                    knows (a class raster) */
  double cell_size_m;            /* 0: unknown */
  char *crs_wkt;
  ChipBand *bands;
  ChipClass *classes; /* by value, 0 first */
  int32_t class_count;
  /* Of sets with objects, else 0. */
  int64_t object_count;
  int32_t objects_most;    /* in any chip */
  int64_t mask_bytes_most; /* of the masks of any chip, one byte per pixel */
  int64_t crowd_count;     /* COCO: annotations of crowds, which are left out */
  int64_t
      degenerate_count; /* objects that are left out: a mask without a pixel, a box without width
                               or height, or outside of its chip */
} ChipSetInfo;

/* The ground that a chip covers: its bounding box in pixels of its raster. */
typedef struct ChipPlace {
  int32_t raster; /* chips of different rasters never overlap */
  int64_t x_px, y_px, width_px, height_px;
} ChipPlace;

/* path: the .h5 file or the folder. All tables are read and every shard is looked at; statistics
 * that a folder lacks are counted, which reads all of it. A folder says nothing of NoData: there a
 * pixel is NoData where all its bands are 0 and it has no label (or a band is not finite); it is
 * taken for granted that what has no label is background, as ArcGIS trains it; places follow from
 * the world files, and a chip without one stands for itself.
 * Errors: STATUS_IO, STATUS_BAD_INPUT (a file that is missing, truncated or of other size);
 * STATUS_UNSUPPORTED for a newer format. */
Status chip_set_open(const char *path, ChipSet **set);
void chip_set_close(ChipSet *set); /* accepts NULL */
const ChipSetInfo *chip_set_info(const ChipSet *set);
ChipPlace chip_set_place(const ChipSet *set, int64_t chip);

/* image: height x width x bands of the pixel type, all bands 0 where not valid; valid: height x
 * width, 1 = data; labels: height x width class values, 0 where not valid. May be called from
 * several threads. Errors: STATUS_IO, STATUS_BAD_INPUT also for a chip whose checksum is wrong. */
Status chip_set_read(ChipSet *set, int64_t chip, void *image, uint8_t *valid, uint16_t *labels);

/* The chip's objects, in the set's order; none in a set of classes. Where masks overlap, labels of
 * chip_set_read has the larger class value; boxes without a mask leave no label. objects may be
 * empty or hold another chip's; it is the caller's to free, also after an error. May be called from
 * several threads, each with objects of its own. Errors as chip_set_read. */
Status chip_set_read_objects(ChipSet *set, int64_t chip, ChipObjects *objects);
