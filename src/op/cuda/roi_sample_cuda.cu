#include "sample.cuh"

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
  int32_t *match = matches + (int64_t)image * in.capacity + i;
  if (i >= in.capacity) return;
  if (i >= roi_candidates(&in, image)) {
    *match = MATCH_IGNORED;
    return;
  }
  const int32_t count = in.truth.counts[image];
  const Box box = roi_box(&in, image, i);
  BestObject best = {0.0F, 0};
  for (int32_t g = 0; g < count; ++g) {
    const Box object = box_load(in.truth.boxes, (int64_t)image * in.truth.capacity + g);
    if (box_meets(box, object)) best = best_object_of(best, box_iou(box, object), g);
  }
  *match = roi_match_element(sampling, count, best);
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

/* Rows of all images before this one. */
__device__ inline SampleCounts roi_rows_before(const SampleItems &items, const int32_t *totals,
                                               int32_t image)
{
  SampleCounts rows = {0, 0};
  for (int32_t n = 0; n < image; ++n) {
    const SampleCounts own = sample_counts(items, totals, n);
    rows.positives += own.positives;
    rows.all += own.all;
  }
  return rows;
}

/* A block for each image, whose rows begin where those of the images before it end. */
__global__ void roi_rows_kernel(RoiImages in, SampleItems items, Selection selection,
                                SampledRois rois)
{
  const int32_t image = (int32_t)blockIdx.x;
  const int32_t count = roi_candidates(&in, image);
  SampleCounts rows = roi_rows_before(items, selection.totals, image);
  for (int32_t first = 0; first < count; first += SELECT_THREADS) {
    const int32_t i = first + (int32_t)threadIdx.x;
    const bool taken = i < count && sample_takes_item(items, selection, image, i);
    const int32_t match = taken ? items.matches[(int64_t)image * in.capacity + i] : MATCH_IGNORED;
    int32_t all, positives;
    const int32_t all_before = block_sum_before<SELECT_THREADS>(taken ? 1 : 0, &all);
    const int32_t positives_before =
        block_sum_before<SELECT_THREADS>(match >= 0 ? 1 : 0, &positives);
    if (taken)
      roi_write_row(&in, image, i, match, rows.all + all_before, rows.positives + positives_before,
                    rois);
    rows.all += all;
    rows.positives += positives;
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
__global__ void roi_end_kernel(SampleItems items, Selection selection, int32_t images,
                               SampledRois rois)
{
  const int32_t row = (int32_t)thread_index();
  const BoxCode none = {0.0F, 0.0F, 0.0F, 0.0F};
  const SampleCounts rows = roi_rows_before(items, selection.totals, images);
  roi_end(rois.regions, rows.all, row, rois.classes, rois.matches);
  roi_end(rois.positives, rows.positives, row, rois.positive_classes, rois.positive_matches);
  if (row >= rows.all && row < rois.regions.capacity) box_code_store(rois.targets, row, none);
}

size_t roi_sample_scratch_bytes_cuda(RoiSampling sampling, int32_t proposal_capacity,
                                     int32_t images, int32_t truth_capacity)
{
  const int64_t capacity = (int64_t)proposal_capacity + truth_capacity;
  ScratchPieces pieces = {NULL, 0};
  (void)selection_in(&pieces, images * SAMPLE_KINDS);
  (void)scratch_piece(&pieces, images * capacity, sizeof(int32_t));
  return pieces.bytes;
}

void roi_sample_cuda(Device *device, RoiSampling sampling, SampleKeys keys,
                     int32_t proposal_capacity, const float *proposals,
                     const int32_t *proposal_counts, const Truth *truth, SampledRois *rois,
                     void *scratch)
{
  const unsigned images = (unsigned)truth->images;
  const RoiImages in = {*truth, proposals, proposal_counts, proposal_capacity,
                        proposal_capacity + truth->capacity};
  ScratchPieces pieces = {(char *)scratch, 0};
  const Selection selection = selection_in(&pieces, truth->images * SAMPLE_KINDS);
  int32_t *matches =
      (int32_t *)scratch_piece(&pieces, (int64_t)images * in.capacity, sizeof(int32_t));
  const SampleItems items = {matches, in.capacity, keys, sampling.positive_count, sampling.count};
  const int32_t longest = rois->regions.capacity > rois->positives.capacity
                              ? rois->regions.capacity
                              : rois->positives.capacity;
  LAUNCH(device, roi_match_kernel, dim3(blocks_for(in.capacity), images), THREADS, in, sampling,
         matches);
  select_first(device, items, selection, in.capacity);
  LAUNCH(device, roi_rows_kernel, images, SELECT_THREADS, in, items, selection, *rois);
  LAUNCH(device, roi_end_kernel, blocks_for(longest), THREADS, items, selection, truth->images,
         *rois);
}
