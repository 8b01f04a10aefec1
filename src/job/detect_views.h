#pragma once

#include "detect_list.h"

/* Test time augmentation: a tile is shown to the network turned and mirrored as well, and what it
 * found in these views becomes one list.
 *
 * View 0 is the tile itself. The bits of a view: 1 mirrors columns, 2 mirrors rows, 4 exchanges
 * columns and rows (before that); so square tiles have 8 views, all that turns by quarters and
 * mirrors give, others 4. */
enum { DETECT_VIEWS_MOST = 8 };

int32_t detect_view_count(int32_t width_px, int32_t height_px);
/* Copies a tile of pixels of pixel_bytes into a view. */
void detect_view_show(int32_t view, int32_t width_px, int32_t height_px, size_t pixel_bytes,
                      const void *tile, void *shown);
/* Adds what was found in a view, in the tile's own pixels. */
Status detect_view_return(int32_t view, int32_t width_px, int32_t height_px, const DetectTile *seen,
                          DetectList *list);

/* The score of a thing seen in several views: the mean, the highest or the lowest of theirs. */
typedef enum DetectPolicy { DETECT_MEAN, DETECT_MAX, DETECT_MIN } DetectPolicy;
#define DETECT_POLICIES "mean|max|min"

/* One list from those of the views. Views are gone through in their order, things by falling score;
 * a thing belongs to the one of its class with which its overlap (detect_overlap, with the first
 * that was seen of it) is highest and at least a half, if its view has not seen that yet; else it
 * is a new one. With mean and min a thing stays if half of the views or more saw it; with max one
 * is enough. Its box is the mean of theirs; a pixel is in its mask if it is in half or more of
 * their masks. Things come by the order in which they were first seen. */
Status detect_views_merge(const DetectList *views, int32_t view_count, DetectPolicy policy,
                          DetectList *merged);
