#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "object_mask.h"
#include "tile_plan.h"

/* What was found in tiles that overlap, made into one object per thing.
 *
 * A tile sees its window as far as that lies in the raster. A thing found in it is cut if a pixel
 * of its mask lies on a side of what the tile sees (or closer to it than edge_px) behind which other
 * tiles go on; a side of the raster, or of all that tiles see together, cuts nothing. A thing that
 * is not cut is whole; it is at home if the centre of its mask's window is in its tile's core
 * (of two middle columns or rows, the left or upper one counts).
 *
 * Which belong together. Only things of one class, found in different tiles, and only by what both
 * tiles see, the overlap of their windows:
 *   1. The two masks agree in the overlap: their IoU there is at least `agreement`. And this is
 *      about them: either what they have there reaches from a side that cuts in the one tile to a
 *      side that cuts in the other; or the pixels that agree are at least `agreement` of all pixels
 *      of one of the two.
 *   2. Or a part of one agrees with a part of the other. Parts are the pieces (4-neighbours) into
 *      which the overlap cuts a mask: what is one in this tile may come as many in the next (the
 *      teeth of a comb, the turns of a spiral), so that masks as such differ. The conditions are
 *      the same, but that the one which the pieces are most of must be cut.
 *   (A thing that leaves a tile either crosses the overlap or ends in it, so for things found
 *   exactly this is enough; a stray blob upon a neighbour does neither.)
 *   3. Where neighbouring tiles do not overlap (padding 0) but share a border, they are joined if a
 *      run of pixels of one along the border lies beside a run of the other (diagonal neighbours
 *      count) on at least `agreement` of the shorter run. Things of one class that abut exactly
 *      there cannot be told apart. Tiles that meet in a corner only are not joined across it.
 * These are links. What links hang together becomes groups.
 *
 * Weak things beside strong ones. At low thresholds networks find the same ground many times over:
 * parts, blobs, two things as one. They must not change what the strong things become, so strong
 * comes before weak (higher score; ties: lower place in its tile) wherever two cannot both be right:
 *   - Within one tile and class a thing is outranked if half of it or more (`agreement`) lies in a
 *     stronger one that is not outranked itself. It has no links. Others that have pixels in common
 *     are rivals: they are never of one group. (Pieces of one thing have none in common.)
 *   - Links are taken from strong to weak: by the lower of the two scores, then by the higher, then
 *     in the order in which things were found. One that would bring things into one group that do
 *     not go together is left out: rivals; or a whole thing with one of its own tile, or with one
 *     that does not lie in it (at least `agreement` of its pixels; of two whole ones, the smaller
 *     in the larger).
 * So a group of strong things never comes apart, nor loses a member, because there are weaker ones.
 *
 * What comes of a group. Its members below a quarter of its highest score are weak. Of the others,
 * if any is whole, the first of these is the object, its mask, box and score: at home, higher score,
 * earlier found. (The tile at home sees most of what is around a thing: this weighs more than a
 * score.) Else the object is the union of those that are not weak: mask and box by union, the score
 * is the mean of their scores weighted by area. (Not the largest: a sliver that is sure of itself
 * does not vouch for the rest. A mean never falls below the threshold that all its scores passed.)
 * Weak members add their pixels only where no tile of one that is not weak saw the ground, and
 * nothing to the score; the box grows to hold these.
 *
 * Lone things, which no other tile confirms: groups in which one thing only is not weak, and that is
 * not whole at home. One that lies in an object of its class that another tile saw, or, if it is
 * outranked, any other (at least `agreement` of its pixels; the object's best member must be as
 * strong; if that is lone too, it must be the larger one; the largest share wins, then the earlier)
 * is merged into it, its pixels are not added. Any other is kept, so that nothing is lost when the tile at
 * home has missed it; unless it is cut, nothing was merged into it, and exclude_pad_detections asks
 * to drop these.
 *
 * Objects without a pixel in the output of the plan are dropped. Then non-maximum suppression: from
 * high to low score (ties: the earlier found), an object goes if its IoU with one that stays, of
 * its class (of any, if nms_across_classes), is above nms_overlap.
 *
 * Order. Earlier found means lower tile, then lower place in its tile; of an object, that of its
 * first member. After each row of tiles come the objects that nothing which is still to come can
 * touch, in the order in which they were first found. This depends on nothing but the plan and what
 * was found: whether empty tiles are passed on or not, it is the same. (One order over the whole
 * raster would have to keep everything in memory until the longest thing ends.)
 *
 * Memory is that of the things found in the rows of tiles that overlap the present one, of the
 * groups that reach into these (of what links hang together, before it is taken apart), and of the
 * objects that touch those. Time goes with the number of
 * things, but for those that lie over one another. One process does all of it: merging takes
 * seconds for a million things, and bands of rows would have to agree on every group that crosses
 * them. */
