#include "detection_score.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/require.h"
#include "detection_match.h"

const DetectionLimits detection_limits_coco = {{1, 10, 100}};
const DetectionLimits detection_no_limits = {{INT32_MAX, INT32_MAX, INT32_MAX}};

enum { RANGE_ALL, RANGE_SMALL, RANGE_MEDIUM, RANGE_LARGE };

/* COCO's ranges, in px²; the ends belong to both sides. */
static const double range_least[DETECTION_RANGE_COUNT] = {0, 0, 1024, 9216};
static const double range_most[DETECTION_RANGE_COUNT] = {1e10, 1024, 9216, 1e10};

struct DetectionScore {
  int32_t class_count;
  DetectionLimits limits;
  int64_t *truth_counts; /* class_count x DETECTION_RANGE_COUNT */
  DetectionRow *rows;
  int64_t row_count;
  int64_t row_capacity;
  bool sorted;
};

double detection_iou_threshold(int32_t t)
{
  /* numpy.linspace(0.5, 0.95, 10), whose step is one bit short of 0.05. */
  if (t == DETECTION_IOU_COUNT - 1) return 0.95;
  return (double)t * ((0.95 - 0.5) / (DETECTION_IOU_COUNT - 1)) + 0.5;
}

static Status fill(DetectionScore *score)
{
  void *memory;
  TRY(memory_allocate((size_t)score->class_count * DETECTION_RANGE_COUNT, sizeof(int64_t),
                      "counts of truths", &memory));
  score->truth_counts = memory;
  return STATUS_OK;
}

Status detection_score_open(int32_t class_count, DetectionLimits limits, DetectionScore **score)
{
  void *memory;
  *score = NULL;
  require(class_count >= 0);
  require(limits.most[0] <= limits.most[1] && limits.most[1] <= limits.most[2]);
  Status status = memory_allocate(1, sizeof(DetectionScore), "scores of detections", &memory);
  if (status != STATUS_OK) return status;
  DetectionScore *opening = memory;
  opening->class_count = class_count;
  opening->limits = limits;
  status = fill(opening);
  if (status == STATUS_OK)
    *score = opening;
  else
    detection_score_close(opening);
  return status;
}

void detection_score_close(DetectionScore *score)
{
  if (score == NULL) return;
  memory_free(score->truth_counts);
  memory_free(score->rows);
  memory_free(score);
}

static Status reserve(DetectionScore *score, int64_t more)
{
  void *memory;
  if (score->row_capacity - score->row_count >= more) return STATUS_OK;
  int64_t capacity = score->row_capacity == 0 ? 256 : 2 * score->row_capacity;
  if (capacity < score->row_count + more) capacity = score->row_count + more;
  TRY(memory_allocate((size_t)capacity, sizeof(DetectionRow), "scores of detections", &memory));
  if (score->row_count > 0)
    memcpy(memory, score->rows, (size_t)score->row_count * sizeof(DetectionRow));
  memory_free(score->rows);
  score->rows = memory;
  score->row_capacity = capacity;
  return STATUS_OK;
}

static bool in_range(double area_px, int range)
{
  return !(area_px < range_least[range] || area_px > range_most[range]);
}

static bool is_crowd(const DetectionCase *found, int32_t truth)
{
  return found->crowd != NULL && found->crowd[truth];
}

/* What the matching of one range at one threshold keeps of a truth. */
typedef struct TruthState {
  bool crowd;
  bool ignored;
  bool taken;
} TruthState;

/* The place of the last of the largest IoU among truths that are ignored, or are not; -1: none. */
static int64_t best_pair(const DetectionCandidates *candidates, int32_t detection,
                         const TruthState *truths, bool ignored, double least_iou)
{
  int64_t best = -1;
  for (int64_t p = candidates->first[detection]; p < candidates->first[detection + 1]; ++p) {
    const DetectionPair pair = candidates->pairs[p];
    const TruthState truth = truths[pair.truth];
    if (truth.ignored != ignored || (truth.taken && !truth.crowd) || pair.iou < least_iou) continue;
    least_iou = pair.iou;
    best = p;
  }
  return best;
}

static void match(const DetectionCase *found, const DetectionCandidates *candidates, int range,
                  int32_t t, TruthState *truths, DetectionRow *rows)
{
  const double least_iou = detection_iou_threshold(t);
  const uint16_t bit = (uint16_t)(1U << t);
  for (int32_t i = 0; i < found->truth_count; ++i)
    truths[i].taken = false;
  for (int32_t d = 0; d < candidates->detection_count; ++d) {
    int64_t best = best_pair(candidates, d, truths, false, least_iou);
    const bool ignored = best < 0;
    if (ignored) best = best_pair(candidates, d, truths, true, least_iou);
    if (best >= 0) {
      truths[candidates->pairs[best].truth].taken = true;
      rows[d].matched[range] |= bit;
    }
    const double area_px = found->detection_areas_px[candidates->order[d]];
    if (best >= 0 ? ignored : !in_range(area_px, range)) rows[d].ignored[range] |= bit;
  }
}

