#include <stdio.h>

#include "conv_engine.h"
#include "support/check.h"
#include "unet_graphs.h"

/* Every graph of a U-Net and of Mask R-CNN has an engine on the GPUs that the program is for. No GPU is needed: each
 * is described to cuDNN by its properties (devices/). */

typedef struct Described {
  CudnnBag bag;
  cudnnBackendDescriptor_t properties;
} Described;

static void describe(const char *name, Described *device)
{
  char path[512];
  char json[4096] = "";
  snprintf(path, sizeof path, "%s/%s.json", DEVICES_FOLDER, name);
  FILE *file = fopen(path, "r");
  if (file == NULL) fail_msg("%s cannot be opened", path);
  assert_in_range(fread(json, 1, sizeof json - 1, file), 100, sizeof json - 2);
  fclose(file);
  *device = (Described){.bag = {.count = 0}};
  CHECK_OK(device_properties_of_json(json, &device->bag, &device->properties));
}

/* Done in some 10 us without tensor cores, too. */
static bool is_small(const ConvGraph *graph)
{
  const Shape weights = conv_graph_weights(graph);
  return 2.0 * (double)shape_elements(weights) * (double)shape_pixels(graph->y) < 1e9;
}

/* Ready-made engines only, so that no start waits for a compiler; wherever this is not so any more,
 * an engine that is compiled when the program starts would do, at 0.1 to 0.5 s each. */
static void expect_engine(const char *name, const Described *device, const ConvGraph *graph)
{
  const EngineRule rule = {.accept_without_driver = true};
  ConvEngine *engine = NULL;
  char text[160];
  if (conv_engine_choose(graph, device->properties, rule, &engine) != STATUS_OK)
    fail_msg("%s: %s", name, status_message());
  const bool ready_made = engine->loadable && !engine->compiled_at_run_time;
  const bool fast = engine->tensor_cores || graph->x.element == ELEMENT_F32 || is_small(graph);
  const bool strict = !engine->tensor_cores || graph->x.element != ELEMENT_F32;
  const size_t workspace_bytes = engine->workspace_bytes;
  conv_engine_close(engine);
  if (!ready_made) fail_msg("%s: compiled at run time: %s", name, conv_graph_text(graph, text));
  if (!fast) fail_msg("%s: no tensor cores: %s", name, conv_graph_text(graph, text));
  if (!strict) fail_msg("%s: float32 on tensor cores: %s", name, conv_graph_text(graph, text));
  if (workspace_bytes > (size_t)1 << 30)
    fail_msg("%s: %zu MiB of workspace: %s", name, workspace_bytes >> 20,
             conv_graph_text(graph, text));
}

static GraphList head_graphs_of(Element training, Element inference)
{
  static const int32_t classes[] = {2, 91};
  GraphList list = {.count = 0};
  for (int count = 0; count < 2; ++count) {
    UnetCase network = {.images = 2,
                        .size_px = 512,
                        .classes = classes[count],
                        .element = training,
                        .training = true};
    head_graphs(network, &list);
    network.element = inference;
    network.training = false;
    head_graphs(network, &list);
  }
  return list;
}

static GraphList graphs_of(Element training, Element inference)
{
  static const int32_t depths[] = {18, 34, 50};
  static const int32_t bands[] = {3, 4, 13};
  static const int32_t classes[] = {2, 6};
  GraphList list = {.count = 0};
  for (int depth = 0; depth < 3; ++depth)
    for (int band = 0; band < 3; ++band)
      for (int count = 0; count < 2; ++count) {
        UnetCase network = {.depth = depths[depth],
                            .images = 8,
                            .size_px = 256,
                            .bands = bands[band],
                            .classes = classes[count],
                            .element = training,
                            .training = true};
        unet_graphs(network, &list);
        network.size_px = 512;
        network.element = inference;
        network.training = false;
        unet_graphs(network, &list);
      }
  return list;
}

static void expect_engines(const char *name, Element training, Element inference)
{
  Described device;
  describe(name, &device);
  const GraphList heads = head_graphs_of(training, inference);
  assert_in_range(heads.count, 60, GRAPHS_MOST);
  for (int i = 0; i < heads.count; ++i)
    expect_engine(name, &device, &heads.items[i]);
  const GraphList list = graphs_of(training, inference);
  assert_in_range(list.count, 100, GRAPHS_MOST);
  for (int i = 0; i < list.count; ++i)
    expect_engine(name, &device, &list.items[i]);
  cudnn_bag_empty(&device.bag);
}

static void every_graph_has_an_engine_on_an_h200(void **state)
{
  expect_engines("h200", ELEMENT_BF16, ELEMENT_BF16);
  expect_engines("h200", ELEMENT_F32, ELEMENT_F32);
}

static void every_graph_has_an_engine_on_an_h100(void **state)
{
  expect_engines("h100", ELEMENT_BF16, ELEMENT_BF16);
}

static void every_graph_has_an_engine_on_an_a100(void **state)
{
  expect_engines("a100", ELEMENT_BF16, ELEMENT_BF16);
  expect_engines("a100", ELEMENT_F32, ELEMENT_F32);
}

static void every_graph_has_an_engine_on_an_l40s(void **state)
{
  expect_engines("l40s", ELEMENT_BF16, ELEMENT_BF16);
  expect_engines("l40s", ELEMENT_F32, ELEMENT_F32);
}

static void every_graph_has_an_engine_on_a_t4(void **state)
{
  expect_engines("t4", ELEMENT_F32, ELEMENT_F16); /* it has no bfloat16 */
}

/* What keeps the tests above from passing on anything. */
static void a_t4_has_no_engine_for_bfloat16(void **state)
{
  Described device;
  describe("t4", &device);
  const GraphList list = graphs_of(ELEMENT_BF16, ELEMENT_BF16);
  ConvEngine *engine = NULL;
  CHECK_FAILS(STATUS_UNSUPPORTED, "no deterministic engine",
              conv_engine_choose(&list.items[0], device.properties, (EngineRule){0}, &engine));
  assert_null(engine);
  cudnn_bag_empty(&device.bag);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_graph_has_an_engine_on_an_h200),
      cmocka_unit_test(every_graph_has_an_engine_on_an_h100),
      cmocka_unit_test(every_graph_has_an_engine_on_an_a100),
      cmocka_unit_test(every_graph_has_an_engine_on_an_l40s),
      cmocka_unit_test(every_graph_has_an_engine_on_a_t4),
      cmocka_unit_test(a_t4_has_no_engine_for_bfloat16),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
