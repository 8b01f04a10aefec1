#include "network_trial.h"

static const Backend *plugged; /* what backend_of gives, if not NULL */

const Backend *__real_backend_of(const Device *device);
const Backend *__wrap_backend_of(const Device *device);

const Backend *__wrap_backend_of(const Device *device)
{
  return plugged != NULL ? plugged : __real_backend_of(device);
}

Status network_trial_try(const TestBackend *on, const Graph *graph, NetworkOptions options,
                         Network **network)
{
  plugged = on->ops;
  const Status status = network_open(graph, on->device, options, network);
  plugged = NULL;
  return status;
}

static void fill_parameters(NetworkTrial *t)
{
  const ParameterList *list = graph_parameters(t->graph);
  t->host_trained = room_numbers(t->room, list->trained_count);
  t->host_statistics = room_numbers(t->room, list->statistic_count);
  for (int32_t i = 0; i < list->count; ++i) {
    const Parameter *p = &list->items[i];
    formula_fill(p->name, p->rank, p->dims,
                 (p->trained ? t->host_trained : t->host_statistics) + p->offset);
  }
}

void network_trial_set(NetworkTrial *t)
{
  const ParameterList *list = graph_parameters(t->graph);
  if (!t->options.training) {
    CHECK_OK(network_load(t->network, t->host_trained, t->host_statistics));
    return;
  }
  device_upload(t->on->device, t->trained, t->host_trained,
                (size_t)list->trained_count * sizeof(float));
  device_upload(t->on->device, t->statistics, t->host_statistics,
                (size_t)list->statistic_count * sizeof(float));
  network_pack(t->network);
  CHECK_OK(device_synchronize(t->on->device));
}

NetworkTrial *network_trial_open(const TestBackend *on, const Graph *graph, NetworkOptions options)
{
  const ParameterList *list = graph_parameters(graph);
  NetworkTrial *t = calloc(1, sizeof *t);
  assert_non_null(t);
  *t = (NetworkTrial){.on = on, .room = room_open(on), .graph = graph, .options = options};
  CHECK_OK(network_trial_try(on, graph, options, &t->network));
  CHECK_OK(network_allocate(t->network));
  fill_parameters(t);
  if (options.training) {
    t->trained = room_upload_floats(t->room, t->host_trained, list->trained_count);
    t->statistics = room_upload_floats(t->room, t->host_statistics, list->statistic_count);
    t->gradients = room_upload_floats(t->room, room_numbers(t->room, list->trained_count),
                                      list->trained_count);
    network_bind(t->network, t->trained, t->statistics, t->gradients);
  }
  network_trial_set(t);
  return t;
}

void network_trial_close(NetworkTrial *t)
{
  network_close(t->network);
  room_close(t->room);
  free(t);
}

static TestImage output_image(const NetworkTrial *t)
{
  int32_t count;
  const Node *nodes = graph_nodes(t->graph, &count);
  return (TestImage){.shape = network_output_shape(t->network, 0),
                     .channels = nodes[graph_output(t->graph, 0)].channels,
                     .memory = (void *)network_output(t->network, 0)};
}

int64_t network_trial_output_count(const NetworkTrial *t)
{
  const TestImage image = output_image(t);
  return shape_pixels(image.shape) * image.channels;
}

/* Copies N x H x W x channels of numbers to an image of the network. */
static void put(NetworkTrial *t, void *to, Shape shape, const float *from)
{
  Room *room = room_open(t->on);
  const TestImage image = room_image(room, shape, from);
  device_copy(t->on->device, to, image.memory, shape_bytes(image.shape));
  room_close(room);
}

float *network_trial_forward(NetworkTrial *t)
{
  Shape shape = network_input_shape(t->network);
  int32_t count;
  shape.channels = graph_nodes(t->graph, &count)[0].channels;
  Room *room = room_open(t->on);
  const int64_t behind = shape_elements(shape) / shape.images * t->first_image;
  put(t, network_input(t->network), shape,
      room_formula(room, "input", behind + shape_elements(shape)) + behind);
  room_close(room);
  network_forward(t->network);
  CHECK_OK(device_synchronize(t->on->device));
  return room_numbers_of(t->room, output_image(t));
}

void network_trial_aim(NetworkTrial *t, const float *weights)
{
  const TestImage image = output_image(t);
  Shape shape = image.shape;
  shape.channels = image.channels;
  put(t, network_output_gradient(t->network, 0), shape, weights);
}

float *network_trial_backward(NetworkTrial *t, const float *weights)
{
  const int64_t count = graph_parameters(t->graph)->trained_count;
  device_clear(t->on->device, t->gradients, (size_t)count * sizeof(float));
  network_trial_aim(t, weights);
  CHECK_OK(network_backward(t->network, NULL, NULL));
  CHECK_OK(device_synchronize(t->on->device));
  return room_download_floats(t->room, t->gradients, count);
}
