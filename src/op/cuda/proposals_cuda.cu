#include "box_lists.cuh"
#include "select.cuh"

#include "proposal_element.h"

template <typename T>
__global__ void proposal_keys_kernel(const __grid_constant__ Rpn rpn, int32_t map, int64_t first,
                                     int64_t step, const T *logits, uint32_t *keys)
{
  const int32_t image = (int32_t)blockIdx.y;
  const int64_t i = thread_index();
  if (i >= anchor_map_pixels(&rpn, map) * rpn.anchor_count) return;
  const AnchorPlace place = {map, (int32_t)(i % rpn.anchor_count), i / rpn.anchor_count};
  keys[image * step + first + i] = order_key(widen(logits[anchor_logit(&rpn, image, place)]));
}

/* The anchors of each image and map, for select.cuh. A NaN, whose key is 0, has no rank. */
typedef struct ProposalItems {
  const uint32_t *keys;
  int64_t anchors; /* of an image */
  int64_t first[PYRAMID_MAPS_MOST];
  int64_t map_anchors[PYRAMID_MAPS_MOST];
  int32_t map_count;
  int32_t pre_count;
} ProposalItems;

typedef struct ProposalList {
  const uint32_t *keys;
  int64_t count;

  __device__ uint64_t rank(int64_t item) const
  {
    return keys[item] == 0 ? 0 : ranked_order(keys[item], (int32_t)item);
  }
} ProposalList;

__device__ inline ProposalList select_list(const ProposalItems &items, int32_t list)
{
  const int32_t map = list % items.map_count;
  ProposalList own;
  own.keys = items.keys + list / items.map_count * items.anchors + items.first[map];
  own.count = items.map_anchors[map];
  return own;
}

__device__ inline int32_t select_wanted(const ProposalItems &items, int32_t list,
                                        const int32_t *totals)
{
  return items.pre_count;
}

static ProposalItems proposal_items(const Rpn *rpn, ProposalLimits limits, const uint32_t *keys)
{
  ProposalItems items = {};
  items.keys = keys;
  items.map_count = rpn->map_count;
  items.pre_count = limits.pre_count;
  for (int32_t m = 0; m < rpn->map_count; ++m) {
    items.first[m] = items.anchors;
    items.map_anchors[m] = anchor_map_pixels(rpn, m) * rpn->anchor_count;
    items.anchors += items.map_anchors[m];
  }
  return items;
}

/* Writes what is taken, in any order; a block asks for room for all that its threads have. */
__global__ void __launch_bounds__(SELECT_THREADS)
    proposal_take_kernel(const __grid_constant__ Rpn rpn, ProposalLimits limits,
                         const __grid_constant__ ProposalItems items, Selection selection,
                         BoxLists lists)
{
  __shared__ int32_t place;
  const int32_t list = (int32_t)blockIdx.x;
  const int32_t map = list % rpn.map_count;
  const int64_t of_image = proposal_map_first(&rpn, limits, rpn.map_count);
  const int64_t first = list / rpn.map_count * of_image + proposal_map_first(&rpn, limits, map);
  const ProposalList own = select_list(items, list);
  if (blockIdx.y == 0 && threadIdx.x == 0) lists.first[list] = first;
  for (int64_t begin = (int64_t)blockIdx.y * SELECT_THREADS; begin < own.count;
       begin += (int64_t)gridDim.y * SELECT_THREADS) {
    const int64_t i = begin + threadIdx.x;
    const uint64_t rank = i < own.count ? own.rank(i) : 0;
    const bool taken = rank != 0 && select_takes(selection, list, rank);
    int32_t count;
    const int32_t before = block_sum_before<SELECT_THREADS>(taken ? 1 : 0, &count);
    if (count == 0) continue; /* for all threads */
    if (threadIdx.x == 0) place = atomicAdd(&lists.count[list], count);
    __syncthreads();
    if (taken) lists.ranked[first + place + before] = ranked_of(rank);
  }
}

