#pragma once

#include "select.cuh"

#include "sample_element.h"

/* Samples of images' items, by select.cuh: a list of the positive ones and one of the background for
 * each image. The least rank comes first, so it is turned round. */
enum { SAMPLE_POSITIVE, SAMPLE_BACKGROUND, SAMPLE_KINDS };

typedef struct SampleItems {
  const int32_t *matches; /* images x items */
  int64_t items;
  SampleKeys keys;
  int32_t positive_count; /* at most so many of an image are positive */
  int32_t all_count;
} SampleItems;

typedef struct SampleList {
  const int32_t *matches;
  int64_t count;
  uint64_t state;
  int32_t kind;

  __device__ uint64_t rank(int64_t item) const
  {
    const int32_t match = matches[item];
    const bool is_of = kind == SAMPLE_POSITIVE ? match >= 0 : match == MATCH_BACKGROUND;
    return is_of ? ~sample_rank(state, (uint32_t)item) : 0;
  }
} SampleList;

__device__ inline SampleList select_list(const SampleItems &items, int32_t list)
{
  const int32_t image = list / SAMPLE_KINDS;
  SampleList own;
  own.matches = items.matches + image * items.items;
  own.count = items.items;
  own.state = sample_state(items.keys.seed, items.keys.streams[image]);
  own.kind = list % SAMPLE_KINDS;
  return own;
}

/* What is taken of an image. */
typedef struct SampleCounts {
  int32_t positives;
  int32_t all;
} SampleCounts;

__device__ inline SampleCounts sample_counts(const SampleItems &items, const int32_t *totals,
                                             int32_t image)
{
  const int32_t positives = totals[image * SAMPLE_KINDS + SAMPLE_POSITIVE];
  const int32_t backgrounds = totals[image * SAMPLE_KINDS + SAMPLE_BACKGROUND];
  SampleCounts counts;
  counts.positives = min(positives, items.positive_count);
  counts.all = counts.positives + min(backgrounds, items.all_count - counts.positives);
  return counts;
}

__device__ inline int32_t select_wanted(const SampleItems &items, int32_t list,
                                        const int32_t *totals)
{
  const int32_t positives = sample_counts(items, totals, list / SAMPLE_KINDS).positives;
  return list % SAMPLE_KINDS == SAMPLE_POSITIVE ? positives : items.all_count - positives;
}

/* Whether an item is taken, once the search is over. */
__device__ inline bool sample_takes_item(const SampleItems &items, const Selection &selection,
                                         int32_t image, int64_t item)
{
  const int32_t match = items.matches[image * items.items + item];
  if (match < 0 && match != MATCH_BACKGROUND) return false;
  const uint64_t state = sample_state(items.keys.seed, items.keys.streams[image]);
  const int32_t kind = match >= 0 ? SAMPLE_POSITIVE : SAMPLE_BACKGROUND;
  return select_takes(selection, image * SAMPLE_KINDS + kind, ~sample_rank(state, (uint32_t)item));
}
