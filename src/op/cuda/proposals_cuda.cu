#include "box_lists.cuh"

#include "proposal_element.h"

enum { CUT_BITS = 11, CUT_BINS = 1 << CUT_BITS, BINS_PER_THREAD = CUT_BINS / LIST_THREADS };

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

/* The least key that is taken, and how many of those equal to it. */
typedef struct Cut {
  uint32_t key;
  uint32_t known; /* the key's digits that are found */
  int32_t wanted; /* of the keys that have them: in the end, how many ties are taken */
} Cut;

__device__ inline void cut_digit(const uint32_t *keys, int32_t count, int32_t shift, Cut *cut)
{
  __shared__ int32_t bins[CUT_BINS];
  const int32_t thread = (int32_t)threadIdx.x;
  const Cut before = *cut;
  const uint32_t digits = ~before.known >> shift;
  for (int32_t i = thread; i < CUT_BINS; i += LIST_THREADS)
    bins[i] = 0;
  __syncthreads();
  for (int32_t i = thread; i < count; i += LIST_THREADS)
    if ((keys[i] & before.known) == before.key) atomicAdd(&bins[keys[i] >> shift & digits], 1);
  __syncthreads();
  /* Threads take the bins from the highest on. */
  const int32_t highest = CUT_BINS - 1 - thread * BINS_PER_THREAD;
  int32_t mine = 0;
  for (int32_t b = 0; b < BINS_PER_THREAD; ++b)
    mine += bins[highest - b];
  int32_t above = (int32_t)list_sum_before((unsigned long long)mine, NULL);
  if (above < before.wanted && above + mine >= before.wanted) { /* true in one thread */
    int32_t bin = highest;
    for (; above + bins[bin] < before.wanted; --bin)
      above += bins[bin];
    cut->key = before.key | (uint32_t)bin << shift;
    cut->known = ~((1U << shift) - 1U);
    cut->wanted = before.wanted - above;
  }
  __syncthreads();
}

/* Keys in the order of the anchors; a thread goes through a run of them. A NaN, whose key is 0, is
 * not taken. */
__device__ inline int32_t take_keys(const uint32_t *keys, int32_t count, Cut cut, Ranked *ranked)
{
  const int32_t run = (count + LIST_THREADS - 1) / LIST_THREADS;
  const int32_t begin = (int32_t)threadIdx.x * run < count ? (int32_t)threadIdx.x * run : count;
  const int32_t end = count - begin < run ? count : begin + run;
  unsigned long long mine = 0; /* ties in the lower half, what is above them in the upper one */
  for (int32_t i = begin; i < end; ++i)
    if (keys[i] >= cut.key && keys[i] != 0) mine += keys[i] == cut.key ? 1ULL : 1ULL << 32;
  unsigned long long total;
  const unsigned long long before = list_sum_before(mine, &total);
  int32_t ties = (int32_t)(before & 0xFFFFFFFFU);
  int32_t place = (int32_t)(before >> 32) + (ties < cut.wanted ? ties : cut.wanted);
  for (int32_t i = begin; i < end; ++i) {
    if (keys[i] < cut.key || keys[i] == 0) continue;
    if (keys[i] == cut.key && ties++ >= cut.wanted) continue;
    ranked[place].key = keys[i];
    ranked[place].index = i;
    ++place;
  }
  const int32_t all_ties = (int32_t)(total & 0xFFFFFFFFU);
  return (int32_t)(total >> 32) + (all_ties < cut.wanted ? all_ties : cut.wanted);
}

