#include "count_backend.h"
#include "note.h"

/* Lists are short, and mostly wait. What steps take, in cycles, is estimated from the kernels' source:
 * an arithmetic one, one that waits for the second-level cache, one of a candidate that is kept or
 * not, a sum over the threads of a block, a block's sort. Instructions: of the overlap of two boxes,
 * with an anchor's box made from its place. */
static const double arithmetic_cycles = 100;
static const double load_cycles = 300;
static const double keep_cycles = 30;
static const double scan_cycles = 2500;
static const double sort_cycles = 20000;
static const double overlap_instructions = 40;
enum { LIST_THREADS = 512, TILE = 64, BOX_FLOATS = 4, MATCH_THREADS = 256 };
enum { SELECT_THREADS = 512, SELECT_ITEMS = 8, SELECT_SLICES = 64, SELECT_KERNELS = 7, DIGITS = 3 };

static double steps(double items, double threads)
{
  return items < threads ? 1 : items / threads;
}

static double smaller(double a, double b)
{
  return a < b ? a : b;
}

static double anchors_of(const Rpn *rpn)
{
  return (double)rpn->images * (double)rpn_anchor_count(rpn);
}

static double map_anchors(const Rpn *rpn, int32_t map)
{
  return (double)rpn->maps[map].height * rpn->maps[map].width * rpn->anchor_count;
}

/* The first of each list, found digit by digit by all blocks; most lists are done after three. */
static void note_selection(const Device *device, double lists, double longest)
{
  const double slices = smaller(steps(longest, SELECT_THREADS * SELECT_ITEMS), SELECT_SLICES);
  const double items = steps(longest, SELECT_THREADS * slices);
  OpWork work = moved(OP_LISTS, DIGITS * lists * longest * sizeof(float), 0);
  work.launches = 1 + SELECT_KERNELS;
  work.wait_cycles = SELECT_KERNELS * scan_cycles + DIGITS * items * load_cycles;
  note(device, work);
}

/* Sorted, decoded, suppressed tile by tile, then taken. */
static void note_suppression(const Device *device, double lists, double longest, int32_t kernels)
{
  const double tiles = steps(longest, TILE);
  const double behind = steps(longest, LIST_THREADS) / 2; /* of the candidates, on average */
  const double bytes = lists * longest * (2 + BOX_FLOATS) * sizeof(float);
  OpWork work = moved(OP_LISTS, bytes, bytes);
  work.launches = kernels;
  work.wait_cycles = sort_cycles + tiles * TILE * (keep_cycles + behind * arithmetic_cycles);
  note(device, work);
}

/* Keys of every map, the highest of them, in order, decoded, suppressed. */
void rpn_proposals_count(Device *device, const Rpn *rpn, const RpnMaps *maps, ProposalLimits limits,
                         const float *image_sizes, float *boxes, float *scores, int32_t *counts,
                         void *scratch)
{
  const double lists = (double)rpn->images * rpn->map_count;
  double most = 0;
  for (int32_t m = 0; m < rpn->map_count; ++m) {
    const double anchors = map_anchors(rpn, m);
    const double pixels = (double)rpn->images * rpn->maps[m].height * rpn->maps[m].width;
    if (anchors > most) most = anchors;
    note(device, moved(OP_LISTS, pixels * rpn->logit_channels * (double)element_bytes(rpn->element),
                       rpn->images * anchors * sizeof(float)));
  }
  note_selection(device, rpn->images, most);
  OpWork take = moved(OP_LISTS, anchors_of(rpn) * sizeof(float), 0);
  take.launches = 2;
  note(device, take);
  note_suppression(device, lists, smaller(most, limits.pre_count), rpn->map_count + 7);
}

/* A block for each object, then a thread for each anchor. */
void rpn_match_count(Device *device, const Rpn *rpn, RpnMatching matching, const Truth *truth,
                     int32_t *matches, void *scratch)
{
  const double pairs = anchors_of(rpn) * truth->capacity;
  OpWork work = moved(OP_LISTS, 0, anchors_of(rpn) * sizeof(int32_t));
  work.launches = 2;
  work.instructions = 2 * pairs * overlap_instructions;
  work.wait_cycles = steps((double)rpn_anchor_count(rpn), MATCH_THREADS) * arithmetic_cycles +
                     truth->capacity * arithmetic_cycles;
  note(device, work);
}

