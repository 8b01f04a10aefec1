#include "nn/optimizer.h"

#include <math.h>

#include "base/memory.h"
#include "device/inbox.h"
#include "op/backend.h"

enum { NORM_AND_SCALE = 2 }; /* what clipping leaves */
enum { LOSS_SCALE_FLOATS = 2 };

/* What changes from step to step. */
typedef union StepNumbers {
  SgdStep sgd;
  AdamwStep adamw;
} StepNumbers;

struct Optimizer {
  Device *device;
  const Backend *backend;
  OptimizerOptions options;
  int64_t trained_count, statistic_count;
  float *trained, *statistics, *gradients, *state;
  float *norm; /* the norm, then the scale that clipping leaves */
  void *scratch;
  StepNumbers *numbers; /* device memory */
  StepNumbers *host_numbers;
  Inbox *inbox;
};

static size_t floats(int64_t count)
{
  return (size_t)count * sizeof(float);
}

static Status allocate_floats(Device *device, size_t count, const char *what, float **block)
{
  void *memory;
  TRY(device_allocate(device, count * sizeof(float), what, &memory));
  *block = memory;
  return STATUS_OK;
}

/* Without that of loss scaling. */
static size_t moments_count(const Optimizer *o)
{
  return (size_t)o->trained_count * (o->options.kind == OPTIMIZER_ADAMW ? 2 : 1);
}

size_t optimizer_state_count(const Optimizer *o)
{
  return moments_count(o) + (o->options.loss_scaling ? LOSS_SCALE_FLOATS : 0);
}

static float *loss_scale_of(const Optimizer *o)
{
  return o->options.loss_scaling ? o->state + moments_count(o) : NULL;
}

const float *optimizer_loss_scale(const Optimizer *o)
{
  return loss_scale_of(o);
}

static Status open_numbers(Optimizer *o)
{
  void *memory;
  TRY(device_allocate(o->device, sizeof *o->numbers, "step", &memory));
  o->numbers = memory;
  TRY(device_allocate_host(o->device, sizeof *o->host_numbers, "step", &memory));
  o->host_numbers = memory;
  TRY(inbox_open(o->device, &o->inbox));
  inbox_reserve(o->inbox, sizeof *o->numbers);
  return inbox_allocate(o->inbox);
}

static Status fill(Optimizer *o)
{
  TRY(open_numbers(o));
  TRY(allocate_floats(o->device, (size_t)o->trained_count, "parameters", &o->trained));
  TRY(allocate_floats(o->device, (size_t)o->statistic_count, "statistics", &o->statistics));
  TRY(allocate_floats(o->device, (size_t)o->trained_count, "gradients", &o->gradients));
  TRY(allocate_floats(o->device, optimizer_state_count(o), "optimiser state", &o->state));
  TRY(allocate_floats(o->device, NORM_AND_SCALE, "gradient norm", &o->norm));
  TRY(device_allocate(o->device, o->backend->clip_scratch_bytes(o->trained_count), "gradient norm",
                      &o->scratch));
  device_clear(o->device, o->state, optimizer_state_count(o) * sizeof(float));
  device_clear(o->device, o->norm, floats(NORM_AND_SCALE));
  const float first_scale = LOSS_SCALE_FIRST;
  if (o->options.loss_scaling)
    device_upload(o->device, loss_scale_of(o), &first_scale, sizeof first_scale);
  return device_synchronize(o->device);
}

Status optimizer_open(const ParameterList *parameters, Device *device, OptimizerOptions options,
                      Optimizer **optimizer)
{
  void *memory;
  *optimizer = NULL;
  TRY(memory_allocate(1, sizeof **optimizer, "optimiser", &memory));
  Optimizer *opening = memory;
  *opening = (Optimizer){.device = device,
                         .backend = backend_of(device),
                         .options = options,
                         .trained_count = parameters->trained_count,
                         .statistic_count = parameters->statistic_count};
  const Status status = fill(opening);
  if (status == STATUS_OK)
    *optimizer = opening;
  else
    optimizer_close(opening);
  return status;
}

void optimizer_close(Optimizer *o)
{
  if (o == NULL) return;
  device_release(o->device, o->trained);
  device_release(o->device, o->statistics);
  device_release(o->device, o->gradients);
  device_release(o->device, o->state);
  device_release(o->device, o->norm);
  device_release(o->device, o->scratch);
  inbox_close(o->inbox);
  device_release(o->device, o->numbers);
  device_release_host(o->device, o->host_numbers);
  memory_free(o);
}