/* A block for each image and map. */
__global__ void proposal_select_kernel(const __grid_constant__ Rpn rpn, ProposalLimits limits,
                                       const uint32_t *keys, BoxLists lists)
{
  __shared__ Cut cut;
  const int32_t list = (int32_t)blockIdx.x;
  const int32_t map = list % rpn.map_count;
  const int32_t image = list / rpn.map_count;
  int64_t step = 0; /* anchors of an image, and those before the map */
  int64_t before = 0;
  for (int32_t m = 0; m < rpn.map_count; ++m) {
    if (m == map) before = step;
    step += anchor_map_pixels(&rpn, m) * rpn.anchor_count;
  }
  const uint32_t *own = keys + image * step + before;
  const int32_t count = (int32_t)anchor_map_pixels(&rpn, map) * rpn.anchor_count;
  const int32_t wanted = count < limits.pre_count ? count : limits.pre_count;
  const int64_t first = (int64_t)image * proposal_map_first(&rpn, limits, rpn.map_count) +
                        proposal_map_first(&rpn, limits, map);
  if (threadIdx.x == 0) {
    cut.key = 0;
    cut.known = 0;
    cut.wanted = wanted;
  }
  __syncthreads();
  if (wanted < count) {
    cut_digit(own, count, 21, &cut);
    cut_digit(own, count, 10, &cut);
    cut_digit(own, count, 0, &cut);
  }
  const int32_t taken = take_keys(own, count, cut, lists.ranked + first);
  if (threadIdx.x == 0) {
    lists.first[list] = first;
    lists.count[list] = taken;
  }
}

template <typename T>
__global__ void proposal_decode_kernel(const __grid_constant__ Rpn rpn, ProposalLimits limits,
                                       int32_t map, const T *deltas, const float *image_sizes,
                                       BoxLists lists)
{
  const int32_t image = (int32_t)blockIdx.y;
  const int32_t list = image * rpn.map_count + map;
  const int32_t i = (int32_t)thread_index();
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

size_t rpn_proposals_scratch_bytes_cuda(const Rpn *rpn, ProposalLimits limits)
{
  ScratchPieces pieces = {NULL, 0};
  (void)proposal_room_in(&pieces, rpn, limits);
  return pieces.bytes;
}

static void make_keys(Device *device, const Rpn *rpn, const RpnMaps *maps, uint32_t *keys)
{
  int64_t first = 0;
  for (int32_t m = 0; m < rpn->map_count; ++m) {
    const int64_t anchors = anchor_map_pixels(rpn, m) * rpn->anchor_count;
    BY_ELEMENT(rpn->element, T,
               LAUNCH(device, proposal_keys_kernel, lists_grid(anchors, rpn->images), THREADS, *rpn,
                      m, first, rpn_anchor_count(rpn), (const T *)maps->logits[m], keys));
    first += anchors;
  }
}

void rpn_proposals_cuda(Device *device, const Rpn *rpn, const RpnMaps *maps, ProposalLimits limits,
                        const float *image_sizes, float *boxes, float *scores, int32_t *counts,
                        void *scratch)
{
  ScratchPieces pieces = {(char *)scratch, 0};
  const ProposalRoom room = proposal_room_in(&pieces, rpn, limits);
  const int32_t list_count = rpn->images * rpn->map_count;
  int32_t longest = 0;
  for (int32_t m = 0; m < rpn->map_count; ++m) {
    const int32_t most = proposal_map_most(rpn, limits, m);
    longest = most > longest ? most : longest;
  }
  make_keys(device, rpn, maps, room.keys);
  LAUNCH(device, proposal_select_kernel, (unsigned)list_count, LIST_THREADS, *rpn, limits,
         (const uint32_t *)room.keys, room.lists);
  lists_sort(device, room.lists, list_count, longest);
  for (int32_t m = 0; m < rpn->map_count; ++m)
    BY_ELEMENT(rpn->element, T,
               LAUNCH(device, proposal_decode_kernel,
                      lists_grid(proposal_map_most(rpn, limits, m), rpn->images), THREADS, *rpn,
                      limits, m, (const T *)maps->deltas[m], image_sizes, room.lists));
  const ListOutput output = {
      rpn->map_count, limits.post_count, 1, boxes, scores, NULL, counts, NULL};
  lists_finish(device, room.lists, rpn->images, longest, limits.iou_most, output);
}
