#include "detection_match.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

typedef struct Ranked {
  double score;
  int32_t place;
} Ranked;

static int by_score(const void *left, const void *right)
{
  const Ranked *a = left;
  const Ranked *b = right;
  if (a->score != b->score) return a->score > b->score ? -1 : 1;
  return a->place < b->place ? -1 : a->place > b->place;
}

static int by_detection_and_truth(const void *left, const void *right)
{
  const DetectionPair *a = left;
  const DetectionPair *b = right;
  if (a->detection != b->detection) return a->detection < b->detection ? -1 : 1;
  return a->truth < b->truth ? -1 : a->truth > b->truth;
}

static Status check_scores(const DetectionCase *found)
{
  for (int32_t i = 0; i < found->detection_count; ++i)
    if (isnan(found->scores[i]))
      return status_set(STATUS_BAD_INPUT, "detection %d of image %lld has no number as its score",
                        i, (long long)found->image);
  return STATUS_OK;
}

static Status order_detections(const DetectionCase *found, int32_t most,
                               DetectionCandidates *candidates)
{
  void *memory;
  const size_t count = (size_t)found->detection_count;
  candidates->detection_count = found->detection_count < most ? found->detection_count : most;
  TRY(memory_allocate(count, sizeof(int32_t), "detections", &memory));
  candidates->order = memory;
  TRY(memory_allocate(count, sizeof(Ranked), "detections", &memory));
  Ranked *ranked = memory;
  for (int32_t i = 0; i < found->detection_count; ++i)
    ranked[i] = (Ranked){found->scores[i], i};
  if (count > 1) qsort(ranked, count, sizeof *ranked, by_score);
  for (int32_t i = 0; i < found->detection_count; ++i)
    candidates->order[i] = ranked[i].place;
  memory_free(ranked);
  return STATUS_OK;
}

static int64_t count_pairs(const DetectionCase *found, double least_iou)
{
  int64_t count = 0;
  const int64_t whole = (int64_t)found->detection_count * found->truth_count;
  if (found->ious == NULL)
    for (int64_t i = 0; i < found->pair_count; ++i)
      count += found->pairs[i].iou >= least_iou;
  else
    for (int64_t i = 0; i < whole; ++i)
      count += found->ious[i] >= least_iou;
  return count;
}

/* places: of each detection of the case, its place by score. */
static int64_t take_pairs(const DetectionCase *found, double least_iou, const int32_t *places,
                          DetectionCandidates *candidates)
{
  int64_t count = 0;
  const int32_t truths = found->truth_count;
  const int64_t whole =
      found->ious == NULL ? found->pair_count : (int64_t)found->detection_count * truths;
  for (int64_t i = 0; i < whole; ++i) {
    const DetectionPair pair =
        found->ious == NULL
            ? found->pairs[i]
            : (DetectionPair){(int32_t)(i / truths), (int32_t)(i % truths), found->ious[i]};
    if (!(pair.iou >= least_iou) || places[pair.detection] >= candidates->detection_count) continue;
    candidates->pairs[count] = pair;
    candidates->pairs[count++].detection = places[pair.detection];
  }
  return count;
}

static void index_pairs(DetectionCandidates *candidates, int64_t count)
{
  int64_t next = 0;
  if (count > 1)
    qsort(candidates->pairs, (size_t)count, sizeof(DetectionPair), by_detection_and_truth);
  for (int32_t d = 0; d < candidates->detection_count; ++d) {
    candidates->first[d] = next;
    while (next < count && candidates->pairs[next].detection == d)
      ++next;
  }
  candidates->first[candidates->detection_count] = next;
}

Status detection_candidates_open(const DetectionCase *found, int32_t most, double least_iou,
                                 DetectionCandidates *candidates)
{
  void *memory;
  *candidates = (DetectionCandidates){.detection_count = 0};
  TRY(check_scores(found));
  TRY(order_detections(found, most, candidates));
  TRY(memory_allocate((size_t)candidates->detection_count + 1, sizeof(int64_t), "detections",
                      &memory));
  candidates->first = memory;
  TRY(memory_allocate((size_t)count_pairs(found, least_iou), sizeof(DetectionPair),
                      "pairs of detections and truths", &memory));
  candidates->pairs = memory;
  TRY(memory_allocate((size_t)found->detection_count, sizeof(int32_t), "detections", &memory));
  int32_t *places = memory;
  for (int32_t i = 0; i < found->detection_count; ++i)
    places[candidates->order[i]] = i;
  index_pairs(candidates, take_pairs(found, least_iou, places, candidates));
  memory_free(places);
  return STATUS_OK;
}

void detection_candidates_free(DetectionCandidates *candidates)
{
  memory_free(candidates->order);
  memory_free(candidates->first);
  memory_free(candidates->pairs);
  *candidates = (DetectionCandidates){.detection_count = 0};
}
