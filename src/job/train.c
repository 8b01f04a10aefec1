#include "train.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/interrupt.h"
#include "base/memory.h"
#include "base/output.h"
#include "base/path.h"
#include "base/progress.h"
#include "compute.h"
#include "geo/geo.h"
#include "model_package.h"
#include "model_weights.h"
#include "train_log.h"
#include "train_plan.h"
#include "trainer.h"

enum { LOG_STEPS = 10 };

/* What the loop carries besides the trainer. */
typedef struct Course {
  Trainer trainer;
  TrainLog *log;
  char checkpoint[OUTPUT_PATH_BYTES];
  char *identity;
  Progress progress;
  double saved_s;
  double epoch_loss;
  int64_t epoch_losses;
  double epoch_started_s;
} Course;

static Status name_beside(const char *given, const char *output, const char *ending,
                          char path[OUTPUT_PATH_BYTES])
{
  const int written = *given != '\0' ? snprintf(path, OUTPUT_PATH_BYTES, "%s", given)
                                     : snprintf(path, OUTPUT_PATH_BYTES, "%s%s", output, ending);
  if (written < 0 || written >= OUTPUT_PATH_BYTES)
    return status_set(STATUS_BAD_OPTION, "the path %.80s… is too long", output);
  return STATUS_OK;
}

/* Options that change no weight: where things lie, how fast, how long ago. */
static bool is_no_identity(const char *name)
{
  static const char *const free_ones[] = {"output", "threads",    "reader_threads",
                                          "log",    "checkpoint", "checkpoint_every",
                                          "resume", "device"};
  for (size_t i = 0; i < sizeof free_ones / sizeof *free_ones; ++i)
    if (strcmp(name, free_ones[i]) == 0) return true;
  return false;
}

static Status write_identity(const Job *job, const TrainOptions *options, const TrainData *data,
                             char **identity)
{
  char *text;
  size_t used = 0;
  enum { BYTES = 16384 };
  void *memory;
  TRY(arena_allocate(job->arena, BYTES, &memory));
  text = memory;
  for (size_t i = 0; i < train_table.count && used < BYTES; ++i) {
    char *value;
    if (is_no_identity(train_table.options[i].name)) continue;
    TRY(options_format(&train_table, options, i, job->arena, &value));
    used +=
        (size_t)snprintf(text + used, BYTES - used, "%s=%s\n", train_table.options[i].name, value);
  }
  if (used < BYTES)
    (void)snprintf(text + used, BYTES - used, "chips: %lld of %d x %d px, %d bands\nranks: %d\n",
                   (long long)data->info->chip_count, data->info->width_px, data->info->height_px,
                   data->info->band_count, comm_rank_count(job->comm));
  *identity = text;
  return STATUS_OK;
}

static void print_data(const Job *job, const TrainData *data)
{
  log_once(job->log,
           "%lld chips train, %lld validate, %lld are left out since they share ground with those",
           (long long)data->split.training_count, (long long)data->split.validation_count,
           (long long)data->split.left_out_count);
  log_once(job->log, "%lld steps per epoch, samples of %d x %d px, %lld per chip",
           (long long)data->steps_per_epoch, data->crop_px, data->crop_px,
           (long long)data->crops_per_chip);
  for (int32_t c = 0; c < data->class_count; ++c)
    log_once(job->log, "class %d: value %d, %s, weight %g", c, data->classes[c].value,
             data->names[c], (double)data->class_weights[c]);
}

/* Collective. Goes on from the checkpoint, if there is one and the options do not say otherwise. */
static Status resume(Course *course)
{
  Trainer *t = &course->trainer;
  const int32_t choice = t->options->resume;
  int64_t exists = path_exists(course->checkpoint);
  TRY(comm_reduce_int64(t->job->comm, COMM_MIN, &exists, 1));
  if (choice == RESUME_YES && exists == 0)
    return status_set(STATUS_IO, "resume=yes, but there is no checkpoint %s", course->checkpoint);
  if (choice == RESUME_NO || exists == 0) return STATUS_OK;
  TRY(trainer_restore(t, course->checkpoint, course->identity));
  log_once(t->job->log, "continues after step %lld from %s", (long long)t->state.step,
           course->checkpoint);
  return STATUS_OK;
}

static void keep_best(Checkpoint *state, const float *trained, const float *statistics,
                      double metric, int64_t epoch)
{
  state->best_metric = metric;
  state->best_epoch = epoch;
  memcpy(state->best_trained, trained, state->trained_count * sizeof *trained);
  memcpy(state->best_statistics, statistics, state->statistic_count * sizeof *statistics);
}

