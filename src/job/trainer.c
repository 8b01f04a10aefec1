#include "trainer.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "compute.h"
#include "model_weights.h"

/* Small, since the last bucket is complete only when the backward pass is and is waited for; not so
 * small that most of a sum is its beginning (tests/bench/RESULTS.md). */
enum { BUCKET_BYTES = 8 << 20, STEPS_BEFORE_RECORDING = 1 };

Status trainer_allocate(Device *device, size_t bytes, const char *what, void *pointer)
{
  void *memory;
  TRY(device_allocate(device, bytes, what, &memory));
  memcpy(pointer, &memory, sizeof memory);
  return STATUS_OK;
}

Status image_feed_open(const Trainer *t, int32_t samples, int32_t size_px, ImageFeed *feed)
{
  const size_t pixels = (size_t)samples * (size_t)size_px * (size_t)size_px;
  const size_t bands = (size_t)t->data->info->band_count;
  *feed = (ImageFeed){.samples = samples, .size_px = size_px};
  TRY(trainer_allocate(t->device, pixels * bands * sizeof(float), "images", &feed->images));
  return trainer_allocate(t->device, pixels, "masks", &feed->valid);
}

void image_feed_close(const Trainer *t, ImageFeed *feed)
{
  device_release(t->device, feed->images);
  device_release(t->device, feed->valid);
}

size_t image_feed_pixels(const ImageFeed *feed)
{
  return (size_t)feed->samples * (size_t)feed->size_px * (size_t)feed->size_px;
}

void image_feed_reserve(const Trainer *t, const ImageFeed *feed)
{
  const size_t bands = (size_t)t->data->info->band_count;
  inbox_reserve(t->inbox, image_feed_pixels(feed) * bands * sizeof(float));
  inbox_reserve(t->inbox, image_feed_pixels(feed));
}

void trainer_send(const Trainer *t, Inbox *inbox, void *to, const void *from_host, size_t bytes)
{
  if (inbox != NULL)
    inbox_put(inbox, to, from_host, bytes);
  else
    device_upload(t->device, to, from_host, bytes);
}

void image_feed_send(const Trainer *t, ImageFeed *feed, const LoadedBatch *batch, Inbox *inbox)
{
  const size_t bands = (size_t)t->data->info->band_count;
  trainer_send(t, inbox, feed->images, batch->images,
               image_feed_pixels(feed) * bands * sizeof(float));
  trainer_send(t, inbox, feed->valid, batch->valid, image_feed_pixels(feed));
}

void image_feed_normalize(const Trainer *t, const ImageFeed *feed, Shape input_shape, void *input)
{
  const Shape shape = {feed->samples, feed->size_px, feed->size_px, t->data->info->band_count,
                       ELEMENT_F32};
  t->backend->normalize(t->device, shape, feed->images, feed->valid, t->device_means,
                        t->device_inverse_stds, input_shape, input);
}

static OptimizerOptions optimizer_options(const Trainer *t)
{
  const TrainOptions *o = t->options;
  return (OptimizerOptions){.kind = (OptimizerKind)o->optimizer,
                            .schedule = train_schedule(o, t->data),
                            .momentum = o->momentum,
                            .weight_decay = o->weight_decay,
                            .norm_limit = o->clip_norm,
                            .loss_scaling = t->element == ELEMENT_F16};
}

/* Normalisation: the chips' own statistics. A band without any spread is left at its distance from
 * the mean. */
static Status measure_bands(Trainer *t)
{
  const ChipSetInfo *info = t->data->info;
  if (info->band_count > (int32_t)(sizeof t->means / sizeof *t->means))
    return status_set(STATUS_UNSUPPORTED, "%s has %d bands; a model takes at most %zu",
                      t->options->chips, info->band_count, sizeof t->means / sizeof *t->means);
  for (int32_t b = 0; b < info->band_count; ++b) {
    t->means[b] = info->bands[b].mean;
    t->standard_deviations[b] =
        info->bands[b].standard_deviation > 0 ? info->bands[b].standard_deviation : 1;
  }
  return STATUS_OK;
}

