#include "trainer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "compute.h"
#include "model_package.h"
#include "model_weights.h"

enum { TEST_IMAGES = 2, BUCKET_BYTES = 25 << 20 };

static Status allocate_device(Device *device, size_t bytes, const char *what, void *pointer)
{
  void *memory;
  TRY(device_allocate(device, bytes, what, &memory));
  memcpy(pointer, &memory, sizeof memory);
  return STATUS_OK;
}

static Status open_feed(Trainer *t, int32_t samples, int32_t size_px, Shape logits, Feed *feed)
{
  const size_t pixels = (size_t)samples * (size_t)size_px * (size_t)size_px;
  *feed = (Feed){.samples = samples, .size_px = size_px, .bands = t->data->info->band_count};
  TRY(allocate_device(t->device, pixels * (size_t)feed->bands * sizeof(float), "images",
                      &feed->images));
  TRY(allocate_device(t->device, pixels, "masks", &feed->valid));
  TRY(allocate_device(t->device, pixels, "labels", &feed->labels));
  TRY(segmentation_loss_plan(t->loss, logits));
  return allocate_device(t->device, t->backend->segmentation_loss_scratch_bytes(t->loss, logits),
                         "loss", &feed->scratch);
}

static void close_feed(Device *device, Feed *feed)
{
  device_release(device, feed->images);
  device_release(device, feed->valid);
  device_release(device, feed->labels);
  device_release(device, feed->scratch);
}

static OptimizerOptions optimizer_options(const Trainer *t)
{
  const TrainOptions *o = t->options;
  return (OptimizerOptions){.kind = (OptimizerKind)o->optimizer,
                            .schedule = {.kind = (ScheduleKind)o->schedule,
                                         .rate = o->learning_rate,
                                         .step_count = o->epochs * t->data->steps_per_epoch,
                                         .warm_up_steps = o->warm_up_steps,
                                         .cycle_momentum = true},
                            .momentum = o->momentum,
                            .weight_decay = o->weight_decay,
                            .norm_limit = o->clip_norm};
}

static Status open_networks(Trainer *t)
{
  const TrainOptions *o = t->options;
  const int32_t samples = (int32_t)(o->batch_size / comm_rank_count(t->job->comm));
  const NetworkOptions training = {.training = true,
                                   .frozen_norm = o->frozen_norm,
                                   .shared_norm = o->shared_norm ? t->gradients : NULL,
                                   .rank_count = comm_rank_count(t->job->comm),
                                   .element = t->element,
                                   .images = samples,
                                   .height = t->data->crop_px,
                                   .width = t->data->crop_px};
  TRY(network_open(t->graph, t->device, training, &t->network));
  network_log_plan(t->network, t->job->log);
  TRY(network_allocate(t->network));
  network_bind(t->network, optimizer_trained(t->optimizer), optimizer_statistics(t->optimizer),
               optimizer_gradients(t->optimizer));
  TRY(open_feed(t, samples, t->data->crop_px, network_output_shape(t->network, 0), &t->feed));
  if (t->data->split.validation_count == 0) return STATUS_OK;

  const NetworkOptions testing = {.element = t->element,
                                  .images = TEST_IMAGES,
                                  .height = t->data->chip_px,
                                  .width = t->data->chip_px};
  TRY(network_open(t->graph, t->device, testing, &t->tester));
  TRY(network_allocate(t->tester));
  return open_feed(t, TEST_IMAGES, t->data->chip_px, network_output_shape(t->tester, 0),
                   &t->test_feed);
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
  const size_t classes = (size_t)t->data->class_count;
  float means[NORMALIZE_CHANNELS_MOST];
  float inverse_stds[NORMALIZE_CHANNELS_MOST];
  for (size_t b = 0; b < bands; ++b) {
    means[b] = (float)t->means[b];
    inverse_stds[b] = (float)(1 / t->standard_deviations[b]);
  }
  TRY(allocate_device(t->device, bands * sizeof(float), "means", &t->device_means));
  TRY(allocate_device(t->device, bands * sizeof(float), "deviations", &t->device_inverse_stds));
  TRY(allocate_device(t->device, classes * sizeof(float), "class weights",
                      &t->device_class_weights));
  TRY(allocate_device(t->device, t->sums_count * sizeof(float), "sums", &t->device_sums));
  TRY(allocate_device(t->device, classes * classes * sizeof(int64_t), "confusion",
                      &t->device_counts));
  device_upload(t->device, t->device_means, means, bands * sizeof(float));
  device_upload(t->device, t->device_inverse_stds, inverse_stds, bands * sizeof(float));
  device_upload(t->device, t->device_class_weights, t->data->class_weights,
                classes * sizeof(float));
  return device_synchronize(t->device);
}

