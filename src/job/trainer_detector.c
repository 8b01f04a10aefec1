#include <string.h>

#include "base/memory.h"
#include "chip/augment.h"
#include "found_objects.h"
#include "model/detector.h"
#include "object_scores.h"
#include "trainer.h"

enum { TEST_IMAGES = 2, TEST_OBJECTS = 300, PASTED_TILES = 32 };

/* Objects of which a sample shows less are not asked for, their pixels stay. */
static const double least_share = 0.1;
static const double least_px = 2;

typedef struct DetectorTrainer {
  DetectorParts parts;
  Detector *detector; /* trains */
  Detector *tester;   /* validates */
  ImageFeed feed, test_feed;
  int32_t objects_most;
  int64_t mask_bytes_most; /* of a training sample */
  int64_t *offsets;        /* host: of the masks in the batch */
  uint64_t *streams;       /* host */
  FoundObjects found;
  ObjectScores *scores; /* of the last validation */
} DetectorTrainer;

static Status build(Trainer *t)
{
  void *memory;
  TRY(memory_allocate(1, sizeof(DetectorTrainer), "training", &memory));
  DetectorTrainer *d = t->own = memory;
  const MaskRcnn model = {.encoder = (Encoder)t->options->encoder,
                          .bands = t->data->info->band_count,
                          .classes = t->data->class_count + 1,
                          .masks = t->data->kind == MODEL_MASK_RCNN,
                          .norm_frozen = t->data->frozen_norm,
                          .norm_eps = t->detector.norm_eps,
                          .trained_layers = 5 - (int32_t)t->data->frozen_layers};
  TRY(detector_parts_open(model, &d->parts));
  t->parameters = &d->parts.parameters;
  t->sums_count = DETECTOR_SUMS;
  return STATUS_OK;
}

static int64_t mask_bytes(const Trainer *t, int32_t size_px, const Augmentation *augmentation)
{
  const ChipSetInfo *info = t->data->info;
  if (t->data->kind != MODEL_MASK_RCNN) return 0;
  return augment_mask_bytes_most(info->objects_most, info->mask_bytes_most, size_px, augmentation);
}

static int32_t objects_most(const Trainer *t)
{
  return t->data->info->objects_most > 0 ? t->data->info->objects_most : 1;
}

static void ask(const Trainer *t, const Augmentation *augmentation, LoaderOptions *loader)
{
  const bool testing = augmentation == NULL;
  loader->objects = (ObjectRule){.class_of_value = t->data->class_of_value,
                                 .least_share = testing ? 0 : least_share,
                                 .least_px = testing ? 0 : least_px};
  loader->objects_most = objects_most(t);
  loader->mask_bytes_most = mask_bytes(t, loader->size_px, augmentation);
}

static DetectorOptions training_options(const Trainer *t, int32_t samples)
{
  const DetectorTrainer *d = t->own;
  const TrainOptions *o = t->options;
  DetectorOptions options = detector_options_default(true);
  options.element = t->element;
  options.images = samples;
  options.height_px = options.width_px = t->data->crop_px;
  memcpy(options.anchor_sizes_px, t->detector.anchor_sizes_px, sizeof options.anchor_sizes_px);
  options.proposals.pre_count = options.proposals.post_count = (int32_t)o->proposals;
  options.rpn_sampling.count = (int32_t)o->rpn_batch_size;
  options.rpn_sampling.positive_count = (int32_t)o->rpn_batch_size / 2;
  options.roi_sampling.count = (int32_t)o->box_batch_size;
  options.roi_sampling.positive_count = (int32_t)o->box_batch_size / 4;
  options.seed = (uint64_t)o->seed;
  options.truth_capacity = d->objects_most;
  options.mask_bytes_most = d->mask_bytes_most;
  options.rank_count = comm_rank_count(t->job->comm);
  if (options.rank_count > 1) options.gradients = t->gradients;
  if (o->shared_norm) options.shared_norm = t->gradients;
  options.loss_scale = optimizer_loss_scale(t->optimizer);
  return options;
}

static void reserve(Trainer *t)
{
  const DetectorTrainer *d = t->own;
  const Truth *truth = &detector_buffers(d->detector)->truth;
  const size_t images = (size_t)truth->images;
  const size_t objects = images * (size_t)truth->capacity;
  image_feed_reserve(t, &d->feed);
  inbox_reserve(t->inbox, images * sizeof *truth->counts);
  inbox_reserve(t->inbox, 4 * objects * sizeof *truth->boxes);
  inbox_reserve(t->inbox, objects * sizeof *truth->classes);
  inbox_reserve(t->inbox, images * sizeof *d->streams);
  if (truth->mask_windows == NULL) return;
  inbox_reserve(t->inbox, 4 * objects * sizeof *truth->mask_windows);
  inbox_reserve(t->inbox, objects * sizeof *truth->mask_offsets);
  inbox_reserve(t->inbox, images * (size_t)d->mask_bytes_most);
}

