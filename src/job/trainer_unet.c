#include <string.h>

#include "base/memory.h"
#include "confusion.h"
#include "trainer.h"

enum { TEST_IMAGES = 2, SUMS_MOST = 2 + 3 * CLASS_COUNT_MOST };

/* A batch on its way to a network, in device memory. */
typedef struct Feed {
  ImageFeed image;
  uint8_t *labels;
  void *scratch; /* of the loss */
} Feed;

typedef struct UnetTrainer {
  Graph *graph;
  Network *network; /* trains */
  Network *tester;  /* validates, with folded norms */
  Feed feed, test_feed;
  SegmentationLoss loss;
  float *class_weights; /* device memory, as are these */
  float *test_sums;
  int64_t *device_counts;
  int64_t *counts; /* host: the confusion of the last validation */
  double test_loss;
  uint8_t no_say[4096]; /* LABEL_IGNORE */
} UnetTrainer;

static Status build(Trainer *t)
{
  void *memory;
  TRY(memory_allocate(1, sizeof(UnetTrainer), "training", &memory));
  UnetTrainer *u = t->own = memory;
  const int32_t classes = t->data->class_count;
  const Unet unet = {(Encoder)t->options->encoder, t->data->info->band_count, classes,
                     t->data->frozen_layers};
  u->loss = (SegmentationLoss){.class_count = classes,
                               .focal_gamma = (float)t->options->focal_gamma,
                               .dice_fraction = (float)t->options->dice_fraction};
  memset(u->no_say, LABEL_IGNORE, sizeof u->no_say);
  TRY(unet_build(unet, &u->graph));
  t->parameters = graph_parameters(u->graph);
  t->sums_count = (size_t)segmentation_sums_count(classes);
  TRY(memory_allocate((size_t)classes * (size_t)classes, sizeof(int64_t), "confusion", &memory));
  u->counts = memory;
  return STATUS_OK;
}

static Status open_feed(Trainer *t, int32_t samples, int32_t size_px, Shape logits, Feed *feed)
{
  const UnetTrainer *u = t->own;
  const size_t pixels = (size_t)samples * (size_t)size_px * (size_t)size_px;
  TRY(image_feed_open(t, samples, size_px, &feed->image));
  TRY(trainer_allocate(t->device, pixels, "labels", &feed->labels));
  TRY(segmentation_loss_plan(u->loss, logits));
  return trainer_allocate(t->device, t->backend->segmentation_loss_scratch_bytes(u->loss, logits),
                          "loss", &feed->scratch);
}

static void close_feed(Trainer *t, Feed *feed)
{
  image_feed_close(t, &feed->image);
  device_release(t->device, feed->labels);
  device_release(t->device, feed->scratch);
}

static Status open_tester(Trainer *t)
{
  UnetTrainer *u = t->own;
  const NetworkOptions testing = {.element = t->element,
                                  .images = TEST_IMAGES,
                                  .height = t->data->chip_px,
                                  .width = t->data->chip_px};
  TRY(network_open(u->graph, t->device, testing, &u->tester));
  TRY(network_allocate(u->tester));
  return open_feed(t, TEST_IMAGES, t->data->chip_px, network_output_shape(u->tester, 0),
                   &u->test_feed);
}

static Status open_constants(Trainer *t)
{
  UnetTrainer *u = t->own;
  const size_t classes = (size_t)t->data->class_count;
  TRY(trainer_allocate(t->device, classes * sizeof(float), "class weights", &u->class_weights));
  TRY(trainer_allocate(t->device, t->sums_count * sizeof(float), "sums", &u->test_sums));
  TRY(trainer_allocate(t->device, classes * classes * sizeof(int64_t), "confusion",
                       &u->device_counts));
  device_upload(t->device, u->class_weights, t->data->class_weights, classes * sizeof(float));
  return device_synchronize(t->device);
}

static Status open_networks(Trainer *t)
{
  UnetTrainer *u = t->own;
  const TrainOptions *o = t->options;
  const int32_t samples = (int32_t)(o->batch_size / comm_rank_count(t->job->comm));
  const NetworkOptions training = {.training = true,
                                   .frozen_norm = t->data->frozen_norm,
                                   .shared_norm = o->shared_norm ? t->gradients : NULL,
                                   .rank_count = comm_rank_count(t->job->comm),
                                   .element = t->element,
                                   .images = samples,
                                   .height = t->data->crop_px,
                                   .width = t->data->crop_px};
  TRY(network_open(u->graph, t->device, training, &u->network));
  network_log_plan(u->network, t->job->log);
  TRY(network_allocate(u->network));
  network_bind(u->network, optimizer_trained(t->optimizer), optimizer_statistics(t->optimizer),
               optimizer_gradients(t->optimizer));
  TRY(open_feed(t, samples, t->data->crop_px, network_output_shape(u->network, 0), &u->feed));
  image_feed_reserve(t, &u->feed.image);
  inbox_reserve(t->inbox, image_feed_pixels(&u->feed.image));
  TRY(open_constants(t));
  return t->validates ? open_tester(t) : STATUS_OK;
}

