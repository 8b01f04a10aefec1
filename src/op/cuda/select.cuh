#pragma once

#include "block_scan.cuh"
#include "box_lists.h"

/* The first of each list of items by rank: a radix search for the least rank that is taken, digit by
 * digit from the highest on, in which all blocks count together. Ranks are 64 bits, the greater first;
 * those of a list differ, so nothing is left to ties, and counts do not depend on the order of
 * threads.
 *
 * Items are a struct for which there are
 *   select_list(items, list)            what a list has: its count, and the rank(item) of each, which
 *                                       is 0 where it does not take part
 *   select_wanted(items, list, totals)  how many are to be taken, 0 or more; totals: of each list,
 *                                       how many items take part */
enum {
  SELECT_THREADS = 512,
  SELECT_BITS = 11,
  SELECT_BINS = 1 << SELECT_BITS,
  SELECT_DIGITS = 6, /* of 11 bits, the last of 9 */
  SELECT_BINS_PER_THREAD = SELECT_BINS / SELECT_THREADS,
  SELECT_ITEMS_PER_THREAD = 8,
  SELECT_SLICES_MOST = 64
};

/* How far the search in a list is. */
typedef struct SelectState {
  uint64_t
      known; /* the digits found so far; where the search is done the limit, 0 if none is taken */
  int32_t wanted; /* how many of the items that have these digits are still to be taken */
  int32_t done;
} SelectState;

/* Scratch. */
typedef struct Selection {
  int32_t list_count;
  int32_t *totals;     /* lists */
  int32_t *bins;       /* digits x lists x SELECT_BINS */
  SelectState *states; /* digits + 1, x lists */
  size_t count_bytes;  /* of totals and bins */
} Selection;

static inline Selection selection_in(ScratchPieces *pieces, int32_t list_count)
{
  Selection selection;
  const int64_t bins = (int64_t)list_count * SELECT_DIGITS * SELECT_BINS;
  selection.list_count = list_count;
  selection.count_bytes = (size_t)(list_count + bins) * sizeof(int32_t);
  selection.totals = (int32_t *)scratch_piece(pieces, list_count + bins, sizeof(int32_t));
  selection.bins = selection.totals + list_count;
  selection.states = (SelectState *)scratch_piece(pieces, (int64_t)list_count * (SELECT_DIGITS + 1),
                                                  sizeof(SelectState));
  return selection;
}

static inline dim3 select_grid(int32_t list_count, int64_t longest)
{
  const int64_t of_block = SELECT_THREADS * SELECT_ITEMS_PER_THREAD;
  const int64_t slices = (longest + of_block - 1) / of_block;
  return dim3((unsigned)list_count,
              (unsigned)(slices < SELECT_SLICES_MOST ? slices : (int64_t)SELECT_SLICES_MOST));
}

/* Whether an item of this rank is taken, once the search is over. */
__device__ inline bool select_takes(const Selection &selection, int32_t list, uint64_t rank)
{
  const uint64_t limit =
      selection.states[(int64_t)SELECT_DIGITS * selection.list_count + list].known;
  return limit != 0 && rank >= limit;
}

__device__ inline int32_t select_shift(int32_t digit)
{
  const int32_t shift = 64 - SELECT_BITS * (digit + 1);
  return shift > 0 ? shift : 0;
}

__device__ inline int32_t *select_bins(const Selection &selection, int32_t digit, int32_t list)
{
  return selection.bins + ((int64_t)digit * selection.list_count + list) * SELECT_BINS;
}

/* The bin in which the last item lies that is taken. Threads take the bins from the highest on. All
 * threads of the block call it. */
__device__ inline void select_bin(const int32_t *bins, int32_t shift, SelectState *state)
{
  const int32_t highest = SELECT_BINS - 1 - (int32_t)threadIdx.x * SELECT_BINS_PER_THREAD;
  const SelectState before = *state;
  int32_t mine = 0;
  int32_t total;
  for (int32_t b = 0; b < SELECT_BINS_PER_THREAD; ++b)
    mine += bins[highest - b];
  int32_t above = block_sum_before<SELECT_THREADS>(mine, &total);
  if (above < before.wanted && above + mine >= before.wanted) { /* true in one thread */
    int32_t bin = highest;
    for (; above + bins[bin] < before.wanted; --bin)
      above += bins[bin];
    const int32_t bits = shift > 0 ? SELECT_BITS : 64 - SELECT_BITS * (SELECT_DIGITS - 1);
    state->known = before.known << bits | (uint64_t)bin;
    state->wanted = before.wanted - above;
    if (state->wanted == bins[bin]) { /* all of the bin, so nothing further is asked */
      state->known <<= shift;
      if (state->known == 0) state->known = 1;
      state->done = 1;
    }
  }
  __syncthreads();
}

