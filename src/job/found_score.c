#include "found_score.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/require.h"
#include "detection_match.h"

typedef struct FoundRow {
  double score;
  int64_t image;
  int32_t class_index;
  int32_t place; /* in its class and image, best first */
  bool right;
} FoundRow;

struct FoundScore {
  int32_t class_count;
  double min_iou;
  int64_t *truth_counts; /* by class */
  FoundRow *rows;
  int64_t row_count;
  int64_t row_capacity;
};

static Status fill(FoundScore *score)
{
  void *memory;
  TRY(memory_allocate((size_t)score->class_count, sizeof(int64_t), "counts of truths", &memory));
  score->truth_counts = memory;
  return STATUS_OK;
}

Status found_score_open(int32_t class_count, double min_iou, FoundScore **score)
{
  void *memory;
  *score = NULL;
  Status status = memory_allocate(1, sizeof(FoundScore), "counts of objects", &memory);
  if (status != STATUS_OK) return status;
  FoundScore *opening = memory;
  opening->class_count = class_count;
  opening->min_iou = min_iou;
  status = fill(opening);
  if (status == STATUS_OK)
    *score = opening;
  else
    found_score_close(opening);
  return status;
}

void found_score_close(FoundScore *score)
{
  if (score == NULL) return;
  memory_free(score->truth_counts);
  memory_free(score->rows);
  memory_free(score);
}

static Status reserve(FoundScore *score, int64_t more)
{
  void *memory;
  if (score->row_capacity - score->row_count >= more) return STATUS_OK;
  int64_t capacity = score->row_capacity == 0 ? 256 : 2 * score->row_capacity;
  if (capacity < score->row_count + more) capacity = score->row_count + more;
  TRY(memory_allocate((size_t)capacity, sizeof(FoundRow), "counts of objects", &memory));
  if (score->row_count > 0)
    memcpy(memory, score->rows, (size_t)score->row_count * sizeof(FoundRow));
  memory_free(score->rows);
  score->rows = memory;
  score->row_capacity = capacity;
  return STATUS_OK;
}

static bool is_crowd(const DetectionCase *found, int32_t truth)
{
  return found->crowd != NULL && found->crowd[truth];
}

/* Takes the best free truth; ignored: there is none, but a crowd. */
static bool take_truth(const DetectionCase *found, const DetectionCandidates *candidates,
                       int32_t detection, bool *taken, bool *ignored)
{
  int32_t best = -1;
  double best_iou = 0;
  bool in_crowd = false;
  for (int64_t p = candidates->first[detection]; p < candidates->first[detection + 1]; ++p) {
    const DetectionPair pair = candidates->pairs[p];
    in_crowd = in_crowd || is_crowd(found, pair.truth);
    if (taken[pair.truth] || is_crowd(found, pair.truth) || (best >= 0 && pair.iou <= best_iou))
      continue;
    best = pair.truth;
    best_iou = pair.iou;
  }
  *ignored = best < 0 && in_crowd;
  if (best >= 0) taken[best] = true;
  return best >= 0;
}

static void match_all(FoundScore *score, const DetectionCase *found,
                      const DetectionCandidates *candidates, bool *taken)
{
  for (int32_t d = 0; d < candidates->detection_count; ++d) {
    bool ignored;
    const FoundRow row = {.score = found->scores[candidates->order[d]],
                          .image = found->image,
                          .class_index = found->class_index,
                          .place = d,
                          .right = take_truth(found, candidates, d, taken, &ignored)};
    if (!ignored) score->rows[score->row_count++] = row;
  }
  for (int32_t t = 0; t < found->truth_count; ++t)
    score->truth_counts[found->class_index] += !is_crowd(found, t);
}

Status found_score_add(FoundScore *score, const DetectionCase *found)
{
  DetectionCandidates candidates;
  void *taken = NULL;
  require(found->class_index >= 0 && found->class_index < score->class_count);
  Status status = detection_candidates_open(found, INT32_MAX, score->min_iou, &candidates);
  if (status == STATUS_OK)
    status = memory_allocate((size_t)found->truth_count, sizeof(bool), "truths", &taken);
  if (status == STATUS_OK) status = reserve(score, found->detection_count);
  if (status == STATUS_OK) match_all(score, found, &candidates, taken);
  memory_free(taken);
  detection_candidates_free(&candidates);
  return status;
}

static int by_class_and_score(const void *left, const void *right)
{
  const FoundRow *a = left;
  const FoundRow *b = right;
  if (a->class_index != b->class_index) return a->class_index < b->class_index ? -1 : 1;
  if (a->score != b->score) return a->score > b->score ? -1 : 1;
  if (a->image != b->image) return a->image < b->image ? -1 : 1;
  return a->place < b->place ? -1 : a->place > b->place;
}

/* Backwards, so that precision is the largest at this recall or a higher one. */
static double average_precision(const FoundRow *rows, int64_t count, int64_t right,
                                int64_t truth_count)
{
  double area = 0, precision = 0;
  if (truth_count == 0) return NAN;
  for (int64_t i = count; i > 0; --i) {
    precision = fmax(precision, (double)right / (double)i);
    if (!rows[i - 1].right) continue;
    area += precision / (double)truth_count;
    --right;
  }
  return area;
}

static double ratio(int64_t part, int64_t whole)
{
  return whole == 0 ? 0 : (double)part / (double)whole;
}

static void set_ratios(FoundSummary *summary)
{
  const int64_t right = summary->true_positive;
  summary->precision = ratio(right, right + summary->false_positive);
  summary->recall = ratio(right, right + summary->false_negative);
  summary->f1 = ratio(2 * right, 2 * right + summary->false_positive + summary->false_negative);
}

/* first: the first row of the class; moves it behind the last. */
static FoundSummary summarize_class(const FoundScore *score, int32_t class_index, int64_t *first)
{
  FoundSummary summary = {0};
  const int64_t begin = *first;
  const int64_t truth_count = score->truth_counts[class_index];
  for (; *first < score->row_count && score->rows[*first].class_index == class_index; ++*first)
    summary.true_positive += score->rows[*first].right;
  summary.false_positive = *first - begin - summary.true_positive;
  summary.false_negative = truth_count - summary.true_positive;
  summary.ap = average_precision(*first == begin ? NULL : score->rows + begin, *first - begin,
                                 summary.true_positive, truth_count);
  set_ratios(&summary);
  return summary;
}

static FoundSummary summarize_all(const FoundScore *score)
{
  FoundSummary all = {0};
  int64_t first = 0, class_count = 0;
  for (int32_t c = 0; c < score->class_count; ++c) {
    const FoundSummary one = summarize_class(score, c, &first);
    all.true_positive += one.true_positive;
    all.false_positive += one.false_positive;
    all.false_negative += one.false_negative;
    if (score->truth_counts[c] == 0) continue;
    all.ap += one.ap;
    ++class_count;
  }
  all.ap = class_count == 0 ? NAN : all.ap / (double)class_count;
  set_ratios(&all);
  return all;
}

Status found_score_summary(FoundScore *score, int32_t class_index, FoundSummary *summary)
{
  int64_t first = 0;
  require(class_index >= -1 && class_index < score->class_count);
  if (score->row_count > 1)
    qsort(score->rows, (size_t)score->row_count, sizeof(FoundRow), by_class_and_score);
  while (class_index > 0 && first < score->row_count &&
         score->rows[first].class_index < class_index)
    ++first;
  *summary = class_index < 0 ? summarize_all(score) : summarize_class(score, class_index, &first);
  return STATUS_OK;
}
