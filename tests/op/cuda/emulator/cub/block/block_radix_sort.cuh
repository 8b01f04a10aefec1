#pragma once

#include <algorithm>
#include <functional>

#include "emulator.hpp"

/* See block_scan.cuh. */
namespace cub
{

template <typename Key, int THREADS, int ITEMS> class BlockRadixSort
{
public:
  struct TempStorage {
    Key keys[THREADS * ITEMS];
  };

  explicit BlockRadixSort(TempStorage &storage) : room(storage)
  {
  }

  void SortDescendingBlockedToStriped(Key (&keys)[ITEMS])
  {
    const int thread = static_cast<int>(threadIdx.x);
    for (int i = 0; i < ITEMS; ++i)
      room.keys[thread * ITEMS + i] = keys[i];
    __syncthreads();
    if (thread == 0) std::sort(room.keys, room.keys + THREADS * ITEMS, std::greater<Key>());
    __syncthreads();
    for (int i = 0; i < ITEMS; ++i)
      keys[i] = room.keys[i * THREADS + thread];
  }

private:
  TempStorage &room;
};

} // namespace cub
