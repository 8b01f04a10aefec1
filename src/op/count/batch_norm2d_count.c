#include "base/memory.h"
#include "count_backend.h"
#include "note.h"

/* Sums by channel are a pass over the tensors of their own, then a small kernel, then the pass that
 * uses them. */
struct BatchNorm2dKernel {
  OpWorkList *notes;
  BatchNorm2dPlan plan;
};

static void small(const BatchNorm2dKernel *kernel)
{
  note_in(kernel->notes, moved(OP_NORM, 0, 0));
}

Status batch_norm2d_open_count(Device *device, const BatchNorm2dPlan *plan,
                               BatchNorm2dKernel **kernel, OpBytes *bytes)
{
  void *memory;
  TRY(memory_allocate(1, sizeof **kernel, "a batch norm", &memory));
  *kernel = memory;
  **kernel = (BatchNorm2dKernel){notes_of(device), *plan};
  const size_t vector_bytes = (size_t)plan->x.channels * sizeof(float);
  *bytes = (OpBytes){.saved = 4 * vector_bytes, .scratch = 2 * vector_bytes};
  return STATUS_OK;
}

void batch_norm2d_close_count(BatchNorm2dKernel *kernel)
{
  memory_free(kernel);
}

void batch_norm2d_sums_count(BatchNorm2dKernel *kernel, BatchNorm2dParameters parameters,
                             const void *x, float *sums, void *scratch)
{
  note_in(kernel->notes, moved(OP_NORM, bytes_of(kernel->plan.x), 0));
  if (sums != NULL) small(kernel);
}

void batch_norm2d_forward_from_sums_count(BatchNorm2dKernel *kernel,
                                          BatchNorm2dParameters parameters, const float *sums,
                                          int64_t count_all_ranks, const void *x, const void *add,
                                          void *y, void *saved, void *scratch)
{
  const double x_bytes = bytes_of(kernel->plan.x);
  const BatchNorm2d norm = kernel->plan.norm;
  OpWork work = moved(OP_NORM, norm.add ? 2 * x_bytes : x_bytes, x_bytes);
  work.fused_bytes = norm.add || norm.relu ? 2 * x_bytes : 0;
  small(kernel);
  note_in(kernel->notes, work);
}

void batch_norm2d_forward_count(BatchNorm2dKernel *kernel, BatchNorm2dParameters parameters,
                                const void *x, const void *add, void *y, void *saved, void *scratch)
{
  if (!kernel->plan.norm.frozen)
    batch_norm2d_sums_count(kernel, parameters, x, NULL,
                            scratch); /* their end is the next kernel */
  batch_norm2d_forward_from_sums_count(kernel, parameters, NULL, 0, x, add, y, saved, scratch);
}

/* dy; unless frozen x, which also tells what a relu let through; if it does not, y. */
static double gradient_reads(const BatchNorm2dKernel *kernel)
{
  const BatchNorm2d norm = kernel->plan.norm;
  const bool reads_y = norm.relu && (norm.add || norm.frozen);
  return (1 + !norm.frozen + reads_y) * bytes_of(kernel->plan.x);
}

void batch_norm2d_backward_sums_count(BatchNorm2dKernel *kernel, const void *x, const void *y,
                                      const void *dy, const void *saved, float *dweight,
                                      float *dbias, float *sums, void *scratch)
{
  note_in(kernel->notes, moved(OP_NORM, gradient_reads(kernel), 0));
  small(kernel);
}

/* By a relu's gradient of its own (y, dy, dz) and a norm's (x, dz twice, dx; frozen dz, dx) so many
 * tensors more would be moved; dz is the residual's gradient as it is. */
static double apart_tensors(BatchNorm2d norm)
{
  if (norm.frozen) return norm.add ? 1 : 2;
  return norm.add ? 0 : 3;
}

void batch_norm2d_backward_from_sums_count(BatchNorm2dKernel *kernel,
                                           BatchNorm2dParameters parameters, const float *sums,
                                           int64_t count_all_ranks, const void *x, const void *y,
                                           const void *dy, const void *saved, void *dx, void *dadd,
                                           Write write_dadd, void *scratch)
{
  const double x_bytes = bytes_of(kernel->plan.x);
  const double add_bytes = kernel->plan.norm.add ? x_bytes : 0;
  OpWork work = moved(OP_NORM, gradient_reads(kernel) + added_bytes(write_dadd, add_bytes),
                      x_bytes + add_bytes);
  work.fused_bytes = kernel->plan.norm.relu ? apart_tensors(kernel->plan.norm) * x_bytes : 0;
  if (sums != NULL) small(kernel);
  note_in(kernel->notes, work);
}

void batch_norm2d_backward_count(BatchNorm2dKernel *kernel, BatchNorm2dParameters parameters,
                                 const void *x, const void *y, const void *dy, const void *saved,
                                 void *dx, void *dadd, Write write_dadd, float *dweight,
                                 float *dbias, void *scratch)
{
  if (!kernel->plan.norm.frozen)
    batch_norm2d_backward_sums_count(kernel, x, y, dy, saved, dweight, dbias, NULL, scratch);
  batch_norm2d_backward_from_sums_count(kernel, parameters, NULL, 0, x, y, dy, saved, dx, dadd,
                                        write_dadd, scratch);
}
