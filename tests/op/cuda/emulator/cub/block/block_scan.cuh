#pragma once

#include "emulator.hpp"

/* As much of CUB as the kernels use, for a block of THREADS. As in CUB, what is in TempStorage may be
 * used again only behind a barrier of the caller. */
namespace cub
{

template <typename T, int THREADS> class BlockScan
{
public:
  struct TempStorage {
    T items[THREADS + 1];
  };

  explicit BlockScan(TempStorage &storage) : room(storage)
  {
  }

  void ExclusiveSum(T input, T &output, T &total)
  {
    room.items[threadIdx.x + 1] = input;
    __syncthreads();
    if (threadIdx.x == 0) {
      room.items[0] = 0;
      for (int i = 1; i <= THREADS; ++i)
        room.items[i] += room.items[i - 1];
    }
    __syncthreads();
    output = room.items[threadIdx.x];
    total = room.items[THREADS];
  }

private:
  TempStorage &room;
};

} // namespace cub
