#include "gpu_model.h"

#include <string.h>

/* Rates of data sheets are NVIDIA's (H200, H100 SXM, A100 80 GB SXM, L40S, T4), without sparsity.
 * What large products of matrices reach was measured by others for the A100 (271) and the H100
 * (795; Bekman, "Machine Learning Engineering", maximum achievable matmul FLOPS, 2025); the H200 has
 * the same processors as the H100; for the L40S and the T4 four fifths are assumed. */
static const GpuModel models[] = {
    {"h200", "NVIDIA H200", 132, 128, 1.98e9, 989e12, 795e12, 4.8e12, 450e9, 64e9, 141e9},
    {"h100", "NVIDIA H100", 132, 128, 1.98e9, 989e12, 795e12, 3.35e12, 450e9, 64e9, 80e9},
    {"a100", "NVIDIA A100", 108, 64, 1.41e9, 312e12, 271e12, 2.04e12, 300e9, 32e9, 80e9},
    {"l40s", "NVIDIA L40S", 142, 128, 2.52e9, 362e12, 290e12, 0.864e12, 32e9, 32e9, 48e9},
    {"t4", "Tesla T4", 40, 64, 1.59e9, 65e12, 52e12, 0.32e12, 16e9, 16e9, 16e9},
};

/* What cuDNN's convolutions reach of what large products of matrices do, channels last and in 16
 * bits: assumed, and such that ResNet-50 trains at what NVIDIA published for an A100 (bench/README).
 * They work in tiles of 128 x 32 or more of the result, this way or that, and split long sums where
 * there are too few tiles for all processors. */
static const double convolution_share[] = {
    [OP_CONV_FORWARD] = 0.55, [OP_CONV_BACKWARD_DATA] = 0.5, [OP_CONV_BACKWARD_WEIGHT] = 0.4};
enum { TILE_LONG = 128, TILE_SHORT = 32, SPLIT_DEPTH = 512 };

/* Of the memory's rate: simple kernels over large tensors, and those that jump about. */
static const double stream_share = 0.85;
static const double scattered_share = 0.3;
/* Of the instructions that could be issued. */
static const double issue_share = 0.5;

/* Kernels wait for the one before them; and what a sum over GPUs takes besides its bytes. */
static const double pause_recorded_s = 1.0e-6;
static const double pause_issued_s = 1.5e-6;
static const double link_share = 0.6; /* NCCL in messages of tens of MiB */
static const double sum_start_s = 20e-6;

const GpuProgram gpu_program_issued = {.launch_s = 4e-6, .copies_beside = true};
const GpuProgram gpu_program_recorded = {.recorded = true, .copies_beside = true};

const GpuModel *gpu_models(size_t *count)
{
  *count = sizeof models / sizeof *models;
  return models;
}

const GpuModel *gpu_model_find(const char *name)
{
  for (size_t i = 0; i < sizeof models / sizeof *models; ++i) {
    const char *title = models[i].title;
    if (strcmp(models[i].name, name) == 0 || strncmp(title, name, strlen(title)) == 0)
      return &models[i];
  }
  return NULL;
}

const char *gpu_bound_name(GpuBound bound)
{
  static const char *const names[GPU_BOUNDS] = {[GPU_BOUND_ARITHMETIC] = "arithmetic",
                                                [GPU_BOUND_MEMORY] = "memory",
                                                [GPU_BOUND_INSTRUCTIONS] = "instructions",
                                                [GPU_BOUND_WAITING] = "waiting",
                                                [GPU_BOUND_LAUNCH] = "launches"};
  return names[bound];
}

static double round_up(double value, double multiple)
{
  const double parts = value / multiple;
  const double whole = (double)(int64_t)parts;
  return (whole < parts ? whole + 1 : whole) * multiple;
}

static double smaller(double a, double b)
{
  return a < b ? a : b;
}

static double in_tiles(double rows, double columns)
{
  return round_up(rows, TILE_LONG) * round_up(columns, TILE_SHORT);
}

/* Results are computed in whole tiles, sums in as many parts as are worth it. */
static double matrix_seconds(const GpuModel *gpu, const OpWork *work)
{
  if (work->rows <= 0) return 0;
  const double results =
      smaller(in_tiles(work->rows, work->columns), in_tiles(work->columns, work->rows));
  const double parts = work->depth < SPLIT_DEPTH ? 1 : work->depth / SPLIT_DEPTH;
  const double tiles = results / (TILE_LONG * TILE_SHORT) * parts;
  const double busy = smaller(tiles / gpu->processors, 1);
  const double most = work->in_float32 ? 2.0 * gpu->processors * gpu->lanes * gpu->clock_hz
                                       : gpu->reached_flop_per_s;
  const double rate = most * convolution_share[work->kind] * busy;
  return work->padded_flop * results / (work->rows * work->columns) / rate;
}

static int32_t passes_behind(const GpuProgram *program, const OpWork *work)
{
  if (work->fused_bytes <= 0) return 0;
  return work->kind == OP_NORM ? program->passes_behind_norm : program->passes_behind_convolution;
}

static double memory_seconds(const GpuModel *gpu, const GpuProgram *program, const OpWork *work)
{
  const bool jumps = work->kind == OP_REGIONS || work->kind == OP_LISTS || work->kind == OP_MASKS;
  const double bytes =
      work->read_bytes + work->written_bytes + passes_behind(program, work) * work->fused_bytes;
  if (work->kind == OP_TRANSFER) return bytes / (gpu->host_bytes_per_s * stream_share);
  return bytes / (gpu->memory_bytes_per_s * (jumps ? scattered_share : stream_share));
}