static Status open_training(Trainer *t)
{
  DetectorTrainer *d = t->own;
  const int32_t samples = (int32_t)(t->options->batch_size / comm_rank_count(t->job->comm));
  const Augmentation augmentation = train_augmentation(t->options);
  void *memory;
  d->objects_most = objects_most(t);
  d->mask_bytes_most = mask_bytes(t, t->data->crop_px, &augmentation);
  TRY(detector_open(&d->parts, t->device, training_options(t, samples), &d->detector));
  detector_log_plan(d->detector, t->job->log);
  TRY(detector_allocate(d->detector));
  detector_bind(d->detector, optimizer_trained(t->optimizer), optimizer_statistics(t->optimizer),
                optimizer_gradients(t->optimizer));
  TRY(device_allocate_host(t->device, (size_t)samples * (size_t)d->objects_most * sizeof(int64_t),
                           "offsets of masks", &memory));
  d->offsets = memory;
  TRY(device_allocate_host(t->device, (size_t)samples * sizeof(uint64_t), "streams", &memory));
  d->streams = memory;
  TRY(image_feed_open(t, samples, t->data->crop_px, &d->feed));
  reserve(t);
  return STATUS_OK;
}

static Status open_tester(Trainer *t)
{
  DetectorTrainer *d = t->own;
  const int32_t side = t->data->chip_px;
  DetectorOptions options = detector_options_default(false);
  options.element = t->element;
  options.images = TEST_IMAGES;
  options.height_px = options.width_px = side;
  memcpy(options.anchor_sizes_px, t->detector.anchor_sizes_px, sizeof options.anchor_sizes_px);
  options.detection_count = TEST_OBJECTS;
  options.limits.iou_most = (float)t->detector.nms_overlap;
  if (t->data->kind == MODEL_MASK_RCNN)
    options.pasted_pixels_most = (int64_t)PASTED_TILES * side * side;
  TRY(detector_open(&d->parts, t->device, options, &d->tester));
  TRY(detector_allocate(d->tester));
  TRY(found_objects_open(t->device, detector_buffers(d->tester), &d->found));
  return image_feed_open(t, TEST_IMAGES, side, &d->test_feed);
}

static Status open_all(Trainer *t)
{
  TRY(open_training(t));
  return t->validates ? open_tester(t) : STATUS_OK;
}

static void close_all(Trainer *t)
{
  DetectorTrainer *d = t->own;
  if (d == NULL) return;
  image_feed_close(t, &d->feed);
  image_feed_close(t, &d->test_feed);
  found_objects_close(&d->found);
  device_release_host(t->device, d->offsets);
  device_release_host(t->device, d->streams);
  object_scores_close(d->scores);
  detector_close(d->detector);
  detector_close(d->tester);
  detector_parts_close(&d->parts);
  memory_free(d);
}

static void put_truth(Trainer *t, const LoadedBatch *batch)
{
  DetectorTrainer *d = t->own;
  const Truth *truth = &detector_buffers(d->detector)->truth;
  const size_t images = (size_t)truth->images;
  const size_t objects = images * (size_t)truth->capacity;
  inbox_put(t->inbox, truth->counts, batch->object_counts, images * sizeof(int32_t));
  inbox_put(t->inbox, truth->boxes, batch->boxes, 4 * objects * sizeof(float));
  inbox_put(t->inbox, truth->classes, batch->object_classes, objects * sizeof(int32_t));
  if (truth->mask_windows == NULL) return;
  for (size_t i = 0; i < objects; ++i)
    d->offsets[i] =
        batch->mask_offsets[i] + (int64_t)(i / (size_t)truth->capacity) * d->mask_bytes_most;
  inbox_put(t->inbox, truth->mask_windows, batch->mask_windows, 4 * objects * sizeof(int32_t));
  inbox_put(t->inbox, truth->mask_offsets, d->offsets, objects * sizeof(int64_t));
  inbox_put(t->inbox, truth->mask_bytes, batch->mask_bytes, images * (size_t)d->mask_bytes_most);
}

/* A sample's number among all of the training, so that what is drawn for it does not depend on the
 * number of ranks. */
static void put_streams(Trainer *t)
{
  DetectorTrainer *d = t->own;
  const int64_t samples = d->feed.samples;
  const int64_t first = t->step * t->options->batch_size + comm_rank(t->job->comm) * samples;
  for (int64_t s = 0; s < samples; ++s)
    d->streams[s] = (uint64_t)(first + s);
  inbox_put(t->inbox, detector_buffers(d->detector)->streams, d->streams,
            (size_t)samples * sizeof(uint64_t));
}

