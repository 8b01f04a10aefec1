#pragma once

#include "op/regions.h"

/* torchvision's resize transform.
 *
 * resize_bilinear: images of their own sizes, each in the upper left corner of its place in x, become
 * images of other sizes in the corners of their places in y; all else of y is 0.
 *
 *   Shapes    x      N x H x W x bands, float32
 *             sizes  N x 4, int32, in device memory: height and width in x, then in y
 *             y      N x Ho x Wo x C, C >= bands, at most RESIZE_CHANNELS_MOST
 *   Formula   bilinear between pixel centres (align_corners false), pixels past the edge are the
 *             edge's; no smoothing where an image shrinks. s = in / out, at = max(s (i + 0.5) - 0.5,
 *             0), weights and sums in float32, rounded as PyTorch 2's CPU does, which has two ways:
 *             see resize_element.h
 *   NaN       spreads to each pixel between whose four it is
 *   Errors    in plan only: STATUS_BAD_SHAPE
 *
 * resize_boxes: boxes times their image's scales. boxes: rows x 4; scales: N x 2, float32: of y, of x.
 *   images    rows: the image of each, -1 for none, which stays; NULL: row / rows_per_image
 *
 *   Source    torchvision, models/detection/transform.py */
enum { RESIZE_CHANNELS_MOST = 2048 };

Status resize_bilinear_plan(Shape x, int32_t bands, Shape y);

/* The size that an image of height x width px is given: its shorter side becomes least_px, but the
 * longer one no more than most_px. In float64, rounded down, as torchvision does from 0.15 on (not
 * where it is traced; 0.14 computed the scale in float32, which loses a pixel of about half of all
 * sizes). */
void resize_size(int32_t height_px, int32_t width_px, int32_t least_px, int32_t most_px,
                 int32_t size_px[2]);
