#include <math.h>

#include "naive_parts.h"

/* What a detector is trained on, and its losses. */
static void encoded(const float *reference, const float *box, const double *weights, double *code)
{
  for (int axis = 0; axis < 2; ++axis) {
    const double length = (double)reference[axis + 2] - (double)reference[axis];
    const double centre = (double)reference[axis] + 0.5 * length;
    const double box_length = (double)box[axis + 2] - (double)box[axis];
    code[axis] = weights[axis] * ((double)box[axis] + 0.5 * box_length - centre) / length;
    code[axis + 2] = weights[axis + 2] * log(box_length / length);
  }
}

static bool counts(const BoxHead *head, int32_t of_class)
{
  return of_class >= 0 && of_class < head->class_count;
}

static double bce(double logit, double target)
{
  return fmax(logit, 0.0) - logit * target + log1p(exp(-fabs(logit)));
}

static double smooth_l1(double difference)
{
  const double beta = 1.0 / 9.0;
  const double size = fabs(difference);
  return size < beta ? 0.5 * size * size / beta : size - 0.5 * beta;
}

static double smooth_l1_by_difference(double difference)
{
  return isnan(difference) ? difference : fmax(-1.0, fmin(1.0, difference * 9.0));
}

/* Visits the anchors of an image in their order. */
typedef struct Visit {
  int32_t map, y, x, cell;
  int64_t anchor; /* in the image */
} Visit;

static bool visit_next(const Rpn *rpn, Visit *at)
{
  ++at->anchor;
  if (++at->cell < rpn->anchor_count) return true;
  at->cell = 0;
  if (++at->x < rpn->maps[at->map].width) return true;
  at->x = 0;
  if (++at->y < rpn->maps[at->map].height) return true;
  at->y = 0;
  return ++at->map < rpn->map_count;
}

static void visit_box(const Rpn *rpn, const Visit *at, float *box)
{
  const AnchorMap *map = &rpn->maps[at->map];
  for (int k = 0; k < 4; ++k)
    box[k] = map->cells[at->cell][k] +
             (float)(k % 2 == 0 ? at->x * map->stride_x_px : at->y * map->stride_y_px);
}

static int64_t visit_pixel(const Rpn *rpn, int32_t image, const Visit *at)
{
  const AnchorMap *map = &rpn->maps[at->map];
  return ((int64_t)image * map->height + at->y) * map->width + at->x;
}

static int64_t anchors_of(const Rpn *rpn)
{
  int64_t count = 0;
  for (int32_t map = 0; map < rpn->map_count; ++map)
    count += (int64_t)rpn->maps[map].height * rpn->maps[map].width * rpn->anchor_count;
  return count;
}

size_t naive_rpn_match_scratch_bytes(const Rpn *rpn, int32_t truth_capacity)
{
  return 0;
}

void naive_rpn_match(Device *device, const Rpn *rpn, RpnMatching matching, const Truth *truth,
                     int32_t *matches, void *scratch)
{
  const int64_t anchors = anchors_of(rpn);
  double *highest = naive_zeros(truth->capacity);
  for (int32_t n = 0; n < rpn->images; ++n)
    for (int pass = 0; pass < 2; ++pass) { /* the highest of each object, then the anchors */
      Visit at = {.anchor = 0};
      for (bool more = true; more; more = visit_next(rpn, &at)) {
        float anchor[4], best = 0.0F;
        int32_t object = 0;
        bool rescued = false;
        visit_box(rpn, &at, anchor);
        for (int32_t g = 0; g < truth->counts[n]; ++g) {
          const float iou =
              naive_overlap(anchor, truth->boxes + ((int64_t)n * truth->capacity + g) * 4);
          if (pass == 0) highest[g] = fmax(at.anchor == 0 ? 0.0 : highest[g], (double)iou);
          rescued = rescued || (iou > 0.0F && (double)iou == highest[g]);
          if (iou > best) {
            best = iou;
            object = g;
          }
        }
        int32_t match = best < matching.low ? -1 : best < matching.high ? -2 : object;
        if (rescued) match = object;
        matches[n * anchors + at.anchor] = truth->counts[n] == 0 ? -1 : match;
      }
    }
  memory_free(highest);
}

static uint64_t mixed(uint64_t z)
{
  z ^= z >> 30;
  z *= UINT64_C(0xBF58476D1CE4E5B9);
  z ^= z >> 27;
  z *= UINT64_C(0x94D049BB133111EB);
  return z ^ (z >> 31);
}