static void put(Trainer *t, const LoadedBatch *batch)
{
  DetectorTrainer *d = t->own;
  image_feed_send(t, &d->feed, batch, t->inbox);
  put_truth(t, batch);
  put_streams(t);
}

static Status bucket_ready(void *context, size_t first)
{
  return gradients_ready(context, first);
}

static Status learn(Trainer *t)
{
  DetectorTrainer *d = t->own;
  image_feed_normalize(t, &d->feed, detector_input_shape(d->detector), detector_input(d->detector));
  detector_pack(d->detector);
  detector_forward_trunk(d->detector);
  detector_propose(d->detector);
  detector_sample(d->detector);
  TRY(detector_learn(d->detector, bucket_ready, t->gradients));
  device_copy(t->device, t->device_sums, detector_buffers(d->detector)->sums,
              DETECTOR_SUMS * sizeof(float));
  return STATUS_OK;
}

static double loss_of(const Trainer *t, const float *sums)
{
  double losses[DETECTOR_LOSSES];
  double total = 0;
  detector_losses(sums, losses);
  for (int i = 0; i < DETECTOR_LOSSES; ++i)
    total += losses[i];
  return total;
}

static Status report_parts(const Trainer *t, const float *sums, Document *line)
{
  double losses[DETECTOR_LOSSES];
  detector_losses(sums, losses);
  for (int i = 0; i < DETECTOR_LOSSES; ++i)
    if (i != LOSS_MASK || t->data->kind == MODEL_MASK_RCNN)
      TRY(document_set_real(line, detector_loss_name((DetectorLoss)i), losses[i]));
  return STATUS_OK;
}

/* Validation: objects of whole chips against their truth. */

static ScoredObject found_object(const FoundObjects *f, int32_t image, int32_t i, int32_t row)
{
  const int64_t at = (int64_t)image * f->capacity + i;
  ScoredObject object = {.class_index = f->classes[at] - 1, .score = (double)f->scores[at]};
  memcpy(object.box, f->boxes + 4 * at, sizeof object.box);
  if (f->mask_pixels == 0) return object;
  const int32_t *window = f->windows + 4 * (int64_t)(row + i);
  object.x_px = window[0];
  object.y_px = window[1];
  object.width_px = window[2];
  object.height_px = window[3];
  object.mask = f->pixels + f->offsets[row + i];
  return object;
}

static ScoredObject true_object(const LoadedBatch *batch, const LoaderOptions *loader,
                                int32_t image, int32_t i)
{
  const int64_t at = (int64_t)image * loader->objects_most + i;
  ScoredObject object = {.class_index = batch->object_classes[at] - 1};
  memcpy(object.box, batch->boxes + 4 * at, sizeof object.box);
  if (loader->mask_bytes_most == 0) return object;
  const int32_t *window = batch->mask_windows + 4 * at;
  object.x_px = window[0];
  object.y_px = window[1];
  object.width_px = window[2];
  object.height_px = window[3];
  object.mask = batch->mask_bytes + image * loader->mask_bytes_most + batch->mask_offsets[at];
  return object;
}

static Status score_image(DetectorTrainer *d, const LoadedBatch *batch, const LoaderOptions *loader,
                          int32_t image, int64_t chip, ScoredObject *room)
{
  const FoundObjects *f = &d->found;
  const int32_t found = f->counts[image];
  const int32_t truths = batch->object_counts[image];
  const int32_t row = found_objects_row(f, image);
  for (int32_t i = 0; i < found; ++i)
    room[i] = found_object(f, image, i, row);
  for (int32_t i = 0; i < truths; ++i)
    room[found + i] = true_object(batch, loader, image, i);
  return object_scores_add(d->scores, chip, room, found, room + found, truths);
}

static Status test_batch(Trainer *t, Loader *loader, const LoaderOptions *options, int64_t first,
                         int64_t chip_count, ScoredObject *room)
{
  DetectorTrainer *d = t->own;
  LoadedBatch batch;
  TRY(loader_next(loader, &batch));
  image_feed_send(t, &d->test_feed, &batch, NULL);
  image_feed_normalize(t, &d->test_feed, detector_input_shape(d->tester),
                       detector_input(d->tester));
  detector_find(d->tester);
  TRY(found_objects_download(&d->found, detector_buffers(d->tester)));
  for (int32_t i = 0; i < TEST_IMAGES && first + i < chip_count; ++i)
    TRY(score_image(d, &batch, options, i, options->order[first + i], room));
  return STATUS_OK;
}