static void close_all(Trainer *t)
{
  UnetTrainer *u = t->own;
  if (u == NULL) return;
  close_feed(t, &u->feed);
  close_feed(t, &u->test_feed);
  device_release(t->device, u->class_weights);
  device_release(t->device, u->test_sums);
  device_release(t->device, u->device_counts);
  network_close(u->network);
  network_close(u->tester);
  memory_free(u->counts);
  graph_close(u->graph);
  memory_free(u);
}

static void ask(const Trainer *t, const Augmentation *augmentation, LoaderOptions *loader)
{
  /* labels are always there */
}

static void send(const Trainer *t, Feed *feed, const LoadedBatch *batch, Inbox *inbox)
{
  image_feed_send(t, &feed->image, batch, inbox);
  trainer_send(t, inbox, feed->labels, batch->labels, image_feed_pixels(&feed->image));
}

static void put(Trainer *t, const LoadedBatch *batch)
{
  UnetTrainer *u = t->own;
  send(t, &u->feed, batch, t->inbox);
}

static Status bucket_ready(void *context, size_t first)
{
  return gradients_ready(context, first);
}

static Status learn(Trainer *t)
{
  UnetTrainer *u = t->own;
  const Shape logits = network_output_shape(u->network, 0);
  image_feed_normalize(t, &u->feed.image, network_input_shape(u->network),
                       network_input(u->network));
  network_pack(u->network);
  network_forward(u->network);
  t->backend->segmentation_loss_sums(t->device, u->loss, u->class_weights, logits,
                                     network_output(u->network, 0), u->feed.labels, t->device_sums,
                                     u->feed.scratch);
  TRY(gradients_sum(t->gradients, "the sum of losses", t->device_sums, t->sums_count));
  t->backend->segmentation_loss_backward(t->device, u->loss, u->class_weights, t->device_sums,
                                         optimizer_loss_scale(t->optimizer), logits,
                                         network_output(u->network, 0), u->feed.labels,
                                         network_output_gradient(u->network, 0));
  return network_backward(u->network, bucket_ready, t->gradients);
}

static double loss_of(const Trainer *t, const float *sums)
{
  const UnetTrainer *u = t->own;
  return segmentation_loss_value(u->loss, sums);
}

static Status report_parts(const Trainer *t, const float *sums, Document *line)
{
  return STATUS_OK; /* the loss is one */
}

/* Samples past the rank's last chip fill the batch but have no say. */
static void hide_labels(Trainer *t, int64_t first_hidden)
{
  UnetTrainer *u = t->own;
  const size_t pixels = (size_t)t->data->chip_px * (size_t)t->data->chip_px;
  for (size_t p = (size_t)first_hidden * pixels; p < TEST_IMAGES * pixels; p += sizeof u->no_say) {
    const size_t left = TEST_IMAGES * pixels - p;
    device_upload(t->device, u->test_feed.labels + p, u->no_say,
                  left < sizeof u->no_say ? left : sizeof u->no_say);
  }
}

static Status test_batch(Trainer *t, Loader *loader, int64_t real_samples, uint8_t *classes,
                         double *sums)
{
  UnetTrainer *u = t->own;
  LoadedBatch batch;
  float batch_sums[SUMS_MOST];
  TRY(loader_next(loader, &batch));
  const Shape logits = network_output_shape(u->tester, 0);
  send(t, &u->test_feed, &batch, NULL);
  image_feed_normalize(t, &u->test_feed.image, network_input_shape(u->tester),
                       network_input(u->tester));
  if (real_samples < TEST_IMAGES) hide_labels(t, real_samples);
  network_forward(u->tester);
  t->backend->segmentation_loss_sums(t->device, u->loss, u->class_weights, logits,
                                     network_output(u->tester, 0), u->test_feed.labels,
                                     u->test_sums, u->test_feed.scratch);
  t->backend->argmax(t->device, logits, network_output(u->tester, 0), t->data->class_count,
                     classes);
  t->backend->confusion(t->device, shape_pixels(logits), classes, u->test_feed.labels,
                        t->data->class_count, u->device_counts);
  device_download(t->device, batch_sums, u->test_sums, t->sums_count * sizeof(float));
  TRY(device_synchronize(t->device));
  for (size_t i = 0; i < t->sums_count; ++i)
    sums[i] += (double)batch_sums[i];
  return STATUS_OK;
}

