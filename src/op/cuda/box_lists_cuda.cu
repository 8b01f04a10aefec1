#include "box_lists.cuh"

/* Sorts ranked into sorted by falling keys; equal ones stay in their order. */
__global__ void list_sort_kernel(BoxLists lists)
{
  __shared__ uint32_t keys[THREADS];
  const int64_t first = lists.first[blockIdx.y];
  const int32_t count = lists.count[blockIdx.y];
  const int32_t i = (int32_t)thread_index();
  __syncthreads(); /* in every block, for the emulator looks at the first one only */
  if ((int32_t)(blockIdx.x * THREADS) >= count) return; /* whole blocks leave together */
  const Ranked *ranked = lists.ranked + first;
  const uint32_t key = i < count ? ranked[i].key : 0;
  int32_t place = 0;
  for (int32_t tile = 0; tile < count; tile += THREADS) {
    if (tile + (int32_t)threadIdx.x < count) keys[threadIdx.x] = ranked[tile + threadIdx.x].key;
    __syncthreads();
    const int32_t end = count - tile < THREADS ? count - tile : THREADS;
    for (int32_t j = 0; j < end; ++j)
      place += keys[j] > key || (keys[j] == key && tile + j < i);
    __syncthreads();
  }
  if (i < count) lists.sorted[first + place] = ranked[i];
}

/* The candidates of a tile among themselves: which ones are kept. */
typedef struct ListTile {
  Box boxes[LIST_TILE];
  int32_t alive[LIST_TILE];
  unsigned long long drops[LIST_TILE]; /* whom a candidate drops if it is kept, one bit each */
  Box kept[LIST_TILE];
  int32_t kept_count;
} ListTile;

__device__ inline void list_tile_load(const BoxLists *lists, int64_t first, int32_t count,
                                      float iou_most, ListTile *tile)
{
  const int32_t i = (int32_t)threadIdx.x;
  if (i < count) {
    tile->boxes[i] = listed_box(lists, first + i);
    tile->alive[i] = lists->alive[first + i];
    tile->drops[i] = 0;
  }
  __syncthreads();
  const int32_t parts = LIST_THREADS / LIST_TILE;
  const int32_t row = i / parts;
  unsigned long long drops = 0;
  for (int32_t j = row + 1 + i % parts; row < count && j < count; j += parts)
    if (box_iou(tile->boxes[row], tile->boxes[j]) > iou_most) drops |= 1ULL << j;
  if (drops != 0) atomicOr(&tile->drops[row], drops);
  __syncthreads();
}

/* One after the other, by one thread. */
__device__ inline void list_tile_keep(const BoxLists *lists, int64_t first, int32_t tile_first,
                                      int32_t count, int32_t kept_before, ListTile *tile)
{
  unsigned long long dropped = 0;
  tile->kept_count = 0;
  for (int32_t i = 0; i < count; ++i) {
    if (tile->alive[i] == 0 || (dropped >> i & 1) != 0) continue;
    dropped |= tile->drops[i];
    lists->kept[first + kept_before + tile->kept_count] = tile_first + i;
    tile->kept[tile->kept_count++] = tile->boxes[i];
  }
}

__global__ void list_suppress_kernel(BoxLists lists, float iou_most)
{
  __shared__ ListTile tile;
  const int64_t first = lists.first[blockIdx.x];
  const int32_t count = lists.count[blockIdx.x];
  int32_t kept_count = 0;
  __syncthreads(); /* in every block, see above */
  for (int32_t t = 0; t < count; t += LIST_TILE) {
    const int32_t tile_count = count - t < LIST_TILE ? count - t : LIST_TILE;
    list_tile_load(&lists, first + t, tile_count, iou_most, &tile);
    if (threadIdx.x == 0) list_tile_keep(&lists, first, t, tile_count, kept_count, &tile);
    __syncthreads();
    for (int32_t i = t + LIST_TILE + (int32_t)threadIdx.x; i < count; i += LIST_THREADS) {
      const Box box = listed_box(&lists, first + i);
      bool alive = lists.alive[first + i] != 0;
      for (int32_t k = 0; alive && k < tile.kept_count; ++k)
        alive = !(box_iou(tile.kept[k], box) > iou_most);
      if (!alive) lists.alive[first + i] = 0;
    }
    kept_count += tile.kept_count;
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
  const int32_t list = (int32_t)blockIdx.y;
  const int32_t k = (int32_t)thread_index();
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
  LAUNCH(device, list_sort_kernel, lists_grid(longest, list_count), THREADS, lists);
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
