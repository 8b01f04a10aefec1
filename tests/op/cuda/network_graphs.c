#include "network_graphs.h"

#include "base/require.h"
#include "conv_transpose2d_element.h"
#include "model/detector.h"
#include "nn/network.h"
#include "support/check.h"

enum { CHANNEL_MULTIPLE = 8 };

static GraphList *noted;

/* --- what the linker puts in the place of the program's own --- */

const Backend *__real_backend_of(const Device *device);
const Backend *__wrap_backend_of(const Device *device);
int32_t __wrap_device_known_count(const Device *device, const int32_t *count, int32_t most);

int32_t __wrap_device_known_count(const Device *device, const int32_t *count, int32_t most)
{
  return most; /* as on a GPU */
}

/* --- the backend that notes --- */

static void note(const Conv2dPlan *plan, ConvPass pass)
{
  const ConvGraph graph = conv_graph_of(plan, pass);
  for (int32_t i = 0; i < noted->count; ++i)
    if (conv_graph_equal(&noted->items[i], &graph)) return;
  require(noted->count < GRAPHS_MOST);
  noted->items[noted->count++] = graph;
}

static void note_convolution(const Conv2dPlan *plan)
{
  const Conv2dPlan flat = conv_graph_flat(plan);
  const Conv2d conv = flat.conv;
  note(&flat, conv.bias || conv.add || conv.relu ? CONV_FORWARD_FUSED : CONV_FORWARD);
  if (!flat.backward) return;
  note(&flat, CONV_BACKWARD_WEIGHT);
  if (flat.dx) note(&flat, CONV_BACKWARD_DATA);
}

static Status note_conv2d(Device *device, const Conv2dPlan *plan, Conv2dKernel **kernel,
                          OpBytes *bytes)
{
  note_convolution(plan);
  *kernel = NULL;
  *bytes = (OpBytes){0};
  return STATUS_OK;
}

static Status note_decoder_conv2d(Device *device, const DecoderConv2dPlan *plan,
                                  DecoderConv2dKernel **kernel, OpBytes *bytes)
{
  const Conv2dPlan joined = conv_graph_joined(plan);
  note_convolution(&joined);
  *kernel = NULL;
  *bytes = (OpBytes){0};
  return STATUS_OK;
}

static Status note_conv_transpose2d(Device *device, const ConvTranspose2dPlan *plan,
                                    ConvTranspose2dKernel **kernel, OpBytes *bytes)
{
  const Conv2dPlan product = conv_transpose2d_product(*plan);
  note_convolution(&product);
  *kernel = NULL;
  *bytes = (OpBytes){0};
  return STATUS_OK;
}

static Status note_batch_norm2d(Device *device, const BatchNorm2dPlan *plan,
                                BatchNorm2dKernel **kernel, OpBytes *bytes)
{
  *kernel = NULL;
  *bytes = (OpBytes){0};
  return STATUS_OK;
}

const Backend *__wrap_backend_of(const Device *device)
{
  static Backend backend;
  backend = *__real_backend_of(device);
  backend.channel_multiple = CHANNEL_MULTIPLE;
  backend.conv2d_open = note_conv2d;
  backend.decoder_conv2d_open = note_decoder_conv2d;
  backend.conv_transpose2d_open = note_conv_transpose2d;
  backend.batch_norm2d_open = note_batch_norm2d;
  return &backend;
}

/* --- networks --- */

void unet_graphs(Unet unet, NetworkCase opened, GraphList *list)
{
  Graph *graph;
  Device *device;
  Network *network;
  const NetworkOptions options = {.training = opened.training,
                                  .element = opened.element,
                                  .images = opened.images,
                                  .height = opened.height_px,
                                  .width = opened.width_px};
  noted = list;
  CHECK_OK(unet_build(unet, &graph));
  CHECK_OK(device_open(-1, &device));
  CHECK_OK(network_open(graph, device, options, &network));
  network_close(network);
  device_close(device);
  graph_close(graph);
}

void mask_rcnn_graphs(MaskRcnn model, NetworkCase opened, GraphList *list)
{
  DetectorParts parts;
  Device *device;
  Detector *detector;
  DetectorOptions options = detector_options_default(opened.training);
  options.element = opened.element;
  options.images = opened.images;
  options.height_px = opened.height_px;
  options.width_px = opened.width_px;
  options.truth_capacity = 100;
  options.mask_bytes_most = 100 * (int64_t)opened.height_px * opened.width_px;
  noted = list;
  CHECK_OK(detector_parts_open(model, &parts));
  CHECK_OK(device_open(-1, &device));
  CHECK_OK(detector_open(&parts, device, options, &detector));
  detector_close(detector);
  device_close(device);
  detector_parts_close(&parts);
}
