#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "geo/class_table.h"
#include "geo/outline.h"
#include "geo/raster.h"

/* A PNG to look at: the image, thinned out, with the classes in their colours over it. */
typedef struct QuicklookOptions {
  int32_t bands[3];     /* red, green, blue; all 0: the first three, or the first alone in grey */
  int32_t max_side_px;  /* below 1: 2048 */
  double opacity;       /* of a class' area, 0 … 1; outlines are solid */
  bool outlines;        /* one pixel wide, inside each patch */
  bool show_background; /* class 0 is painted too */
  bool transparent_nodata; /* pixels without data are transparent; else white */
} QuicklookOptions;

/* uint8 is shown as it is; other types are stretched from their 2nd to their 98th percentile (of
 * the thinned image), band by band. class_map_path: NULL for the image alone; it must have the
 * image's grid or a part of it. */
Status quicklook_write(const char *png_path, Raster *image, const char *class_map_path,
                       const ClassEntry *classes, int32_t class_count,
                       const QuicklookOptions *options);

/* The same with objects, drawn as they come. */
typedef struct Quicklook Quicklook;

/* Reads the window of the image. Of the options bands, max_side_px and transparent_nodata count. */
Status quicklook_open(Raster *image, Window window, const QuicklookOptions *options,
                      Quicklook **look);
/* Draws all rings, one pixel of the picture wide (two where it is larger than 1000). Points are in
 * pixels of the image. */
void quicklook_draw(Quicklook *look, const Outline *outline, const uint8_t rgb[3]);
Status quicklook_save(const Quicklook *look, const char *png_path);
void quicklook_close(Quicklook *look); /* accepts NULL */