typedef struct MergeOptions {
  double agreement;   /* above 0, at most 1; 0.5 */
  double nms_overlap; /* 0 to 1; 1 suppresses nothing */
  bool nms_across_classes;
  bool exclude_pad_detections;
  int32_t edge_px; /* at least 1; 1: the outermost pixels only. Networks often stop short of the
                      edge: 2. Where tiles do not overlap, things of one class closer than
                      2 * edge_px - 1 across the border may be joined */
} MergeOptions;

typedef struct FoundThing {
  int32_t class_index; /* at least 0 */
  double score;
  double box[4];          /* x1, y1, x2, y2 in pixels of the raster */
  const ObjectMask *mask; /* borrowed for the call; NULL: the box is the shape (pixels whose centres
                             it holds, at least one column and row) */
} FoundThing;

typedef struct WholeObject {
  int32_t class_index;
  double score;
  double box[4];
  const ObjectMask *mask; /* lives until the call returns; may reach beyond the output */
  int64_t owner_tile;     /* whose core holds the centre of the mask's window, or comes closest */
  int64_t first_tile;     /* of the first member, and its place in that tile: names the object */
  int64_t first_index;
  int64_t member_count; /* things found that it stands for */
  bool is_union;        /* several members, and no whole one that holds them all */
  bool is_fragment;     /* cut, and nothing of another tile agrees with it or lies in it */
} WholeObject;

/* Things found, by what became of them. found = kept + merged + suppressed. */
typedef struct MergeCounts {
  int64_t found;
  int64_t kept;       /* one for each object given out and wanted */
  int64_t merged;     /* the other members of these */
  int64_t suppressed; /* the sum of the five below */
  int64_t empty;      /* without a pixel in what their tile sees */
  int64_t outside;    /* of the output */
  int64_t excluded;   /* exclude_pad_detections */
  int64_t by_nms;
  int64_t unwanted;  /* by the caller */
  int64_t cut;       /* of those found */
  int64_t unions;    /* of the objects kept */
  int64_t fragments; /* of the objects kept: is_fragment */
} MergeCounts;

/* Takes an object; wanted is true, and may be set to false (class, area): all its members then
 * count as suppressed. */
typedef Status (*TakeObject)(void *context, const WholeObject *object, bool *wanted);

typedef struct ObjectMerge ObjectMerge;

/* raster: all there is to read; plan is copied. Errors: STATUS_BAD_OPTION. */
Status object_merge_open(Window raster, const TilePlan *plan, MergeOptions options, TakeObject take,
                         void *context, ObjectMerge **merge);
void object_merge_close(ObjectMerge *merge); /* accepts NULL */
/* What one tile found, in an order that is always the same. Tiles by rising number; those that
 * found nothing may be left out. Errors: STATUS_BAD_INPUT for a tile that is out of turn, a class
 * below 0, a score or a box that is no number; those of take. After an error only close may follow. */
Status object_merge_add(ObjectMerge *merge, int64_t tile, const FoundThing *things, int64_t count);
/* Gives out what is left. */
Status object_merge_finish(ObjectMerge *merge, MergeCounts *counts);
