#include <math.h>

#include "naive_parts.h"

/* Boxes are found by asking again and again which candidate is the best of those left. The contract
 * is in float32, where a rounding decides what is kept: so is this. */
typedef struct Found {
  float box[4];
  float logit; /* that it is chosen by: a proposal's logit, a detection's score */
  float score;
  int32_t group; /* map or class */
  int32_t row;   /* anchor in its map, or row */
  bool left;
} Found;

static float size_of(float code, float size)
{
  return (float)exp((double)fminf(code, (float)log(1000.0 / 16.0))) * size;
}

static float inside(float x, float most)
{
  return isnan(x) ? x : fmaxf(fminf(x, most), 0.0F);
}

/* Coded against a box, cut to an image of size height, width. */
static void decode(const float *from, const float code[4], float position_weight, float size_weight,
                   const float *size, float *box)
{
  for (int axis = 0; axis < 2; ++axis) {
    const float length = from[axis + 2] - from[axis];
    const float centre = from[axis] + 0.5F * length;
    const float shift = code[axis] / position_weight * length;
    const float code_size = code[axis + 2] / size_weight;
    const float half = 0.5F * (isnan(code_size) ? code_size : size_of(code_size, length));
    box[axis] = inside(shift + centre - half, size[1 - axis]);
    box[axis + 2] = inside(shift + centre + half, size[1 - axis]);
  }
}

static bool large_enough(const float *box, float least_px)
{
  return box[2] - box[0] >= least_px && box[3] - box[1] >= least_px;
}

/* The best candidate left: by score, then by group or row. */
static Found *best_left(Found *found, int64_t count, bool rows_first)
{
  Found *best = NULL;
  for (Found *f = found; f < found + count; ++f) {
    if (!f->left) continue;
    const bool earlier =
        best != NULL &&
        (rows_first
             ? f->row < best->row || (f->row == best->row && f->group < best->group)
             : f->group < best->group ||
                   (f->group == best->group &&
                    (f->logit > best->logit || (f->logit == best->logit && f->row < best->row))));
    if (best == NULL || f->score > best->score || (f->score == best->score && earlier)) best = f;
  }
  return best;
}

/* Takes the best and drops those of its group that overlap it. */
static Found *take_best(Found *found, int64_t count, bool rows_first, float iou_most)
{
  Found *best = best_left(found, count, rows_first);
  if (best == NULL) return NULL;
  best->left = false;
  for (Found *f = found; f < found + count; ++f)
    if (f->left && f->group == best->group && naive_overlap(best->box, f->box) > iou_most)
      f->left = false;
  return best;
}

/* Of one group: only the most highest logits stay. */
static void keep_highest(Found *found, int64_t count, int32_t most)
{
  for (int64_t i = 0; i < count; ++i) {
    int64_t higher = 0;
    for (int64_t j = 0; j < count; ++j)
      higher += found[j].logit > found[i].logit || (found[j].logit == found[i].logit && j < i);
    found[i].left = !isnan(found[i].logit) && higher < most;
  }
}

static Found *found_open(int64_t count)
{
  void *found = NULL;
  require(memory_allocate((size_t)count, sizeof(Found), "boxes", &found) == STATUS_OK);
  return found;
}

size_t naive_rpn_proposals_scratch_bytes(const Rpn *rpn, ProposalLimits limits)
{
  return 0;
}

/* All anchors of one map and image; returns how many. */
static int64_t find_in_map(const Rpn *rpn, const RpnMaps *maps, int32_t m, int32_t image,
                           ProposalLimits limits, const float *size, Found *found)
{
  const AnchorMap *map = &rpn->maps[m];
  Found *f = found;
  for (int32_t y = 0; y < map->height; ++y)
    for (int32_t x = 0; x < map->width; ++x)
      for (int32_t a = 0; a < rpn->anchor_count; ++a, ++f) {
        const int64_t pixel = ((int64_t)image * map->height + y) * map->width + x;
        const float shift_x = (float)(x * map->stride_x_px);
        const float shift_y = (float)(y * map->stride_y_px);
        const float anchor[4] = {map->cells[a][0] + shift_x, map->cells[a][1] + shift_y,
                                 map->cells[a][2] + shift_x, map->cells[a][3] + shift_y};
        float code[4];
        for (int k = 0; k < 4; ++k)
          code[k] = (float)naive_get(maps->deltas[m], rpn->element,
                                     pixel * rpn->delta_channels + 4 * a + k);
        decode(anchor, code, 1.0F, 1.0F, size, f->box);
        f->logit = (float)naive_get(maps->logits[m], rpn->element, pixel * rpn->logit_channels + a);
        f->score = 1.0F / (1.0F + (float)exp(-(double)f->logit));
        f->group = m;
        f->row = (int32_t)(f - found);
      }
  keep_highest(found, f - found, limits.pre_count);
  for (Found *g = found; g < f; ++g)
    g->left = g->left && large_enough(g->box, limits.least_side_px);
  return f - found;
}