static Status upload_constants(Trainer *t)
{
  const size_t bands = (size_t)t->data->info->band_count;
  float means[NORMALIZE_CHANNELS_MOST];
  float inverse_stds[NORMALIZE_CHANNELS_MOST];
  for (size_t b = 0; b < bands; ++b) {
    means[b] = (float)t->means[b];
    inverse_stds[b] = (float)(1 / t->standard_deviations[b]);
  }
  TRY(trainer_allocate(t->device, bands * sizeof(float), "means", &t->device_means));
  TRY(trainer_allocate(t->device, bands * sizeof(float), "deviations", &t->device_inverse_stds));
  TRY(trainer_allocate(t->device, t->sums_count * sizeof(float), "sums", &t->device_sums));
  device_upload(t->device, t->device_means, means, bands * sizeof(float));
  device_upload(t->device, t->device_inverse_stds, inverse_stds, bands * sizeof(float));
  return device_synchronize(t->device);
}

/* The contract of the package that training goes on from, so that its weights see what they are
 * used to: the bands' statistics, and of a detector its anchors. */
static void take_contract(Trainer *t, const Model *model)
{
  for (int32_t b = 0; b < model->bands && model->bands == t->data->info->band_count; ++b) {
    t->means[b] = model->means[b];
    t->standard_deviations[b] = model->standard_deviations[b];
  }
  if (model->kind != MODEL_UNET && t->data->kind != MODEL_UNET) t->detector = model->detector;
}

static bool is_package(const char *path)
{
  const char *dot = strrchr(path, '.');
  return dot != NULL && (strcmp(dot, ".dlpk") == 0 || strcmp(dot, ".emd") == 0);
}

/* Collective. */
static Status start_from_package(Trainer *t)
{
  Model model = {0};
  if (!is_package(t->options->start)) return STATUS_OK;
  TRY(model_open(t->job, t->options->start, MODEL_FOR_ANY, &model));
  take_contract(t, &model);
  model_close(&model);
  return STATUS_OK;
}

static Status load_part(Trainer *t, ModelStart part, ModelStartReport *report)
{
  parameters_initialise(t->parameters, (uint64_t)t->options->seed, t->state.trained,
                        t->state.statistics);
  return model_load_weights(t->parameters, t->options->start, part, t->state.trained,
                            t->state.statistics, report);
}

/* auto: as much as fits. */
static Status load_start(Trainer *t, ModelStartReport *report)
{
  const StartPart part = (StartPart)t->options->start_part;
  Status status = STATUS_MISMATCH;
  if (part == START_AUTO || part == START_WHOLE) status = load_part(t, MODEL_START_WHOLE, report);
  if (part == START_BODY || (part == START_AUTO && status == STATUS_MISMATCH))
    status = load_part(t, MODEL_START_BODY, report);
  if (part == START_ENCODER || (part == START_AUTO && status == STATUS_MISMATCH))
    status = load_part(t, MODEL_START_ENCODER, report);
  return status;
}

/* Collective. */
static Status start_weights(Trainer *t)
{
  ModelStartReport report;
  parameters_initialise(t->parameters, (uint64_t)t->options->seed, t->state.trained,
                        t->state.statistics);
  if (*t->options->start == '\0') return STATUS_OK;
  TRY(comm_agree(t->job->comm, load_start(t, &report)));
  log_once(t->job->log, "start: %d parameters from %s, %d from random numbers", report.loaded,
           t->options->start, report.left);
  return STATUS_OK;
}

static Status open_local(Trainer *t)
{
  TRY(compute_element(t->device, (PrecisionChoice)t->options->precision, &t->element));
  TRY(t->kind->build(t));
  TRY(optimizer_open(t->parameters, t->device, optimizer_options(t), &t->optimizer));
  const ParameterList *list = t->parameters;
  TRY(checkpoint_allocate((size_t)list->trained_count, (size_t)list->statistic_count,
                          optimizer_state_count(t->optimizer), comm_rank_count(t->job->comm),
                          &t->state));
  void *memory;
  TRY(device_allocate_host(t->device, LOSS_RING * t->sums_count * sizeof(float), "losses",
                           &memory));
  t->ring = memory;
  return STATUS_OK;
}

static void choose_anchors(Trainer *t)
{
  const DetectorOptions usual = detector_options_default(true);
  t->detector = (ModelDetector){.norm_eps = 1e-5F, .threshold = 0.5, .nms_overlap = 0.5};
  for (int32_t i = 0; i < MASK_RCNN_MAPS; ++i)
    t->detector.anchor_sizes_px[i] = t->options->anchor_sizes.count == MASK_RCNN_MAPS
                                         ? (int32_t)t->options->anchor_sizes.values[i]
                                         : usual.anchor_sizes_px[i];
  if (t->options->norm_eps >= 0) t->detector.norm_eps = (float)t->options->norm_eps;
}

