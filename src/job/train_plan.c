#include "train_plan.h"

#include <omp.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/memory.h"
#include "compute.h"
#include "geo/geo.h"
#include "plan.h"
#include "trainer.h"

enum { MEASURED_STEPS = 4, BATCH_MOST = 65536 };

static const double measured_s_most = 60;
static const double mib = 1048576.0;

typedef struct TrainPlan {
  const Job *job;
  Job quiet; /* the same, for what is tried again and again */
  Log quiet_log;
  Plan plan;
  TrainOptions options; /* of a training on the ranks that there are, each with its planned batch */
  const TrainData *data;
  size_t tables_bytes; /* measured with the first try; 0: not yet */
  size_t checkpoint_bytes, model_bytes;
} TrainPlan;

static size_t larger(size_t a, size_t b)
{
  return a > b ? a : b;
}

/* Training, validation and the writing of the package follow each other: the largest counts. */
static void add_phases(const TrainPlan *p, const Trainer *t, PlanMemory *memory)
{
  const Augmentation augmentation = train_augmentation(&p->options);
  const int32_t samples = (int32_t)(p->options.batch_size / comm_rank_count(p->job->comm));
  const LoaderOptions learning =
      trainer_loader(t, NULL, 1, samples, t->data->crop_px, &augmentation);
  const LoaderOptions testing =
      trainer_loader(t, NULL, 1, t->kind->test_samples, t->data->chip_px, NULL);
  const size_t loading = larger(loader_bytes(&learning), t->validates ? loader_bytes(&testing) : 0);
  memory->host[PLAN_BATCHES] += loading;
  if (p->model_bytes > loading) memory->host[PLAN_STAGING] += p->model_bytes - loading;
}

static void count(TrainPlan *p, const Trainer *t, PlanMemory *memory)
{
  const ParameterList *list = t->parameters;
  const size_t staging = checkpoint_bytes(&t->state);
  const size_t resident = memory_resident_bytes();
  const size_t known = p->plan.program_bytes + staging;
  if (p->tables_bytes == 0) p->tables_bytes = resident > known ? resident - known : 1;
  p->checkpoint_bytes = staging;
  p->model_bytes = (size_t)(list->trained_count + list->statistic_count) * sizeof(float);
  memory->host[PLAN_PROGRAM] = p->plan.program_bytes;
  memory->host[PLAN_TABLES] = p->tables_bytes;
  memory->host[PLAN_STAGING] = staging;
  plan_count(&p->plan, t->device, memory);
  add_phases(p, t, memory);
}

/* Collective. A PlanTry. */
static Status try_batch(void *context, int64_t batch, PlanMemory *memory)
{
  TrainPlan *p = context;
  Device *device;
  Trainer trainer;
  p->options.batch_size = batch * comm_rank_count(p->job->comm);
  TRY(comm_agree(p->job->comm,
                 compute_open_again(p->job, (DeviceChoice)p->options.device, &device)));
  device_count_only(device);
  const Status status = trainer_open(&p->quiet, &p->options, p->data, device, &trainer);
  if (status == STATUS_OK) {
    count(p, &trainer, memory);
    trainer_close(&trainer);
  }
  device_close(device);
  return status;
}

/* Some steps of the job itself, timed. */

static Status time_steps(Trainer *t, Loader *loader, int64_t most, double *seconds)
{
  const float *sums;
  double loss;
  double started_s = clock_seconds();
  const double first_s = started_s;
  int64_t timed = 0;
  for (int64_t step = 0; step < most; ++step) {
    TRY(trainer_step(t, loader, step));
    TRY(comm_agree(t->job->comm, trainer_loss(t, step, &loss, &sums)));
    double now_s = clock_seconds();
    TRY(comm_broadcast(t->job->comm, 0, &now_s, sizeof now_s));
    if (step == 0)
      started_s = now_s; /* the first one also meets its kernels and memory for the first time */
    else
      ++timed;
    if (timed > 0) *seconds = (now_s - started_s) / (double)timed;
    if (timed > 0 && now_s - first_s > measured_s_most) break;
  }
  return STATUS_OK;
}

static Status run_steps(TrainPlan *p, Trainer *t, int64_t *order, double *seconds)
{
  const Comm *comm = p->job->comm;
  TrainData data = *p->data;
  Loader *loader = NULL;
  const Augmentation augmentation = train_augmentation(&p->options);
  const int32_t samples = (int32_t)(p->options.batch_size / comm_rank_count(comm));
  data.steps_per_epoch = 1 + MEASURED_STEPS; /* chips come again where there are few */
  Status status =
      train_data_order(&data, &p->options, 0, comm_rank(comm), comm_rank_count(comm), order);
  if (status == STATUS_OK)
    status = loader_open(
        trainer_loader(t, order, data.steps_per_epoch, samples, data.crop_px, &augmentation),
        &loader);
  status = comm_agree(comm, status);
  if (status == STATUS_OK) status = time_steps(t, loader, data.steps_per_epoch, seconds);
  trainer_close_loader(t, loader);
  return status;
}