static double issue_rate(const GpuModel *gpu)
{
  return gpu->processors * gpu->lanes * gpu->clock_hz * issue_share;
}

GpuTime gpu_op_time(const GpuModel *gpu, const GpuProgram *program, const OpWork *work)
{
  const double pauses_s = work->launches * (program->recorded ? pause_recorded_s : pause_issued_s);
  const double parts[GPU_BOUND_LAUNCH] = {[GPU_BOUND_ARITHMETIC] = matrix_seconds(gpu, work),
                                          [GPU_BOUND_MEMORY] = memory_seconds(gpu, program, work),
                                          [GPU_BOUND_INSTRUCTIONS] =
                                              work->instructions / issue_rate(gpu),
                                          [GPU_BOUND_WAITING] = work->wait_cycles / gpu->clock_hz};
  GpuTime time = {.seconds = parts[0], .bound = GPU_BOUND_ARITHMETIC};
  for (GpuBound b = GPU_BOUND_MEMORY; b < GPU_BOUND_LAUNCH; ++b) {
    if (parts[b] <= time.seconds) continue;
    time.seconds = parts[b];
    time.bound = b;
  }
  if (pauses_s > time.seconds) time.bound = GPU_BOUND_LAUNCH;
  time.seconds += pauses_s;
  return time;
}

void gpu_totals(const GpuModel *gpu, const GpuProgram *program, const OpWork *work, int32_t first,
                int32_t end, GpuTotal *totals)
{
  memset(totals, 0, OP_KINDS * sizeof *totals);
  for (int32_t i = first; i < end; ++i) {
    GpuTotal *total = &totals[work[i].kind];
    const GpuTime time = gpu_op_time(gpu, program, &work[i]);
    ++total->count;
    total->launches += work[i].launches;
    total->flop += work[i].flop;
    total->bytes += work[i].read_bytes + work[i].written_bytes;
    total->seconds += time.seconds;
    total->by_bound[time.bound] += time.seconds;
  }
}

double gpu_seconds(const GpuModel *gpu, const GpuProgram *program, const OpWork *work,
                   int32_t count)
{
  double device_s = 0, host_s = 0, transfer_s = 0;
  for (int32_t i = 0; i < count; ++i) {
    const double seconds = gpu_op_time(gpu, program, &work[i]).seconds;
    const bool beside = program->copies_beside && work[i].kind == OP_TRANSFER;
    *(beside ? &transfer_s : &device_s) += seconds;
    const int32_t launches = work[i].launches + passes_behind(program, &work[i]);
    if (!program->recorded) host_s += launches * program->launch_s;
  }
  const double longest_s = device_s > host_s ? device_s : host_s;
  return longest_s > transfer_s ? longest_s : transfer_s;
}

/* A ring: each GPU sends and receives every byte nearly twice. */
static double sum_seconds(const GpuModel *gpu, size_t elements, int32_t gpus)
{
  if (gpus < 2) return 0;
  const double bytes = (double)elements * sizeof(float) * 2 * (gpus - 1) / gpus;
  return sum_start_s + bytes / (gpu->link_bytes_per_s * link_share);
}

/* Sums that are issued one after another, on a stream of their own. */
typedef struct SumStream {
  const GpuModel *gpu;
  int32_t gpus;
  size_t bucket_elements;
  size_t summed_from;
  double end_s; /* of the last one */
  GpuSums sums;
} SumStream;

/* Sums all whole buckets that are complete; those that are left, where first is 0. */
static void sum_buckets(SumStream *stream, size_t first, double now_s)
{
  while (stream->summed_from > 0) {
    const size_t from = stream->summed_from > stream->bucket_elements
                            ? stream->summed_from - stream->bucket_elements
                            : 0;
    if (from < first) break;
    const double seconds = sum_seconds(stream->gpu, stream->summed_from - from, stream->gpus);
    const double begin_s = stream->end_s > now_s ? stream->end_s : now_s;
    stream->end_s = begin_s + seconds;
    stream->sums.seconds += seconds;
    ++stream->sums.buckets;
    stream->summed_from = from;
  }
}

GpuSums gpu_sums(const GpuModel *gpu, const OpWork *work, int32_t first_op, int32_t end_op,
                 const GpuReady *ready, int32_t ready_count, GpuBuckets buckets)
{
  SumStream stream = {.gpu = gpu,
                      .gpus = buckets.gpus,
                      .bucket_elements = buckets.bucket_elements,
                      .summed_from = buckets.elements};
  double now_s = 0;
  int32_t next = 0;
  for (int32_t i = first_op; i < end_op; ++i) {
    now_s += gpu_op_time(gpu, &gpu_program_recorded, &work[i]).seconds;
    for (; next < ready_count && ready[next].ops <= i + 1; ++next)
      sum_buckets(&stream, ready[next].first, now_s);
  }
  sum_buckets(&stream, 0, now_s);
  const double late_s = stream.end_s > now_s ? stream.end_s - now_s : 0;
  stream.sums.hidden = stream.sums.seconds > 0 ? 1 - late_s / stream.sums.seconds : 1;
  stream.sums.late_s = late_s;
  return stream.sums;
}