static uint32_t naive_key(SampleKeys keys, int32_t image, int64_t index)
{
  const uint64_t golden = UINT64_C(0x9E3779B97F4A7C15);
  const uint64_t state = mixed(mixed(keys.seed + golden) ^ keys.streams[image]);
  return (uint32_t)(mixed(state + golden * (uint64_t)(index + 1)) >> 32);
}

/* Takes the least key again and again. Returns how many there were to take. */
static int32_t draw(SampleKeys keys, int32_t image, int64_t items, const int32_t *matches,
                    bool background, int32_t most, uint8_t *taken)
{
  int32_t count = 0;
  for (; count < most; ++count) {
    int64_t least = -1;
    for (int64_t i = 0; i < items; ++i)
      if (!taken[i] && (background ? matches[i] == -1 : matches[i] >= 0) &&
          (least < 0 || naive_key(keys, image, i) < naive_key(keys, image, least)))
        least = i;
    if (least < 0) break;
    taken[least] = 1;
  }
  return count;
}

size_t naive_rpn_sample_scratch_bytes(const Rpn *rpn)
{
  return 0;
}

void naive_rpn_sample(Device *device, const Rpn *rpn, RpnSampling sampling, SampleKeys keys,
                      const int32_t *matches, uint8_t *sampled, void *scratch)
{
  const int64_t anchors = anchors_of(rpn);
  memset(sampled, 0, (size_t)(rpn->images * anchors));
  for (int32_t n = 0; n < rpn->images; ++n) {
    const int32_t *of_image = matches + n * anchors;
    uint8_t *taken = sampled + n * anchors;
    const int32_t positives =
        draw(keys, n, anchors, of_image, false, sampling.positive_count, taken);
    draw(keys, n, anchors, of_image, true, sampling.count - positives, taken);
  }
}

size_t naive_rpn_loss_scratch_bytes(const Rpn *rpn)
{
  return 0;
}

/* Of one sampled anchor: the objectness, and where it has an object the deltas' differences. */
static double anchor_logit(const Rpn *rpn, const RpnMaps *maps, int32_t image, const Visit *at)
{
  return naive_get(maps->logits[at->map], rpn->element,
                   visit_pixel(rpn, image, at) * rpn->logit_channels + at->cell);
}

static void anchor_differences(const Rpn *rpn, const RpnMaps *maps, const Truth *truth,
                               int32_t image, int32_t match, const Visit *at, double *differences)
{
  const double weights[4] = {1, 1, 1, 1};
  const int64_t first = visit_pixel(rpn, image, at) * rpn->delta_channels + 4 * at->cell;
  float anchor[4];
  double code[4];
  visit_box(rpn, at, anchor);
  encoded(anchor, truth->boxes + ((int64_t)image * truth->capacity + match) * 4, weights, code);
  for (int k = 0; k < 4; ++k)
    differences[k] = naive_get(maps->deltas[at->map], rpn->element, first + k) - code[k];
}

void naive_rpn_loss_sums(Device *device, const Rpn *rpn, const RpnMaps *maps, const Truth *truth,
                         const int32_t *matches, const uint8_t *sampled, float *sums, void *scratch)
{
  const int64_t anchors = anchors_of(rpn);
  double totals[RPN_SUMS] = {0};
  for (int32_t n = 0; n < rpn->images; ++n) {
    Visit at = {.anchor = 0};
    for (bool more = true; more; more = visit_next(rpn, &at)) {
      const int32_t match = matches[n * anchors + at.anchor];
      if (!sampled[n * anchors + at.anchor]) continue;
      totals[0] += bce(anchor_logit(rpn, maps, n, &at), match >= 0 ? 1.0 : 0.0);
      totals[2] += 1.0;
      if (match < 0) continue;
      double differences[4];
      anchor_differences(rpn, maps, truth, n, match, &at, differences);
      for (int k = 0; k < 4; ++k)
        totals[1] += smooth_l1(differences[k]);
    }
  }
  for (int i = 0; i < RPN_SUMS; ++i)
    sums[i] = (float)totals[i];
}