static Status measure_on(TrainPlan *p, Device *device, double *seconds)
{
  Trainer trainer;
  void *order;
  const int64_t samples = p->options.batch_size / comm_rank_count(p->job->comm);
  TRY(comm_agree(p->job->comm, memory_allocate((size_t)((1 + MEASURED_STEPS) * samples),
                                               sizeof(int64_t), "order of chips", &order)));
  Status status = trainer_open(&p->quiet, &p->options, p->data, device, &trainer);
  if (status == STATUS_OK) {
    status = run_steps(p, &trainer, order, seconds);
    trainer_close(&trainer);
  }
  memory_free(order);
  return status;
}

/* One step, on a device that notes what is asked of it. */

static Status note_step(TrainPlan *p, Trainer *t, OpWorkList *list)
{
  const Augmentation augmentation = train_augmentation(&p->options);
  const int32_t samples = (int32_t)(p->options.batch_size / comm_rank_count(p->job->comm));
  void *order; /* the first chip, again and again */
  Loader *loader = NULL;
  Status status = memory_allocate((size_t)samples, sizeof(int64_t), "order of chips", &order);
  if (status == STATUS_OK)
    status =
        loader_open(trainer_loader(t, order, 1, samples, t->data->crop_px, &augmentation), &loader);
  status = comm_agree(p->job->comm, status);
  op_work_clear(list);
  if (status == STATUS_OK) status = trainer_step(t, loader, 0);
  loader_close(loader);
  memory_free(order);
  return status == STATUS_OK ? op_work_status(list) : status;
}

static void print_gpu(const TrainPlan *p, const GpuModel *gpu, const OpWorkList *list)
{
  const TrainData *d = p->data;
  const TrainOptions *o = &p->options;
  char what[64], rest[192], epoch[32], all[32];
  const double samples = (double)o->batch_size / comm_rank_count(p->job->comm);
  const double seconds = plan_gpu_seconds(gpu, &gpu_program_recorded, list);
  const double epoch_s = (double)d->steps_per_epoch * seconds;
  plan_format_seconds(epoch_s, epoch);
  plan_format_seconds((double)o->epochs * epoch_s, all);
  (void)snprintf(what, sizeof what, "a step of %g samples on each rank", samples);
  (void)snprintf(rest, sizeof rest,
                 "%.4g samples/s of a rank, %s per epoch, %s for %lld, without validation, reading "
                 "and sums over ranks",
                 samples / seconds, epoch, all, (long long)o->epochs);
  plan_print_gpu(p->job, gpu, &gpu_program_recorded, list, what, rest);
}

static Status predict_on(TrainPlan *p, const GpuModel *gpu, Device *device, OpWorkList *list)
{
  Trainer trainer;
  TRY(trainer_open(&p->quiet, &p->options, p->data, device, &trainer));
  const Status status = note_step(p, &trainer, list);
  trainer_close(&trainer);
  if (status == STATUS_OK) print_gpu(p, gpu, list);
  return status;
}

/* Collective. */
static Status predict(TrainPlan *p)
{
  Device *device;
  OpWorkList *list = NULL;
  TRY(comm_agree(p->job->comm,
                 compute_open_again(p->job, (DeviceChoice)p->options.device, &device)));
  const GpuModel *gpu = plan_gpu(&p->plan, device);
  Status status = gpu == NULL ? STATUS_OK : op_work_open(device, &list);
  status = comm_agree(p->job->comm, status);
  if (gpu != NULL && status == STATUS_OK) status = predict_on(p, gpu, device, list);
  device_close(device);
  op_work_close(list);
  return comm_agree(p->job->comm, status);
}

static void print_time(const TrainPlan *p, double seconds)
{
  const TrainData *d = p->data;
  const TrainOptions *o = &p->options;
  char step[32], epoch[32], all[32];
  const double ranks = (double)p->plan.options.ranks;
  const double sample_px = (double)d->crop_px * d->crop_px;
  const double samples = (double)o->batch_size / comm_rank_count(p->job->comm);
  /* Forward alone is a third of a step. */
  const double test = seconds / 3 * (double)d->split.validation_count / ranks *
                      ((double)d->chip_px * d->chip_px) / (samples * sample_px);
  const int64_t tests = d->split.validation_count > 0 ? o->epochs / o->validate_every + 1 : 0;
  const double epochs = (double)o->epochs * (double)d->steps_per_epoch * seconds;
  plan_format_seconds(seconds, step);
  plan_format_seconds((double)d->steps_per_epoch * seconds, epoch);
  plan_format_seconds(epochs + (double)tests * test, all);
  plan_print(p->job, "time",
             "%s per step of %g samples on each rank, measured here with %d threads; %s per epoch "
             "of %lld steps; %s for %lld epochs and %lld validations (of %lld chips, reckoned at "
             "a third of a step's time)",
             step, samples, omp_get_max_threads(), epoch, (long long)d->steps_per_epoch, all,
             (long long)o->epochs, (long long)tests, (long long)d->split.validation_count);
}

