#include "train_data.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/output.h"
#include "base/random.h"
#include "chip/loader.h"

enum { SIZE_MULTIPLE = 32 };

static const uint64_t order_key = 0x6f72646572; /* a seed of its own */

Status train_options_check(const Job *job, const TrainOptions *o, int64_t ranks)
{
  if (o->batch_size % ranks != 0)
    return status_set(STATUS_BAD_OPTION,
                      "batch_size=%lld does not divide by %lld ranks; choose a multiple",
                      (long long)o->batch_size, (long long)ranks);
  if (o->scale_least > o->scale_most)
    return status_set(STATUS_BAD_OPTION, "scale_least=%g is more than scale_most=%g",
                      o->scale_least, o->scale_most);
  return comm_rank(job->comm) == 0 ? output_check_writable(o->output) : STATUS_OK;
}

static bool is_ignored(const TrainOptions *options, int32_t value)
{
  for (size_t i = 0; i < options->ignore_classes.count; ++i)
    if ((int32_t)options->ignore_classes.values[i] == value) return true;
  return false;
}

static bool keeps_background(const TrainOptions *options, const ChipSetInfo *info)
{
  if (options->unlabelled == UNLABELLED_AUTO) return info->unlabelled_is_background;
  return options->unlabelled == UNLABELLED_BACKGROUND;
}

/* What is trained, and whether the chips are for it. */
static Status choose_kind(const TrainOptions *options, TrainData *data)
{
  static const ModelKind usual[] = {[CHIP_SET_CLASSES] = MODEL_UNET,
                                    [CHIP_SET_INSTANCES] = MODEL_MASK_RCNN,
                                    [CHIP_SET_BOXES] = MODEL_FASTER_RCNN};
  const TrainModel wanted = (TrainModel)options->model;
  const ChipSetKind chips = data->info->kind;
  data->kind = wanted == TRAIN_AUTO ? usual[chips] : (ModelKind)(wanted - TRAIN_UNET);
  if (data->kind != MODEL_UNET && chips == CHIP_SET_CLASSES)
    return status_set(STATUS_MISMATCH,
                      "%s has classes of pixels and no objects, which a %s is trained on; export "
                      "it as instances",
                      options->chips, model_kind_title(data->kind));
  if (data->kind == MODEL_MASK_RCNN && chips == CHIP_SET_BOXES)
    return status_set(STATUS_MISMATCH,
                      "%s has objects without masks, which a Mask R-CNN is trained on; use "
                      "model=faster_rcnn",
                      options->chips);
  if (data->kind == MODEL_UNET && chips == CHIP_SET_BOXES)
    return status_set(STATUS_MISMATCH,
                      "%s has boxes, which say nothing of pixels; use "
                      "model=faster_rcnn",
                      options->chips);
  return STATUS_OK;
}

static Status choose_frozen(const TrainOptions *options, TrainData *data)
{
  const bool starts = data->kind != MODEL_UNET && *options->start != '\0';
  data->frozen_norm =
      options->frozen_norm == FROZEN_AUTO ? starts : options->frozen_norm == FROZEN_YES;
  data->frozen_layers =
      options->frozen_layers < 0 ? (starts ? 2 : 0) : (int32_t)options->frozen_layers;
  if (options->shared_norm && data->frozen_norm)
    return status_set(STATUS_BAD_OPTION, "shared_norm and frozen_norm exclude each other");
  if (data->kind != MODEL_UNET && options->anchor_sizes.count != 0 &&
      options->anchor_sizes.count != MASK_RCNN_MAPS)
    return status_set(STATUS_BAD_OPTION, "anchor_sizes has %zu numbers; a detector has %d maps",
                      options->anchor_sizes.count, (int)MASK_RCNN_MAPS);
  return STATUS_OK;
}

/* Classes of objects in the order of their values. */
static Status map_objects(const TrainOptions *options, TrainData *data)
{
  memset(data->index_of_value, LABEL_IGNORE, sizeof data->index_of_value);
  for (int32_t i = 0; i < data->info->class_count; ++i) {
    const ClassEntry *entry = &data->info->classes[i].entry;
    if (entry->value == 0 || is_ignored(options, entry->value)) continue;
    if (data->class_count == CLASS_COUNT_MOST)
      return status_set(STATUS_UNSUPPORTED, "%s has more than %d classes", options->chips,
                        CLASS_COUNT_MOST);
    data->classes[data->class_count] = *entry;
    data->names[data->class_count] = data->classes[data->class_count].name;
    data->class_of_value[entry->value] = (uint16_t)++data->class_count;
  }
  if (data->class_count > 0 && data->info->object_count > 0) return STATUS_OK;
  return status_set(STATUS_MISMATCH, "%s leaves no object to find (see ignore_classes)",
                    options->chips);
}