void naive_rpn_loss_backward(Device *device, const Rpn *rpn, const RpnMaps *maps,
                             const Truth *truth, const int32_t *matches, const uint8_t *sampled,
                             const float *sums, const float *scale, void *const *dlogits,
                             void *const *ddeltas)
{
  const int64_t anchors = anchors_of(rpn);
  for (int32_t map = 0; map < rpn->map_count; ++map) {
    const int64_t pixels = (int64_t)rpn->images * rpn->maps[map].height * rpn->maps[map].width;
    for (int64_t i = 0; i < pixels * rpn->logit_channels; ++i)
      naive_set(dlogits[map], rpn->element, i, 0.0);
    for (int64_t i = 0; i < pixels * rpn->delta_channels; ++i)
      naive_set(ddeltas[map], rpn->element, i, 0.0);
  }
  for (int32_t n = 0; n < rpn->images; ++n) {
    Visit at = {.anchor = 0};
    for (bool more = true; more; more = visit_next(rpn, &at)) {
      const int32_t match = matches[n * anchors + at.anchor];
      if (!sampled[n * anchors + at.anchor]) continue;
      const double share = (scale == NULL ? 1.0 : (double)*scale) / (double)sums[2];
      const int64_t pixel = visit_pixel(rpn, n, &at);
      const double p = 1.0 / (1.0 + exp(-anchor_logit(rpn, maps, n, &at)));
      naive_set(dlogits[at.map], rpn->element, pixel * rpn->logit_channels + at.cell,
                share * (p - (match >= 0 ? 1.0 : 0.0)));
      if (match < 0) continue;
      double differences[4];
      anchor_differences(rpn, maps, truth, n, match, &at, differences);
      for (int k = 0; k < 4; ++k)
        naive_set(ddeltas[at.map], rpn->element, pixel * rpn->delta_channels + 4 * at.cell + k,
                  share * smooth_l1_by_difference(differences[k]));
    }
  }
}

size_t naive_roi_sample_scratch_bytes(RoiSampling sampling, int32_t proposal_capacity,
                                      int32_t images, int32_t truth_capacity)
{
  return ((size_t)proposal_capacity + (size_t)truth_capacity) * (sizeof(int32_t) + 1);
}

static void clear_rois(RoiSampling sampling, int32_t images, SampledRois *rois)
{
  for (int64_t row = 0; row < (int64_t)images * sampling.count; ++row) {
    rois->regions.images[row] = rois->classes[row] = -1;
    rois->matches[row] = 0;
    for (int k = 0; k < 4; ++k)
      rois->regions.boxes[4 * row + k] = rois->targets[4 * row + k] = 0.0F;
  }
  for (int64_t row = 0; row < (int64_t)images * sampling.positive_count; ++row) {
    rois->positives.images[row] = rois->positive_classes[row] = -1;
    rois->positive_matches[row] = 0;
    for (int k = 0; k < 4; ++k)
      rois->positives.boxes[4 * row + k] = 0.0F;
  }
  *rois->regions.count = *rois->positives.count = 0;
}

static void append(Regions *regions, int32_t image, const float *box, int32_t class_index,
                   int32_t match, int32_t *classes, int32_t *matches)
{
  const int32_t row = (*regions->count)++;
  memcpy(regions->boxes + 4 * (int64_t)row, box, 4 * sizeof *box);
  regions->images[row] = image;
  classes[row] = class_index;
  matches[row] = match;
}

/* The object of the highest IoU where that is high enough, or -1. */
static int32_t object_of(RoiSampling sampling, const Truth *truth, int32_t image, const float *box)
{
  float best = 0.0F;
  int32_t object = 0;
  for (int32_t g = 0; g < truth->counts[image]; ++g) {
    const float iou = naive_overlap(box, truth->boxes + ((int64_t)image * truth->capacity + g) * 4);
    if (iou > best) {
      best = iou;
      object = g;
    }
  }
  return truth->counts[image] > 0 && best >= sampling.iou_least ? object : -1;
}

