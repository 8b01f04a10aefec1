#include "launch.cuh"

#include "loss_scale_element.h"
#include "optimizer_step_element.h"

enum { NORM_BLOCKS = 512 };

/* Blocks of threads that go through all values in the same strides, whatever the GPU. */
__global__ void squares_kernel(int64_t count, const float *g, double *partial)
{
  __shared__ double room[THREADS];
  double sum = 0.0;
  for (int64_t i = thread_index(); i < count; i += (int64_t)NORM_BLOCKS * THREADS)
    sum += (double)g[i] * (double)g[i];
  room[threadIdx.x] = sum;
  __syncthreads();
  for (int32_t half = THREADS / 2; half > 0; half /= 2) {
    if ((int32_t)threadIdx.x < half) room[threadIdx.x] += room[threadIdx.x + half];
    __syncthreads();
  }
  if (threadIdx.x == 0) partial[blockIdx.x] = room[0];
}

__global__ void clip_kernel(const double *partial, float norm_limit, float *norm, float *scale)
{
  __shared__ double room[NORM_BLOCKS];
  room[threadIdx.x] = partial[threadIdx.x];
  __syncthreads();
  for (int32_t half = NORM_BLOCKS / 2; half > 0; half /= 2) {
    if ((int32_t)threadIdx.x < half) room[threadIdx.x] += room[threadIdx.x + half];
    __syncthreads();
  }
  if (threadIdx.x == 0) {
    const float root = (float)sqrt(room[0]);
    *norm = root;
    *scale = clip_scale_element(root, norm_limit);
  }
}

__global__ void loss_scale_kernel(float norm_limit, float *norm, float *scale, float *state)
{
  loss_scale_step_element(norm_limit, norm, scale, state);
}

__global__ void sgd_kernel(const SgdStep *step, int64_t count, const float *scale, const float *g,
                           float *w, float *v)
{
  const int64_t i = thread_index();
  if (i < count && *scale != 0.0F) sgd_step_element(*step, *scale, g[i], w + i, v + i);
}

__global__ void adamw_kernel(const AdamwStep *step, int64_t count, const float *scale,
                             const float *g, float *w, float *m, float *v)
{
  const int64_t i = thread_index();
  if (i < count && *scale != 0.0F) adamw_step_element(*step, *scale, g[i], w + i, m + i, v + i);
}

size_t clip_scratch_bytes_cuda(int64_t count)
{
  return NORM_BLOCKS * sizeof(double);
}

void clip_scale_cuda(Device *device, int64_t count, const float *g, float norm_limit, float *norm,
                     float *scale, void *scratch)
{
  LAUNCH(device, squares_kernel, NORM_BLOCKS, THREADS, count, g, (double *)scratch);
  LAUNCH(device, clip_kernel, 1, NORM_BLOCKS, (const double *)scratch, norm_limit, norm, scale);
}

void loss_scale_step_cuda(Device *device, float norm_limit, float *norm, float *scale, float *state)
{
  LAUNCH(device, loss_scale_kernel, 1, 1, norm_limit, norm, scale, state);
}

void sgd_step_cuda(Device *device, const SgdStep *step, int64_t count, const float *scale,
                   const float *g, float *w, float *v)
{
  if (count < 1) return;
  LAUNCH(device, sgd_kernel, blocks_for(count), THREADS, step, count, scale, g, w, v);
}

void adamw_step_cuda(Device *device, const AdamwStep *step, int64_t count, const float *scale,
                     const float *g, float *w, float *m, float *v)
{
  if (count < 1) return;
  LAUNCH(device, adamw_kernel, blocks_for(count), THREADS, step, count, scale, g, w, m, v);
}
