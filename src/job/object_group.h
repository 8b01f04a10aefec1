#pragma once

#include "object_link.h"
#include "object_merge.h"

/* The things that may still find counterparts: which of them belong together, and what comes of a
 * group that is complete. */
typedef struct LiveThing {
  SeenThing seen; /* seen.mask is mask */
  ObjectMask *mask;
  int64_t tile;
  int64_t index; /* in its tile */
  int32_t class_index;
  double score;
  double box[4];
  bool is_home;
  bool is_outranked; /* by a stronger one of its tile: joins nothing */
  int64_t *rivals;   /* places of those in its tile that have pixels of it; owned */
  int32_t rival_count;
} LiveThing;

/* What a complete group became. */
typedef struct Candidate {
  WholeObject object; /* but for owner_tile; object.mask is mask */
  ObjectMask *mask;
  bool is_lone; /* one thing, that no other tile confirms and that is not whole at home */
  bool is_outranked;
  double best_score; /* of a member */
} Candidate;

void object_thing_free(LiveThing *thing); /* mask and rivals */

typedef struct ObjectGroups ObjectGroups;

Status object_groups_open(LinkRule rule, ObjectGroups **groups);
void object_groups_close(ObjectGroups *groups); /* accepts NULL */
/* Takes over mask and rivals, also when it fails. Things come tile by tile. */
Status object_groups_add(ObjectGroups *groups, const LiveThing *thing);
/* The next group that nothing can join any more if all that is still to come is seen by tiles that
 * begin at row frontier_px or below it; candidate->mask is the caller's. *more: false when there is
 * none. */
Status object_groups_next_complete(ObjectGroups *groups, int64_t frontier_px, Candidate *candidate,
                                   bool *more);
/* The first row that a group has a pixel in; good from when there is no more complete group to when
 * a thing is added. */
int64_t object_groups_top(const ObjectGroups *groups);
/* Whether a thing of a group that is not complete has a pixel of the mask. class_index: that the
 * thing must be of, or OBJECT_ANY_CLASS. */
enum { OBJECT_ANY_CLASS = -1 };
Status object_groups_reach(ObjectGroups *groups, const ObjectMask *mask, int32_t class_index,
                           bool *reach);
