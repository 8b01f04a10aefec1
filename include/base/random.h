#pragma once

#include <stdint.h>

/* Counter-based random numbers: Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as
 * 1, 2, 3", SC 2011). The numbers of a stream depend on seed and stream alone, so any rank that
 * asks for stream s of seed k gets the same. */
typedef struct Random {
  uint64_t seed;
  uint64_t stream;
  uint64_t drawn; /* 32-bit numbers taken so far */
} Random;

Random random_stream(uint64_t seed, uint64_t stream);
uint32_t random_bits(Random *random);
double random_uniform(Random *random);                          /* [0, 1), 32 bits */
double random_between(Random *random, double low, double high); /* [low, high) */
uint32_t random_below(Random *random, uint32_t limit); /* 0 … limit - 1, without bias; limit >= 1 */
double random_normal(Random *random); /* mean 0, standard deviation 1 (Box and Muller) */
void random_shuffle(Random *random, int64_t *items, int64_t count); /* Fisher and Yates */
