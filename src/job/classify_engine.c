#include "classify_engine.h"

#include "base/memory.h"

static Shape image_shape(const Model *model, const ClassifyEngineOptions *options)
{
  return tile_input_shape(model, options->batch_size, options->tile_height_px,
                          options->tile_width_px);
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
  const size_t copies = device_works_beside(device) ? 2 : 1;
  *bytes = network_bytes(network) + tile_input_bytes(device, image);
  if (options.wants_classes) *bytes += copies * pixels;
  if (options.wants_probabilities)
    *bytes += copies * pixels * (size_t)model->class_count * sizeof(float);
  network_close(network);
  return STATUS_OK;
}

static Status allocate(ClassifyEngine *engine, const ClassifyEngineOptions *options)
{
  void *memory;
  Device *device = engine->device;
  const size_t pixels = (size_t)shape_pixels(engine->input.image);
  const size_t probability_bytes = pixels * (size_t)engine->class_count * sizeof(float);
  TRY(outbox_open(device, &engine->outbox));
  if (options->wants_classes) {
    TRY(device_allocate(device, pixels, "a batch of classes", &memory));
    engine->classes = memory;
    outbox_reserve(engine->outbox, pixels);
  }
  if (options->wants_probabilities) {
    TRY(device_allocate(device, probability_bytes, "a batch of probabilities", &memory));
    engine->probabilities = memory;
    outbox_reserve(engine->outbox, probability_bytes);
  }
  return outbox_allocate(engine->outbox);
}

static Status fill(ClassifyEngine *engine, const Model *model, const ClassifyEngineOptions *options)
{
  TRY(open_network(engine->device, model, options, &engine->network));
  TRY(tile_input_open(engine->device, model, image_shape(model, options),
                      network_input_shape(engine->network), &engine->input));
  TRY(prediction_plan(network_output_shape(engine->network, 0), engine->class_count));
  TRY(network_allocate(engine->network));
  TRY(allocate(engine, options));
  return network_load(engine->network, model->trained, model->statistics);
}

Status classify_engine_open(Device *device, const Model *model, ClassifyEngineOptions options,
                            ClassifyEngine *engine)
{
  *engine = (ClassifyEngine){
      .device = device, .backend = backend_of(device), .class_count = model->class_count};
  const Status status = fill(engine, model, &options);
  if (status != STATUS_OK) classify_engine_close(engine);
  return status;
}

void classify_engine_close(ClassifyEngine *engine)
{
  outbox_close(engine->outbox);
  network_close(engine->network);
  tile_input_close(&engine->input);
  if (engine->device != NULL) {
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
    outbox_put(engine->outbox, classes, engine->classes, pixels);
  }
  if (engine->probabilities != NULL) {
    engine->backend->softmax(engine->device, shape, logits, class_count, engine->probabilities);
    outbox_put(engine->outbox, probabilities, engine->probabilities,
               pixels * (size_t)class_count * sizeof(float));
  }
}

void classify_engine_begin(ClassifyEngine *engine, int32_t lane, const void *pixels,
                           const uint8_t *valid, uint8_t *classes, float *probabilities)
{
  tile_input_run(&engine->input, pixels, valid, network_input_shape(engine->network),
                 network_input(engine->network));
  network_forward(engine->network);
  predict(engine, classes, probabilities);
  outbox_send(engine->outbox, lane);
}

Status classify_engine_end(ClassifyEngine *engine, int32_t lane)
{
  return outbox_wait(engine->outbox, lane);
}
