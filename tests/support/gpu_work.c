#include "support/gpu_work.h"

#include "nn/optimizer.h"
#include "op/backend.h"

/* Addresses of a device that counts are never read: one block stands for all inputs. */

static Status ready(void *context, size_t first)
{
  GpuWork *work = context;
  int32_t count;
  (void)op_work_items(work->list, &count);
  if (work->ready_count < GPU_READY_MOST)
    work->ready[work->ready_count++] = (GpuReady){.ops = count, .first = first};
  return STATUS_OK;
}

static int32_t count_now(const GpuWork *work)
{
  int32_t count;
  (void)op_work_items(work->list, &count);
  return count;
}

static void note_memory(GpuWork *work)
{
  int32_t count;
  const DeviceCount *counts = device_counts(work->device, &count);
  for (int32_t i = 0; i < count; ++i)
    if (!counts[i].host) work->device_bytes += counts[i].bytes;
}

static Status begin(GpuWork *work)
{
  *work = (GpuWork){0};
  TRY(device_open(-1, &work->device));
  return op_work_open(work->device, &work->list);
}

static Status finish(GpuWork *work, Status status)
{
  if (status == STATUS_OK) status = op_work_status(work->list);
  if (status != STATUS_OK) {
    gpu_work_close(work);
    return status;
  }
  work->items = op_work_items(work->list, &work->count);
  return STATUS_OK;
}

void gpu_work_close(GpuWork *work)
{
  device_close(work->device);
  op_work_close(work->list);
  *work = (GpuWork){0};
}

/* An image as it was read, uploaded and normalised into a network's input. */
static void feed(const GpuWork *work, Element element, int32_t bands, Shape input, void *block)
{
  Shape image = input;
  image.channels = bands;
  image.element = element;
  device_upload(work->device, block, block, shape_bytes(image));
  device_upload(work->device, block, block, (size_t)shape_pixels(image));
  backend_of(work->device)
      ->normalize(work->device, image, block, block, block, block, input, block);
}

static Status open_optimizer(const GpuWork *work, const ParameterList *list, Optimizer **optimizer)
{
  const OptimizerOptions options = {
      .kind = OPTIMIZER_ADAMW,
      .schedule = {.kind = SCHEDULE_CONSTANT, .rate = 1e-3, .step_count = 1000},
      .momentum = 0.9,
      .weight_decay = 0.01};
  return optimizer_open(list, work->device, options, optimizer);
}

static Status backward(GpuWork *work, Network *network)
{
  work->backward_first = count_now(work);
  TRY(network_backward(network, ready, work));
  work->backward_end = count_now(work);
  return STATUS_OK;
}

/* As trainer_unet.c does it. */
static Status learn_unet(GpuWork *work, Network *network, Optimizer *optimizer, int32_t bands,
                         int32_t classes, void *block)
{
  const Backend *ops = backend_of(work->device);
  const SegmentationLoss loss = {.class_count = classes};
  const Shape logits = network_output_shape(network, 0);
  op_work_clear(work->list);
  optimizer_clear_gradients(optimizer);
  device_upload(work->device, block, block, (size_t)shape_pixels(logits));
  feed(work, ELEMENT_F32, bands, network_input_shape(network), block);
  network_pack(network);
  network_forward(network);
  ops->segmentation_loss_sums(work->device, loss, block, logits, network_output(network, 0), block,
                              block, block);
  ops->segmentation_loss_backward(work->device, loss, block, block, NULL, logits,
                                  network_output(network, 0), block,
                                  network_output_gradient(network, 0));
  TRY(backward(work, network));
  optimizer_step(optimizer, 0);
  return STATUS_OK;
}

static void predict_unet(GpuWork *work, Network *network, int32_t bands, int32_t classes,
                         void *block)
{
  const Shape logits = network_output_shape(network, 0);
  op_work_clear(work->list);
  feed(work, ELEMENT_U8, bands, network_input_shape(network), block);
  network_forward(network);
  backend_of(work->device)
      ->argmax(work->device, logits, network_output(network, 0), classes, block);
  device_download(work->device, block, block, (size_t)shape_pixels(logits));
}

static void bind_to(Network *network, Optimizer *optimizer)
{
  network_bind(network, optimizer_trained(optimizer), optimizer_statistics(optimizer),
               optimizer_gradients(optimizer));
}

static Status run_unet(GpuWork *work, const Graph *graph, Network *network, NetworkOptions options,
                       int32_t bands, int32_t classes)
{
  void *block;
  Optimizer *optimizer = NULL;
  TRY(network_allocate(network));
  TRY(device_allocate(work->device, 1, "images", &block));
  if (!options.training) {
    note_memory(work);
    predict_unet(work, network, bands, classes, block);
    return STATUS_OK;
  }
  TRY(open_optimizer(work, graph_parameters(graph), &optimizer));
  note_memory(work);
  bind_to(network, optimizer);
  work->gradients = graph_parameters(graph)->trained_count;
  const Status status = learn_unet(work, network, optimizer, bands, classes, block);
  optimizer_close(optimizer);
  return status;
}

