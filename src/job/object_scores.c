#include "object_scores.h"

#include <string.h>

#include "base/memory.h"
#include "detection_score.h"

struct ObjectScores {
  int32_t class_count;
  DetectionScore *boxes;
  DetectionScore *masks; /* NULL: not scored */
};

Status object_scores_open(int32_t class_count, bool masks, ObjectScores **scores)
{
  void *memory;
  *scores = NULL;
  TRY(memory_allocate(1, sizeof **scores, "scores", &memory));
  ObjectScores *opening = memory;
  opening->class_count = class_count;
  Status status = detection_score_open(class_count, detection_limits_coco, &opening->boxes);
  if (status == STATUS_OK && masks)
    status = detection_score_open(class_count, detection_limits_coco, &opening->masks);
  if (status == STATUS_OK)
    *scores = opening;
  else
    object_scores_close(opening);
  return status;
}

void object_scores_close(ObjectScores *scores)
{
  if (scores == NULL) return;
  detection_score_close(scores->boxes);
  detection_score_close(scores->masks);
  memory_free(scores);
}

static double box_area(const ScoredObject *object)
{
  return ((double)object->box[2] - (double)object->box[0]) *
         ((double)object->box[3] - (double)object->box[1]);
}

static double mask_area(const ScoredObject *object)
{
  int64_t area = 0;
  const int64_t pixels = (int64_t)object->width_px * object->height_px;
  for (int64_t i = 0; object->mask != NULL && i < pixels; ++i)
    area += object->mask[i];
  return (double)area;
}

static double box_iou(const ScoredObject *found, const ScoredObject *truth)
{
  DetectionBox boxes[2];
  const ScoredObject *objects[2] = {found, truth};
  for (int i = 0; i < 2; ++i) {
    const float *b = objects[i]->box;
    boxes[i] = (DetectionBox){(double)b[0], (double)b[1], (double)b[2] - (double)b[0],
                              (double)b[3] - (double)b[1]};
  }
  return detection_box_iou(boxes[0], boxes[1], false);
}

static int32_t larger(int32_t a, int32_t b)
{
  return a > b ? a : b;
}

static int32_t smaller(int32_t a, int32_t b)
{
  return a < b ? a : b;
}

static const uint8_t *mask_row(const ScoredObject *object, int32_t x, int32_t y)
{
  return object->mask + (int64_t)(y - object->y_px) * object->width_px + (x - object->x_px);
}

static double mask_iou(const ScoredObject *found, double found_area, const ScoredObject *truth,
                       double truth_area)
{
  if (found->mask == NULL || truth->mask == NULL) return 0;
  const int32_t x1 = larger(found->x_px, truth->x_px);
  const int32_t y1 = larger(found->y_px, truth->y_px);
  const int32_t x2 = smaller(found->x_px + found->width_px, truth->x_px + truth->width_px);
  const int32_t y2 = smaller(found->y_px + found->height_px, truth->y_px + truth->height_px);
  int64_t both = 0;
  for (int32_t y = y1; x1 < x2 && y < y2; ++y) {
    const uint8_t *a = mask_row(found, x1, y);
    const uint8_t *b = mask_row(truth, x1, y);
    for (int32_t x = 0; x < x2 - x1; ++x)
      both += a[x] & b[x];
  }
  return both == 0 ? 0 : (double)both / (found_area + truth_area - (double)both);
}

/* One class of one image, laid out for detection_score_add. */
typedef struct Case {
  const ScoredObject **found, **truths;
  double *scores, *found_areas, *truth_areas, *ious;
  int32_t found_count, truth_count;
} Case;

static int32_t pick(const ScoredObject *objects, int32_t count, int32_t class_index,
                    const ScoredObject **picked)
{
  int32_t n = 0;
  for (int32_t i = 0; i < count; ++i)
    if (objects[i].class_index == class_index) picked[n++] = &objects[i];
  return n;
}

static Status add_case(DetectionScore *score, int64_t image, int32_t class_index, bool masks,
                       Case *c)
{
  for (int32_t i = 0; i < c->found_count; ++i) {
    c->scores[i] = c->found[i]->score;
    c->found_areas[i] = masks ? mask_area(c->found[i]) : box_area(c->found[i]);
  }
  for (int32_t j = 0; j < c->truth_count; ++j)
    c->truth_areas[j] = masks ? mask_area(c->truths[j]) : box_area(c->truths[j]);
  for (int32_t i = 0; i < c->found_count; ++i)
    for (int32_t j = 0; j < c->truth_count; ++j)
      c->ious[(int64_t)i * c->truth_count + j] =
          masks ? mask_iou(c->found[i], c->found_areas[i], c->truths[j], c->truth_areas[j])
                : box_iou(c->found[i], c->truths[j]);
  const DetectionCase given = {.image = image,
                               .class_index = class_index,
                               .detection_count = c->found_count,
                               .scores = c->scores,
                               .detection_areas_px = c->found_areas,
                               .truth_count = c->truth_count,
                               .truth_areas_px = c->truth_areas,
                               .ious = c->ious};
  return detection_score_add(score, &given);
}

