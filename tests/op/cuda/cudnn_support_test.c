#include <stdio.h>

#include "base/memory.h"
#include "conv_engine.h"
#include "network_graphs.h"
#include "support/check.h"

/* Every graph of a U-Net and of Mask R-CNN has an engine on the GPUs that the program is for. No GPU is needed: each
 * is described to cuDNN by its properties (devices/). */

typedef struct Precision {
  Element training, inference;
} Precision;

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

/* Done in some 20 us without tensor cores, too; heuristics choose so for heads of odd sizes. */
static bool is_small(const ConvGraph *graph)
{
  const Shape weights = conv_graph_weights(graph);
  return 2.0 * (double)shape_elements(weights) * (double)shape_pixels(graph->y) < 2e9;
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

static Element element_of(Precision precision, bool training)
{
  return training ? precision.training : precision.inference;
}

/* Odd numbers of bands and classes, sides that are no power of two, whole and half batches. */
static void list_unets(Precision precision, GraphList *list)
{
  static const Encoder encoders[] = {ENCODER_RESNET18, ENCODER_RESNET34, ENCODER_RESNET50,
                                     ENCODER_RESNET101};
  static const int32_t bands[] = {3, 4, 8, 13};
  static const int32_t classes[] = {2, 6, 2, 11};
  for (int i = 0; i < 4; ++i)
    for (int training = 0; training < 2; ++training) {
      const Unet unet = {.encoder = encoders[i], .bands = bands[i], .classes = classes[i]};
      NetworkCase opened = {.training = training != 0,
                            .element = element_of(precision, training != 0),
                            .images = 8,
                            .height_px = training ? 256 : 512,
                            .width_px = training ? 256 : 512};
      unet_graphs(unet, opened, list);
      opened.images = 3;
      opened.height_px = 96;
      opened.width_px = 160;
      unet_graphs(unet, opened, list);
    }
}

static void list_detectors(Precision precision, GraphList *list)
{
  static const MaskRcnn models[] = {
      {.encoder = ENCODER_RESNET18, .bands = 3, .classes = 2, .masks = true, .trained_layers = 5},
      {.encoder = ENCODER_RESNET50,
       .bands = 4,
       .classes = 91,
       .masks = true,
       .norm_frozen = true,
       .trained_layers = 3},
      {.encoder = ENCODER_RESNET34,
       .bands = 13,
       .classes = 7,
       .masks = false,
       .trained_layers = 5}};
  for (size_t i = 0; i < sizeof models / sizeof models[0]; ++i)
    for (int training = 0; training < 2; ++training) {
      MaskRcnn model = models[i];
      model.norm_eps = 1e-5F;
      NetworkCase opened = {.training = training != 0,
                            .element = element_of(precision, training != 0),
                            .images = 2,
                            .height_px = 512,
                            .width_px = 512};
      mask_rcnn_graphs(model, opened, list);
      opened.images = 1;
      opened.height_px = 800;
      opened.width_px = 1344;
      mask_rcnn_graphs(model, opened, list);
    }
}

static void expect_engines(const char *name, Precision precision)
{
  Described device;
  GraphList *list;
  void *memory;
  describe(name, &device);
  CHECK_OK(memory_allocate(1, sizeof *list, "graphs", &memory));
  list = memory;
  list_unets(precision, list);
  assert_in_range(list->count, 200, GRAPHS_MOST);
  const int32_t of_unets = list->count;
  list_detectors(precision, list);
  assert_in_range(list->count, of_unets + 200, GRAPHS_MOST);
  for (int i = 0; i < list->count; ++i)
    expect_engine(name, &device, &list->items[i]);
  memory_free(memory);
  cudnn_bag_empty(&device.bag);
}

static void every_graph_has_an_engine_on_an_h200(void **state)
{
  expect_engines("h200", (Precision){ELEMENT_BF16, ELEMENT_BF16});
  expect_engines("h200", (Precision){ELEMENT_F32, ELEMENT_F32});
}

static void every_graph_has_an_engine_on_an_h100(void **state)
{
  expect_engines("h100", (Precision){ELEMENT_BF16, ELEMENT_BF16});
}

static void every_graph_has_an_engine_on_an_a100(void **state)
{
  expect_engines("a100", (Precision){ELEMENT_BF16, ELEMENT_BF16});
  expect_engines("a100", (Precision){ELEMENT_F32, ELEMENT_F32});
}

static void every_graph_has_an_engine_on_an_l40s(void **state)
{
  expect_engines("l40s", (Precision){ELEMENT_BF16, ELEMENT_BF16});
  expect_engines("l40s", (Precision){ELEMENT_F32, ELEMENT_F32});
}

static void every_graph_has_an_engine_on_a_t4(void **state)
{
  expect_engines("t4", (Precision){ELEMENT_F16, ELEMENT_F16}); /* it has no bfloat16 */
  expect_engines("t4", (Precision){ELEMENT_F32, ELEMENT_F16});
}

/* What keeps the tests above from passing on anything. */
static void a_t4_has_no_engine_for_bfloat16(void **state)
{
  Described device;
  describe("t4", &device);
  static GraphList list;
  const Unet unet = {.encoder = ENCODER_RESNET18, .bands = 3, .classes = 2};
  unet_graphs(unet, (NetworkCase){false, ELEMENT_BF16, 1, 64, 64}, &list);
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