static Status open_all(Trainer *t)
{
  const Comm *comm = t->job->comm;
  TRY(comm_agree(comm, measure_bands(t)));
  choose_anchors(t);
  TRY(start_from_package(t));
  TRY(comm_agree(comm, open_local(t)));
  TRY(gradients_open(comm, t->device, optimizer_gradients(t->optimizer), t->state.trained_count,
                     BUCKET_BYTES, &t->gradients));
  if (comm_rank_count(comm) > 1)
    log_once(t->job->log, "gradients are summed by %s", gradients_backend(t->gradients));
  TRY(start_weights(t));
  Status status = upload_constants(t);
  if (status == STATUS_OK) status = inbox_open(t->device, &t->inbox);
  if (status == STATUS_OK) status = t->kind->open(t);
  if (status == STATUS_OK) status = inbox_allocate(t->inbox);
  if (status == STATUS_OK)
    status = optimizer_upload(t->optimizer, t->state.trained, t->state.statistics, NULL);
  return comm_agree(comm, status);
}

Status trainer_open(const Job *job, const TrainOptions *options, const TrainData *data,
                    Device *device, Trainer *trainer)
{
  *trainer = (Trainer){.job = job,
                       .options = options,
                       .data = data,
                       .device = device,
                       .backend = backend_of(device),
                       .kind = data->kind == MODEL_UNET ? &trainer_unet : &trainer_detector,
                       .validates = data->split.validation_count > 0};
  const Status status = open_all(trainer);
  if (status != STATUS_OK) trainer_close(trainer);
  return status;
}

void trainer_close(Trainer *t)
{
  recording_close(t->recording);
  gradients_close(t->gradients);
  inbox_close(t->inbox);
  t->kind->close(t);
  device_release(t->device, t->device_means);
  device_release(t->device, t->device_inverse_stds);
  device_release(t->device, t->device_sums);
  device_release_host(t->device, t->ring);
  optimizer_close(t->optimizer);
  checkpoint_free(&t->state);
  *t = (Trainer){0};
}

static Status allocate_batch(void *device, size_t bytes, const char *what, void **memory)
{
  return device_allocate_host(device, bytes, what, memory);
}

static void release_batch(void *device, void *memory)
{
  device_release_host(device, memory);
}

LoaderOptions trainer_loader(const Trainer *t, const int64_t *order, int64_t batch_count,
                             int32_t samples, int32_t size_px, const Augmentation *augmentation)
{
  LoaderOptions options = {.set = t->data->set,
                           .order = order,
                           .batch_count = batch_count,
                           .samples = samples,
                           .size_px = size_px,
                           .index_of_value = t->data->index_of_value,
                           .augmentation = augmentation,
                           .means = t->means,
                           .standard_deviations = t->standard_deviations,
                           .seed = (uint64_t)t->options->seed,
                           .threads = (int32_t)t->options->reader_threads,
                           .allocate = allocate_batch,
                           .release = release_batch,
                           .memory_of = t->device};
  t->kind->ask(t, augmentation, &options);
  return options;
}

void trainer_close_loader(Trainer *t, Loader *loader)
{
  device_fail(t->device, inbox_wait(t->inbox));
  loader_close(loader);
}

/* Collective. */
static Status issue_step(void *trainer)
{
  Trainer *t = trainer;
  optimizer_clear_gradients(t->optimizer);
  TRY(t->kind->learn(t));
  TRY(gradients_finish(t->gradients));
  optimizer_apply(t->optimizer);
  return STATUS_OK;
}

/* Collective. A step that cannot be recorded on all ranks is issued as before, and fails then if
 * something is wrong with it. */
static Status record_step(Trainer *t)
{
  const Status before = device_synchronize(t->device);
  TRY(comm_agree(t->job->comm, before));
  Status status = recording_make(t->device, issue_step, t, &t->recording);
  status = comm_agree(t->job->comm, status);
  if (status == STATUS_OK) return STATUS_OK;
  log_once(t->job->log, "steps are issued op by op, since recording one failed: %s",
           status_message());
  recording_close(t->recording);
  t->recording = NULL;
  return gradients_give_up_recording(t->gradients);
}

/* Collective. The first step is issued op by op: libraries load kernels when they first meet them,
 * which no recording allows. */
static Status run_step(Trainer *t)
{
  const bool records =
      device_kind(t->device) != DEVICE_CPU && gradients_can_be_recorded(t->gradients);
  gradients_begin_step(t->gradients, t->step);
  if (records && t->issued == STEPS_BEFORE_RECORDING) {
    TRY(record_step(t));
    gradients_begin_step(t->gradients, t->step);
  }
  if (t->recording == NULL) {
    ++t->issued;
    return issue_step(t);
  }
  gradients_replayed(t->gradients);
  recording_play(t->recording);
  return STATUS_OK;
}

