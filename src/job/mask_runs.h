#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "detection_score.h"

/* A mask of one object as COCO keeps it: run lengths, column by column from the top left, the first
 * one of pixels outside. Zero-initialised it holds nothing and may be freed. */
typedef struct MaskRuns {
  int32_t height_px;
  int32_t width_px;
  int64_t count;
  uint32_t *counts; /* their sum is height_px * width_px */
} MaskRuns;

/* The makers fill an empty MaskRuns that mask_runs_free ends. Images have at least one pixel and at
 * most 2^31 - 1. Errors: STATUS_BAD_INPUT for sizes, runs, texts and corners that cannot be;
 * STATUS_NO_MEMORY. What they leave after an error is empty. */

/* pixels: height x width, row by row; not 0: inside. */
Status mask_runs_of_pixels(const uint8_t *pixels, int32_t height_px, int32_t width_px,
                           MaskRuns *runs);
/* xy: x and y of each corner in px, (0, 0) the outer corner of the first pixel. Drawn by
 * pycocotools' own rule (rleFrPoly of its maskApi): the outline is drawn on a grid five times as
 * fine, and a column begins or ends where the outline crosses the fine column in its middle.
 * Crossing outlines give even-odd. Corners lie within a million px. */
Status mask_runs_of_polygon(const double *xy, int64_t corner_count, int32_t height_px,
                            int32_t width_px, MaskRuns *runs);
/* Runs as a list of numbers; they must fill the image exactly. */
Status mask_runs_of_counts(const int64_t *counts, int64_t count, int32_t height_px,
                           int32_t width_px, MaskRuns *runs);
/* Runs as COCO's text: six bits a character from '0' on, from the fourth run on as the difference
 * from the last but one. */
Status mask_runs_of_text(const char *text, int32_t height_px, int32_t width_px, MaskRuns *runs);
void mask_runs_free(MaskRuns *runs);

/* Adds what other holds, of the same size. */
Status mask_runs_unite(MaskRuns *runs, const MaskRuns *other);

int64_t mask_runs_area_px(const MaskRuns *runs);
/* The smallest box; all 0 for an empty mask. */
DetectionBox mask_runs_box(const MaskRuns *runs);
/* Shared pixels over those of either, or over the detection's where the truth is a crowd. -1 if the
 * sizes differ, which matches nothing. */
double mask_runs_iou(const MaskRuns *detection, const MaskRuns *truth, bool crowd);