/* The bands' statistics of the package that training goes on from, so that its weights see what
 * they are used to. */
static void take_normalisation(Trainer *t, const Model *model)
{
  for (int32_t b = 0; b < model->bands; ++b) {
    t->means[b] = model->means[b];
    t->standard_deviations[b] = model->standard_deviations[b];
  }
}

static Status start_from_package(Trainer *t)
{
  Model model = {0};
  TRY(model_open(t->job, t->options->start, MODEL_FOR_ANY, &model));
  if (model.bands == t->data->info->band_count) take_normalisation(t, &model);
  model_close(&model);
  return STATUS_OK;
}

static Status load_start(Trainer *t, ModelStartReport *report)
{
  const char *path = t->options->start;
  const int32_t part = t->options->start_part;
  if (part != START_ENCODER) {
    const Status whole = model_load_weights(graph_parameters(t->graph), path, MODEL_START_WHOLE, t->state.trained,
                                            t->state.statistics, report);
    if (whole != STATUS_MISMATCH || part == START_WHOLE) return whole;
    parameters_initialise(graph_parameters(t->graph), (uint64_t)t->options->seed, t->state.trained,
                          t->state.statistics);
  }
  return model_load_weights(graph_parameters(t->graph), path, MODEL_START_ENCODER, t->state.trained,
                            t->state.statistics, report);
}

static Status start_weights(Trainer *t)
{
  ModelStartReport report;
  parameters_initialise(graph_parameters(t->graph), (uint64_t)t->options->seed, t->state.trained,
                        t->state.statistics);
  if (*t->options->start == '\0') return STATUS_OK;
  TRY(comm_agree(t->job->comm, load_start(t, &report)));
  log_once(t->job->log, "start: %d parameters from %s, %d from random numbers", report.loaded,
           t->options->start, report.left);
  return STATUS_OK;
}

static bool is_package(const char *path)
{
  const char *dot = strrchr(path, '.');
  return dot != NULL && (strcmp(dot, ".dlpk") == 0 || strcmp(dot, ".emd") == 0);
}

static Status open_local(Trainer *t)
{
  const Unet unet = {(Encoder)t->options->encoder, t->data->info->band_count, t->data->class_count};
  TRY(unet_build(unet, &t->graph));
  TRY(compute_element(t->device, (PrecisionChoice)t->options->precision, &t->element));
  if (t->element == ELEMENT_F16) t->element = ELEMENT_F32; /* its gradients would underflow */
  TRY(optimizer_open(graph_parameters(t->graph), t->device, optimizer_options(t), &t->optimizer));
  const ParameterList *list = graph_parameters(t->graph);
  TRY(checkpoint_allocate((size_t)list->trained_count, (size_t)list->statistic_count,
                          optimizer_state_count(t->optimizer), comm_rank_count(t->job->comm),
                          &t->state));
  void *memory;
  TRY(memory_allocate((size_t)t->data->class_count * (size_t)t->data->class_count, sizeof(int64_t),
                      "confusion", &memory));
  t->counts = memory;
  t->sums_count = (size_t)segmentation_sums_count(t->data->class_count);
  TRY(device_allocate_host(t->device, LOSS_RING * t->sums_count * sizeof(float), "losses",
                           &memory));
  t->ring = memory;
  return measure_bands(t);
}

static Status open_all(Trainer *t)
{
  const Comm *comm = t->job->comm;
  TRY(comm_agree(comm, open_local(t)));
  TRY(gradients_open(comm, t->device, optimizer_gradients(t->optimizer), t->state.trained_count,
                     BUCKET_BYTES, &t->gradients));
  if (comm_rank_count(comm) > 1)
    log_once(t->job->log, "gradients are summed by %s", gradients_backend(t->gradients));
  if (is_package(t->options->start)) TRY(start_from_package(t));
  TRY(start_weights(t));
  Status status = open_networks(t);
  if (status == STATUS_OK) status = upload_constants(t);
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
                       .loss = {.class_count = data->class_count,
                                .focal_gamma = (float)options->focal_gamma,
                                .dice_fraction = (float)options->dice_fraction}};
  memset(trainer->no_say, LABEL_IGNORE, sizeof trainer->no_say);
  const Status status = open_all(trainer);
  if (status != STATUS_OK) trainer_close(trainer);
  return status;
}

