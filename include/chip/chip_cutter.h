#pragma once

#include "chip/chip_writer.h"
#include "geo/label_source.h"
#include "geo/mask_layer.h"
#include "geo/raster.h"
#include "geo/window.h"

/* Cuts single chips out of a raster and burns their labels. */
typedef struct Cutter Cutter;

typedef struct CutterOptions {
  const ChipForm *form;
  Raster *raster;
  int32_t raster_number; /* for the chip's place */
  LabelSource *labels;
  const MaskLayer *mask; /* NULL: none; else chips must lie completely inside one of its polygons */
  const int32_t *bands;  /* form->band_count of them; NULL: the first ones */
  bool all_tiles;        /* chips without a label, too */
  double minimum_label_share; /* of the chip's pixels */
  double minimum_valid_share; /* of the chip's pixels; chips without any valid one are never kept */
  double minimum_overlap;     /* of a label's area, for an object; 0: whatever has a pixel */
} CutterOptions;

/* All of it is borrowed until cutter_close. */
Status cutter_open(const CutterOptions *options, Cutter **cutter);
void cutter_close(Cutter *cutter); /* accepts NULL */

/* The chip of a window of the raster, which may hang over, turned about its centre by
 * angle_degrees, counter-clockwise on the map. Turned imagery is bilinear among valid pixels,
 * labels are burned on the turned grid, what lies outside of the raster is not valid; quarter turns
 * move pixels as they are. Pixels that are not valid hold 0 and have no label. Where the form has
 * objects, each label is one, cut to the chip and to its valid pixels, and labels show all of them,
 * the larger class value above. chip is set only if the outcome is CHIP_KEPT, but for
 * object_outcomes. What chip points to lives until the next call. Errors: those of raster_read,
 * label_source_burn and label_source_burn_objects. */
Status cutter_cut(Cutter *cutter, Window window, double angle_degrees, Chip *chip,
                  ChipOutcome *outcome);