static Status test_chips(Trainer *t, const int64_t *order, int64_t chip_count, int64_t batch_count,
                         uint8_t *classes, double *sums)
{
  Loader *loader;
  TRY(loader_open(trainer_loader(t, order, batch_count, TEST_IMAGES, t->data->chip_px, NULL),
                  &loader));
  Status status = STATUS_OK;
  for (int64_t b = 0; b < batch_count && status == STATUS_OK; ++b)
    status = test_batch(t, loader, chip_count - b * TEST_IMAGES, classes, sums);
  loader_close(loader);
  return status;
}

static Status test_own_chips(Trainer *t, double *sums)
{
  UnetTrainer *u = t->own;
  const size_t counts_bytes =
      (size_t)t->data->class_count * (size_t)t->data->class_count * sizeof(int64_t);
  int64_t *order;
  int64_t chip_count, batch_count;
  void *classes = NULL;
  TRY(trainer_test_order(t, TEST_IMAGES, &order, &chip_count, &batch_count));
  device_clear(t->device, u->device_counts, counts_bytes);
  Status status = device_allocate(
      t->device, (size_t)shape_pixels(network_output_shape(u->tester, 0)), "classes", &classes);
  if (status == STATUS_OK) status = test_chips(t, order, chip_count, batch_count, classes, sums);
  device_download(t->device, u->counts, u->device_counts, counts_bytes);
  if (status == STATUS_OK) status = device_synchronize(t->device);
  device_release(t->device, classes);
  memory_free(order);
  return status;
}

static Status validate(Trainer *t, const float *trained, const float *statistics)
{
  UnetTrainer *u = t->own;
  const Comm *comm = t->job->comm;
  double sums[SUMS_MOST] = {0};
  float rounded[SUMS_MOST];
  Status status = network_load(u->tester, trained, statistics);
  if (status == STATUS_OK) status = test_own_chips(t, sums);
  TRY(comm_agree(comm, status));
  TRY(comm_reduce_double(comm, COMM_SUM, sums, t->sums_count));
  TRY(comm_reduce_int64(comm, COMM_SUM, u->counts,
                        (size_t)t->data->class_count * (size_t)t->data->class_count));
  for (size_t i = 0; i < t->sums_count; ++i)
    rounded[i] = (float)sums[i];
  u->test_loss = segmentation_loss_value(u->loss, rounded);
  return STATUS_OK;
}

static Confusion confusion_of(const Trainer *t)
{
  const UnetTrainer *u = t->own;
  return (Confusion){t->data->class_count, u->counts};
}

static double metric(const Trainer *t)
{
  const UnetTrainer *u = t->own;
  const Confusion confusion = confusion_of(t);
  switch ((Monitor)t->options->monitor) {
  case MONITOR_LOSS: return -u->test_loss;
  case MONITOR_MEAN_F1: return confusion_mean_f1(confusion, 0);
  case MONITOR_ACCURACY: return confusion_accuracy(confusion);
  case MONITOR_AUTO:
  case MONITOR_MEAN_IOU:
  case MONITOR_AP:
  case MONITOR_AP50: break;
  }
  return confusion_mean_iou(confusion, 0);
}

static void print(const Trainer *t, int64_t epoch, bool best)
{
  const UnetTrainer *u = t->own;
  const Confusion confusion = confusion_of(t);
  log_once(t->job->log, "epoch %lld: validation loss %.4f, accuracy %.4f, mean IoU %.4f%s",
           (long long)epoch, u->test_loss, confusion_accuracy(confusion),
           confusion_mean_iou(confusion, 0), best ? " (best)" : "");
  for (int32_t c = 0; c < confusion.class_count; ++c) {
    const ClassScore score = confusion_score(confusion, c);
    log_once(t->job->log, "  %-20s precision %.4f  recall %.4f  F1 %.4f  IoU %.4f",
             t->data->names[c], score.precision, score.recall, score.f1, score.iou);
  }
}

static Status report(const Trainer *t, Document *object)
{
  const UnetTrainer *u = t->own;
  TRY(document_set_real(object, "validation_loss", u->test_loss));
  return confusion_report(confusion_of(t), t->data->names, object);
}

static void describe(const Trainer *t, Model *model)
{
  /* kind, encoder, bands and classes say all */
}

const TrainerKind trainer_unet = {.test_samples = TEST_IMAGES,
                                  .build = build,
                                  .open = open_networks,
                                  .close = close_all,
                                  .ask = ask,
                                  .put = put,
                                  .learn = learn,
                                  .loss = loss_of,
                                  .report_parts = report_parts,
                                  .validate = validate,
                                  .metric = metric,
                                  .print = print,
                                  .report = report,
                                  .describe = describe};
