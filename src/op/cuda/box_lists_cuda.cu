#include <cub/block/block_radix_sort.cuh>

#include "box_lists.cuh"

/* A block sorts a run of a list, in registers and shared memory. */
enum { SORT_ITEMS = 4, SORT_RUN = LIST_THREADS * SORT_ITEMS };

__global__ void __launch_bounds__(LIST_THREADS) list_sort_kernel(BoxLists lists, Ranked *sorted)
{
  typedef cub::BlockRadixSort<uint64_t, LIST_THREADS, SORT_ITEMS> Sort;
  __shared__ typename Sort::TempStorage room;
  const int64_t first = lists.first[blockIdx.x] + (int64_t)blockIdx.y * SORT_RUN;
  const int32_t count = lists.count[blockIdx.x] - (int32_t)blockIdx.y * SORT_RUN;
  uint64_t orders[SORT_ITEMS]; /* 0, behind all others, where the list has ended */
  if (count <= 0) return;      /* whole blocks leave together */
#pragma unroll
  for (int k = 0; k < SORT_ITEMS; ++k) {
    const int32_t i = (int32_t)threadIdx.x + k * LIST_THREADS;
    orders[k] = 0;
    if (i < count) {
      const Ranked ranked = lists.ranked[first + i];
      orders[k] = ranked_order(ranked.key, ranked.index);
    }
  }
  Sort(room).SortDescendingBlockedToStriped(orders);
#pragma unroll
  for (int k = 0; k < SORT_ITEMS; ++k) {
    const int32_t i = (int32_t)threadIdx.x + k * LIST_THREADS;
    if (i < count) sorted[first + i] = ranked_of(orders[k]);
  }
}

