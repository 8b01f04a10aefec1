#include "count_backend.h"
#include "note.h"

/* Lists are short, and mostly wait: a list is sorted and suppressed by one block, whose threads go
 * through it in steps. What a step takes, in cycles, is estimated from the kernel's source: an
 * arithmetic one (whether two boxes meet), one that waits for the second-level cache, one whose loads
 * lie apart; a sort of up to 2048 in a block; a digit of a selection, whose bins a block adds up.
 * Instructions: of the overlap of two boxes, with an anchor's box made from its place; of the question
 * whether they meet; of a rank. About an object lie some thousands of anchors. */
static const double arithmetic_cycles = 50;
static const double load_cycles = 300;
static const double scattered_cycles = 450;
static const double sort_cycles = 20000;
static const double digit_cycles = 2500;
static const double overlap_instructions = 40;
static const double meeting_instructions = 14;
static const double rank_instructions = 60;
static const double anchors_about_object = 4000;
enum { DIGITS = 7 }; /* launches of a selection; the first three look at all items as a rule */
enum { LIST_THREADS = 512, TILE = 64, BOX_FLOATS = 4, MATCH_THREADS = 256 };

static double steps(double items, double threads)
{
  return items < threads ? 1 : items / threads;
}

static double anchors_of(const Rpn *rpn)
{
  return (double)rpn->images * (double)rpn_anchor_count(rpn);
}

static double map_anchors(const Rpn *rpn, int32_t map)
{
  return (double)rpn->maps[map].height * rpn->maps[map].width * rpn->anchor_count;
}

/* Sorted, then suppressed tile by tile, then taken. */
static void note_suppression(const Device *device, double lists, double longest, int32_t kernels)
{
  const double tiles = steps(longest, TILE);
  const double behind = steps(longest, LIST_THREADS) / 2; /* of the candidates, on average */
  OpWork work = moved(OP_LISTS, lists * longest * (2 + BOX_FLOATS) * sizeof(float),
                      lists * longest * (2 + BOX_FLOATS) * sizeof(float));
  work.launches = kernels;
  work.wait_cycles = sort_cycles + tiles * (TILE * 20 + behind * TILE * arithmetic_cycles);
  note(device, work);
}

/* The first of lists of items, some passes over all of them by all blocks together. */
static OpWork selection(double items, double item_bytes, int32_t more_launches)
{
  const double passes = 4;
  OpWork work = moved(OP_LISTS, passes * items * item_bytes, 0);
  work.launches = DIGITS + more_launches;
  work.instructions = passes * items * rank_instructions;
  work.wait_cycles = DIGITS * digit_cycles;
  return work;
}

/* Keys of every map, the highest by digits, sorted, decoded, suppressed. */
void rpn_proposals_count(Device *device, const Rpn *rpn, const RpnMaps *maps, ProposalLimits limits,
                         const float *image_sizes, float *boxes, float *scores, int32_t *counts,
                         void *scratch)
{
  const double each = (double)element_bytes(rpn->element);
  double most = 0, longest = 0;
  for (int32_t m = 0; m < rpn->map_count; ++m) {
    const double anchors = map_anchors(rpn, m);
    if (anchors > most) most = anchors;
    const double pixels = (double)rpn->images * rpn->maps[m].height * rpn->maps[m].width;
    note(device, moved(OP_LISTS, pixels * rpn->logit_channels * each,
                       rpn->images * anchors * sizeof(float)));
  }
  longest = most < limits.pre_count ? most : limits.pre_count;
  note(device, selection(anchors_of(rpn), sizeof(uint32_t), 1));
  note_suppression(device, (double)rpn->images * rpn->map_count, longest, rpn->map_count + 6);
}

/* A block for each object and the anchors about it, then a thread for each anchor. */
void rpn_match_count(Device *device, const Rpn *rpn, RpnMatching matching, const Truth *truth,
                     int32_t *matches, void *scratch)
{
  const double pairs = anchors_of(rpn) * truth->capacity;
  OpWork work = moved(OP_LISTS, 0, anchors_of(rpn) * sizeof(int32_t));
  work.launches = 2;
  work.instructions = pairs * meeting_instructions +
                      rpn->images * truth->capacity * anchors_about_object * overlap_instructions;
  work.wait_cycles = steps(anchors_about_object, MATCH_THREADS) * load_cycles +
                     truth->capacity * arithmetic_cycles;
  note(device, work);
}

/* Lists of those with objects and of the background, then a pass that takes. */
void rpn_sample_count(Device *device, const Rpn *rpn, RpnSampling sampling, SampleKeys keys,
                      const int32_t *matches, uint8_t *sampled, void *scratch)
{
  OpWork work = selection(2 * anchors_of(rpn), sizeof(int32_t), 1);
  work.written_bytes = anchors_of(rpn);
  note(device, work);
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
  work.launches = DIGITS + 3;
  work.instructions = truth->images * candidates * truth->capacity * meeting_instructions;
  work.wait_cycles = truth->capacity * arithmetic_cycles + DIGITS * digit_cycles +
                     steps(candidates, LIST_THREADS) * load_cycles;
  note(device, work);
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
  work.wait_cycles = 2 * steps(rows / detections->images, LIST_THREADS) * scattered_cycles;
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
