#include <stdio.h>

#include "op/op_work.h"
#include "plan.h"

const GpuModel *plan_gpu(const Plan *plan, const Device *device)
{
  size_t count;
  const GpuModel *models = gpu_models(&count);
  if (plan->options.gpu >= PLAN_GPU_FIRST) return &models[plan->options.gpu - PLAN_GPU_FIRST];
  if (plan->options.gpu == PLAN_GPU_NONE || !plan->on_gpu) return NULL;
  return plan->is_guessed ? models : gpu_model_find(device_name(device));
}

double plan_gpu_seconds(const GpuModel *gpu, const GpuProgram *program, const OpWorkList *list)
{
  int32_t count;
  const OpWork *work = op_work_items(list, &count);
  return gpu_seconds(gpu, program, work, count);
}

/* What the most of the time is bound by, and its share. */
static GpuBound find_bound(const GpuModel *gpu, const GpuProgram *program, const OpWorkList *list,
                           double *share)
{
  int32_t count;
  const OpWork *work = op_work_items(list, &count);
  double seconds[GPU_BOUNDS] = {0}, all = 0;
  GpuBound most = GPU_BOUND_ARITHMETIC;
  for (int32_t i = 0; i < count; ++i) {
    const GpuTime time = gpu_op_time(gpu, program, &work[i]);
    seconds[time.bound] += time.seconds;
    all += time.seconds;
  }
  for (GpuBound b = GPU_BOUND_ARITHMETIC; b < GPU_BOUNDS; ++b)
    if (seconds[b] > seconds[most]) most = b;
  *share = all > 0 ? seconds[most] / all : 0;
  return most;
}

void plan_print_gpu(const Job *job, const GpuModel *gpu, const GpuProgram *program,
                    const OpWorkList *list, const char *what, const char *rest)
{
  char time[32];
  double share;
  const GpuBound bound = find_bound(gpu, program, list, &share);
  plan_format_seconds(plan_gpu_seconds(gpu, program, list), time);
  plan_print(job, "gpu",
             "predicted, not measured: %s for %s on one %s, %.0f %% of it bound by %s; %s", time,
             what, gpu->title, 100 * share, gpu_bound_name(bound), rest);
}