void rpn_sample_count(Device *device, const Rpn *rpn, RpnSampling sampling, SampleKeys keys,
                      const int32_t *matches, uint8_t *sampled, void *scratch)
{
  note_selection(device, 2.0 * rpn->images, (double)rpn_anchor_count(rpn));
  note(device, moved(OP_LISTS, anchors_of(rpn) * sizeof(int32_t), anchors_of(rpn)));
}

void rpn_loss_sums_count(Device *device, const Rpn *rpn, const RpnMaps *maps, const Truth *truth,
                         const int32_t *matches, const uint8_t *sampled, float *sums, void *scratch)
{
  OpWork work = moved(OP_LISTS, anchors_of(rpn) * (1 + sizeof(int32_t)), 0);
  work.launches = 2;
  note(device, work);
}

/* All maps are cleared, then what was sampled is written. */
void rpn_loss_backward_count(Device *device, const Rpn *rpn, const RpnMaps *maps,
                             const Truth *truth, const int32_t *matches, const uint8_t *sampled,
                             const float *sums, const float *scale, void *const *dlogits,
                             void *const *ddeltas)
{
  const double each = (double)element_bytes(rpn->element);
  const double pixels = anchors_of(rpn) / rpn->anchor_count;
  OpWork work = moved(OP_LISTS, anchors_of(rpn) * (1 + sizeof(int32_t)),
                      pixels * (rpn->logit_channels + rpn->delta_channels) * each);
  work.launches = 1 + 2 * rpn->map_count;
  note(device, work);
}

void roi_sample_count(Device *device, RoiSampling sampling, SampleKeys keys,
                      int32_t proposal_capacity, const float *proposals,
                      const int32_t *proposal_counts, const Truth *truth, SampledRois *rois,
                      void *scratch)
{
  const double candidates = proposal_capacity + truth->capacity;
  OpWork work = moved(OP_LISTS, truth->images * candidates * BOX_FLOATS * sizeof(float), 0);
  work.launches = 3;
  work.instructions = truth->images * candidates * truth->capacity * overlap_instructions;
  work.wait_cycles = truth->capacity * arithmetic_cycles +
                     steps(candidates, LIST_THREADS) * (load_cycles + scan_cycles);
  note(device, work);
  note_selection(device, 2.0 * truth->images, candidates);
}

static double head_bytes(const BoxHead *head)
{
  return bytes_of(head->logits) + bytes_of(head->deltas);
}

void box_loss_sums_count(Device *device, const BoxHead *head, const void *logits,
                         const void *deltas, const int32_t *classes, const float *targets,
                         float *sums, void *scratch)
{
  OpWork work = moved(OP_LISTS, head_bytes(head), 0);
  work.launches = 2;
  note(device, work);
}

void box_loss_backward_count(Device *device, const BoxHead *head, const void *logits,
                             const void *deltas, const int32_t *classes, const float *targets,
                             const float *sums, const float *scale, void *dlogits, void *ddeltas)
{
  OpWork work = moved(OP_LISTS, head_bytes(head), head_bytes(head));
  work.launches = 2;
  note(device, work);
}

/* Most classes find next to nothing, so lists are as long as the detections that are kept. */
void detections_count(Device *device, const BoxHead *head, const Regions *regions,
                      const void *logits, const void *deltas, DetectionLimits limits,
                      const float *image_sizes, Detections *detections, void *scratch)
{
  const double rows = head->logits.images;
  const double classes = head->class_count - 1;
  OpWork work = moved(OP_LISTS, head_bytes(head) + rows * classes * sizeof(float),
                      rows * classes * sizeof(float));
  work.launches = 3;
  work.wait_cycles = steps(rows / detections->images, LIST_THREADS) * load_cycles + scan_cycles;
  note(device, work);
  note_suppression(device, detections->images * classes, detections->capacity, 8);
}

void detection_regions_count(Device *device, const Detections *detections, Regions *regions,
                             int32_t *classes)
{
  const double bytes = (double)regions->capacity * (BOX_FLOATS + 1) * sizeof(float);
  OpWork work = moved(OP_LISTS, bytes, bytes);
  work.wait_cycles = detections->images * load_cycles;
  note(device, work);
}

void resize_boxes_count(Device *device, int32_t rows, int32_t rows_per_image, const int32_t *images,
                        const float *scales, float *boxes)
{
  const double bytes = (double)rows * BOX_FLOATS * sizeof(float);
  note(device, moved(OP_LISTS, bytes, bytes));
}
