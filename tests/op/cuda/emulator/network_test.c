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

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_concatenation_that_padding_would_part_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
