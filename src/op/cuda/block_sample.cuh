#pragma once

#include "launch.cuh"

#include "sample_element.h"

/* Sampling of one image's items by one block of SAMPLE_THREADS: the rank that ends what is taken is
 * found digit by digit from the highest on, by counting. Nothing depends on the order of threads. */
enum { SAMPLE_THREADS = 512, DIGIT_BITS = 8, DIGITS = 1 << DIGIT_BITS };

/* The sum of what the threads before this one have, and of all. All threads of the block call it. */
__device__ inline int32_t sample_sum_before(int32_t mine, int32_t *total)
{
  __shared__ int32_t sums[SAMPLE_THREADS];
  const int32_t thread = (int32_t)threadIdx.x;
  sums[thread] = mine;
  __syncthreads();
  for (int32_t step = 1; step < SAMPLE_THREADS; step *= 2) {
    const int32_t before = thread >= step ? sums[thread - step] : 0;
    __syncthreads();
    sums[thread] += before;
    __syncthreads();
  }
  const int32_t sum = sums[thread];
  *total = sums[SAMPLE_THREADS - 1];
  __syncthreads();
  return sum - mine;
}

/* The items of one kind, positive or background. */
typedef struct SampleItems {
  const int32_t *matches;
  int64_t count;
  uint64_t state;
  bool background;
} SampleItems;

/* How many items of a kind have the digits known so far and each digit at shift next. */
__device__ inline void count_digits(SampleItems items, uint64_t known, int32_t shift, int32_t *bins)
{
  for (int32_t bin = (int32_t)threadIdx.x; bin < DIGITS; bin += SAMPLE_THREADS)
    bins[bin] = 0;
  __syncthreads();
  for (int64_t i = threadIdx.x; i < items.count; i += SAMPLE_THREADS) {
    const int32_t match = items.matches[i];
    if (items.background ? match != MATCH_BACKGROUND : match < 0) continue;
    const uint64_t rank = sample_rank(items.state, (uint32_t)i);
    /* In two steps: at the first digit nothing is known, and 64 bits are no shift. */
    if (rank >> shift >> DIGIT_BITS == known) atomicAdd(&bins[rank >> shift & (DIGITS - 1)], 1);
  }
  __syncthreads();
}

/* What is found of the limit. */
typedef struct SampleSearch {
  uint64_t known;  /* digits */
  int32_t wanted;  /* how many of those that have them are still to be taken */
  int32_t is_last; /* all of those are taken */
} SampleSearch;

/* The limit below which the least wanted ranks of a kind lie; *taken: how many those are. */
__device__ inline uint64_t sample_limit(SampleItems items, int32_t wanted, int32_t *taken)
{
  __shared__ int32_t bins[DIGITS];
  __shared__ SampleSearch search;
  *taken = 0;
  if (wanted <= 0) return 0; /* all threads leave */
  const int32_t digit = (int32_t)threadIdx.x;
  uint64_t known = 0;
  int32_t left = wanted;
  for (int32_t shift = 64 - DIGIT_BITS; shift >= 0; shift -= DIGIT_BITS) {
    count_digits(items, known, shift, bins);
    const int32_t mine = digit < DIGITS ? bins[digit] : 0;
    int32_t total;
    const int32_t before = sample_sum_before(mine, &total);
    if (shift == 64 - DIGIT_BITS) {
      *taken = total < wanted ? total : wanted;
      if (total <= wanted) return UINT64_MAX;
    }
    if (before < left && before + mine >= left) { /* true in one thread */
      search.known = known << DIGIT_BITS | (uint64_t)digit;
      search.wanted = left - before;
      search.is_last = before + mine == left ? 1 : 0;
    }
    __syncthreads();
    known = search.known;
    left = search.wanted;
    const bool is_last = search.is_last != 0;
    __syncthreads();
    if (is_last) {
      const uint64_t end = known + 1; /* 0 behind the highest digits */
      return end << shift >> shift == end ? end << shift : UINT64_MAX;
    }
  }
  return UINT64_MAX; /* not reached: no two ranks are equal */
}

/* The sample of an image; *positives and *all: how many are taken. */
__device__ inline SampleLimits sample_limits(const int32_t *matches, int64_t count, uint64_t state,
                                             int32_t positive_count, int32_t all_count,
                                             int32_t *positives, int32_t *all)
{
  const SampleItems positive = {matches, count, state, false};
  const SampleItems background = {matches, count, state, true};
  SampleLimits limits;
  limits.positive = sample_limit(positive, positive_count, positives);
  limits.background = sample_limit(background, all_count - *positives, all);
  *all += *positives;
  return limits;
}