static Status allocate_case(int32_t found_count, int32_t truth_count, Case *c, void **memory)
{
  const size_t found = (size_t)found_count;
  const size_t truths = (size_t)truth_count;
  TRY(memory_allocate(3 * found + 2 * truths + found * truths + 1, sizeof(double), "scores",
                      memory));
  double *numbers = *memory;
  c->scores = numbers;
  c->found_areas = numbers + found;
  c->truth_areas = c->found_areas + found;
  c->ious = c->truth_areas + truths;
  c->found = (const ScoredObject **)(void *)(c->ious + found * truths);
  c->truths = c->found + found;
  return STATUS_OK;
}

Status object_scores_add(ObjectScores *scores, int64_t image, const ScoredObject *found,
                         int32_t found_count, const ScoredObject *truths, int32_t truth_count)
{
  Case c;
  void *memory;
  TRY(allocate_case(found_count, truth_count, &c, &memory));
  Status status = STATUS_OK;
  for (int32_t k = 0; k < scores->class_count && status == STATUS_OK; ++k) {
    c.found_count = pick(found, found_count, k, c.found);
    c.truth_count = pick(truths, truth_count, k, c.truths);
    if (c.found_count + c.truth_count == 0) continue;
    status = add_case(scores->boxes, image, k, false, &c);
    if (status == STATUS_OK && scores->masks != NULL)
      status = add_case(scores->masks, image, k, true, &c);
  }
  memory_free(memory);
  return status;
}

/* Collective. Each rank's rows, then its counts of truths, in pieces of one size. */
static Status merge(DetectionScore *score, int32_t class_count, const Comm *comm)
{
  int64_t mine;
  const DetectionRow *rows = detection_score_rows(score, &mine);
  const size_t truth_bytes = (size_t)class_count * DETECTION_RANGE_COUNT * sizeof(int64_t);
  const size_t ranks = (size_t)comm_rank_count(comm);
  int64_t most = mine;
  TRY(comm_reduce_int64(comm, COMM_MAX, &most, 1));
  const size_t piece = sizeof mine + truth_bytes + (size_t)most * sizeof *rows;
  void *memory;
  TRY(comm_agree(comm, memory_allocate(ranks + 1, piece, "scores", &memory)));
  char *out = memory;
  char *all = out + piece;
  memcpy(out, &mine, sizeof mine);
  memcpy(out + sizeof mine, detection_score_truth_counts(score), truth_bytes);
  if (mine > 0) memcpy(out + sizeof mine + truth_bytes, rows, (size_t)mine * sizeof *rows);
  Status status = comm_gather(comm, out, piece, all);
  for (size_t r = 0; r < ranks && status == STATUS_OK; ++r) {
    const char *theirs = all + r * piece;
    int64_t count;
    memcpy(&count, theirs, sizeof count);
    if ((int)r != comm_rank(comm))
      status = detection_score_merge(score, (const void *)(theirs + sizeof mine + truth_bytes),
                                     count, (const void *)(theirs + sizeof mine));
  }
  memory_free(memory);
  return status;
}

Status object_scores_merge(ObjectScores *scores, const Comm *comm)
{
  if (comm_rank_count(comm) == 1) return STATUS_OK;
  Status status = merge(scores->boxes, scores->class_count, comm);
  TRY(comm_agree(comm, status));
  if (scores->masks != NULL) status = merge(scores->masks, scores->class_count, comm);
  return comm_agree(comm, status);
}

Status object_scores_summary(ObjectScores *scores, int32_t class_index,
                             ObjectScoresSummary *summary)
{
  DetectionSummary boxes;
  DetectionSummary masks = {.ap = -1, .ap50 = -1, .ap75 = -1};
  TRY(detection_score_summary(scores->boxes, class_index, &boxes));
  if (scores->masks != NULL) TRY(detection_score_summary(scores->masks, class_index, &masks));
  *summary = (ObjectScoresSummary){.box_ap = boxes.ap,
                                   .box_ap50 = boxes.ap50,
                                   .box_ap75 = boxes.ap75,
                                   .mask_ap = masks.ap,
                                   .mask_ap50 = masks.ap50,
                                   .mask_ap75 = masks.ap75,
                                   .truth_count = boxes.truth_count,
                                   .found_count = boxes.detection_count};
  return STATUS_OK;
}