template <typename T>
__global__ void proposal_decode_kernel(const __grid_constant__ Rpn rpn, ProposalLimits limits,
                                       int32_t map, const T *deltas, const float *image_sizes,
                                       BoxLists lists)
{
  const int32_t image = (int32_t)blockIdx.x;
  const int32_t list = image * rpn.map_count + map;
  const int32_t i = list_place();
  if (i >= lists.count[list]) return;
  const int64_t candidate = lists.first[list] + i;
  const Ranked ranked = lists.sorted[candidate];
  const AnchorPlace place = {map, ranked.index % rpn.anchor_count, ranked.index / rpn.anchor_count};
  const T *delta = deltas + anchor_delta(&rpn, image, place);
  const BoxCode code = {widen(delta[0]), widen(delta[1]), widen(delta[2]), widen(delta[3])};
  const Box box = box_decode(anchor_box(&rpn, place), code, rpn_weights());
  list_candidate(&lists, candidate, box_clip(box, image_sizes + 2 * image),
                 proposal_score(order_value(ranked.key)), proposal_map_first(&rpn, limits, map) + i,
                 limits.least_side_px);
}

static Selection proposal_selection_in(ScratchPieces *pieces, const Rpn *rpn)
{
  return selection_in(pieces, rpn->images * rpn->map_count);
}

size_t rpn_proposals_scratch_bytes_cuda(const Rpn *rpn, ProposalLimits limits)
{
  ScratchPieces pieces = {NULL, 0};
  (void)proposal_room_in(&pieces, rpn, limits);
  (void)proposal_selection_in(&pieces, rpn);
  return pieces.bytes;
}

/* The longest list before and behind the selection. */
typedef struct Longest {
  int64_t anchors;
  int32_t taken;
} Longest;

static Longest longest_of(const Rpn *rpn, ProposalLimits limits)
{
  Longest longest = {0, 0};
  for (int32_t m = 0; m < rpn->map_count; ++m) {
    const int64_t anchors = anchor_map_pixels(rpn, m) * rpn->anchor_count;
    const int32_t taken = proposal_map_most(rpn, limits, m);
    longest.anchors = anchors > longest.anchors ? anchors : longest.anchors;
    longest.taken = taken > longest.taken ? taken : longest.taken;
  }
  return longest;
}

static void make_keys(Device *device, const Rpn *rpn, const RpnMaps *maps, uint32_t *keys)
{
  int64_t first = 0;
  for (int32_t m = 0; m < rpn->map_count; ++m) {
    const int64_t anchors = anchor_map_pixels(rpn, m) * rpn->anchor_count;
    BY_ELEMENT(rpn->element, T,
               LAUNCH(device, proposal_keys_kernel,
                      dim3(blocks_for(anchors), (unsigned)rpn->images), THREADS, *rpn, m, first,
                      rpn_anchor_count(rpn), (const T *)maps->logits[m], keys));
    first += anchors;
  }
}

void rpn_proposals_cuda(Device *device, const Rpn *rpn, const RpnMaps *maps, ProposalLimits limits,
                        const float *image_sizes, float *boxes, float *scores, int32_t *counts,
                        void *scratch)
{
  ScratchPieces pieces = {(char *)scratch, 0};
  const ProposalRoom room = proposal_room_in(&pieces, rpn, limits);
  const Selection selection = proposal_selection_in(&pieces, rpn);
  const ProposalItems items = proposal_items(rpn, limits, room.keys);
  const Longest longest = longest_of(rpn, limits);
  const int32_t list_count = rpn->images * rpn->map_count;
  make_keys(device, rpn, maps, room.keys);
  select_first(device, items, selection, longest.anchors);
  device_clear(device, room.lists.count, (size_t)list_count * sizeof(int32_t));
  LAUNCH(device, proposal_take_kernel, select_grid(list_count, longest.anchors), SELECT_THREADS,
         *rpn, limits, items, selection, room.lists);
  lists_sort(device, room.lists, list_count, longest.taken);
  for (int32_t m = 0; m < rpn->map_count; ++m)
    BY_ELEMENT(rpn->element, T,
               LAUNCH(device, proposal_decode_kernel,
                      lists_grid(proposal_map_most(rpn, limits, m), rpn->images), THREADS, *rpn,
                      limits, m, (const T *)maps->deltas[m], image_sizes, room.lists));
  const ListOutput output = {
      rpn->map_count, limits.post_count, 1, boxes, scores, NULL, counts, NULL};
  lists_finish(device, room.lists, rpn->images, longest.taken, limits.iou_most, output);
}