Status trainer_step(Trainer *t, Loader *loader, int64_t step)
{
  LoadedBatch batch;
  Status status = inbox_wait(t->inbox); /* the last batch has left the loader's memory */
  if (status == STATUS_OK) status = loader_next(loader, &batch);
  TRY(comm_agree(t->job->comm, status));
  t->step = step;
  optimizer_set_step(t->optimizer, step);
  t->kind->put(t, &batch);
  inbox_take(t->inbox);
  TRY(run_step(t));
  device_download(t->device, t->ring + (size_t)(step % LOSS_RING) * t->sums_count, t->device_sums,
                  t->sums_count * sizeof(float));
  return STATUS_OK;
}

Status trainer_loss(Trainer *t, int64_t step, double *loss, const float **sums)
{
  TRY(device_synchronize(t->device));
  *sums = t->ring + (size_t)(step % LOSS_RING) * t->sums_count;
  *loss = t->kind->loss(t, *sums);
  if (isfinite(*loss)) return STATUS_OK;
  return status_set(
      STATUS_DIVERGED,
      "the loss of step %lld is no number any more; lower learning_rate, or set clip_norm=1",
      (long long)step + 1);
}

Status trainer_test_order(const Trainer *t, int32_t samples, int64_t **order, int64_t *chip_count,
                          int64_t *batch_count)
{
  const Split *split = &t->data->split;
  void *memory;
  TRY(memory_allocate((size_t)split->validation_count + (size_t)samples, sizeof(int64_t),
                      "validation", &memory));
  *order = memory;
  int64_t count = 0;
  for (int64_t i = comm_rank(t->job->comm); i < split->validation_count;
       i += comm_rank_count(t->job->comm))
    (*order)[count++] = split->validation[i];
  for (int32_t i = 0; i < samples; ++i)
    (*order)[count + i] = split->validation[0];
  *chip_count = count;
  *batch_count = (count + samples - 1) / samples;
  return STATUS_OK;
}

/* Multiplies the statistics, or the frozen weights that lie among them. */
static void scale_untrained(const Trainer *t, bool frozen, float factor, float *values)
{
  const ParameterList *list = t->parameters;
  for (int32_t i = 0; i < list->count; ++i) {
    const Parameter *p = &list->items[i];
    for (int64_t j = 0; !p->trained && p->frozen == frozen && j < p->count; ++j)
      values[p->offset + j] *= factor;
  }
}

/* Frozen weights are the same on all ranks, and a mean would round them: rank 0's count. */
Status trainer_gather(Trainer *t, float *trained, float *mean_statistics)
{
  const Comm *comm = t->job->comm;
  TRY(comm_agree(comm, optimizer_download(t->optimizer, trained, mean_statistics, NULL)));
  if (comm_rank(comm) != 0) scale_untrained(t, true, 0, mean_statistics);
  TRY(comm_sum_float(comm, mean_statistics, t->state.statistic_count));
  scale_untrained(t, false, 1 / (float)comm_rank_count(comm), mean_statistics);
  return STATUS_OK;
}

Status trainer_save(Trainer *t, const char *path, const char *identity)
{
  const Comm *comm = t->job->comm;
  Checkpoint *c = &t->state;
  float *mine = c->statistics; /* rank 0 gathers over its own */
  void *memory;
  TRY(comm_agree(comm, memory_allocate(c->statistic_count, sizeof(float), "statistics", &memory)));
  Status status = comm_agree(comm, optimizer_download(t->optimizer, c->trained, memory, c->state));
  if (status == STATUS_OK)
    status = comm_gather(comm, memory, c->statistic_count * sizeof(float), mine);
  memory_free(memory);
  if (status != STATUS_OK) return status;
  return comm_agree(comm, comm_rank(comm) == 0 ? checkpoint_write(path, identity, c) : STATUS_OK);
}

Status trainer_restore(Trainer *t, const char *path, const char *identity)
{
  const Comm *comm = t->job->comm;
  Checkpoint *c = &t->state;
  TRY(comm_agree(comm, checkpoint_read(path, identity, c)));
  const float *mine = c->statistics + (size_t)comm_rank(comm) * c->statistic_count;
  return comm_agree(comm, optimizer_upload(t->optimizer, c->trained, mine, c->state));
}
