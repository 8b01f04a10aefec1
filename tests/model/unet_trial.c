#include "unet_trial.h"

static void fill_parameters(UnetTrial *t, UnetFill *fill)
{
  const ParameterList *list = graph_parameters(t->graph);
  t->trained = room_numbers(t->room, list->trained_count);
  t->statistics = room_numbers(t->room, list->statistic_count);
  for (int32_t i = 0; i < list->count; ++i) {
    const Parameter *p = &list->items[i];
    fill(p->name, p->rank, p->dims, (p->trained ? t->trained : t->statistics) + p->offset);
  }
}

static void prepare_loss(UnetTrial *t, const double *class_weights)
{
  float weights[CLASS_COUNT_MOST];
  for (int32_t c = 0; c < t->unet.classes; ++c)
    weights[c] = (float)class_weights[c];
  t->loss = (SegmentationLoss){.class_count = t->unet.classes};
  t->class_weights = room_upload_floats(t->room, weights, t->unet.classes);
  t->sums = room_device(t->room, (size_t)segmentation_sums_count(t->unet.classes) * sizeof(float));
  t->loss_scratch = room_device(t->room, t->on->ops->segmentation_loss_scratch_bytes(
                                             t->loss, network_output_shape(t->network, 0)));
  t->labels = room_device(t->room, (size_t)shape_pixels(t->batch));
}

UnetTrial *unet_trial_open(const TestBackend *on, Unet unet, Shape batch, bool training,
                           UnetFill *fill, const double *class_weights)
{
  UnetTrial *t = calloc(1, sizeof *t);
  assert_non_null(t);
  *t = (UnetTrial){.on = on, .room = room_open(on), .unet = unet, .batch = batch};
  t->logit_count = shape_pixels(batch) * unet.classes;
  CHECK_OK(unet_build(unet, &t->graph));
  const NetworkOptions options = {.training = training,
                                  .element = batch.element,
                                  .images = batch.images,
                                  .height = batch.height,
                                  .width = batch.width};
  CHECK_OK(network_open(t->graph, on->device, options, &t->network));
  CHECK_OK(network_allocate(t->network));
  fill_parameters(t, fill);
  prepare_loss(t, class_weights);
  return t;
}

void unet_trial_close(UnetTrial *t)
{
  network_close(t->network);
  graph_close(t->graph);
  room_close(t->room);
  free(t);
}

void unet_trial_put(UnetTrial *t, const float *x, const uint8_t *labels)
{
  Room *room = room_open(t->on);
  const TestImage image = room_image(room, t->batch, x);
  assert_true(shape_equal(image.shape, network_input_shape(t->network)));
  device_copy(t->on->device, network_input(t->network), image.memory, shape_bytes(image.shape));
  device_upload(t->on->device, t->labels, labels, (size_t)shape_pixels(t->batch));
  room_close(room);
}

void unet_trial_feed(UnetTrial *t, const char *name)
{
  Room *room = room_open(t->on);
  float *x = room_numbers(room, shape_elements(t->batch));
  uint8_t *labels = room_host(room, shape_pixels(t->batch), 1);
  formula_image(name, t->batch.images, t->batch.height, t->batch.width, t->unet.bands,
                t->unet.classes, x, labels);
  unet_trial_put(t, x, labels);
  room_close(room);
}

float *unet_trial_logits(UnetTrial *t)
{
  const TestImage image = {.shape = network_output_shape(t->network, 0),
                           .channels = t->unet.classes,
                           .memory = (void *)network_output(t->network, 0)};
  const float *last = room_numbers_of(t->room, image);
  float *first = room_numbers(t->room, t->logit_count);
  const int64_t plane = (int64_t)t->batch.height * t->batch.width;
  for (int32_t n = 0; n < t->batch.images; ++n)
    for (int64_t p = 0; p < plane; ++p)
      for (int32_t c = 0; c < t->unet.classes; ++c)
        first[((int64_t)n * t->unet.classes + c) * plane + p] =
            last[(n * plane + p) * t->unet.classes + c];
  return first;
}

double unet_trial_loss(UnetTrial *t)
{
  float sums[2 + 3 * CLASS_COUNT_MOST];
  t->on->ops->segmentation_loss_sums(
      t->on->device, t->loss, t->class_weights, network_output_shape(t->network, 0),
      network_output(t->network, 0), t->labels, t->sums, t->loss_scratch);
  device_download(t->on->device, sums, t->sums,
                  (size_t)segmentation_sums_count(t->unet.classes) * sizeof(float));
  CHECK_OK(device_synchronize(t->on->device));
  return segmentation_loss_value(t->loss, sums);
}

void unet_trial_loss_backward(UnetTrial *t)
{
  t->on->ops->segmentation_loss_backward(
      t->on->device, t->loss, t->class_weights, t->sums, NULL, network_output_shape(t->network, 0),
      network_output(t->network, 0), t->labels, network_output_gradient(t->network, 0));
}