/* From the search before the digit to that behind the one before it. state is shared. */
template <typename Items>
__device__ inline void select_advance(const Items &items, const Selection &selection, int32_t digit,
                                      SelectState *state)
{
  const int32_t list = (int32_t)blockIdx.x;
  if (threadIdx.x == 0) {
    SelectState before = {0, 0, 0};
    if (digit > 1) before = selection.states[(int64_t)(digit - 1) * selection.list_count + list];
    if (digit == 1) {
      before.wanted = select_wanted(items, list, selection.totals);
      if (before.wanted == 0 || selection.totals[list] <= before.wanted) {
        before.known = before.wanted == 0 ? 0 : 1; /* none, or all */
        before.done = 1;
      }
    }
    *state = before;
  }
  __syncthreads();
  if (digit > 0 && state->done == 0)
    select_bin(select_bins(selection, digit - 1, list), select_shift(digit - 1), state);
  if (blockIdx.y == 0 && threadIdx.x == 0)
    selection.states[(int64_t)digit * selection.list_count + list] = *state;
}

/* Counts how many items with the digits known so far have each digit next. The launch behind the last
 * digit only ends the search. A block for each list and slice. */
template <typename Items>
__global__ void __launch_bounds__(SELECT_THREADS)
    select_kernel(const __grid_constant__ Items items, Selection selection, int32_t digit)
{
  __shared__ int32_t bins[SELECT_BINS];
  __shared__ SelectState state;
  const int32_t list = (int32_t)blockIdx.x;
  select_advance(items, selection, digit, &state);
  if (state.done != 0 || digit == SELECT_DIGITS) return;
  for (int32_t i = (int32_t)threadIdx.x; i < SELECT_BINS; i += SELECT_THREADS)
    bins[i] = 0;
  __syncthreads();
  const int32_t shift = select_shift(digit);
  const uint64_t mask = shift > 0 ? SELECT_BINS - 1 : SELECT_BINS / 4 - 1;
  const auto own = select_list(items, list);
  const uint64_t known = state.known;
  int32_t found = 0;
  for (int64_t i = (int64_t)blockIdx.y * SELECT_THREADS + threadIdx.x; i < own.count;
       i += (int64_t)gridDim.y * SELECT_THREADS) {
    const uint64_t rank = own.rank(i);
    if (rank == 0) continue;
    ++found;
    /* In two steps: at the first digit nothing is known, and 64 bits are no shift. */
    if (rank >> shift >> (shift > 0 ? SELECT_BITS : 9) == known)
      atomicAdd(&bins[rank >> shift & mask], 1);
  }
  __syncthreads();
  for (int32_t i = (int32_t)threadIdx.x; i < SELECT_BINS; i += SELECT_THREADS)
    if (bins[i] > 0) atomicAdd(&select_bins(selection, digit, list)[i], bins[i]);
  if (digit > 0) return;
  int32_t all;
  (void)block_sum_before<SELECT_THREADS>(found, &all);
  if (threadIdx.x == 0 && all > 0) atomicAdd(&selection.totals[list], all);
}

/* Searches in lists of up to longest items. */
template <typename Items>
static inline void select_first(Device *device, const Items &items, Selection selection,
                                int64_t longest)
{
  device_clear(device, selection.totals, selection.count_bytes);
  for (int32_t digit = 0; digit < SELECT_DIGITS; ++digit)
    LAUNCH(device, select_kernel, select_grid(selection.list_count, longest), SELECT_THREADS, items,
           selection, digit);
  LAUNCH(device, select_kernel, (unsigned)selection.list_count, SELECT_THREADS, items, selection,
         (int32_t)SELECT_DIGITS);
}