static void match_ranges(DetectionScore *score, const DetectionCase *found,
                         const DetectionCandidates *candidates, TruthState *truths)
{
  DetectionRow *rows = candidates->detection_count == 0 ? NULL : score->rows + score->row_count;
  for (int32_t d = 0; d < candidates->detection_count; ++d)
    rows[d] = (DetectionRow){.score = found->scores[candidates->order[d]],
                             .image = found->image,
                             .class_index = found->class_index,
                             .place = d};
  for (int range = 0; range < DETECTION_RANGE_COUNT; ++range) {
    for (int32_t i = 0; i < found->truth_count; ++i) {
      truths[i].crowd = is_crowd(found, i);
      truths[i].ignored = truths[i].crowd || !in_range(found->truth_areas_px[i], range);
      score->truth_counts[found->class_index * DETECTION_RANGE_COUNT + range] += !truths[i].ignored;
    }
    for (int32_t t = 0; t < DETECTION_IOU_COUNT; ++t)
      match(found, candidates, range, t, truths, rows);
  }
  score->row_count += candidates->detection_count;
  score->sorted = false;
}

Status detection_score_add(DetectionScore *score, const DetectionCase *found)
{
  DetectionCandidates candidates;
  void *truths = NULL;
  require(found->class_index >= 0 && found->class_index < score->class_count);
  Status status = detection_candidates_open(found, score->limits.most[DETECTION_LIMIT_COUNT - 1],
                                            detection_iou_threshold(0), &candidates);
  if (status == STATUS_OK)
    status = memory_allocate((size_t)found->truth_count, sizeof(TruthState), "truths", &truths);
  if (status == STATUS_OK) status = reserve(score, candidates.detection_count);
  if (status == STATUS_OK) match_ranges(score, found, &candidates, truths);
  memory_free(truths);
  detection_candidates_free(&candidates);
  return status;
}

const DetectionRow *detection_score_rows(const DetectionScore *score, int64_t *row_count)
{
  *row_count = score->row_count;
  return score->rows;
}

const int64_t *detection_score_truth_counts(const DetectionScore *score)
{
  return score->truth_counts;
}

Status detection_score_merge(DetectionScore *score, const DetectionRow *rows, int64_t row_count,
                             const int64_t *truth_counts)
{
  TRY(reserve(score, row_count));
  if (row_count > 0) memcpy(score->rows + score->row_count, rows, (size_t)row_count * sizeof *rows);
  score->row_count += row_count;
  score->sorted = false;
  for (int64_t i = 0; i < (int64_t)score->class_count * DETECTION_RANGE_COUNT; ++i)
    score->truth_counts[i] += truth_counts[i];
  return STATUS_OK;
}

static int by_class_and_score(const void *left, const void *right)
{
  const DetectionRow *a = left;
  const DetectionRow *b = right;
  if (a->class_index != b->class_index) return a->class_index < b->class_index ? -1 : 1;
  if (a->score != b->score) return a->score > b->score ? -1 : 1;
  if (a->image != b->image) return a->image < b->image ? -1 : 1;
  return a->place < b->place ? -1 : a->place > b->place;
}

/* The rows of one class, best first, and room for their precision and recall. */
typedef struct ClassRows {
  const DetectionRow *rows;
  int64_t count;
  double *precision;
  double *recall;
} ClassRows;

