#pragma once

#include "device/device.h"
#include "gpu_model.h"
#include "job/job.h"

/* What a job would take, found by the code that runs it, on a device that counts and does not take.
 *
 * Of the host's memory two parts are measured in this very process, which is the same program: what
 * it takes before the job begins, and what it takes once all is open (tables, kernels). The rest is
 * counted: what the device gave out, and what the run allocates later. */

typedef enum PlanGpu { PLAN_GPU_AUTO, PLAN_GPU_NONE, PLAN_GPU_FIRST } PlanGpu;
/* From the third on the names of gpu_model.h. */
#define PLAN_GPU_CHOICES "auto|none|h200|h100|a100|l40s|t4"

typedef struct PlanOptions {
  int64_t ranks; /* 0: as many as there are */
  int64_t ranks_per_node;
  double memory; /* GiB; 0: what is free here */
  bool measure;
  int32_t gpu; /* PlanGpu, or PLAN_GPU_FIRST and the place in the table of models */
} PlanOptions;

typedef enum PlanPart {
  PLAN_PROGRAM,     /* the process and its libraries, before the job */
  PLAN_TABLES,      /* what it opens: kernels, lists of chips, files */
  PLAN_WEIGHTS,     /* parameters, gradients, state of the optimiser; a model's */
  PLAN_PACKED,      /* weights as the kernels want them */
  PLAN_ACTIVATIONS, /* and their gradients */
  PLAN_SCRATCH,
  PLAN_LISTS,   /* a detector's: boxes, masks */
  PLAN_BATCHES, /* on their way: to the device, from files, to files */
  PLAN_STAGING, /* the host's copy of the weights, for checkpoints and for the best epoch */
  PLAN_CACHE,   /* of decoded blocks of rasters */
  PLAN_PARTS
} PlanPart;

/* Bytes of a rank. On a CPU all of it is the host's. */
typedef struct PlanMemory {
  size_t host[PLAN_PARTS];
  size_t device[PLAN_PARTS];
} PlanMemory;

typedef struct Plan {
  PlanOptions options; /* ranks and ranks_per_node are at least 1 */
  size_t program_bytes;
  bool on_gpu;       /* the run computes on GPUs */
  bool is_guessed;   /* it does, but there is none here: counted on the CPU */
  size_t room_bytes; /* of the host for a rank, or of its GPU */
} Plan;

/* Collective. What the run would choose: *device (as compute.h's choice) and *precision become what
 * can be opened here in its place. */
void plan_choose_device(const Job *job, Plan *plan, int32_t *device, int32_t *precision);
/* Local. Sets the room: the option's, else what is free. */
void plan_find_room(Plan *plan, const Device *device);

/* Local. Adds what the device counts to memory. */
void plan_count(const Plan *plan, const Device *device, PlanMemory *memory);
/* What has to fit into the room. */
size_t plan_peak_bytes(const Plan *plan, const PlanMemory *memory);

/* Local. What a rank takes with so many samples or tiles at a time. */
typedef Status PlanTry(void *context, int64_t batch, PlanMemory *memory);
/* Collective. The largest batch of a rank that fits, up to most, by trying; 0: not even one. known:
 * one that was tried, and its memory. */
Status plan_largest_batch(const Job *job, const Plan *plan, int64_t known, const PlanMemory *memory,
                          int64_t most, PlanTry *try_batch, void *context, int64_t *largest);

/* Rank 0, to stdout. */
void plan_print_memory(const Job *job, const Plan *plan, const PlanMemory *memory);
/* A line: "disk", then what follows. */
void plan_print(const Job *job, const char *what, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* "3.2 min", "0.75 ms" */
void plan_format_seconds(double seconds, char text[32]);
/* Local. The GPU that a time is to be predicted for, or NULL; device: the run's. */
const GpuModel *plan_gpu(const Plan *plan, const Device *device);
/* Seconds of what is in the list, on it. Rank 0 prints: "gpu", that this is a prediction, so many
 * seconds of each what ("a step of 8 samples"), what most of it is bound by, and the rest. */
double plan_gpu_seconds(const GpuModel *gpu, const GpuProgram *program, const OpWorkList *list);
void plan_print_gpu(const Job *job, const GpuModel *gpu, const GpuProgram *program,
                    const OpWorkList *list, const char *what, const char *rest);
/* What a run measured: the peak of this process beside what was predicted. */
void plan_print_measured(const Job *job, const Plan *plan, const PlanMemory *memory);

/* Collective. Errors: STATUS_NO_MEMORY with the figures and the remedy ("a batch_size of 4"). */
Status plan_judge(const Job *job, const Plan *plan, const PlanMemory *memory, const char *remedy);

extern const Tool plan_tool;