void trainer_close(Trainer *t)
{
  close_feed(t->device, &t->feed);
  close_feed(t->device, &t->test_feed);
  device_release(t->device, t->device_means);
  device_release(t->device, t->device_inverse_stds);
  device_release(t->device, t->device_class_weights);
  device_release(t->device, t->device_sums);
  device_release(t->device, t->device_counts);
  device_release_host(t->device, t->ring);
  network_close(t->network);
  network_close(t->tester);
  gradients_close(t->gradients);
  optimizer_close(t->optimizer);
  checkpoint_free(&t->state);
  memory_free(t->counts);
  graph_close(t->graph);
  *t = (Trainer){0};
}

static void upload_batch(Trainer *t, Feed *feed, const LoadedBatch *batch, Network *network)
{
  const size_t pixels = (size_t)feed->samples * (size_t)feed->size_px * (size_t)feed->size_px;
  const Shape shape = {feed->samples, feed->size_px, feed->size_px, feed->bands, ELEMENT_F32};
  device_upload(t->device, feed->images, batch->images,
                pixels * (size_t)feed->bands * sizeof(float));
  device_upload(t->device, feed->valid, batch->valid, pixels);
  device_upload(t->device, feed->labels, batch->labels, pixels);
  t->backend->normalize(t->device, shape, feed->images, feed->valid, t->device_means,
                        t->device_inverse_stds, network_input_shape(network),
                        network_input(network));
}

static Status bucket_ready(void *context, size_t first)
{
  return gradients_ready(context, first);
}

Status trainer_step(Trainer *t, Loader *loader, int64_t step)
{
  LoadedBatch batch;
  TRY(comm_agree(t->job->comm, loader_next(loader, &batch)));
  const Shape logits = network_output_shape(t->network, 0);
  upload_batch(t, &t->feed, &batch, t->network);
  network_pack(t->network);
  network_forward(t->network);
  t->backend->segmentation_loss_sums(t->device, t->loss, t->device_class_weights, logits,
                                     network_output(t->network, 0), t->feed.labels, t->device_sums,
                                     t->feed.scratch);
  TRY(gradients_sum(t->gradients, t->device_sums, t->sums_count));
  device_download(t->device, t->ring + (size_t)(step % LOSS_RING) * t->sums_count, t->device_sums,
                  t->sums_count * sizeof(float));
  t->backend->segmentation_loss_backward(t->device, t->loss, t->device_class_weights,
                                         t->device_sums, 1, logits, network_output(t->network, 0),
                                         t->feed.labels, network_output_gradient(t->network, 0));
  optimizer_clear_gradients(t->optimizer);
  TRY(network_backward(t->network, bucket_ready, t->gradients));
  TRY(gradients_finish(t->gradients));
  optimizer_step(t->optimizer, step);
  return STATUS_OK;
}

Status trainer_loss(Trainer *t, int64_t step, double *loss)
{
  TRY(device_synchronize(t->device));
  *loss = segmentation_loss_value(t->loss, t->ring + (size_t)(step % LOSS_RING) * t->sums_count);
  if (isfinite(*loss)) return STATUS_OK;
  return status_set(
      STATUS_DIVERGED,
      "the loss of step %lld is no number any more; lower learning_rate, or set clip_norm=1",
      (long long)step + 1);
}

