#include "block_sample.cuh"

#include "detection_loss_element.h"

/* What is read, and scratch: for each image capacity candidates, its proposals and behind them its
 * objects. */
typedef struct RoiImages {
  Truth truth;
  const float *proposals;
  const int32_t *proposal_counts;
  int32_t proposal_capacity;
  int32_t capacity;
} RoiImages;

/* What is drawn of an image. */
typedef struct RoiDraw {
  SampleLimits limits;
  int32_t rows;
  int32_t positives;
} RoiDraw;

__device__ inline int32_t roi_candidates(const RoiImages *in, int32_t image)
{
  return in->proposal_counts[image] + in->truth.counts[image];
}

__device__ inline Box roi_box(const RoiImages *in, int32_t image, int32_t i)
{
  return roi_candidate(in->proposals + (int64_t)image * in->proposal_capacity * 4,
                       in->proposal_counts[image],
                       in->truth.boxes + (int64_t)image * in->truth.capacity * 4, i);
}

__global__ void roi_match_kernel(RoiImages in, RoiSampling sampling, int32_t *matches)
{
  const int32_t image = (int32_t)blockIdx.y;
  const int32_t i = (int32_t)thread_index();
  if (i >= roi_candidates(&in, image)) return;
  const int32_t count = in.truth.counts[image];
  const Box box = roi_box(&in, image, i);
  BestObject best = {0.0F, 0};
  for (int32_t g = 0; g < count; ++g)
    best = best_object_of(
        best, box_iou(box, box_load(in.truth.boxes, (int64_t)image * in.truth.capacity + g)), g);
  matches[(int64_t)image * in.capacity + i] = roi_match_element(sampling, count, best);
}

__global__ void roi_draw_kernel(RoiImages in, RoiSampling sampling, SampleKeys keys,
                                const int32_t *matches, RoiDraw *draws)
{
  const int32_t image = (int32_t)blockIdx.x;
  RoiDraw draw;
  draw.limits = sample_limits(matches + (int64_t)image * in.capacity, roi_candidates(&in, image),
                              sample_state(keys.seed, keys.streams[image]), sampling.positive_count,
                              sampling.count, &draw.positives, &draw.rows);
  if (threadIdx.x == 0) draws[image] = draw;
}

__device__ inline void roi_write_row(const RoiImages *in, int32_t image, int32_t i, int32_t match,
                                     int64_t row, int64_t positive, SampledRois rois)
{
  const Box box = roi_box(in, image, i);
  const int64_t object = (int64_t)image * in->truth.capacity + match;
  const BoxCode none = {0.0F, 0.0F, 0.0F, 0.0F};
  box_store(rois.regions.boxes, row, box);
  rois.regions.images[row] = image;
  rois.classes[row] = match >= 0 ? in->truth.classes[object] : 0;
  rois.matches[row] = match >= 0 ? match : 0;
  box_code_store(rois.targets, row,
                 match >= 0 ? box_encode(box, box_load(in->truth.boxes, object), box_head_weights())
                            : none);
  if (match < 0) return;
  box_store(rois.positives.boxes, positive, box);
  rois.positives.images[positive] = image;
  rois.positive_classes[positive] = in->truth.classes[object];
  rois.positive_matches[positive] = match;
}

/* A block for each image, whose rows begin where those of the images before it end. */
__global__ void roi_rows_kernel(RoiImages in, SampleKeys keys, const int32_t *matches,
                                const RoiDraw *draws, SampledRois rois)
{
  const int32_t image = (int32_t)blockIdx.x;
  const uint64_t state = sample_state(keys.seed, keys.streams[image]);
  const SampleLimits limits = draws[image].limits;
  const int32_t count = roi_candidates(&in, image);
  int64_t row = 0;
  int64_t positive = 0;
  for (int32_t n = 0; n < image; ++n) {
    row += draws[n].rows;
    positive += draws[n].positives;
  }
  for (int32_t first = 0; first == 0 || first < count; first += SAMPLE_THREADS) {
    const int32_t i = first + (int32_t)threadIdx.x;
    const int32_t match = i < count ? matches[(int64_t)image * in.capacity + i] : MATCH_IGNORED;
    const bool taken = sample_takes(limits, match, sample_rank(state, (uint32_t)i));
    int32_t rows, positives;
    const int32_t rows_before = sample_sum_before(taken ? 1 : 0, &rows);
    const int32_t positives_before = sample_sum_before(taken && match >= 0 ? 1 : 0, &positives);
    if (taken)
      roi_write_row(&in, image, i, match, row + rows_before, positive + positives_before, rois);
    row += rows;
    positive += positives;
  }
}

__device__ inline void roi_end(Regions regions, int32_t count, int32_t row, int32_t *classes,
                               int32_t *matches)
{
  const Box none = {0.0F, 0.0F, 0.0F, 0.0F};
  if (row == 0) *regions.count = count;
  if (row < count || row >= regions.capacity) return;
  box_store(regions.boxes, row, none);
  regions.images[row] = -1;
  classes[row] = -1;
  matches[row] = 0;
}

/* What stands behind the last rows. */
__global__ void roi_end_kernel(int32_t images, const RoiDraw *draws, SampledRois rois)
{
  const int32_t row = (int32_t)thread_index();
  const BoxCode none = {0.0F, 0.0F, 0.0F, 0.0F};
  int32_t rows = 0;
  int32_t positives = 0;
  for (int32_t n = 0; n < images; ++n) {
    rows += draws[n].rows;
    positives += draws[n].positives;
  }
  roi_end(rois.regions, rows, row, rois.classes, rois.matches);
  roi_end(rois.positives, positives, row, rois.positive_classes, rois.positive_matches);
  if (row >= rows && row < rois.regions.capacity) box_code_store(rois.targets, row, none);
}

size_t roi_sample_scratch_bytes_cuda(RoiSampling sampling, int32_t proposal_capacity,
                                     int32_t images, int32_t truth_capacity)
{
  const size_t capacity = (size_t)proposal_capacity + (size_t)truth_capacity;
  return (size_t)images * (sizeof(RoiDraw) + capacity * sizeof(int32_t));
}

void roi_sample_cuda(Device *device, RoiSampling sampling, SampleKeys keys,
                     int32_t proposal_capacity, const float *proposals,
                     const int32_t *proposal_counts, const Truth *truth, SampledRois *rois,
                     void *scratch)
{
  const unsigned images = (unsigned)truth->images;
  const RoiImages in = {*truth, proposals, proposal_counts, proposal_capacity,
                        proposal_capacity + truth->capacity};
  RoiDraw *draws = (RoiDraw *)scratch;
  int32_t *matches = (int32_t *)(draws + images);
  const int32_t longest = rois->regions.capacity > rois->positives.capacity
                              ? rois->regions.capacity
                              : rois->positives.capacity;
  LAUNCH(device, roi_match_kernel, dim3(blocks_for(in.capacity), images), THREADS, in, sampling,
         matches);
  LAUNCH(device, roi_draw_kernel, images, SAMPLE_THREADS, in, sampling, keys,
         (const int32_t *)matches, draws);
  LAUNCH(device, roi_rows_kernel, images, SAMPLE_THREADS, in, keys, (const int32_t *)matches,
         (const RoiDraw *)draws, *rois);
  LAUNCH(device, roi_end_kernel, blocks_for(longest), THREADS, truth->images,
         (const RoiDraw *)draws, *rois);
}
