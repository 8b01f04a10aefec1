#include <string.h>

#include "box_span_cpu.h"
#include "cpu_backend.h"
#include "op/detection_loss_element.h"
#include "sample_cpu.h"

/* Candidates of the batch, in scratch: for each image capacity places, its proposals and behind
 * them its objects. */
typedef struct Candidates {
  int32_t capacity;
  uint64_t *room;
  int32_t *matches;
  uint8_t *taken;
} Candidates;

size_t roi_sample_scratch_bytes_cpu(RoiSampling sampling, int32_t proposal_capacity, int32_t images,
                                    int32_t truth_capacity)
{
  const size_t each = (size_t)proposal_capacity + (size_t)truth_capacity;
  return (size_t)images * each * (sizeof(uint64_t) + sizeof(int32_t) + 1);
}

static Candidates lay_out(void *scratch, int32_t images, int32_t capacity)
{
  const int64_t all = (int64_t)images * capacity;
  Candidates candidates = {.capacity = capacity, .room = scratch};
  candidates.matches = (int32_t *)(candidates.room + all);
  candidates.taken = (uint8_t *)(candidates.matches + all);
  return candidates;
}

/* One image of what is read. */
typedef struct RoiImage {
  int32_t image;
  int32_t proposal_count, object_count;
  const float *proposals, *objects;
  const int32_t *classes;
} RoiImage;

static RoiImage image_of(int32_t image, int32_t proposal_capacity, const float *proposals,
                         const int32_t *proposal_counts, const Truth *truth)
{
  return (RoiImage){.image = image,
                    .proposal_count = proposal_counts[image],
                    .object_count = truth->counts[image],
                    .proposals = proposals + (int64_t)image * proposal_capacity * 4,
                    .objects = truth->boxes + (int64_t)image * truth->capacity * 4,
                    .classes = truth->classes + (int64_t)image * truth->capacity};
}

/* Candidates first … end - 1, at most a span. */
static void match_candidates(RoiSampling sampling, const RoiImage *in, int32_t first, int32_t end,
                             int32_t *matches)
{
  BoxSpan span;
  BestSpan best = {.iou = {0}};
  for (int32_t i = first; i < end; ++i)
    box_span_set(&span, i - first,
                 roi_candidate(in->proposals, in->proposal_count, in->objects, i));
  box_span_fill_up(&span, end - first);
  for (int32_t g = 0; g < in->object_count; ++g)
    box_span_match(&span, 0, end - first, box_load(in->objects, g), g, HUGE_VALF, &best);
  for (int32_t i = 0; i < end - first; ++i)
    matches[first + i] =
        roi_match_element(sampling, in->object_count, (BestObject){best.iou[i], best.object[i]});
}

/* The rows that are there so far. */
typedef struct Rows {
  int64_t all, positive;
} Rows;

static Rows write_rows(const RoiImage *in, const int32_t *matches, const uint8_t *taken, Rows rows,
                       SampledRois *rois)
{
  for (int32_t i = 0; i < in->proposal_count + in->object_count; ++i) {
    if (!taken[i]) continue;
    const Box box = roi_candidate(in->proposals, in->proposal_count, in->objects, i);
    const bool has_object = matches[i] >= 0;
    const int64_t row = rows.all++;
    box_store(rois->regions.boxes, row, box);
    rois->regions.images[row] = in->image;
    rois->classes[row] = has_object ? in->classes[matches[i]] : 0;
    rois->matches[row] = has_object ? matches[i] : 0;
    memset(rois->targets + 4 * row, 0, 4 * sizeof(float));
    if (!has_object) continue;
    const int64_t positive = rows.positive++;
    const Box object = box_load(in->objects, matches[i]);
    box_code_store(rois->targets, row, box_encode(box, object, box_head_weights()));
    box_store(rois->positives.boxes, positive, box);
    rois->positives.images[positive] = in->image;
    rois->positive_classes[positive] = in->classes[matches[i]];
    rois->positive_matches[positive] = matches[i];
  }
  return rows;
}

/* What stands behind the last row. */
static void end_rows(Regions *regions, int64_t count, int32_t *classes, int32_t *matches)
{
  *regions->count = (int32_t)count;
  for (int64_t row = count; row < regions->capacity; ++row) {
    regions->images[row] = classes[row] = -1;
    matches[row] = 0;
  }
  memset(regions->boxes + 4 * count, 0,
         (size_t)(regions->capacity - count) * 4 * sizeof *regions->boxes);
}

void roi_sample_cpu(Device *device, RoiSampling sampling, SampleKeys keys,
                    int32_t proposal_capacity, const float *proposals,
                    const int32_t *proposal_counts, const Truth *truth, SampledRois *rois,
                    void *scratch)
{
  const int32_t images = truth->images;
  const int32_t capacity = proposal_capacity + truth->capacity;
  const Candidates all = lay_out(scratch, images, capacity);
  const int64_t spans = (capacity + BOX_SPAN_MOST - 1) / BOX_SPAN_MOST;
#pragma omp parallel for schedule(dynamic)
  for (int64_t i = 0; i < images * spans; ++i) {
    const int32_t n = (int32_t)(i / spans), first = (int32_t)(i % spans) * BOX_SPAN_MOST;
    const RoiImage in = image_of(n, proposal_capacity, proposals, proposal_counts, truth);
    const int32_t left = in.proposal_count + in.object_count - first;
    if (left > 0)
      match_candidates(sampling, &in, first, first + (left < BOX_SPAN_MOST ? left : BOX_SPAN_MOST),
                       all.matches + (int64_t)n * capacity);
  }
#pragma omp parallel for schedule(static)
  for (int32_t n = 0; n < images; ++n) {
    const int64_t at = (int64_t)n * capacity;
    const int32_t items = proposal_counts[n] + truth->counts[n];
    sample_draw(items, all.matches + at, sample_state(keys.seed, keys.streams[n]), sampling.count,
                sampling.positive_count, all.taken + at, all.room + at);
  }
  Rows rows = {0, 0};
  for (int32_t n = 0; n < images; ++n) {
    const RoiImage in = image_of(n, proposal_capacity, proposals, proposal_counts, truth);
    const int64_t at = (int64_t)n * capacity;
    rows = write_rows(&in, all.matches + at, all.taken + at, rows, rois);
  }
  end_rows(&rois->regions, rows.all, rois->classes, rois->matches);
  end_rows(&rois->positives, rows.positive, rois->positive_classes, rois->positive_matches);
  memset(rois->targets + 4 * rows.all, 0,
         (size_t)(rois->regions.capacity - rows.all) * 4 * sizeof *rois->targets);
}