/* How many of a sorted run go before this order. */
__device__ inline int32_t run_before(const Ranked *run, int32_t count, uint64_t order)
{
  int32_t low = 0;
  int32_t high = count;
  while (low < high) {
    const int32_t middle = (low + high) / 2;
    if (ranked_order(run[middle].key, run[middle].index) > order)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/* Lists of several runs, which are sorted in ranked: a candidate finds its place by searching in all
 * of them. */
__global__ void list_merge_kernel(BoxLists lists)
{
  const int32_t i = list_place();
  const int32_t count = lists.count[blockIdx.x];
  const Ranked *ranked = lists.ranked + lists.first[blockIdx.x];
  if (i >= count) return;
  const uint64_t order = ranked_order(ranked[i].key, ranked[i].index);
  int64_t place = lists.first[blockIdx.x];
  for (int32_t run = 0; run < count; run += SORT_RUN)
    place += run_before(ranked + run, count - run < SORT_RUN ? count - run : SORT_RUN, order);
  lists.sorted[place] = ranked[i];
}

/* The candidates of a tile among themselves: which ones are kept. */
typedef struct ListTile {
  Box boxes[LIST_TILE];
  Box kept[LIST_TILE];
  unsigned long long drops[LIST_TILE]; /* whom a candidate drops if it is kept, one bit each */
  unsigned long long gone;             /* who was dropped by earlier tiles, or is not there */
  unsigned long long keeps;
} ListTile;

/* All threads of the block call it; ends with a barrier. */
__device__ inline void list_tile_load(const BoxLists *lists, int64_t first, int32_t count,
                                      float iou_most, ListTile *tile)
{
  const int32_t i = (int32_t)threadIdx.x;
  if (i == 0) tile->gone = 0;
  if (i < LIST_TILE) tile->drops[i] = 0;
  __syncthreads();
  if (i < count) tile->boxes[i] = listed_box(lists, first + i);
  if (i < LIST_TILE && (i >= count || lists->alive[first + i] == 0))
    atomicOr(&tile->gone, 1ULL << i);
  __syncthreads();
  const int32_t parts = LIST_THREADS / LIST_TILE;
  const int32_t row = i / parts;
  unsigned long long drops = 0;
  for (int32_t j = row + 1 + i % parts; row < count && j < count; j += parts)
    if (box_drops(tile->boxes[row], tile->boxes[j], iou_most)) drops |= 1ULL << j;
  if (drops != 0) atomicOr(&tile->drops[row], drops);
  __syncthreads();
}

/* One after the other, by one thread, in registers. All threads of the block call it; ends with a
 * barrier. Returns how many are kept. */
__device__ inline int32_t list_tile_keep(const BoxLists *lists, int64_t first, int32_t tile_first,
                                         int32_t kept_before, ListTile *tile)
{
  const int32_t i = (int32_t)threadIdx.x;
  if (i == 0) {
    unsigned long long gone = tile->gone;
#pragma unroll
    for (int k = 0; k < LIST_TILE; ++k)
      gone |= (gone >> k & 1) == 0 ? tile->drops[k] : 0;
    tile->keeps = ~gone;
  }
  __syncthreads();
  const unsigned long long keeps = tile->keeps;
  if (i < LIST_TILE && (keeps >> i & 1) != 0) {
    const int32_t place = __popcll(keeps & ((1ULL << i) - 1));
    lists->kept[first + kept_before + place] = tile_first + i;
    tile->kept[place] = tile->boxes[i];
  }
  __syncthreads();
  return __popcll(keeps);
}

__global__ void __launch_bounds__(LIST_THREADS, 2)
    list_suppress_kernel(BoxLists lists, float iou_most)
{
  __shared__ ListTile tile;
  const int64_t first = lists.first[blockIdx.x];
  const int32_t count = lists.count[blockIdx.x];
  int32_t kept_count = 0;
  for (int32_t t = 0; t < count; t += LIST_TILE) {
    const int32_t tile_count = count - t < LIST_TILE ? count - t : LIST_TILE;
    list_tile_load(&lists, first + t, tile_count, iou_most, &tile);
    const int32_t kept = list_tile_keep(&lists, first, t, kept_count, &tile);
    for (int32_t i = t + LIST_TILE + (int32_t)threadIdx.x; i < count; i += LIST_THREADS) {
      if (lists.alive[first + i] == 0) continue;
      const Box box = listed_box(&lists, first + i);
      bool alive = true;
      for (int32_t k = 0; alive && k < kept; ++k)
        alive = !box_drops(tile.kept[k], box, iou_most);
      if (!alive) lists.alive[first + i] = 0;
    }
    kept_count += kept;
    __syncthreads();
  }
  if (threadIdx.x == 0) lists.kept_count[blockIdx.x] = kept_count;
}

/* How many kept candidates of a list go before this order. */
__device__ inline int32_t list_before(const BoxLists *lists, int32_t list, uint64_t order)
{
  int32_t low = 0;
  int32_t high = lists->kept_count[list];
  while (low < high) {
    const int32_t middle = (low + high) / 2;
    const int64_t candidate = kept_candidate(lists, list, middle);
    if (order_of(lists->score[candidate], lists->tie[candidate]) > order)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

__global__ void list_take_kernel(BoxLists lists, ListOutput output)
{
  const int32_t list = (int32_t)blockIdx.x;
  const int32_t k = list_place();
  if (k >= lists.kept_count[list] || k >= output.most) return;
  const int32_t image = list / output.lists_per_image;
  const int64_t candidate = kept_candidate(&lists, list, k);
  const uint64_t order = order_of(lists.score[candidate], lists.tie[candidate]);
  int64_t place = k;
  for (int32_t l = 0; l < output.lists_per_image && place < output.most; ++l) {
    const int32_t other = image * output.lists_per_image + l;
    if (other != list) place += list_before(&lists, other, order);
  }
  if (place >= output.most) return;
  place += (int64_t)image * output.most;
  box_store(output.boxes, place, listed_box(&lists, candidate));
  output.scores[place] = lists.score[candidate];
  if (output.classes != NULL) output.classes[place] = lists.tie[candidate] % output.class_count;
}

__global__ void list_count_kernel(BoxLists lists, int32_t images, ListOutput output)
{
  const int32_t image = (int32_t)thread_index();
  if (image >= images) return;
  int32_t found = 0;
  for (int32_t l = 0; l < output.lists_per_image; ++l)
    found += lists.kept_count[image * output.lists_per_image + l];
  const int32_t count = found < output.most ? found : output.most;
  output.counts[image] = count;
  if (output.dropped != NULL) output.dropped[image] = found - count;
}

void lists_sort(Device *device, BoxLists lists, int32_t list_count, int64_t longest)
{
  const int64_t runs = (longest + SORT_RUN - 1) / SORT_RUN;
  const dim3 grid((unsigned)list_count, (unsigned)runs);
  LAUNCH(device, list_sort_kernel, grid, LIST_THREADS, lists,
         runs > 1 ? lists.ranked : lists.sorted);
  if (runs > 1) LAUNCH(device, list_merge_kernel, lists_grid(longest, list_count), THREADS, lists);
}

void lists_finish(Device *device, BoxLists lists, int32_t images, int64_t longest, float iou_most,
                  ListOutput output)
{
  const int32_t list_count = images * output.lists_per_image;
  const size_t rows = (size_t)images * (size_t)output.most;
  device_clear(device, output.boxes, rows * 4 * sizeof(float));
  device_clear(device, output.scores, rows * sizeof(float));
  if (output.classes != NULL) device_clear(device, output.classes, rows * sizeof(int32_t));
  LAUNCH(device, list_suppress_kernel, (unsigned)list_count, LIST_THREADS, lists, iou_most);
  LAUNCH(device, list_take_kernel, lists_grid(longest, list_count), THREADS, lists, output);
  LAUNCH(device, list_count_kernel, blocks_for(images), THREADS, lists, images, output);
}
