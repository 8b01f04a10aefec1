#include "cuda_fp16.h"
#include "cuda_runtime_api.h"
#include "emulated_half.h"

#include <cstdio>
#include <cstdlib>
#include <ucontext.h>
#include <vector>

dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace
{

constexpr size_t stack_bytes = 64 << 10;
constexpr unsigned threads_most = 1024;
constexpr unsigned warp = 32;

enum class At { running, barrier, shuffle, end };

struct Fibre {
  ucontext_t context;
  std::vector<char> stack;
  dim3 place;
  At at;
};

std::vector<Fibre> fibres(threads_most);
unsigned current;
ucontext_t scheduler;
const std::function<void()> *running_kernel;
double shuffled[threads_most];
bool in_fibre;
unsigned blocks_run;
int kernels_until_fault = -1;
cudaError_t health = cudaSuccess;

[[noreturn]] void give_up(const char *why)
{
  std::fprintf(stderr, "emulator: %s (block %u, %u)\n", why, blockIdx.x, blockIdx.y);
  std::abort();
}

dim3 place_of(unsigned thread)
{
  return dim3(thread % blockDim.x, thread / blockDim.x % blockDim.y,
              thread / (blockDim.x * blockDim.y));
}

void run_kernel()
{
  (*running_kernel)();
  fibres[current].at = At::end;
}

void start(unsigned thread)
{
  Fibre &fibre = fibres[thread];
  if (fibre.stack.empty()) fibre.stack.resize(stack_bytes);
  fibre.at = At::running;
  getcontext(&fibre.context);
  fibre.context.uc_stack.ss_sp = fibre.stack.data();
  fibre.context.uc_stack.ss_size = stack_bytes;
  fibre.context.uc_link = &scheduler;
  makecontext(&fibre.context, run_kernel, 0);
}

void resume(unsigned thread)
{
  current = thread;
  threadIdx = fibres[thread].place;
  fibres[thread].at = At::running;
  swapcontext(&scheduler, &fibres[thread].context);
}

void wait_at(At at)
{
  if (!in_fibre) give_up("a barrier that thread 0 did not come to");
  fibres[current].at = at;
  swapcontext(&fibres[current].context, &scheduler);
}

/* After every thread went on to its next barrier or its end: all must have met at the same one.
 * Only a shuffle may miss threads, and then whole warps. */
void check(unsigned threads)
{
  unsigned count[4] = {0, 0, 0, 0};
  for (unsigned i = 0; i < threads; ++i)
    ++count[static_cast<int>(fibres[i].at)];
  const unsigned barriers = count[static_cast<int>(At::barrier)];
  const unsigned shuffles = count[static_cast<int>(At::shuffle)];
  if (barriers > 0 && barriers != threads) give_up("not all threads came to a barrier");
  for (unsigned i = 0; shuffles > 0 && i < threads; ++i)
    if (fibres[i].at != fibres[i / warp * warp].at) give_up("a warp parted before a shuffle");
}

/* Every other block runs from its last thread to its first, so that what hangs on the threads' order
 * between two barriers shows. */
unsigned at_turn(unsigned turn, unsigned threads)
{
  return blocks_run % 2 == 0 ? turn : threads - 1 - turn;
}

/* Without barriers threads may simply run one after the other. */
void run_plainly(unsigned threads)
{
  in_fibre = false;
  for (unsigned i = 1; i < threads; ++i) {
    threadIdx = fibres[i].place;
    (*running_kernel)();
  }
}

/* Thread 0 shows whether there are any. */
void run_block(unsigned threads)
{
  in_fibre = true;
  ++blocks_run;
  start(0);
  resume(0);
  if (fibres[0].at == At::end) {
    run_plainly(threads);
    return;
  }
  for (unsigned turn = 0; turn < threads; ++turn) {
    const unsigned i = at_turn(turn, threads);
    if (i == 0) continue;
    start(i);
    resume(i);
  }
  check(threads);
  for (bool alive = true; alive;) {
    alive = false;
    for (unsigned turn = 0; turn < threads; ++turn) {
      const unsigned i = at_turn(turn, threads);
      if (fibres[i].at == At::end) continue;
      resume(i);
      alive = alive || fibres[i].at != At::end;
    }
    check(threads);
  }
}

} // namespace

void emulate(dim3 grid, dim3 block, const std::function<void()> &kernel)
{
  const unsigned threads = block.x * block.y * block.z;
  if (threads < 1 || threads > threads_most || block.z > 64) give_up("a block of no GPU");
  if (grid.x < 1 || grid.y < 1 || grid.z < 1 || grid.x > 0x7FFFFFFFU || grid.y > 65535)
    give_up("a grid of no GPU");
  if (kernels_until_fault >= 0 && kernels_until_fault-- == 0) health = cudaErrorIllegalAddress;
  if (health != cudaSuccess) return;
  blockDim = block;
  gridDim = grid;
  running_kernel = &kernel;
  for (unsigned i = 0; i < threads; ++i)
    fibres[i].place = place_of(i);
  for (unsigned y = 0; y < grid.y; ++y)
    for (unsigned x = 0; x < grid.x; ++x) {
      blockIdx = dim3(x, y, 0);
      run_block(threads);
    }
}

void emulated_break(int kernels)
{
  kernels_until_fault = kernels;
  health = cudaSuccess;
}

cudaError_t emulated_health(void)
{
  return health;
}

void __syncthreads(void)
{
  wait_at(At::barrier);
}

double __shfl_down_sync(unsigned mask, double value, unsigned distance)
{
  const unsigned thread = current;
  shuffled[thread] = value;
  wait_at(At::shuffle);
  const bool in_warp = thread % warp + distance < warp;
  const double other = in_warp ? shuffled[thread + distance] : value;
  wait_at(At::shuffle);
  return other;
}

float emulated_half_get(const void *half)
{
  return __half2float(*static_cast<const __half *>(half));
}

void emulated_half_set(void *half, float value)
{
  *static_cast<__half *>(half) = __float2half_rn(value);
}
