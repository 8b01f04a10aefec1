#pragma once

#include "launch.cuh"

/* Work channel by channel over all pixels: the matrix of pixels x channels is cut into columns of
 * eight channels and slices of consecutive pixels. A block takes up to 32 columns of one slice; its
 * threads stand in rows, and thread (x, y) takes every blockDim.y-th pixel of its column. The cut
 * depends on the shape alone, never on the GPU, so sums are the same everywhere. */
typedef struct Columns {
  int64_t pixels;
  int64_t slice_pixels;
  int32_t channels;
  int32_t columns; /* channels / 8 */
  int32_t slices;
} Columns;

/* About as many blocks as keep memory busy; what they sum is added by a kernel of few blocks, which
 * more would keep waiting. */
enum { SUM_BLOCKS_MOST = 512, SUMS_MOST = 16 };

static inline dim3 columns_block(Columns cut)
{
  const unsigned across = cut.columns < 32 ? (unsigned)cut.columns : 32U;
  return dim3(across, THREADS / across);
}

static inline dim3 columns_grid(Columns cut)
{
  const unsigned across = cut.columns < 32 ? (unsigned)cut.columns : 32U;
  return dim3(((unsigned)cut.columns + across - 1) / across, (unsigned)cut.slices);
}

/* pixels_per_thread: how long each thread works. */
static inline Columns columns_of(Shape shape, int32_t pixels_per_thread, int32_t slices_most)
{
  Columns cut;
  cut.pixels = shape_pixels(shape);
  cut.channels = shape.channels;
  cut.columns = shape.channels / 8;
  cut.slices = 1;
  const int64_t wanted = (int64_t)columns_block(cut).y * pixels_per_thread;
  const int64_t slices = (cut.pixels + wanted - 1) / wanted;
  cut.slices = (int32_t)(slices < slices_most ? slices : slices_most);
  cut.slice_pixels = (cut.pixels + cut.slices - 1) / cut.slices;
  return cut;
}

/* For sums. partial: slices x 2 x channels float32, see columns_reduce. */
static inline Columns columns_for_sums(Shape shape)
{
  const int32_t across = (shape.channels / 8 + 31) / 32; /* blocks side by side */
  return columns_of(shape, 16, across < SUM_BLOCKS_MOST ? SUM_BLOCKS_MOST / across : 1);
}

static inline size_t columns_partial_bytes(Shape shape)
{
  return (size_t)columns_for_sums(shape).slices * 2 * (size_t)shape.channels * sizeof(float);
}

/* For work without sums. */
static inline Columns columns_for_map(Shape shape)
{
  return columns_of(shape, 8, 65535);
}

__device__ inline int32_t columns_column(void)
{
  return (int32_t)(blockIdx.x * blockDim.x + threadIdx.x);
}

__device__ inline int64_t columns_first(Columns cut)
{
  return blockIdx.y * cut.slice_pixels + threadIdx.y;
}

__device__ inline int64_t columns_end(Columns cut)
{
  const int64_t end = (blockIdx.y + 1) * cut.slice_pixels;
  return end < cut.pixels ? end : cut.pixels;
}

/* Adds the rows of a block in order: mine holds eight sums of one kind, then eight of another, for
 * this thread's column. All threads call it, those past the last column too, with zeros. */
__device__ inline void columns_reduce(Columns cut, const float mine[SUMS_MOST], float *partial)
{
  __shared__ float rows[THREADS * SUMS_MOST];
  const int32_t across = (int32_t)blockDim.x;
  const int32_t thread = (int32_t)(threadIdx.y * blockDim.x + threadIdx.x);
#pragma unroll
  for (int k = 0; k < SUMS_MOST; ++k)
    rows[thread * SUMS_MOST + k] = mine[k];
  __syncthreads();
  const int32_t threads = (int32_t)(blockDim.x * blockDim.y);
  for (int32_t item = thread; item < across * SUMS_MOST; item += threads) {
    const int32_t column = (int32_t)(blockIdx.x * blockDim.x) + item / SUMS_MOST;
    if (column >= cut.columns) continue;
    float sum = 0.0F;
    for (int32_t y = 0; y < (int32_t)blockDim.y; ++y)
      sum += rows[y * across * SUMS_MOST + item];
    const int32_t kind = item % SUMS_MOST / 8;
    const int32_t channel = column * 8 + item % 8;
    partial[((int64_t)blockIdx.y * 2 + kind) * cut.channels + channel] = sum;
  }
}

/* The second step: blocks of 32 channels, whose rows of threads each add every 32nd slice. */
enum { TOTAL_CHANNELS = 32, TOTAL_ROWS = 32 };

typedef struct Totals {
  double first; /* of the first kind of sum */
  double second;
} Totals;

static inline dim3 totals_block(void)
{
  return dim3(TOTAL_CHANNELS, TOTAL_ROWS);
}

static inline unsigned totals_grid(int32_t channels)
{
  return ((unsigned)channels + TOTAL_CHANNELS - 1) / TOTAL_CHANNELS;
}

__device__ inline int32_t totals_channel(void)
{
  return (int32_t)(blockIdx.x * TOTAL_CHANNELS + threadIdx.x);
}

/* Whether this thread has the totals, and a channel that is there. */
__device__ inline bool totals_owner(int32_t channels)
{
  return threadIdx.y == 0 && totals_channel() < channels;
}

/* All threads of a block call it; the totals are right in the owners only. */
__device__ inline Totals columns_totals(Columns cut, const float *partial)
{
  __shared__ double rows[2][TOTAL_ROWS][TOTAL_CHANNELS];
  const int32_t channel = totals_channel();
  Totals totals = {0.0, 0.0};
  if (channel < cut.channels)
    for (int32_t slice = (int32_t)threadIdx.y; slice < cut.slices; slice += TOTAL_ROWS) {
      const float *sums = partial + (int64_t)slice * 2 * cut.channels + channel;
      totals.first += (double)sums[0];
      totals.second += (double)sums[cut.channels];
    }
  rows[0][threadIdx.y][threadIdx.x] = totals.first;
  rows[1][threadIdx.y][threadIdx.x] = totals.second;
  __syncthreads();
  totals.first = 0.0;
  totals.second = 0.0;
  for (int32_t y = 0; y < TOTAL_ROWS; ++y) {
    totals.first += rows[0][y][threadIdx.x];
    totals.second += rows[1][y][threadIdx.x];
  }
  return totals;
}