void naive_roi_sample(Device *device, RoiSampling sampling, SampleKeys keys,
                      int32_t proposal_capacity, const float *proposals,
                      const int32_t *proposal_counts, const Truth *truth, SampledRois *rois,
                      void *scratch)
{
  const double weights[4] = {10, 10, 5, 5};
  const int64_t candidates_most = (int64_t)proposal_capacity + truth->capacity;
  int32_t *objects = scratch;
  uint8_t *taken = (uint8_t *)(objects + candidates_most);
  clear_rois(sampling, truth->images, rois);
  for (int32_t n = 0; n < truth->images; ++n) {
    const float *of_truth = truth->boxes + (int64_t)n * truth->capacity * 4;
    const float *of_image = proposals + (int64_t)n * proposal_capacity * 4;
    const int32_t proposed = proposal_counts[n];
    const int32_t items = proposed + truth->counts[n];
    for (int32_t i = 0; i < items; ++i)
      objects[i] = object_of(sampling, truth, n,
                             i < proposed ? of_image + 4 * i : of_truth + 4 * (i - proposed));
    memset(taken, 0, (size_t)candidates_most);
    const int32_t drawn = draw(keys, n, items, objects, false, sampling.positive_count, taken);
    draw(keys, n, items, objects, true, sampling.count - drawn, taken);
    for (int32_t i = 0; i < items; ++i) {
      if (!taken[i]) continue;
      const float *box = i < proposed ? of_image + 4 * i : of_truth + 4 * (i - proposed);
      const int32_t row = *rois->regions.count;
      const int32_t g = objects[i] >= 0 ? objects[i] : 0;
      const int32_t class_index =
          objects[i] >= 0 ? truth->classes[(int64_t)n * truth->capacity + g] : 0;
      append(&rois->regions, n, box, class_index, g, rois->classes, rois->matches);
      if (objects[i] < 0) continue;
      append(&rois->positives, n, box, class_index, g, rois->positive_classes,
             rois->positive_matches);
      double code[4];
      encoded(box, of_truth + 4 * g, weights, code);
      for (int k = 0; k < 4; ++k)
        rois->targets[4 * (int64_t)row + k] = (float)code[k];
    }
  }
}

size_t naive_box_loss_scratch_bytes(const BoxHead *head)
{
  return 0;
}

/* Minus the log of the softmax's class. */
static double minus_log_p(const BoxHead *head, const void *logits, int64_t row, int32_t of_class)
{
  const int64_t first = row * head->logits.channels;
  double sum = 0.0;
  const double own = naive_get(logits, head->logits.element, first + of_class);
  for (int32_t c = 0; c < head->class_count; ++c)
    sum += exp(naive_get(logits, head->logits.element, first + c) - own);
  return log(sum);
}

void naive_box_loss_sums(Device *device, const BoxHead *head, const void *logits,
                         const void *deltas, const int32_t *classes, const float *targets,
                         float *sums, void *scratch)
{
  double totals[BOX_SUMS] = {0};
  for (int64_t row = 0; row < head->logits.images; ++row) {
    if (!counts(head, classes[row])) continue;
    totals[0] += minus_log_p(head, logits, row, classes[row]);
    totals[2] += 1.0;
    totals[3] += classes[row] > 0 ? 1.0 : 0.0;
    for (int k = 0; k < 4 && classes[row] > 0; ++k) {
      const int64_t at = row * head->deltas.channels + 4 * classes[row] + k;
      totals[1] +=
          smooth_l1(naive_get(deltas, head->deltas.element, at) - (double)targets[4 * row + k]);
    }
  }
  for (int i = 0; i < BOX_SUMS; ++i)
    sums[i] = (float)totals[i];
}

void naive_box_loss_backward(Device *device, const BoxHead *head, const void *logits,
                             const void *deltas, const int32_t *classes, const float *targets,
                             const float *sums, const float *scale, void *dlogits, void *ddeltas)
{
  const double share = (scale == NULL ? 1.0 : (double)*scale) / (double)sums[2];
  for (int64_t row = 0; row < head->logits.images; ++row) {
    for (int32_t c = 0; c < head->logits.channels; ++c) {
      const double slope =
          !counts(head, classes[row]) || c >= head->class_count
              ? 0.0
              : share * (exp(-minus_log_p(head, logits, row, c)) - (c == classes[row] ? 1.0 : 0.0));
      naive_set(dlogits, head->logits.element, row * head->logits.channels + c, slope);
    }
    for (int32_t c = 0; c < head->deltas.channels; ++c) {
      const int64_t at = row * head->deltas.channels + c;
      const bool own = counts(head, classes[row]) && classes[row] > 0 && c / 4 == classes[row];
      const double difference =
          own ? naive_get(deltas, head->deltas.element, at) - (double)targets[4 * row + c % 4]
              : 0.0;
      naive_set(ddeltas, head->deltas.element, at,
                own ? share * smooth_l1_by_difference(difference) : 0.0);
    }
  }
}