/* Multiplies the statistics, or the frozen weights that lie among them. */
static void scale_untrained(const Trainer *t, bool frozen, float factor, float *values)
{
  const ParameterList *list = graph_parameters(t->graph);
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

Confusion trainer_confusion(const Trainer *t)
{
  return (Confusion){t->data->class_count, t->counts};
}

/* Samples past the rank's last chip fill the batch but have no say. */
static void hide_labels(Trainer *t, int64_t first_hidden)
{
  const size_t pixels = (size_t)t->data->chip_px * (size_t)t->data->chip_px;
  for (size_t p = (size_t)first_hidden * pixels; p < TEST_IMAGES * pixels; p += sizeof t->no_say) {
    const size_t left = TEST_IMAGES * pixels - p;
    device_upload(t->device, t->test_feed.labels + p, t->no_say,
                  left < sizeof t->no_say ? left : sizeof t->no_say);
  }
}

static Status test_batch(Trainer *t, Loader *loader, int64_t real_samples, uint8_t *classes,
                         double *sums)
{
  LoadedBatch batch;
  float batch_sums[2 + 3 * CLASS_COUNT_MOST];
  TRY(loader_next(loader, &batch));
  const Shape logits = network_output_shape(t->tester, 0);
  upload_batch(t, &t->test_feed, &batch, t->tester);
  if (real_samples < TEST_IMAGES) hide_labels(t, real_samples);
  network_forward(t->tester);
  t->backend->segmentation_loss_sums(t->device, t->loss, t->device_class_weights, logits,
                                     network_output(t->tester, 0), t->test_feed.labels,
                                     t->device_sums, t->test_feed.scratch);
  t->backend->argmax(t->device, logits, network_output(t->tester, 0), t->data->class_count,
                     classes);
  t->backend->confusion(t->device, shape_pixels(logits), classes, t->test_feed.labels,
                        t->data->class_count, t->device_counts);
  device_download(t->device, batch_sums, t->device_sums, t->sums_count * sizeof(float));
  TRY(device_synchronize(t->device));
  for (size_t i = 0; i < t->sums_count; ++i)
    sums[i] += (double)batch_sums[i];
  return STATUS_OK;
}

static Status test_chips(Trainer *t, const int64_t *order, int64_t chip_count, uint8_t *classes,
                         double *sums)
{
  const int64_t batches = (chip_count + TEST_IMAGES - 1) / TEST_IMAGES;
  Loader *loader;
  TRY(loader_open((LoaderOptions){.set = t->data->set,
                                  .order = order,
                                  .batch_count = batches,
                                  .samples = TEST_IMAGES,
                                  .size_px = t->data->chip_px,
                                  .index_of_value = t->data->index_of_value,
                                  .threads = (int32_t)t->options->reader_threads},
                  &loader));
  Status status = STATUS_OK;
  for (int64_t b = 0; b < batches && status == STATUS_OK; ++b)
    status = test_batch(t, loader, chip_count - b * TEST_IMAGES, classes, sums);
  loader_close(loader);
  return status;
}

/* This rank's chips: every rank_count-th. */
static Status test_own_chips(Trainer *t, double *sums)
{
  const Split *split = &t->data->split;
  const size_t counts_bytes =
      (size_t)t->data->class_count * (size_t)t->data->class_count * sizeof(int64_t);
  void *order;
  void *classes = NULL;
  TRY(memory_allocate((size_t)split->validation_count + TEST_IMAGES, sizeof(int64_t), "validation",
                      &order));
  int64_t count = 0;
  for (int64_t i = comm_rank(t->job->comm); i < split->validation_count;
       i += comm_rank_count(t->job->comm))
    ((int64_t *)order)[count++] = split->validation[i];
  for (int64_t i = 0; i < TEST_IMAGES; ++i)
    ((int64_t *)order)[count + i] = split->validation[0];

  device_clear(t->device, t->device_counts, counts_bytes);
  Status status = device_allocate(
      t->device, (size_t)shape_pixels(network_output_shape(t->tester, 0)), "classes", &classes);
  if (status == STATUS_OK) status = test_chips(t, order, count, classes, sums);
  device_download(t->device, t->counts, t->device_counts, counts_bytes);
  if (status == STATUS_OK) status = device_synchronize(t->device);
  device_release(t->device, classes);
  memory_free(order);
  return status;
}

Status trainer_validate(Trainer *t, const float *trained, const float *statistics)
{
  const Comm *comm = t->job->comm;
  double sums[2 + 3 * CLASS_COUNT_MOST] = {0};
  float rounded[2 + 3 * CLASS_COUNT_MOST];
  Status status = network_load(t->tester, trained, statistics);
  if (status == STATUS_OK) status = test_own_chips(t, sums);
  TRY(comm_agree(comm, status));
  TRY(comm_reduce_double(comm, COMM_SUM, sums, t->sums_count));
  TRY(comm_reduce_int64(comm, COMM_SUM, t->counts,
                        (size_t)t->data->class_count * (size_t)t->data->class_count));
  for (size_t i = 0; i < t->sums_count; ++i)
    rounded[i] = (float)sums[i];
  t->test_loss = segmentation_loss_value(t->loss, rounded);
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
