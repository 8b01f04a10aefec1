#include "block_scan.cuh"
#include "box_lists.cuh"
#include "tiles.cuh"

#include "detection_element.h"

template <typename T>
__global__ void detection_scores_kernel(Tiles cut, BoxHead head, const T *logits, float *scores)
{
  __shared__ float z[TILE_FLOATS];
  const int64_t step = (int64_t)gridDim.x * cut.tile_pixels;
  for (int64_t first = (int64_t)blockIdx.x * cut.tile_pixels; first < cut.pixels; first += step) {
    tile_load(cut, first, logits, z);
    if ((int32_t)threadIdx.x < tile_count(cut, first)) {
      float *own = z + threadIdx.x * cut.stride;
      (void)softmax_element(cut.class_count, own);
      for (int32_t c = 1; c < cut.class_count; ++c)
        scores[detection_first(&head, c, (int32_t)first + (int32_t)threadIdx.x)] = own[c];
    }
    __syncthreads();
  }
}

/* Rows stand by image, those without one behind all. */
__global__ void detection_rows_kernel(int32_t rows, int32_t images, const int32_t *row_images,
                                      int32_t *first_row)
{
  const int32_t image = (int32_t)thread_index();
  if (image > images) return;
  int32_t low = 0;
  int32_t high = rows;
  while (low < high) {
    const int32_t middle = (low + high) / 2;
    if (row_images[middle] >= 0 && row_images[middle] < image)
      low = middle + 1;
    else
      high = middle;
  }
  first_row[image] = low;
}

/* A block for each image and class: the rows whose score is above the least, in order. */
__global__ void detection_select_kernel(BoxHead head, float score_least, DetectionRoom room)
{
  const int32_t classes = head.class_count - 1;
  const int32_t image = (int32_t)blockIdx.x / classes;
  const int32_t c = 1 + (int32_t)blockIdx.x % classes;
  const int32_t row = room.first_row[image];
  const int32_t count = room.first_row[image + 1] - row;
  const int64_t first = detection_first(&head, c, row);
  const float *scores = room.scores + first;
  const int32_t run = (count + LIST_THREADS - 1) / LIST_THREADS;
  const int32_t begin = (int32_t)threadIdx.x * run < count ? (int32_t)threadIdx.x * run : count;
  const int32_t end = count - begin < run ? count : begin + run;
  int32_t mine = 0;
  for (int32_t i = begin; i < end; ++i)
    mine += scores[i] > score_least;
  int32_t total;
  Ranked *ranked = room.lists.ranked + first + block_sum_before<LIST_THREADS>(mine, &total);
  for (int32_t i = begin; i < end; ++i) {
    if (!(scores[i] > score_least)) continue;
    ranked->key = order_key(scores[i]);
    ranked->index = row + i;
    ++ranked;
  }
  if (threadIdx.x == 0) {
    room.lists.first[blockIdx.x] = first;
    room.lists.count[blockIdx.x] = total;
  }
}

template <typename T>
__global__ void detection_decode_kernel(BoxHead head, DetectionLimits limits, const float *regions,
                                        const T *deltas, const float *image_sizes, BoxLists lists)
{
  const int32_t classes = head.class_count - 1;
  const int32_t list = (int32_t)blockIdx.x;
  const int32_t c = 1 + list % classes;
  const int32_t i = list_place();
  if (i >= lists.count[list]) return;
  const int64_t candidate = lists.first[list] + i;
  const Ranked ranked = lists.sorted[candidate];
  const T *delta = deltas + (int64_t)ranked.index * head.deltas.channels + 4 * (int64_t)c;
  const BoxCode code = {widen(delta[0]), widen(delta[1]), widen(delta[2]), widen(delta[3])};
  const Box box = box_decode(box_load(regions, ranked.index), code, box_head_weights());
  list_candidate(&lists, candidate, box_clip(box, image_sizes + 2 * (list / classes)),
                 order_value(ranked.key), detection_tie(&head, c, ranked.index),
                 limits.least_side_px);
}

__global__ void detection_regions_kernel(Detections detections, Regions regions, int32_t *classes)
{
  const int32_t row = (int32_t)thread_index();
  int32_t image = 0;
  int32_t i = row;
  for (; image < detections.images && i >= detections.counts[image]; ++image)
    i -= detections.counts[image];
  const bool there = image < detections.images;
  const int64_t from = (int64_t)image * detections.capacity + i;
  if (row < regions.capacity) {
    const Box none = {0.0F, 0.0F, 0.0F, 0.0F};
    box_store(regions.boxes, row, there ? box_load(detections.boxes, from) : none);
    regions.images[row] = there ? image : -1;
    if (classes != NULL) classes[row] = there ? detections.classes[from] : 0;
  }
  /* The thread behind the last row has walked over all counts. */
  if (row == regions.capacity) *regions.count = there ? row : row - i;
}

size_t detections_scratch_bytes_cuda(const BoxHead *head, int32_t images)
{
  ScratchPieces pieces = {NULL, 0};
  (void)detection_room_in(&pieces, head, images);
  return pieces.bytes;
}

void detections_cuda(Device *device, const BoxHead *head, const Regions *regions,
                     const void *logits, const void *deltas, DetectionLimits limits,
                     const float *image_sizes, Detections *detections, void *scratch)
{
  ScratchPieces pieces = {(char *)scratch, 0};
  const int32_t images = detections->images;
  const DetectionRoom room = detection_room_in(&pieces, head, images);
  const int32_t rows = head->logits.images;
  const int32_t list_count = images * (head->class_count - 1);
  const Tiles cut = tiles_of(head->logits, head->class_count);
  LAUNCH(device, detection_rows_kernel, blocks_for(images + 1), THREADS, rows, images,
         (const int32_t *)regions->images, room.first_row);
  BY_ELEMENT(head->logits.element, T,
             LAUNCH(device, detection_scores_kernel, tiles_blocks(cut), THREADS, cut, *head,
                    (const T *)logits, room.scores));
  LAUNCH(device, detection_select_kernel, (unsigned)list_count, LIST_THREADS, *head,
         limits.score_least, room);
  lists_sort(device, room.lists, list_count, rows);
  BY_ELEMENT(head->deltas.element, T,
             LAUNCH(device, detection_decode_kernel, lists_grid(rows, list_count), THREADS, *head,
                    limits, (const float *)regions->boxes, (const T *)deltas, image_sizes,
                    room.lists));
  const ListOutput output = {head->class_count - 1, detections->capacity, head->class_count,
                             detections->boxes,     detections->scores,   detections->classes,
                             detections->counts,    detections->dropped};
  lists_finish(device, room.lists, images, rows, limits.iou_most, output);
}

void detection_regions_cuda(Device *device, const Detections *detections, Regions *regions,
                            int32_t *classes)
{
  LAUNCH(device, detection_regions_kernel, blocks_for((int64_t)regions->capacity + 1), THREADS,
         *detections, *regions, classes);
}