/* Classes of the model in the order of their values; the background, if it is one, is the first. */
static Status map_classes(const TrainOptions *options, TrainData *data)
{
  memset(data->index_of_value, LABEL_IGNORE, sizeof data->index_of_value);
  data->has_background = keeps_background(options, data->info);
  for (int32_t i = 0; i < data->info->class_count; ++i) {
    const ClassEntry *entry = &data->info->classes[i].entry;
    if (entry->value == 0 && !data->has_background) continue;
    if (is_ignored(options, entry->value)) continue;
    if (data->class_count == CLASS_COUNT_MOST)
      return status_set(STATUS_UNSUPPORTED, "%s has more than %d classes", options->chips,
                        CLASS_COUNT_MOST);
    data->index_of_value[entry->value] = (uint8_t)data->class_count;
    data->classes[data->class_count] = *entry;
    if (entry->value == 0)
      (void)snprintf(data->classes[data->class_count].name, CLASS_NAME_BYTES, "background");
    data->names[data->class_count] = data->classes[data->class_count].name;
    ++data->class_count;
  }
  if (data->class_count >= 2) return STATUS_OK;
  return status_set(
      STATUS_MISMATCH,
      "%s leaves %d class to tell apart; a model needs two (see unlabelled and ignore_classes)",
      options->chips, data->class_count);
}

static int64_t pixels_of_class(const TrainData *data, int32_t index)
{
  for (int32_t i = 0; i < data->info->class_count; ++i)
    if (data->info->classes[i].entry.value == data->classes[index].value)
      return data->info->classes[i].pixel_count;
  return 0;
}

static Status weigh_classes(const TrainOptions *options, TrainData *data)
{
  const OptionReals given = options->class_weights;
  double total = 0;
  if (given.count != 0 && given.count != (size_t)data->class_count)
    return status_set(STATUS_BAD_OPTION, "class_weights has %zu numbers, but there are %d classes",
                      given.count, data->class_count);
  for (int32_t c = 0; c < data->class_count; ++c)
    total += (double)pixels_of_class(data, c);
  for (int32_t c = 0; c < data->class_count; ++c) {
    const int64_t pixels = pixels_of_class(data, c);
    data->class_weights[c] = 1;
    if (given.count > 0)
      data->class_weights[c] = (float)given.values[c];
    else if (options->class_balancing && pixels > 0)
      data->class_weights[c] = (float)(total / ((double)data->class_count * (double)pixels));
  }
  return STATUS_OK;
}

static Status choose_sizes(const TrainOptions *options, TrainData *data)
{
  const int32_t side =
      data->info->width_px < data->info->height_px ? data->info->width_px : data->info->height_px;
  const int32_t longer =
      data->info->width_px > data->info->height_px ? data->info->width_px : data->info->height_px;
  data->crop_px =
      options->crop_size > 0 ? (int32_t)options->crop_size : side / SIZE_MULTIPLE * SIZE_MULTIPLE;
  if (data->crop_px < SIZE_MULTIPLE || data->crop_px % SIZE_MULTIPLE != 0)
    return status_set(STATUS_BAD_OPTION, "crop_size=%d px: it takes multiples of %d", data->crop_px,
                      SIZE_MULTIPLE);
  data->chip_px = (longer + SIZE_MULTIPLE - 1) / SIZE_MULTIPLE * SIZE_MULTIPLE;
  const double cover = (double)data->info->width_px * data->info->height_px /
                       ((double)data->crop_px * data->crop_px);
  data->crops_per_chip = options->crops_per_chip > 0 ? options->crops_per_chip
                         : cover < 1.5               ? 1
                                                     : (int64_t)(cover + 0.5);
  return STATUS_OK;
}

/* Share of labelled pixels of each chip, for a split that spreads them; ranks read in turn. */
static Status measure_shares(const Job *job, TrainData *data, double *shares)
{
  const int64_t pixels = (int64_t)data->info->width_px * data->info->height_px;
  void *image;
  void *valid = NULL;
  void *labels = NULL;
  Status status = memory_allocate((size_t)pixels * (size_t)data->info->band_count,
                                  pixel_bytes(data->info->pixel), "chip", &image);
  if (status == STATUS_OK) status = memory_allocate((size_t)pixels, 1, "chip", &valid);
  if (status == STATUS_OK)
    status = memory_allocate((size_t)pixels, sizeof(uint16_t), "chip", &labels);
  const int64_t step = comm_rank_count(job->comm);
  for (int64_t chip = comm_rank(job->comm); status == STATUS_OK && chip < data->info->chip_count;
       chip += step) {
    status = chip_set_read(data->set, chip, image, valid, labels);
    int64_t labelled = 0;
    for (int64_t p = 0; status == STATUS_OK && p < pixels; ++p)
      labelled += ((const uint16_t *)labels)[p] != 0;
    shares[chip] = (double)labelled / (double)pixels;
  }
  memory_free(image);
  memory_free(valid);
  memory_free(labels);
  return status;
}