static Status fill_scores(const void *context, Document *line)
{
  const Trainer *t = context;
  return t->kind->report(t, line);
}

/* Collective. epoch counts from 1. */
static Status validate(Course *course, int64_t epoch)
{
  Trainer *t = &course->trainer;
  Checkpoint *state = &t->state;
  TRY(trainer_gather(t, state->trained, state->statistics));
  TRY(t->kind->validate(t, state->trained, state->statistics));
  const double metric = t->kind->metric(t);
  const bool best = state->best_epoch == 0 || metric > state->best_metric;
  if (best) keep_best(state, state->trained, state->statistics, metric, epoch);
  ++state->epochs_validated;
  t->kind->print(t, epoch, best);
  const TrainLogMore more = {fill_scores, t};
  return comm_agree(t->job->comm, train_log_validation(course->log, epoch, best, more));
}

/* Collective. Rank 0's clock decides for all. */
static Status save_if_due(Course *course, bool now)
{
  Trainer *t = &course->trainer;
  int64_t due = now || clock_seconds() - course->saved_s >= (double)t->options->checkpoint_every;
  TRY(comm_broadcast(t->job->comm, 0, &due, sizeof due));
  if (due == 0) return STATUS_OK;
  TRY(trainer_save(t, course->checkpoint, course->identity));
  course->saved_s = clock_seconds();
  return STATUS_OK;
}

/* Collective. Whether a signal reached any rank. */
static Status ask_for_interrupt(const Job *job, bool *stop)
{
  int64_t asked = interrupt_requested();
  TRY(comm_reduce_int64(job->comm, COMM_MAX, &asked, 1));
  *stop = asked != 0;
  return STATUS_OK;
}

/* What a line of the log says of a step. */
typedef struct StepSums {
  const Trainer *trainer;
  const float *sums;
} StepSums;

static Status fill_parts(const void *context, Document *line)
{
  const StepSums *s = context;
  return s->trainer->kind->report_parts(s->trainer, s->sums, line);
}

/* The losses since the last report are taken from the device together, since each look waits for
 * it. */
static Status report_step(Course *course, int64_t step)
{
  Trainer *t = &course->trainer;
  double loss = 0;
  char note[64];
  if ((step + 1) % LOG_STEPS != 0 && (step + 1) % t->data->steps_per_epoch != 0) {
    progress_show(&course->progress, step + 1, NULL);
    return STATUS_OK;
  }
  const Schedule schedule = train_schedule(t->options, t->data);
  const double seconds = clock_seconds() - course->progress.started_s;
  const double rate =
      (double)((step + 1 - course->progress.done_at_start) * t->options->batch_size) / seconds;
  const int64_t first = step - step % LOG_STEPS;
  for (int64_t s = first > t->state.step ? first : t->state.step; s <= step; ++s) {
    StepSums sums = {.trainer = t};
    TRY(trainer_loss(t, s, &loss, &sums.sums));
    const TrainLogMore more = {fill_parts, &sums};
    TRY(train_log_step(course->log, s + 1, loss, schedule_rate(&schedule, s), rate, more));
    course->epoch_loss += loss;
    ++course->epoch_losses;
  }
  (void)snprintf(note, sizeof note, "%.1f images/s, loss %.4f", rate, loss);
  progress_show(&course->progress, step + 1, note);
  return STATUS_OK;
}

static Status interrupt(Course *course, int64_t step)
{
  course->trainer.state.step = step;
  TRY(save_if_due(course, true));
  return status_set(STATUS_INTERRUPTED,
                    "stopped by a signal after step %lld; run the same command again to go on",
                    (long long)step);
}

static Status run_steps(Course *course, Loader *loader, int64_t first, int64_t end)
{
  for (int64_t step = first; step < end; ++step) {
    TRY(trainer_step(&course->trainer, loader, step));
    TRY(comm_agree(course->trainer.job->comm, report_step(course, step)));
    bool stop;
    TRY(ask_for_interrupt(course->trainer.job, &stop));
    if (stop && step + 1 < end) return interrupt(course, step + 1);
  }
  return STATUS_OK;
}

static LoaderOptions loader_options(const Trainer *t, const int64_t *order, int64_t epoch,
                                    int64_t first_batch, const Augmentation *augmentation)
{
  const int64_t samples = t->options->batch_size / comm_rank_count(t->job->comm);
  LoaderOptions options = trainer_loader(t, order, t->data->steps_per_epoch, (int32_t)samples,
                                         t->data->crop_px, augmentation);
  options.first_batch = first_batch;
  options.first_stream = (uint64_t)(epoch * t->data->steps_per_epoch * t->options->batch_size +
                                    comm_rank(t->job->comm) * samples);
  options.stream_step = (uint64_t)t->options->batch_size;
  return options;
}

