#include <stdlib.h>

#include "device/recording.h"
#include "nn/network.h"
#include "support/backends.h"

/* Networks on the plug-in: what only a device with padded channels refuses. */

/* A concatenation of the input's channels with themselves. */
static Status open_doubled(Device *device, int32_t channels, Network **network)
{
  const NetworkOptions options = {.element = ELEMENT_F32, .images = 1, .height = 4, .width = 4};
  Graph *graph;
  CHECK_OK(graph_open(channels, &graph));
  const Value image = graph_input(graph);
  const Value both = graph_concat(graph, (const Value[]){image, image}, 2);
  CHECK_OK(graph_finish(graph, both));
  const Status status = network_open(graph, device, options, network);
  if (status == STATUS_OK) network_close(*network);
  graph_close(graph);
  return status;
}

static void a_concatenation_that_padding_would_part_is_refused(void **state)
{
  int gpus = 0;
  Network *network;
  FOR_EACH_TWIN(on)
  {
    CHECK_OK(open_doubled(on->device, 16, &network));
    if (on->ops->channel_multiple == 1) {
      CHECK_OK(open_doubled(on->device, 12, &network));
      continue;
    }
    ++gpus;
    CHECK_FAILS(STATUS_UNSUPPORTED, "part 0 has 12 channels, which this device pads to 16",
                open_doubled(on->device, 12, &network));
  }
  assert_int_equal(gpus, 1);
}

/* The sentence of a GPU whose kernel behind so many others goes wrong, in a forward pass of a
 * concatenation and an upsampling. */
static Status run_broken(int kernels, const char *check)
{
  void (*emulated_break)(int);
  *(void **)&emulated_break = device_plugin_symbol("emulated_break");
  assert_non_null((void *)(intptr_t)emulated_break);
  const NetworkOptions options = {.element = ELEMENT_F32, .images = 1, .height = 4, .width = 4};
  Graph *graph;
  Device *device;
  Network *network;
  assert_int_equal(setenv("QUADRAT_CUDA_CHECK", check, 1), 0);
  CHECK_OK(graph_open(8, &graph));
  const Value image = graph_input(graph);
  const Value both = graph_concat(graph, (const Value[]){image, image}, 2);
  CHECK_OK(graph_finish(graph, graph_upsample_nearest(graph, both)));
  CHECK_OK(device_open(0, &device));
  CHECK_OK(network_open(graph, device, options, &network));
  CHECK_OK(network_allocate(network));
  CHECK_OK(device_synchronize(device));
  emulated_break(kernels);
  network_forward(network);
  const Status status = device_synchronize(device);
  emulated_break(-1);
  network_close(network);
  device_close(device);
  graph_close(graph);
  assert_int_equal(unsetenv("QUADRAT_CUDA_CHECK"), 0);
  return status;
}

static void a_gpu_that_is_checked_says_what_went_wrong(void **state)
{
  CHECK_FAILS(STATUS_DEVICE,
              "forward of upsample_nearest 2, 1 x 8 x 8 x 16: CUDA, place_kernel, 1 x 1 blocks of "
              "256 x 1 threads: ",
              run_broken(2, "1"));
  CHECK_FAILS(STATUS_DEVICE, "forward of concat 1, 1 x 4 x 4 x 16: CUDA, place_kernel",
              run_broken(1, "1"));
  CHECK_FAILS(STATUS_DEVICE, "wait for the GPU; QUADRAT_CUDA_CHECK=1", run_broken(1, "0"));
  CHECK_OK(run_broken(3, "1"));
}

static Status issue_nothing(void *context)
{
  return STATUS_OK;
}

static void a_gpu_that_is_checked_records_nothing(void **state)
{
  for (int checks = 0; checks < 2; ++checks) {
    Device *device;
    Recording *recording;
    assert_int_equal(setenv("QUADRAT_CUDA_CHECK", checks ? "1" : "0", 1), 0);
    CHECK_OK(device_open(0, &device));
    if (checks)
      CHECK_FAILS(STATUS_UNSUPPORTED, "QUADRAT_CUDA_CHECK=1 waits for every kernel",
                  recording_make(device, issue_nothing, NULL, &recording));
    else
      CHECK_OK(recording_make(device, issue_nothing, NULL, &recording));
    recording_close(recording);
    device_close(device);
  }
  assert_int_equal(unsetenv("QUADRAT_CUDA_CHECK"), 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_concatenation_that_padding_would_part_is_refused),
      cmocka_unit_test(a_gpu_that_is_checked_says_what_went_wrong),
      cmocka_unit_test(a_gpu_that_is_checked_records_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