float *optimizer_trained(Optimizer *o)
{
  return o->trained;
}

float *optimizer_statistics(Optimizer *o)
{
  return o->statistics;
}

float *optimizer_gradients(Optimizer *o)
{
  return o->gradients;
}

float *optimizer_state(Optimizer *o)
{
  return o->state;
}

const float *optimizer_norm(const Optimizer *o)
{
  return o->norm;
}

size_t optimizer_bytes(const Optimizer *o)
{
  return floats(2 * o->trained_count + o->statistic_count + NORM_AND_SCALE) +
         optimizer_state_count(o) * sizeof(float) + sizeof *o->numbers +
         o->backend->clip_scratch_bytes(o->trained_count);
}

void optimizer_clear_gradients(Optimizer *o)
{
  device_clear(o->device, o->gradients, floats(o->trained_count));
}

static SgdStep sgd_numbers(const Optimizer *o, int64_t step)
{
  const Schedule *schedule = &o->options.schedule;
  return (SgdStep){.rate = (float)schedule_rate(schedule, step),
                   .momentum = (float)schedule_momentum(schedule, step, o->options.momentum),
                   .weight_decay = (float)o->options.weight_decay};
}

static AdamwStep adamw_numbers(const Optimizer *o, int64_t step)
{
  const Schedule *schedule = &o->options.schedule;
  const double beta1 = schedule_momentum(schedule, step, o->options.momentum);
  const double beta2 = 0.999;
  return (AdamwStep){.rate = (float)schedule_rate(schedule, step),
                     .beta1 = (float)beta1,
                     .beta2 = (float)beta2,
                     .eps = 1e-8F,
                     .weight_decay = (float)o->options.weight_decay,
                     .correction1 = (float)(1 - pow(beta1, (double)(step + 1))),
                     .correction2 = (float)(1 - pow(beta2, (double)(step + 1)))};
}

/* The host waits until the last step's numbers have left it, so it is never far ahead. */
void optimizer_set_step(Optimizer *o, int64_t step)
{
  device_fail(o->device, inbox_wait(o->inbox));
  if (device_counts_only(o->device)) return;
  if (o->options.kind == OPTIMIZER_SGD)
    o->host_numbers->sgd = sgd_numbers(o, step);
  else
    o->host_numbers->adamw = adamw_numbers(o, step);
  inbox_put(o->inbox, o->numbers, o->host_numbers, sizeof *o->numbers);
  inbox_take(o->inbox);
}

void optimizer_apply(Optimizer *o)
{
  float *scale = o->norm + 1;
  const float norm_limit = (float)o->options.norm_limit;
  o->backend->clip_scale(o->device, o->trained_count, o->gradients, norm_limit, o->norm, scale,
                         o->scratch);
  if (o->options.loss_scaling)
    o->backend->loss_scale_step(o->device, norm_limit, o->norm, scale, loss_scale_of(o));
  if (o->options.kind == OPTIMIZER_SGD)
    o->backend->sgd_step(o->device, &o->numbers->sgd, o->trained_count, scale, o->gradients,
                         o->trained, o->state);
  else
    o->backend->adamw_step(o->device, &o->numbers->adamw, o->trained_count, scale, o->gradients,
                           o->trained, o->state, o->state + o->trained_count);
}

void optimizer_step(Optimizer *o, int64_t step)
{
  optimizer_set_step(o, step);
  optimizer_apply(o);
}

Status optimizer_upload(Optimizer *o, const float *trained, const float *statistics,
                        const float *state)
{
  device_upload(o->device, o->trained, trained, floats(o->trained_count));
  device_upload(o->device, o->statistics, statistics, floats(o->statistic_count));
  if (state != NULL)
    device_upload(o->device, o->state, state, optimizer_state_count(o) * sizeof(float));
  return device_synchronize(o->device);
}

Status optimizer_download(Optimizer *o, float *trained, float *statistics, float *state)
{
  device_download(o->device, trained, o->trained, floats(o->trained_count));
  device_download(o->device, statistics, o->statistics, floats(o->statistic_count));
  if (state != NULL)
    device_download(o->device, state, o->state, optimizer_state_count(o) * sizeof(float));
  return device_synchronize(o->device);
}