/* Collective. The steps of one epoch, counted from 0, from the step on which it was left. */
static Status run_epoch(Course *course, int64_t epoch, int64_t *order)
{
  Trainer *t = &course->trainer;
  const TrainOptions *o = t->options;
  const int64_t per_epoch = t->data->steps_per_epoch;
  const int64_t first = t->state.step;
  const Augmentation augmentation = train_augmentation(o);
  Loader *loader = NULL;
  Status status = train_data_order(t->data, o, epoch, comm_rank(t->job->comm),
                                   comm_rank_count(t->job->comm), order);
  if (status == STATUS_OK)
    status = loader_open(loader_options(t, order, epoch, first - epoch * per_epoch, &augmentation),
                         &loader);
  status = comm_agree(t->job->comm, status);
  if (status == STATUS_OK) status = run_steps(course, loader, first, (epoch + 1) * per_epoch);
  trainer_close_loader(t, loader);
  return status;
}

static void print_epoch(Course *course, int64_t epoch)
{
  const Trainer *t = &course->trainer;
  const double loss =
      course->epoch_losses > 0 ? course->epoch_loss / (double)course->epoch_losses : NAN;
  log_once(t->job->log, "epoch %lld of %lld: loss %.4f, %.1f s", (long long)epoch,
           (long long)t->options->epochs, loss, clock_seconds() - course->epoch_started_s);
  course->epoch_loss = 0;
  course->epoch_losses = 0;
}

static bool is_patient(const Trainer *t, int64_t epoch)
{
  if (t->options->patience == 0 || t->state.best_epoch == 0) return true;
  return epoch - t->state.best_epoch < t->options->patience * t->options->validate_every;
}

/* Collective. */
static Status run_epochs(Course *course, int64_t *order)
{
  Trainer *t = &course->trainer;
  const int64_t per_epoch = t->data->steps_per_epoch;
  for (int64_t epoch = t->state.step / per_epoch; epoch < t->options->epochs; ++epoch) {
    course->epoch_started_s = clock_seconds();
    TRY(run_epoch(course, epoch, order));
    t->state.step = (epoch + 1) * per_epoch;
    print_epoch(course, epoch + 1);
    const bool last = epoch + 1 == t->options->epochs;
    if (t->validates && ((epoch + 1) % t->options->validate_every == 0 || last))
      TRY(validate(course, epoch + 1));
    bool stop;
    TRY(ask_for_interrupt(t->job, &stop));
    if (stop && !last) return interrupt(course, t->state.step);
    TRY(save_if_due(course, last));
    if (is_patient(t, epoch + 1)) continue;
    log_once(t->job->log, "stops early: no better result since epoch %lld",
             (long long)t->state.best_epoch);
    break;
  }
  return STATUS_OK;
}

static void fill_model(const Trainer *t, Model *model)
{
  const ChipSetInfo *info = t->data->info;
  const Checkpoint *state = &t->state;
  const bool best = state->best_epoch > 0;
  model_copy_weights(t->parameters, best ? state->best_trained : state->trained,
                     best ? state->best_statistics : state->statistics, model_parameters(model),
                     model->trained, model->statistics);
  for (int32_t c = 0; c < t->data->class_count; ++c)
    model->classes[c] = t->data->classes[c];
  for (int32_t b = 0; b < info->band_count; ++b) {
    model->means[b] = t->means[b];
    model->standard_deviations[b] = t->standard_deviations[b];
  }
  model->pixel = info->pixel;
  model->tile_size_px = t->data->crop_px;
  model->cell_size_m = info->cell_size_m;
  model->batches_tracked = state->step;
}

static Status fill_metrics(const Trainer *t, Document *metrics)
{
  TRY(document_set_int(metrics, "steps", t->state.step));
  TRY(document_set_int(metrics, "training_chips", t->data->split.training_count));
  TRY(document_set_int(metrics, "validation_chips", t->data->split.validation_count));
  if (!t->validates) return STATUS_OK;
  TRY(document_set_int(metrics, "best_epoch", t->state.best_epoch));
  return t->kind->report(t, metrics);
}

static Status fill_provenance(const Trainer *t, Document *provenance)
{
  Document *options;
  TRY(document_set_text(provenance, "program", "quadrat train"));
  TRY(document_set_int(provenance, "ranks", comm_rank_count(t->job->comm)));
  TRY(document_set_text(provenance, "device", device_name(t->device)));
  TRY(document_set_text(provenance, "precision", element_name(t->element)));
  TRY(document_set_object(provenance, "options", &options));
  for (size_t i = 0; i < train_table.count; ++i) {
    char *value;
    TRY(options_format(&train_table, t->options, i, t->job->arena, &value));
    TRY(document_set_text(options, train_table.options[i].name, value));
  }
  return STATUS_OK;
}

