#include "base/random.h"

#include <math.h>

Random random_stream(uint64_t seed, uint64_t stream)
{
  return (Random){.seed = seed, .stream = stream};
}

static void philox_round(uint32_t counter[4], const uint32_t key[2])
{
  const uint64_t left = (uint64_t)0xD2511F53U * counter[0];
  const uint64_t right = (uint64_t)0xCD9E8D57U * counter[2];
  const uint32_t next[4] = {(uint32_t)(right >> 32) ^ counter[1] ^ key[0], (uint32_t)right,
                            (uint32_t)(left >> 32) ^ counter[3] ^ key[1], (uint32_t)left};
  for (int i = 0; i < 4; ++i)
    counter[i] = next[i];
}

static uint32_t philox(uint64_t seed, uint64_t stream, uint64_t block, uint64_t lane)
{
  uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), (uint32_t)stream,
                         (uint32_t)(stream >> 32)};
  uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
  for (int round = 0; round < 10; ++round) {
    philox_round(counter, key);
    key[0] += 0x9E3779B9U;
    key[1] += 0xBB67AE85U;
  }
  return counter[lane];
}

uint32_t random_bits(Random *random)
{
  const uint32_t bits = philox(random->seed, random->stream, random->drawn / 4, random->drawn % 4);
  ++random->drawn;
  return bits;
}

double random_uniform(Random *random)
{
  return random_bits(random) * 0x1p-32;
}

double random_between(Random *random, double low, double high)
{
  return low + (high - low) * random_uniform(random);
}

/* Lemire, "Fast random integer generation in an interval", 2019: rejects the few numbers that would
 * favour some results. */
uint32_t random_below(Random *random, uint32_t limit)
{
  const uint32_t rejected = (uint32_t)(-limit) % limit;
  uint64_t product;
  do {
    product = (uint64_t)random_bits(random) * limit;
  } while ((uint32_t)product < rejected);
  return (uint32_t)(product >> 32);
}

double random_normal(Random *random)
{
  const double radius = sqrt(-2.0 * log(1.0 - random_uniform(random)));
  return radius * cos(6.283185307179586 * random_uniform(random));
}

void random_shuffle(Random *random, int64_t *items, int64_t count)
{
  for (int64_t i = count - 1; i > 0; --i) {
    const int64_t j = random_below(random, (uint32_t)(i + 1));
    const int64_t item = items[i];
    items[i] = items[j];
    items[j] = item;
  }
}
