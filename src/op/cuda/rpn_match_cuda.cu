#include "launch.cuh"

#include "match_element.h"

/* A block for each object looks at all anchors, for the highest IoU of the object; then a thread for
 * each anchor looks at all objects. Both take the same IoUs, to the last bit. */
__global__ void rpn_highest_kernel(const __grid_constant__ Rpn rpn, int64_t anchors, Truth truth,
                                   float *highest)
{
  __shared__ float room[THREADS];
  const int32_t image = (int32_t)blockIdx.y;
  const int64_t place = (int64_t)image * truth.capacity + blockIdx.x;
  float mine = 0.0F;
  if ((int32_t)blockIdx.x < truth.counts[image]) {
    const Box object = box_load(truth.boxes, place);
    for (int64_t i = threadIdx.x; i < anchors; i += THREADS) {
      const float iou = box_iou(anchor_box_of(&rpn, (uint32_t)i), object);
      mine = iou > mine ? iou : mine;
    }
  }
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
    const float iou = box_iou(anchor, box_load(truth.boxes, first + g));
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
           THREADS, *rpn, anchors, *truth, (float *)scratch);
  LAUNCH(device, rpn_match_kernel, dim3(blocks_for(anchors), (unsigned)rpn->images), THREADS, *rpn,
         anchors, matching, *truth, (const float *)scratch, matches);
}