static Status write_package(const Trainer *t)
{
  Model model = {.kind = t->data->kind,
                 .encoder = (Encoder)t->options->encoder,
                 .bands = t->data->info->band_count,
                 .class_count = t->data->class_count};
  Document *metrics = NULL;
  Document *provenance = NULL;
  t->kind->describe(t, &model);
  TRY(model_allocate(&model));
  fill_model(t, &model);
  Status status = document_new_object(&metrics);
  if (status == STATUS_OK) status = document_new_object(&provenance);
  if (status == STATUS_OK) status = fill_metrics(t, metrics);
  if (status == STATUS_OK) status = fill_provenance(t, provenance);
  if (status == STATUS_OK) status = model_write(&model, t->options->output, metrics, provenance);
  document_close(metrics);
  document_close(provenance);
  model_close(&model);
  return status;
}

/* Collective. The best weights are tested once more, so that the package's figures are theirs. */
static Status finish(Course *course)
{
  Trainer *t = &course->trainer;
  progress_end(&course->progress, t->state.step);
  TRY(trainer_gather(t, t->state.trained, t->state.statistics));
  if (t->validates) {
    TRY(t->kind->validate(t, t->state.best_trained, t->state.best_statistics));
    log_once(t->job->log,
             "the best weights are those of epoch %lld:", (long long)t->state.best_epoch);
    t->kind->print(t, t->state.best_epoch, true);
  }
  TRY(comm_agree(t->job->comm, comm_rank(t->job->comm) == 0 ? write_package(t) : STATUS_OK));
  log_once(t->job->log, "model: %s", t->options->output);
  return compute_print_memory(t->job);
}

static Status train(Course *course, const TrainData *data)
{
  Trainer *t = &course->trainer;
  TRY(comm_agree(t->job->comm, write_identity(t->job, t->options, data, &course->identity)));
  TRY(resume(course));
  const int64_t samples = t->options->batch_size / comm_rank_count(t->job->comm);
  void *order;
  TRY(comm_agree(t->job->comm, memory_allocate((size_t)(data->steps_per_epoch * samples),
                                               sizeof(int64_t), "order of chips", &order)));
  course->progress = progress_start(t->job->log, "train", "steps",
                                    t->options->epochs * data->steps_per_epoch, t->state.step);
  course->saved_s = clock_seconds();
  Status status = run_epochs(course, order);
  memory_free(order);
  if (status == STATUS_OK) status = finish(course);
  return status;
}

static Status open_log(const Job *job, const TrainOptions *o, Course *course)
{
  char path[OUTPUT_PATH_BYTES];
  TRY(name_beside(o->checkpoint, o->output, ".checkpoint.h5", course->checkpoint));
  TRY(name_beside(o->log, o->output, ".log.jsonl", path));
  return comm_rank(job->comm) == 0 ? train_log_open(path, &course->log) : STATUS_OK;
}

static Status run_on(const Job *job, const TrainOptions *o, const TrainData *data, Device *device)
{
  void *memory;
  TRY(comm_agree(job->comm, memory_allocate(1, sizeof(Course), "training", &memory)));
  Course *course = memory;
  print_data(job, data);
  Status status = comm_agree(job->comm, open_log(job, o, course));
  if (status == STATUS_OK) status = trainer_open(job, o, data, device, &course->trainer);
  if (status == STATUS_OK) {
    status = train(course, data);
    trainer_close(&course->trainer);
  }
  train_log_close(course->log);
  memory_free(course);
  return status;
}

static Status run(const Job *job, const void *values)
{
  const TrainOptions *o = values;
  Device *device;
  void *memory;
  geo_start(TRAIN_CACHE_BYTES);
  TRY(comm_agree(job->comm, train_options_check(job, o, comm_rank_count(job->comm))));
  TRY(comm_agree(job->comm, memory_allocate(1, sizeof(TrainData), "training data", &memory)));
  TrainData *data = memory;
  Status status = train_data_open(job, o, data);
  if (status == STATUS_OK) {
    status = compute_open(job, (DeviceChoice)o->device, o->threads, &device);
    if (status == STATUS_OK) {
      compute_autotune(device, o->autotune);
      status = run_on(job, o, data, device);
      device_close(device);
    }
    train_data_close(data);
  }
  memory_free(memory);
  return status;
}

const Tool train_tool = {
    .table = &train_table, .values_bytes = sizeof(TrainOptions), .run = run, .plan = train_plan};
