#pragma once

/* Labels of a folder that hold objects: RCNN_Masks, PASCAL_VOC_rectangles, KITTI_rectangles and
 * COCO. */

#include "chip_set_form.h"
#include "class_folder.h"
#include "coco_chips.h"
#include "tile_tables.h"

typedef enum TileLabelKind {
  TILE_LABELS_CLASSES, /* labels/NNN.tif: a class per pixel */
  TILE_LABELS_MASKS,   /* labels/CLASS/NNN.tif: an object per value */
  TILE_LABELS_VOC,     /* labels/NNN.xml */
  TILE_LABELS_KITTI,   /* labels/NNN.txt */
  TILE_LABELS_COCO     /* annotations.json */
} TileLabelKind;

/* A name by which labels call a class. */
typedef struct TileName {
  char name[CLASS_FOLDER_BYTES];
  int32_t value;
} TileName;

typedef struct TileLabels {
  TileLabelKind kind;
  const char *folder; /* of the set */
  TilePair *pairs;    /* of all chips */
  int32_t width_px, height_px;
  TileName *names; /* by value */
  int32_t name_count;
  CocoChips coco;
} TileLabels;

/* By what lies in the folder. Errors: STATUS_IO. */
Status tile_labels_detect(const char *folder, TileLabelKind *kind);
/* Finds out what classes the labels name (of boxes: by reading all of them) and which values they
 * have: those of the tables' classes; a name that is a number has that value; others get those that
 * are free. Adds what is missing to the tables' classes. COCO's are read elsewhere. */
Status tile_labels_name(TileLabels *labels, int64_t chip_count, Arena *arena, TileTables *tables);

/* What was left out of one chip. */
typedef struct TileLeftOut {
  int64_t crowds, degenerate;
} TileLeftOut;

/* Adds the objects of a chip to a list that is empty; left_out: added to. Without a label file there
 * are none. From several threads. Errors: STATUS_IO, STATUS_BAD_INPUT, STATUS_UNSUPPORTED. */
Status tile_labels_read(const TileLabels *labels, int64_t chip, ChipObjects *objects,
                        TileLeftOut *left_out);
/* The class of each pixel, height x width: the largest value of the masks there, else 0. */
void tile_labels_paint(const ChipObjects *objects, int32_t width_px, int32_t height_px,
                       uint16_t *class_values);
/* Reads all labels: kind, counts of objects and, from masks, of the classes' pixels. Class 0 has
 * what is left of the bands' pixels. */
Status tile_labels_count(const TileLabels *labels, ChipSet *set);