static Status split_chips(const Job *job, const TrainOptions *options, TrainData *data,
                          ChipPlace *places, float *shares)
{
  double *sums;
  void *memory;
  TRY(memory_allocate((size_t)data->info->chip_count, sizeof *sums, "split", &memory));
  sums = memory;
  Status status = comm_agree(job->comm, measure_shares(job, data, sums));
  if (status == STATUS_OK)
    status = comm_reduce_double(job->comm, COMM_SUM, sums, (size_t)data->info->chip_count);
  for (int64_t chip = 0; chip < data->info->chip_count; ++chip) {
    places[chip] = chip_set_place(data->set, chip);
    shares[chip] = (float)sums[chip];
  }
  memory_free(memory);
  if (status != STATUS_OK) return status;
  return split_make(places, data->info->chip_count, shares, options->validation_share,
                    (uint64_t)options->seed, &data->split);
}

static Status split_data(const Job *job, const TrainOptions *options, TrainData *data)
{
  const size_t count = (size_t)data->info->chip_count;
  void *places;
  void *shares = NULL;
  Status status = memory_allocate(count, sizeof(ChipPlace), "split", &places);
  if (status == STATUS_OK) status = memory_allocate(count, sizeof(float), "split", &shares);
  status = comm_agree(job->comm, status);
  if (status == STATUS_OK) status = split_chips(job, options, data, places, shares);
  memory_free(places);
  memory_free(shares);
  return comm_agree(job->comm, status);
}

static Status open_local(const TrainOptions *options, TrainData *data)
{
  TRY(chip_set_open(options->chips, &data->set));
  data->info = chip_set_info(data->set);
  if (data->info->chip_count < 1)
    return status_set(STATUS_MISMATCH, "%s holds no chips", options->chips);
  TRY(choose_kind(options, data));
  TRY(choose_frozen(options, data));
  TRY(data->kind == MODEL_UNET ? map_classes(options, data) : map_objects(options, data));
  TRY(weigh_classes(options, data));
  return choose_sizes(options, data);
}

static Status open_all(const Job *job, const TrainOptions *options, TrainData *data)
{
  TRY(comm_agree(job->comm, open_local(options, data)));
  TRY(split_data(job, options, data));
  const int64_t samples = data->split.training_count * data->crops_per_chip;
  data->steps_per_epoch = samples / options->batch_size > 0 ? samples / options->batch_size : 1;
  return STATUS_OK;
}

Status train_data_open(const Job *job, const TrainOptions *options, TrainData *data)
{
  *data = (TrainData){0};
  const Status status = open_all(job, options, data);
  if (status != STATUS_OK) train_data_close(data);
  return status;
}

void train_data_close(TrainData *data)
{
  split_free(&data->split);
  chip_set_close(data->set);
  data->set = NULL;
}

Schedule train_schedule(const TrainOptions *o, const TrainData *data)
{
  static const double usual[] = {16.0 / 26, 22.0 / 26};
  Schedule schedule = {.kind = (ScheduleKind)o->schedule,
                       .rate = o->learning_rate,
                       .step_count = o->epochs * data->steps_per_epoch,
                       .warm_up_steps = o->warm_up_steps,
                       .cycle_momentum = true};
  const bool given = o->milestones.count > 0;
  const size_t count = given ? o->milestones.count : sizeof usual / sizeof *usual;
  for (size_t i = 0; i < count && i < SCHEDULE_MILESTONES_MOST; ++i) {
    const double steps = given ? o->milestones.values[i] * (double)data->steps_per_epoch
                               : usual[i] * (double)schedule.step_count;
    schedule.milestones[schedule.milestone_count++] = (int64_t)(steps + 0.5);
  }
  return schedule;
}

Augmentation train_augmentation(const TrainOptions *o)
{
  return (Augmentation){.flips = o->flips,
                        .turns = o->turns,
                        .scale_least = o->scale_least,
                        .scale_most = o->scale_most,
                        .brightness = o->brightness,
                        .contrast = o->contrast};
}

/* Every chip crops_per_chip times, shuffled; an epoch shorter than a batch goes round again. */
Status train_data_order(const TrainData *data, const TrainOptions *options, int64_t epoch, int rank,
                        int rank_count, int64_t *order)
{
  const int64_t available = data->split.training_count * data->crops_per_chip;
  void *memory;
  TRY(memory_allocate((size_t)available, sizeof(int64_t), "order of chips", &memory));
  int64_t *all = memory;
  for (int64_t i = 0; i < available; ++i)
    all[i] = data->split.training[i % data->split.training_count];
  Random random = random_stream((uint64_t)options->seed ^ order_key, (uint64_t)epoch);
  random_shuffle(&random, all, available);
  const int64_t samples = options->batch_size / rank_count;
  for (int64_t step = 0; step < data->steps_per_epoch; ++step)
    for (int64_t s = 0; s < samples; ++s)
      order[step * samples + s] =
          all[(step * options->batch_size + rank * samples + s) % available];
  memory_free(memory);
  return STATUS_OK;
}
