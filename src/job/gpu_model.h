#pragma once

#include "op/op_work.h"

/* GPUs by their data sheets, and the time that counted ops (op_work.h) would take on one: of each op
 * the longest of what its arithmetic, its bytes, its instructions and its waiting take, and a pause
 * before each kernel. A prediction, never a measurement; what it assumes stands in gpu_model.c. */
typedef struct GpuModel {
  const char *name;  /* "h200" */
  const char *title; /* as the driver calls it, or the beginning of that */
  int32_t processors;
  int32_t lanes; /* of a processor, for float32 */
  double clock_hz;
  double sheet_flop_per_s;   /* of dense products in 16 bits */
  double reached_flop_per_s; /* by the largest products of matrices */
  double memory_bytes_per_s; /* by the data sheet */
  double link_bytes_per_s;   /* to GPUs of the same node, one direction; by the data sheet */
  double host_bytes_per_s;   /* PCIe, one direction; by the data sheet */
  double memory_bytes;
} GpuModel;

const GpuModel *gpu_models(size_t *count);
/* By name, or by what a driver calls it ("NVIDIA H200 SXM"); NULL where it is not known. */
const GpuModel *gpu_model_find(const char *name);

typedef enum GpuBound {
  GPU_BOUND_ARITHMETIC,
  GPU_BOUND_MEMORY,
  GPU_BOUND_INSTRUCTIONS,
  GPU_BOUND_WAITING,
  GPU_BOUND_LAUNCH,
  GPU_BOUNDS
} GpuBound;

const char *gpu_bound_name(GpuBound bound); /* "memory" */

/* How kernels are issued, and what is fused. */
typedef struct GpuProgram {
  bool recorded;      /* as one CUDA graph; else one by one by the host */
  bool copies_beside; /* between host and device, while the device works */
  double launch_s;    /* of the host, where they are issued one by one */
  /* How many kernels of their own norm, bias, add and relu are, behind a convolution or a norm;
   * 0: they are part of it. */
  int32_t passes_behind_convolution, passes_behind_norm;
} GpuProgram;

/* This program, with copies beside: inference, and training, whose steps are recorded. */
extern const GpuProgram gpu_program_issued;
extern const GpuProgram gpu_program_recorded;

typedef struct GpuTime {
  double seconds;
  GpuBound bound;
} GpuTime;

/* On the device alone, with its pause before each kernel. */
GpuTime gpu_op_time(const GpuModel *gpu, const GpuProgram *program, const OpWork *work);

typedef struct GpuTotal {
  int32_t count, launches;
  double flop, bytes;
  double seconds;
  double by_bound[GPU_BOUNDS]; /* seconds */
} GpuTotal;

/* Of ops first … end - 1 on the device, by kind; totals has OP_KINDS. */
void gpu_totals(const GpuModel *gpu, const GpuProgram *program, const OpWork *work, int32_t first,
                int32_t end, GpuTotal *totals);
/* Of all: the device's time, or the host's where it issues more slowly than the device works. */
double gpu_seconds(const GpuModel *gpu, const GpuProgram *program, const OpWork *work,
                   int32_t count);

/* Sums over so many GPUs of one node, in buckets, while a backward pass goes on. */
typedef struct GpuSums {
  double seconds; /* of all sums */
  double late_s;  /* what passes of it after the end of the backward pass */
  double hidden;  /* the share that passes before */
  int32_t buckets;
} GpuSums;

/* Elements from first on are complete when so many ops are done; in falling order of first. */
typedef struct GpuReady {
  int32_t ops;
  size_t first;
} GpuReady;

typedef struct GpuBuckets {
  size_t elements; /* of all gradients, float32 */
  size_t bucket_elements;
  int32_t gpus;
} GpuBuckets;

/* The ops of the backward pass are first_op … end_op - 1. */
GpuSums gpu_sums(const GpuModel *gpu, const OpWork *work, int32_t first_op, int32_t end_op,
                 const GpuReady *ready, int32_t ready_count, GpuBuckets buckets);
