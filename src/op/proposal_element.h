#pragma once

#include "box_lists.h"

/* Proposals (rpn.h): a list per image and map. */

/* How many candidates a map may give. */
SHARED_INLINE int32_t proposal_map_most(const Rpn *rpn, ProposalLimits limits, int32_t map)
{
  const int64_t anchors = anchor_map_pixels(rpn, map) * rpn->anchor_count;
  return (int32_t)(anchors < limits.pre_count ? anchors : limits.pre_count);
}

/* Candidates of the maps before this one, in one image; of an image where map is map_count. */
SHARED_INLINE int32_t proposal_map_first(const Rpn *rpn, ProposalLimits limits, int32_t map)
{
  int32_t first = 0;
  for (int32_t m = 0; m < map; ++m)
    first += proposal_map_most(rpn, limits, m);
  return first;
}

/* The logit's sigmoid. */
SHARED_INLINE float proposal_score(float logit)
{
  return 1.0F / (1.0F + (float)exp(-(double)logit));
}

/* What both twins keep in scratch. */
typedef struct ProposalRoom {
  BoxLists lists;
  uint32_t *keys; /* order_key of every anchor's logit, image by image */
} ProposalRoom;

static inline ProposalRoom proposal_room_in(ScratchPieces *pieces, const Rpn *rpn,
                                            ProposalLimits limits)
{
  ProposalRoom room;
  const int64_t most = proposal_map_first(rpn, limits, rpn->map_count);
  room.lists = box_lists_in(pieces, rpn->images * rpn->map_count, rpn->images * most);
  room.keys =
      (uint32_t *)scratch_piece(pieces, rpn->images * rpn_anchor_count(rpn), sizeof(uint32_t));
  return room;
}