void naive_rpn_proposals(Device *device, const Rpn *rpn, const RpnMaps *maps, ProposalLimits limits,
                         const float *image_sizes, float *boxes, float *scores, int32_t *counts,
                         void *scratch)
{
  Found *found = found_open(rpn_anchor_count(rpn));
  for (int32_t image = 0; image < rpn->images; ++image) {
    int64_t count = 0;
    for (int32_t m = 0; m < rpn->map_count; ++m)
      count += find_in_map(rpn, maps, m, image, limits, image_sizes + 2 * image, found + count);
    counts[image] = 0;
    for (int32_t i = 0; i < limits.post_count; ++i) {
      const Found *best = take_best(found, count, false, limits.iou_most);
      const int64_t place = (int64_t)image * limits.post_count + i;
      for (int k = 0; k < 4; ++k)
        boxes[4 * place + k] = best == NULL ? 0.0F : best->box[k];
      scores[place] = best == NULL ? 0.0F : best->score;
      counts[image] += best != NULL;
    }
  }
  memory_free(found);
}

size_t naive_detections_scratch_bytes(const BoxHead *head, int32_t images)
{
  return 0;
}

/* One row's classes. */
static void find_in_row(const BoxHead *head, const Regions *regions, const void *logits,
                        const void *deltas, int32_t row, DetectionLimits limits, const float *size,
                        Found *found)
{
  const int64_t first = (int64_t)row * head->logits.channels;
  double largest = -HUGE_VAL, sum = 0.0;
  for (int32_t c = 0; c < head->class_count; ++c)
    largest = fmax(largest, naive_get(logits, head->logits.element, first + c));
  for (int32_t c = 0; c < head->class_count; ++c)
    sum += exp(naive_get(logits, head->logits.element, first + c) - largest);
  for (int32_t c = 1; c < head->class_count; ++c) {
    Found *f = found + c - 1;
    float code[4];
    for (int k = 0; k < 4; ++k)
      code[k] = (float)naive_get(deltas, head->deltas.element,
                                 (int64_t)row * head->deltas.channels + 4 * c + k);
    decode(regions->boxes + 4 * (ptrdiff_t)row, code, 10.0F, 5.0F, size, f->box);
    f->score = (float)(exp(naive_get(logits, head->logits.element, first + c) - largest) / sum);
    f->group = c;
    f->row = row;
    f->left = f->score > limits.score_least && large_enough(f->box, limits.least_side_px);
  }
}

static void detect_image(Found *found, int64_t count, DetectionLimits limits, int32_t image,
                         Detections *detections)
{
  int32_t taken = 0;
  for (const Found *best = found; best != NULL; ++taken) {
    best = take_best(found, count, true, limits.iou_most);
    const int64_t place = (int64_t)image * detections->capacity + taken;
    if (best == NULL || taken >= detections->capacity) continue;
    for (int k = 0; k < 4; ++k)
      detections->boxes[4 * place + k] = best->box[k];
    detections->scores[place] = best->score;
    detections->classes[place] = best->group;
  }
  taken -= 1; /* the last one was none */
  detections->counts[image] = taken < detections->capacity ? taken : detections->capacity;
  detections->dropped[image] = taken - detections->counts[image];
}

void naive_detections(Device *device, const BoxHead *head, const Regions *regions,
                      const void *logits, const void *deltas, DetectionLimits limits,
                      const float *image_sizes, Detections *detections, void *scratch)
{
  const int32_t classes = head->class_count - 1;
  const size_t places = (size_t)detections->images * (size_t)detections->capacity;
  memset(detections->boxes, 0, 4 * places * sizeof *detections->boxes);
  memset(detections->scores, 0, places * sizeof *detections->scores);
  memset(detections->classes, 0, places * sizeof *detections->classes);
  Found *found = found_open((int64_t)head->logits.images * classes);
  for (int32_t image = 0; image < detections->images; ++image) {
    int64_t count = 0;
    for (int32_t row = 0; row < head->logits.images; ++row) {
      if (regions->images[row] != image) continue;
      find_in_row(head, regions, logits, deltas, row, limits, image_sizes + 2 * (ptrdiff_t)image,
                  found + count);
      count += classes;
    }
    detect_image(found, count, limits, image, detections);
  }
  memory_free(found);
}

void naive_detection_regions(Device *device, const Detections *detections, Regions *regions,
                             int32_t *classes)
{
  int32_t row = 0;
  for (int32_t i = 0; i < detections->images * detections->capacity; ++i) {
    const int32_t image = i / detections->capacity;
    if (i % detections->capacity >= detections->counts[image] || row >= regions->capacity) continue;
    for (int k = 0; k < 4; ++k)
      regions->boxes[4 * row + k] = detections->boxes[4 * i + k];
    regions->images[row] = image;
    if (classes != NULL) classes[row] = detections->classes[i];
    ++row;
  }
  *regions->count = row;
  for (; row < regions->capacity; ++row) {
    for (int k = 0; k < 4; ++k)
      regions->boxes[4 * row + k] = 0.0F;
    regions->images[row] = -1;
    if (classes != NULL) classes[row] = 0;
  }
}