Status gpu_work_unet(const Graph *graph, NetworkOptions options, int32_t bands, int32_t classes,
                     GpuWork *work)
{
  Network *network = NULL;
  Status status = begin(work);
  if (status == STATUS_OK) status = network_open(graph, work->device, options, &network);
  if (status == STATUS_OK) status = run_unet(work, graph, network, options, bands, classes);
  network_close(network);
  return finish(work, status);
}

static Status run_graph(GpuWork *work, const Graph *graph, Network *network, bool training)
{
  Optimizer *optimizer = NULL;
  TRY(network_allocate(network));
  op_work_clear(work->list);
  if (!training) {
    note_memory(work);
    network_forward(network);
    return STATUS_OK;
  }
  TRY(open_optimizer(work, graph_parameters(graph), &optimizer));
  note_memory(work);
  bind_to(network, optimizer);
  op_work_clear(work->list);
  network_forward(network);
  const Status status = backward(work, network);
  optimizer_close(optimizer);
  return status;
}

Status gpu_work_graph(const Graph *graph, NetworkOptions options, GpuWork *work)
{
  Network *network = NULL;
  Status status = begin(work);
  if (status == STATUS_OK) status = network_open(graph, work->device, options, &network);
  if (status == STATUS_OK) status = run_graph(work, graph, network, options.training);
  network_close(network);
  return finish(work, status);
}

static void upload_truth(const GpuWork *work, const Truth *truth, const DetectorOptions *options,
                         void *block)
{
  const size_t objects = (size_t)truth->images * (size_t)truth->capacity;
  device_upload(work->device, block, block, 5 * objects * sizeof(float));
  if (truth->mask_windows == NULL) return;
  device_upload(work->device, block, block, 4 * objects * sizeof(int32_t));
  device_upload(work->device, block, block,
                (size_t)truth->images * (size_t)options->mask_bytes_most);
}

/* As trainer_detector.c does it. */
static Status learn_detector(GpuWork *work, Detector *detector, const DetectorParts *parts,
                             const DetectorOptions *options, Optimizer *optimizer, void *block)
{
  op_work_clear(work->list);
  optimizer_clear_gradients(optimizer);
  upload_truth(work, &detector_buffers(detector)->truth, options, block);
  feed(work, ELEMENT_F32, parts->model.bands, detector_input_shape(detector), block);
  detector_pack(detector);
  detector_forward_trunk(detector);
  detector_propose(detector);
  detector_sample(detector);
  work->backward_first = count_now(work);
  TRY(detector_learn(detector, ready, work));
  work->backward_end = count_now(work);
  optimizer_step(optimizer, 0);
  return STATUS_OK;
}

static void find(GpuWork *work, Detector *detector, const DetectorParts *parts,
                 const DetectorOptions *options, void *block)
{
  const size_t found = (size_t)options->images * (size_t)options->detection_count;
  op_work_clear(work->list);
  feed(work, ELEMENT_U8, parts->model.bands, detector_input_shape(detector), block);
  detector_find(detector);
  device_download(work->device, block, block, found * 6 * sizeof(float));
  if (options->pasted_pixels_most > 0)
    device_download(work->device, block, block,
                    (size_t)options->images * (size_t)options->pasted_pixels_most);
}

static Status run_detector(GpuWork *work, Detector *detector, const DetectorParts *parts,
                           const DetectorOptions *options)
{
  void *block;
  Optimizer *optimizer = NULL;
  TRY(detector_allocate(detector));
  TRY(device_allocate(work->device, 1, "images", &block));
  if (!options->training) {
    note_memory(work);
    find(work, detector, parts, options, block);
    return STATUS_OK;
  }
  TRY(open_optimizer(work, &parts->parameters, &optimizer));
  note_memory(work);
  detector_bind(detector, optimizer_trained(optimizer), optimizer_statistics(optimizer),
                optimizer_gradients(optimizer));
  work->gradients = parts->parameters.trained_count;
  const Status status = learn_detector(work, detector, parts, options, optimizer, block);
  optimizer_close(optimizer);
  return status;
}

Status gpu_work_detector(const DetectorParts *parts, DetectorOptions options, GpuWork *work)
{
  Detector *detector = NULL;
  Status status = begin(work);
  if (status == STATUS_OK) status = detector_open(parts, work->device, options, &detector);
  if (status == STATUS_OK) status = run_detector(work, detector, parts, &options);
  detector_close(detector);
  return finish(work, status);
}
