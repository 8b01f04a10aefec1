#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "match_element.h"

/* Samples without replacement (SampleKeys of regions.h): each candidate of an image has a key, a
 * hash of seed, stream and index, and the least are taken. */

/* Stafford's 13th mix of 64 bits, as in splitmix64: every bit depends on every bit. */
SHARED_INLINE uint64_t sample_mix(uint64_t bits)
{
  bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9ULL;
  bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EBULL;
  return bits ^ (bits >> 31);
}

/* What the keys of an image share. */
SHARED_INLINE uint64_t sample_state(uint64_t seed, uint64_t stream)
{
  return sample_mix(sample_mix(seed + 0x9E3779B97F4A7C15ULL) ^ stream);
}

SHARED_INLINE uint32_t sample_key_of(uint64_t state, uint32_t index)
{
  return (uint32_t)(sample_mix(state + 0x9E3779B97F4A7C15ULL * ((uint64_t)index + 1)) >> 32);
}

SHARED_INLINE uint32_t sample_key(uint64_t seed, uint64_t stream, uint32_t index)
{
  return sample_key_of(sample_state(seed, stream), index);
}

/* Key, then index: no two candidates of an image have the same rank. */
SHARED_INLINE uint64_t sample_rank(uint64_t state, uint32_t index)
{
  return (uint64_t)sample_key_of(state, index) << 32 | index;
}

/* The sample of an image: ranks below the limit of their kind. */
typedef struct SampleLimits {
  uint64_t positive;
  uint64_t background;
} SampleLimits;

SHARED_INLINE bool sample_takes(SampleLimits limits, int32_t match, uint64_t rank)
{
  return rank < (match >= 0 ? limits.positive : match == MATCH_BACKGROUND ? limits.background : 0);
}