static Status measure(TrainPlan *p, const PlanMemory *memory)
{
  Device *device;
  double seconds = 0;
  if (!p->plan.options.measure || p->plan.is_guessed) return STATUS_OK;
  const size_t free_bytes = memory_available_bytes() + p->plan.program_bytes;
  int64_t fits = p->plan.on_gpu || plan_peak_bytes(&p->plan, memory) < free_bytes;
  TRY(comm_reduce_int64(p->job->comm, COMM_MIN, &fits, 1));
  if (!fits) {
    plan_print(p->job, "time", "not measured: the job does not fit here");
    return STATUS_OK;
  }
  TRY(comm_agree(p->job->comm,
                 compute_open_again(p->job, (DeviceChoice)p->options.device, &device)));
  const Status status = measure_on(p, device, &seconds);
  device_close(device);
  if (status != STATUS_OK) return status;
  print_time(p, seconds);
  plan_print_measured(p->job, &p->plan, memory);
  return STATUS_OK;
}

static void print_work(const TrainPlan *p, int64_t batch)
{
  const TrainData *d = p->data;
  plan_print(p->job, "training",
             "%s on %lld chips of %d x %d px, %lld validate; samples of %d x %d px, %lld on each "
             "of %lld ranks; %lld steps per epoch",
             model_kind_title(d->kind), (long long)d->split.training_count, d->info->width_px,
             d->info->height_px, (long long)d->split.validation_count, d->crop_px, d->crop_px,
             (long long)batch, (long long)p->plan.options.ranks, (long long)d->steps_per_epoch);
}

static Status print_largest(TrainPlan *p, int64_t batch, const PlanMemory *memory, char remedy[256])
{
  int64_t largest;
  const int64_t ranks = p->plan.options.ranks;
  (void)snprintf(remedy, 256, "give a smaller crop_size or encoder");
  if (p->plan.room_bytes == 0) return STATUS_OK;
  TRY(plan_largest_batch(p->job, &p->plan, batch, memory, BATCH_MOST / ranks, try_batch, p,
                         &largest));
  p->options.batch_size = batch * comm_rank_count(p->job->comm);
  if (largest == 0) {
    plan_print(p->job, "batch", "not even one sample on each rank fits");
    return STATUS_OK;
  }
  plan_print(p->job, "batch", "batch_size may be up to %lld: %lld on each rank",
             (long long)(largest * ranks), (long long)largest);
  (void)snprintf(remedy, 256, "give a batch_size of at most %lld, or a smaller crop_size",
                 (long long)(largest * ranks));
  return STATUS_OK;
}

static Status plan_data(TrainPlan *p)
{
  char remedy[256];
  PlanMemory memory = {0};
  const int64_t batch = p->options.batch_size / p->plan.options.ranks;
  Device *device;
  TRY(compute_open(p->job, (DeviceChoice)p->options.device, p->options.threads, &device));
  plan_find_room(&p->plan, device);
  device_close(device);
  print_work(p, batch);
  TRY(try_batch(p, batch, &memory));
  plan_print_memory(p->job, &p->plan, &memory);
  TRY(print_largest(p, batch, &memory, remedy));
  plan_print(p->job, "disk", "checkpoint %.1f MiB, model %.1f MiB, a line of log per step",
             (double)p->checkpoint_bytes / mib, (double)p->model_bytes / mib);
  TRY(plan_judge(p->job, &p->plan, &memory, remedy));
  TRY(predict(p));
  return measure(p, &memory);
}

Status train_plan(const Job *job, const void *values, const Plan *plan)
{
  void *memory;
  TrainPlan p = {.job = job,
                 .quiet = *job,
                 .quiet_log = *job->log,
                 .plan = *plan,
                 .options = *(const TrainOptions *)values};
  p.quiet_log.quiet = true;
  p.quiet.log = &p.quiet_log;
  geo_start(TRAIN_CACHE_BYTES);
  TRY(comm_agree(job->comm, train_options_check(job, &p.options, plan->options.ranks)));
  plan_choose_device(job, &p.plan, &p.options.device, &p.options.precision);
  TRY(comm_agree(job->comm, memory_allocate(1, sizeof(TrainData), "training data", &memory)));
  p.data = memory;
  Status status = train_data_open(job, &p.options, memory);
  if (status == STATUS_OK) {
    status = plan_data(&p);
    train_data_close(memory);
  }
  memory_free(memory);
  return status;
}