static Status test_chips(Trainer *t, const int64_t *order, int64_t chip_count, int64_t batch_count,
                         ScoredObject *room)
{
  Loader *loader;
  const LoaderOptions options =
      trainer_loader(t, order, batch_count, TEST_IMAGES, t->data->chip_px, NULL);
  TRY(loader_open(options, &loader));
  Status status = STATUS_OK;
  for (int64_t b = 0; b < batch_count && status == STATUS_OK; ++b)
    status = test_batch(t, loader, &options, b * TEST_IMAGES, chip_count, room);
  loader_close(loader);
  return status;
}

static Status test_own_chips(Trainer *t)
{
  DetectorTrainer *d = t->own;
  int64_t *order;
  int64_t chip_count, batch_count;
  void *room;
  object_scores_close(d->scores);
  d->scores = NULL;
  TRY(object_scores_open(t->data->class_count, t->data->kind == MODEL_MASK_RCNN, &d->scores));
  TRY(memory_allocate(TEST_OBJECTS + (size_t)d->objects_most, sizeof(ScoredObject), "objects",
                      &room));
  Status status = trainer_test_order(t, TEST_IMAGES, &order, &chip_count, &batch_count);
  if (status == STATUS_OK) {
    status = test_chips(t, order, chip_count, batch_count, room);
    memory_free(order);
  }
  memory_free(room);
  return status;
}

static Status validate(Trainer *t, const float *trained, const float *statistics)
{
  DetectorTrainer *d = t->own;
  Status status = detector_load(d->tester, trained, statistics);
  if (status == STATUS_OK) status = test_own_chips(t);
  TRY(comm_agree(t->job->comm, status));
  return object_scores_merge(d->scores, t->job->comm);
}

static ObjectScoresSummary summary_of(const Trainer *t, int32_t class_index)
{
  const DetectorTrainer *d = t->own;
  ObjectScoresSummary summary = {.box_ap = -1, .mask_ap = -1};
  if (object_scores_summary(d->scores, class_index, &summary) != STATUS_OK) summary.box_ap = -1;
  return summary;
}

static double metric(const Trainer *t)
{
  const ObjectScoresSummary s = summary_of(t, -1);
  const bool masks = t->data->kind == MODEL_MASK_RCNN;
  if (t->options->monitor == MONITOR_AP50) return masks ? s.mask_ap50 : s.box_ap50;
  return masks ? s.mask_ap : s.box_ap;
}

static void print_scores(const Trainer *t, const char *what, ObjectScoresSummary s)
{
  if (t->data->kind == MODEL_MASK_RCNN)
    log_once(t->job->log,
             "%s: boxes AP %.4f, AP50 %.4f; masks AP %.4f, AP50 %.4f, AP75 %.4f; %lld of truth",
             what, s.box_ap, s.box_ap50, s.mask_ap, s.mask_ap50, s.mask_ap75,
             (long long)s.truth_count);
  else
    log_once(t->job->log, "%s: boxes AP %.4f, AP50 %.4f, AP75 %.4f; %lld of truth", what, s.box_ap,
             s.box_ap50, s.box_ap75, (long long)s.truth_count);
}

static void print(const Trainer *t, int64_t epoch, bool best)
{
  char what[64];
  (void)snprintf(what, sizeof what, "epoch %lld%s", (long long)epoch, best ? " (best)" : "");
  print_scores(t, what, summary_of(t, -1));
  for (int32_t c = 0; t->data->class_count > 1 && c < t->data->class_count; ++c) {
    (void)snprintf(what, sizeof what, "  %-20s", t->data->names[c]);
    print_scores(t, what, summary_of(t, c));
  }
}

static Status report_scores(const Trainer *t, ObjectScoresSummary s, Document *object)
{
  TRY(document_set_real(object, "box_ap", s.box_ap));
  TRY(document_set_real(object, "box_ap50", s.box_ap50));
  TRY(document_set_real(object, "box_ap75", s.box_ap75));
  TRY(document_set_int(object, "truth_count", s.truth_count));
  if (t->data->kind != MODEL_MASK_RCNN) return STATUS_OK;
  TRY(document_set_real(object, "mask_ap", s.mask_ap));
  TRY(document_set_real(object, "mask_ap50", s.mask_ap50));
  return document_set_real(object, "mask_ap75", s.mask_ap75);
}

static Status report(const Trainer *t, Document *object)
{
  Document *classes;
  TRY(report_scores(t, summary_of(t, -1), object));
  TRY(document_set_list(object, "classes", &classes));
  for (int32_t c = 0; c < t->data->class_count; ++c) {
    Document *item;
    TRY(document_add_object(classes, &item));
    TRY(document_set_text(item, "name", t->data->names[c]));
    TRY(report_scores(t, summary_of(t, c), item));
  }
  return STATUS_OK;
}

static void describe(const Trainer *t, Model *model)
{
  model->detector = t->detector;
}

const TrainerKind trainer_detector = {.test_samples = TEST_IMAGES,
                                      .build = build,
                                      .open = open_all,
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
