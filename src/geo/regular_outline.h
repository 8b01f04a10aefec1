#pragma once

#include "gdal_door.h"

/* Right angles for things that people build, from outlines that follow pixels.
 *
 * The direction of a part is the mean direction of its outer ring's edges modulo a quarter turn,
 * weighted by length (the angle of the sum of length * exp(4 i angle), over edges simplified by
 * Douglas and Peucker at 1.5 px, so that steps of pixels have no say), then turned to what fits the
 * pixels' edges of all sides by least squares: within 1 degree for a house of 20 x 30 px. Edges
 * become parallel to it or to its normal, whichever is nearer; neighbours of one direction become
 * one line, at the mean place of the pixels' edges it stands for; lines that stand back by less
 * than 1.5 px are drawn together. Corners are where lines meet. Holes take the direction of their
 * part.
 *
 * geometry: a polygon or multipolygon in a plane of equal scales, whose pixels are pixel wide. What
 * comes back is the caller's; NULL where nothing came of it that is valid, or where its IoU with
 * what was given is below least_iou. */
OGRGeometryH regular_outline(OGRGeometryH geometry, double pixel, double least_iou, double *iou);
