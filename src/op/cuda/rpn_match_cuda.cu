#include "launch.cuh"

#include "match_element.h"

/* First the highest IoU of each object, by a block that looks at the anchors about it; then the best
 * object of each anchor, by a thread that looks at all objects. Both take the same IoUs, to the last
 * bit. */
typedef struct AnchorRange {
  int32_t first, end;
} AnchorRange;

/* Which of count anchors, moved by 0, stride, 2 stride …, meet low … high; some more, for rounding. */
__device__ inline AnchorRange anchors_about(float low, float high, float cell_low, float cell_high,
                                            int32_t stride_px, int32_t count)
{
  const float first = (low - cell_high) / (float)stride_px - 1.0F;
  const float end = (high - cell_low) / (float)stride_px + 2.0F;
  AnchorRange range;
  range.first = first > 0.0F ? (first < (float)count ? (int32_t)first : count) : 0;
  range.end = end > 0.0F ? (end < (float)count ? (int32_t)end : count) : 0;
  return range;
}

/* The highest IoU that a thread finds among the anchors of one cell. */
__device__ inline float highest_of_cell(const AnchorMap &map, int32_t cell, Box object, float mine)
{
  const float *of_cell = map.cells[cell];
  const AnchorRange rows =
      anchors_about(object.y1, object.y2, of_cell[1], of_cell[3], map.stride_y_px, map.height);
  const AnchorRange columns =
      anchors_about(object.x1, object.x2, of_cell[0], of_cell[2], map.stride_x_px, map.width);
  const int32_t width = columns.end - columns.first;
  for (int32_t i = (int32_t)threadIdx.x; width > 0 && i < width * (rows.end - rows.first);
       i += THREADS) {
    const Box anchor = anchor_box_at(&map, cell, rows.first + i / width, columns.first + i % width);
    const float iou = box_iou(anchor, object);
    mine = iou > mine ? iou : mine;
  }
  return mine;
}

__global__ void rpn_highest_kernel(const __grid_constant__ Rpn rpn, Truth truth, float *highest)
{
  __shared__ float room[THREADS];
  const int32_t image = (int32_t)blockIdx.y;
  const int64_t place = (int64_t)image * truth.capacity + blockIdx.x;
  float mine = 0.0F;
  if ((int32_t)blockIdx.x >= truth.counts[image]) return; /* the whole block */
  const Box object = box_load(truth.boxes, place);
  for (int32_t m = 0; m < rpn.map_count; ++m)
    for (int32_t cell = 0; cell < rpn.anchor_count; ++cell)
      mine = highest_of_cell(rpn.maps[m], cell, object, mine);
  room[threadIdx.x] = mine;
  __syncthreads();
  for (int32_t half = THREADS / 2; half > 0; half /= 2) {
    if ((int32_t)threadIdx.x < half && room[threadIdx.x + half] > room[threadIdx.x])
      room[threadIdx.x] = room[threadIdx.x + half];
    __syncthreads();
  }
  if (threadIdx.x == 0) highest[place] = room[0];
}

__global__ void rpn_match_kernel(const __grid_constant__ Rpn rpn, int64_t anchors,
                                 RpnMatching matching, Truth truth, const float *highest,
                                 int32_t *matches)
{
  const int32_t image = (int32_t)blockIdx.y;
  const int64_t i = thread_index();
  if (i >= anchors) return;
  const int32_t count = truth.counts[image];
  const int64_t first = (int64_t)image * truth.capacity;
  const Box anchor = anchor_box_of(&rpn, (uint32_t)i);
  BestObject best = {0.0F, 0};
  bool rescued = false;
  for (int32_t g = 0; g < count; ++g) {
    const Box object = box_load(truth.boxes, first + g);
    if (!box_meets(anchor, object)) continue;
    const float iou = box_iou(anchor, object);
    best = best_object_of(best, iou, g);
    rescued = rescued || rpn_match_rescues(iou, highest[first + g]);
  }
  matches[image * anchors + i] = rpn_match_element(matching, count, best, rescued);
}

size_t rpn_match_scratch_bytes_cuda(const Rpn *rpn, int32_t truth_capacity)
{
  return (size_t)rpn->images * (size_t)truth_capacity * sizeof(float);
}

void rpn_match_cuda(Device *device, const Rpn *rpn, RpnMatching matching, const Truth *truth,
                    int32_t *matches, void *scratch)
{
  const int64_t anchors = rpn_anchor_count(rpn);
  if (truth->capacity > 0)
    LAUNCH(device, rpn_highest_kernel, dim3((unsigned)truth->capacity, (unsigned)rpn->images),
           THREADS, *rpn, *truth, (float *)scratch);
  LAUNCH(device, rpn_match_kernel, dim3(blocks_for(anchors), (unsigned)rpn->images), THREADS, *rpn,
         anchors, matching, *truth, (const float *)scratch, matches);
}