/* The first row of a class or of one behind it. */
static int64_t first_row(const DetectionScore *score, int32_t class_index)
{
  int64_t low = 0, high = score->row_count;
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if (score->rows[middle].class_index < class_index)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/* room: twice the number of rows. */
static ClassRows rows_of_class(const DetectionScore *score, int32_t class_index, double *room)
{
  const int64_t first = first_row(score, class_index);
  const int64_t count = first_row(score, class_index + 1) - first;
  return (ClassRows){.rows = count == 0 ? NULL : score->rows + first,
                     .count = count,
                     .precision = room,
                     .recall = room + count};
}

/* Precision and recall at each row that counts; how many those are. */
static int64_t draw_curve(const ClassRows *of, int64_t truth_count, int range, int32_t most,
                          uint16_t bit)
{
  int64_t count = 0, right = 0, wrong = 0;
  for (int64_t i = 0; i < of->count; ++i) {
    const DetectionRow *row = &of->rows[i];
    if (row->place >= most || (row->ignored[range] & bit) != 0) continue;
    if ((row->matched[range] & bit) != 0)
      ++right;
    else
      ++wrong;
    of->recall[count] = (double)right / (double)truth_count;
    of->precision[count++] = (double)right / ((double)(right + wrong) + 0x1p-52);
  }
  for (int64_t i = count - 1; i > 0; --i)
    of->precision[i - 1] = fmax(of->precision[i - 1], of->precision[i]);
  return count;
}

/* Mean over 101 recalls, those that are not reached counting 0. */
static double mean_precision(const ClassRows *of, int64_t count)
{
  double sum = 0;
  int64_t i = 0;
  for (int step = 0; step <= 100; ++step) {
    const double recall = step == 100 ? 1 : step * 0.01;
    while (i < count && of->recall[i] < recall)
      ++i;
    if (i == count) break;
    sum += of->precision[i];
  }
  return sum / 101;
}

typedef struct Means {
  double ap, ap50, ap75;
  double ar;
} Means;

/* All -1 for a class without truths. */
static Means means_of_class(const ClassRows *of, int64_t truth_count, int range, int32_t most)
{
  Means means = {-1, -1, -1, -1};
  if (truth_count == 0) return means;
  means.ap = means.ar = 0;
  for (int32_t t = 0; t < DETECTION_IOU_COUNT; ++t) {
    const int64_t count = draw_curve(of, truth_count, range, most, (uint16_t)(1U << t));
    const double precision = mean_precision(of, count);
    means.ap += precision;
    means.ar += count == 0 ? 0 : of->recall[count - 1];
    if (t == 0) means.ap50 = precision;
    if (t == 5) means.ap75 = precision;
  }
  means.ap /= DETECTION_IOU_COUNT;
  means.ar /= DETECTION_IOU_COUNT;
  return means;
}

static void summarize_class(const DetectionScore *score, int32_t class_index, const ClassRows *of,
                            DetectionSummary *summary)
{
  const int64_t *truths = score->truth_counts + (int64_t)class_index * DETECTION_RANGE_COUNT;
  const int32_t *most = score->limits.most;
  Means means[DETECTION_RANGE_COUNT];
  for (int range = 0; range < DETECTION_RANGE_COUNT; ++range)
    means[range] = means_of_class(of, truths[range], range, most[DETECTION_LIMIT_COUNT - 1]);
  *summary = (DetectionSummary){.ap = means[RANGE_ALL].ap,
                                .ap50 = means[RANGE_ALL].ap50,
                                .ap75 = means[RANGE_ALL].ap75,
                                .ap_small = means[RANGE_SMALL].ap,
                                .ap_medium = means[RANGE_MEDIUM].ap,
                                .ap_large = means[RANGE_LARGE].ap,
                                .ar_small = means[RANGE_SMALL].ar,
                                .ar_medium = means[RANGE_MEDIUM].ar,
                                .ar_large = means[RANGE_LARGE].ar,
                                .detection_count = of->count,
                                .truth_count = truths[RANGE_ALL]};
  for (int i = 0; i < DETECTION_LIMIT_COUNT; ++i)
    summary->ar[i] = means_of_class(of, truths[RANGE_ALL], RANGE_ALL, most[i]).ar;
}

enum { FIGURE_COUNT = 12 };

static void list_figures(DetectionSummary *summary, double *figures[FIGURE_COUNT])
{
  double *const all[FIGURE_COUNT] = {&summary->ap,       &summary->ap50,      &summary->ap75,
                                     &summary->ap_small, &summary->ap_medium, &summary->ap_large,
                                     &summary->ar[0],    &summary->ar[1],     &summary->ar[2],
                                     &summary->ar_small, &summary->ar_medium, &summary->ar_large};
  memcpy(figures, all, sizeof all);
}

static void summarize_all(const DetectionScore *score, double *room, DetectionSummary *mean)
{
  DetectionSummary one;
  int64_t counts[FIGURE_COUNT] = {0};
  double *means[FIGURE_COUNT], *figures[FIGURE_COUNT];
  *mean = (DetectionSummary){.detection_count = 0};
  list_figures(mean, means);
  list_figures(&one, figures);
  for (int32_t c = 0; c < score->class_count; ++c) {
    const ClassRows of = rows_of_class(score, c, room);
    summarize_class(score, c, &of, &one);
    mean->detection_count += one.detection_count;
    mean->truth_count += one.truth_count;
    for (int i = 0; i < FIGURE_COUNT; ++i) {
      if (*figures[i] < 0) continue;
      *means[i] += *figures[i];
      ++counts[i];
    }
  }
  for (int i = 0; i < FIGURE_COUNT; ++i)
    *means[i] = counts[i] == 0 ? -1 : *means[i] / (double)counts[i];
}

Status detection_score_summary(DetectionScore *score, int32_t class_index,
                               DetectionSummary *summary)
{
  void *room;
  require(class_index >= -1 && class_index < score->class_count);
  TRY(memory_allocate((size_t)score->row_count, 2 * sizeof(double), "curves", &room));
  if (!score->sorted && score->row_count > 1)
    qsort(score->rows, (size_t)score->row_count, sizeof(DetectionRow), by_class_and_score);
  score->sorted = true;
  if (class_index < 0) {
    summarize_all(score, room, summary);
  } else {
    const ClassRows of = rows_of_class(score, class_index, room);
    summarize_class(score, class_index, &of, summary);
  }
  memory_free(room);
  return STATUS_OK;
}

double detection_box_iou(DetectionBox detection, DetectionBox truth, bool crowd)
{
  const double width =
      fmin(detection.width + detection.x, truth.width + truth.x) - fmax(detection.x, truth.x);
  const double height =
      fmin(detection.height + detection.y, truth.height + truth.y) - fmax(detection.y, truth.y);
  const double detection_area = detection.width * detection.height;
  if (!(width > 0) || !(height > 0)) return 0;
  const double shared = width * height;
  const double whole =
      crowd ? detection_area : detection_area + truth.width * truth.height - shared;
  return shared / whole;
}
