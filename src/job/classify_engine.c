#include "classify_engine.h"

#include "base/memory.h"

static Element pixel_element(PixelType type)
{
  switch (type) {
  case PIXEL_U8: return ELEMENT_U8;
  case PIXEL_U16: return ELEMENT_U16;
  case PIXEL_I16: return ELEMENT_I16;
  case PIXEL_F32: break;
  }
  return ELEMENT_F32;
}

static Shape image_shape(const Model *model, const ClassifyEngineOptions *options)
{
  return (Shape){.images = options->batch_size,
                 .height = options->tile_height_px,
                 .width = options->tile_width_px,
                 .channels = model->bands,
                 .element = pixel_element(model->pixel)};
}

static Status open_network(Device *device, const Model *model, const ClassifyEngineOptions *options,
                           Network **network)
{
  const NetworkOptions wanted = {.rank_count = 1,
                                 .element = options->element,
                                 .images = options->batch_size,
                                 .height = options->tile_height_px,
                                 .width = options->tile_width_px};
  return network_open(model->graph, device, wanted, network);
}

Status classify_engine_bytes(Device *device, const Model *model, ClassifyEngineOptions options,
                             size_t *bytes)
{
  Network *network;
  TRY(open_network(device, model, &options, &network));
  const Shape image = image_shape(model, &options);
  const size_t pixels = (size_t)shape_pixels(image);
  *bytes = network_bytes(network) + shape_bytes(image) + pixels;
  if (options.wants_classes) *bytes += pixels;
  if (options.wants_probabilities) *bytes += pixels * (size_t)model->class_count * sizeof(float);
  network_close(network);
  return STATUS_OK;
}

static Status send_statistics(ClassifyEngine *engine, const Model *model)
{
  void *memory;
  const size_t bands = (size_t)model->bands;
  TRY(memory_allocate(2 * bands, sizeof(float), "normalisation", &memory));
  float *means = memory;
  float *inverses = means + bands;
  for (size_t i = 0; i < bands; ++i) {
    means[i] = (float)model->means[i];
    inverses[i] = (float)(1 / model->standard_deviations[i]);
  }
  device_upload(engine->device, engine->mean, means, bands * sizeof(float));
  device_upload(engine->device, engine->inverse_std, inverses, bands * sizeof(float));
  const Status status = device_synchronize(engine->device);
  memory_free(memory);
  return status;
}

static Status allocate(ClassifyEngine *engine, const ClassifyEngineOptions *options)
{
  void *memory;
  Device *device = engine->device;
  const size_t pixels = (size_t)shape_pixels(engine->image);
  const size_t bands = (size_t)engine->image.channels;
  TRY(device_allocate(device, shape_bytes(engine->image), "a batch of tiles", &engine->pixels));
  TRY(device_allocate(device, pixels, "a batch of masks", &memory));
  engine->valid = memory;
  TRY(device_allocate(device, bands * sizeof(float), "means", &memory));
  engine->mean = memory;
  TRY(device_allocate(device, bands * sizeof(float), "deviations", &memory));
  engine->inverse_std = memory;
  if (options->wants_classes) {
    TRY(device_allocate(device, pixels, "a batch of classes", &memory));
    engine->classes = memory;
  }
  if (options->wants_probabilities) {
    TRY(device_allocate(device, pixels * (size_t)engine->class_count * sizeof(float),
                        "a batch of probabilities", &memory));
    engine->probabilities = memory;
  }
  return STATUS_OK;
}

static Status fill(ClassifyEngine *engine, const Model *model, const ClassifyEngineOptions *options)
{
  TRY(open_network(engine->device, model, options, &engine->network));
  TRY(normalize_plan(engine->image, model->bands, network_input_shape(engine->network)));
  TRY(prediction_plan(network_output_shape(engine->network, 0), engine->class_count));
  TRY(network_allocate(engine->network));
  TRY(allocate(engine, options));
  TRY(send_statistics(engine, model));
  return network_load(engine->network, model->trained, model->statistics);
}

Status classify_engine_open(Device *device, const Model *model, ClassifyEngineOptions options,
                            ClassifyEngine *engine)
{
  *engine = (ClassifyEngine){.device = device,
                             .backend = backend_of(device),
                             .image = image_shape(model, &options),
                             .class_count = model->class_count};
  const Status status = fill(engine, model, &options);
  if (status != STATUS_OK) classify_engine_close(engine);
  return status;
}

void classify_engine_close(ClassifyEngine *engine)
{
  network_close(engine->network);
  if (engine->device != NULL) {
    device_release(engine->device, engine->pixels);
    device_release(engine->device, engine->valid);
    device_release(engine->device, engine->mean);
    device_release(engine->device, engine->inverse_std);
    device_release(engine->device, engine->classes);
    device_release(engine->device, engine->probabilities);
  }
  *engine = (ClassifyEngine){0};
}

static void predict(ClassifyEngine *engine, uint8_t *classes, float *probabilities)
{
  const Shape shape = network_output_shape(engine->network, 0);
  const void *logits = network_output(engine->network, 0);
  const size_t pixels = (size_t)shape_pixels(shape);
  const int32_t class_count = engine->class_count;
  if (engine->classes != NULL) {
    engine->backend->argmax(engine->device, shape, logits, class_count, engine->classes);
    device_download(engine->device, classes, engine->classes, pixels);
  }
  if (engine->probabilities != NULL) {
    engine->backend->softmax(engine->device, shape, logits, class_count, engine->probabilities);
    device_download(engine->device, probabilities, engine->probabilities,
                    pixels * (size_t)class_count * sizeof(float));
  }
}

Status classify_engine_run(ClassifyEngine *engine, const void *pixels, const uint8_t *valid,
                           uint8_t *classes, float *probabilities)
{
  Device *device = engine->device;
  device_upload(device, engine->pixels, pixels, shape_bytes(engine->image));
  device_upload(device, engine->valid, valid, (size_t)shape_pixels(engine->image));
  engine->backend->normalize(device, engine->image, engine->pixels, engine->valid, engine->mean,
                             engine->inverse_std, network_input_shape(engine->network),
                             network_input(engine->network));
  network_forward(engine->network);
  predict(engine, classes, probabilities);
  return device_synchronize(device);
}
