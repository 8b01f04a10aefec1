#include "conv_engine.h"

#include <string.h>

#include "base/memory.h"

enum { CONFIGURATIONS_MOST = 64, NOTES_MOST = 16 };

/* Most engines want no workspace, or little. The few that want more must not decide the memory plan
 * while others can do the work. */
static const size_t workspace_bytes[] = {(size_t)256 << 20, (size_t)1 << 30, (size_t)8 << 30};
enum { WORKSPACES = sizeof workspace_bytes / sizeof *workspace_bytes };

/* What CUDNN_STATUS_EXECUTION_FAILED_CUDA_DRIVER is where an engine was compiled and there is no
 * driver to load it. */
static const cudnnStatus_t no_driver = CUDNN_STATUS_EXECUTION_FAILED_CUDA_DRIVER;

Status device_properties_of_gpu(int32_t gpu, CudnnBag *bag, cudnnBackendDescriptor_t *properties)
{
  TRY(cudnn_create(bag, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, properties));
  TRY(cudnn_set(*properties, CUDNN_ATTR_DEVICEPROP_DEVICE_ID, CUDNN_TYPE_INT32, 1, &gpu));
  return cudnn_finalize(*properties, "properties of the device");
}

Status device_properties_of_json(const char *json, CudnnBag *bag,
                                 cudnnBackendDescriptor_t *properties)
{
  TRY(cudnn_create(bag, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, properties));
  TRY(cudnn_set(*properties, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
                (int64_t)strlen(json) + 1, json));
  return cudnn_finalize(*properties, "described properties of a device");
}

typedef struct Configurations {
  cudnnBackendDescriptor_t items[CONFIGURATIONS_MOST];
  int64_t count;
} Configurations;

/* Appends what one mode of the heuristics offers. */
static Status ask(cudnnBackendHeurMode_t mode, cudnnBackendDescriptor_t graph,
                  cudnnBackendDescriptor_t properties, CudnnBag *bag, Configurations *offers)
{
  cudnnBackendDescriptor_t heuristics;
  TRY(cudnn_create(bag, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, &heuristics));
  TRY(cudnn_set_descriptor(heuristics, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph));
  TRY(cudnn_set(heuristics, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode));
  TRY(cudnn_set_descriptor(heuristics, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, properties));
  if (cudnnBackendFinalize(heuristics) != CUDNN_STATUS_SUCCESS) return STATUS_OK; /* no offer */

  int64_t found = 0;
  TRY(cudnn_status(cudnnBackendGetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                            CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &found, NULL),
                   "count engines"));
  const int64_t room = CONFIGURATIONS_MOST - offers->count;
  const int64_t wanted = found < room ? found : room;
  if (wanted == 0) return STATUS_OK;
  for (int64_t i = 0; i < wanted; ++i)
    TRY(cudnn_create(bag, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, &offers->items[offers->count + i]));
  TRY(cudnn_status(cudnnBackendGetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                            CUDNN_TYPE_BACKEND_DESCRIPTOR, wanted, &found,
                                            &offers->items[offers->count]),
                   "list engines"));
  offers->count += found < wanted ? found : wanted;
  return STATUS_OK;
}

typedef struct Notes {
  bool nondeterministic;
  bool tensor_cores;
  bool rounds_inputs;
  bool rounds_sums;
  bool transforms; /* Winograd or Fourier: sums of other products than the definition's */
  bool compiled_at_run_time;
} Notes;

static Status read_notes(cudnnBackendDescriptor_t configuration, CudnnBag *bag, Notes *notes)
{
  cudnnBackendDescriptor_t engine;
  cudnnBackendNumericalNote_t numerical[NOTES_MOST];
  cudnnBackendBehaviorNote_t behaviour[NOTES_MOST];
  int64_t count = 0;
  TRY(cudnn_create(bag, CUDNN_BACKEND_ENGINE_DESCRIPTOR, &engine));
  TRY(cudnn_status(cudnnBackendGetAttribute(configuration, CUDNN_ATTR_ENGINECFG_ENGINE,
                                            CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count, &engine),
                   "the engine of a configuration"));
  *notes = (Notes){0};
  TRY(cudnn_status(cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE,
                                            CUDNN_TYPE_NUMERICAL_NOTE, NOTES_MOST, &count,
                                            numerical),
                   "the numerical notes of an engine"));
  for (int64_t i = 0; i < count && i < NOTES_MOST; ++i) {
    notes->nondeterministic |= numerical[i] == CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC;
    notes->tensor_cores |= numerical[i] == CUDNN_NUMERICAL_NOTE_TENSOR_CORE;
    notes->rounds_inputs |= numerical[i] == CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS;
    notes->transforms |=
        numerical[i] == CUDNN_NUMERICAL_NOTE_WINOGRAD || numerical[i] == CUDNN_NUMERICAL_NOTE_FFT;
    notes->rounds_sums |= numerical[i] == CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION;
  }
  TRY(cudnn_status(cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE,
                                            CUDNN_TYPE_BEHAVIOR_NOTE, NOTES_MOST, &count,
                                            behaviour),
                   "the behaviour notes of an engine"));
  for (int64_t i = 0; i < count && i < NOTES_MOST; ++i)
    notes->compiled_at_run_time |= behaviour[i] == CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION;
  return STATUS_OK;
}

static bool allowed(Notes notes, Element element, EngineRule rule)
{
  if (notes.nondeterministic || notes.rounds_sums || notes.transforms) return false;
  return element != ELEMENT_F32 || rule.allow_tf32 || !(notes.tensor_cores || notes.rounds_inputs);
}

/* Makes the plan; loadable says whether it could also be put on a device. */
static Status make_plan(cudnnBackendDescriptor_t configuration, cudnnBackendDescriptor_t properties,
                        EngineRule rule, CudnnBag *bag, cudnnBackendDescriptor_t *plan,
                        bool *loadable)
{
  TRY(cudnn_create(bag, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, plan));
  TRY(cudnn_set_descriptor(*plan, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, properties));
  TRY(cudnn_set_descriptor(*plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration));
  const cudnnStatus_t code = cudnnBackendFinalize(*plan);
  *loadable = code == CUDNN_STATUS_SUCCESS;
  if (code == no_driver && rule.accept_without_driver) return STATUS_OK;
  return cudnn_status(code, "finalize a plan");
}

static Status read_workspace(ConvEngine *engine)
{
  int64_t bytes = 0;
  int64_t count = 0;
  if (engine->loadable)
    TRY(cudnn_status(cudnnBackendGetAttribute(engine->plan,
                                              CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE,
                                              CUDNN_TYPE_INT64, 1, &count, &bytes),
                     "the workspace of a plan"));
  engine->workspace_bytes = (size_t)bytes;
  return STATUS_OK;
}

/* Whether this configuration will do; if so, the engine is filled. */
static bool take(ConvEngine *engine, cudnnBackendDescriptor_t configuration,
                 cudnnBackendDescriptor_t properties, Element element, EngineRule rule,
                 size_t workspace_most_bytes)
{
  Notes notes;
  if (read_notes(configuration, &engine->bag, &notes) != STATUS_OK) return false;
  if (!allowed(notes, element, rule)) return false;
  if (make_plan(configuration, properties, rule, &engine->bag, &engine->plan, &engine->loadable) !=
      STATUS_OK)
    return false;
  engine->compiled_at_run_time = notes.compiled_at_run_time;
  engine->tensor_cores = notes.tensor_cores;
  return read_workspace(engine) == STATUS_OK && engine->workspace_bytes <= workspace_most_bytes;
}

static bool take_first(ConvEngine *engine, const Configurations *offers,
                       cudnnBackendDescriptor_t properties, Element element, EngineRule rule,
                       size_t workspace_most_bytes)
{
  engine->refused = 0;
  for (int64_t i = 0; i < offers->count; ++i) {
    const int kept = engine->bag.count;
    if (take(engine, offers->items[i], properties, element, rule, workspace_most_bytes))
      return true;
    ++engine->refused;
    cudnn_bag_shrink(&engine->bag, kept);
  }
  return false;
}

static Status fill(ConvEngine *engine, const ConvGraph *graph, cudnnBackendDescriptor_t properties,
                   EngineRule rule)
{
  Configurations offers = {.count = 0};
  cudnnBackendDescriptor_t operations;
  TRY(conv_operations_build(graph, &engine->bag, &operations));
  TRY(ask(CUDNN_HEUR_MODE_A, operations, properties, &engine->bag, &offers));
  TRY(ask(CUDNN_HEUR_MODE_FALLBACK, operations, properties, &engine->bag, &offers));
  engine->offered = (int)offers.count;
  for (int i = 0; i < WORKSPACES; ++i)
    if (take_first(engine, &offers, properties, graph->x.element, rule, workspace_bytes[i]))
      return STATUS_OK;
  char text[160];
  return status_set(STATUS_UNSUPPORTED,
                    "cuDNN %zu has no deterministic engine with at most %zu MiB of workspace for "
                    "%s (it offered %d)",
                    cudnnGetVersion(), workspace_bytes[WORKSPACES - 1] >> 20,
                    conv_graph_text(graph, text), engine->offered);
}

Status conv_engine_choose(const ConvGraph *graph, cudnnBackendDescriptor_t properties,
                          EngineRule rule, ConvEngine **engine)
{
  void *memory = NULL;
  *engine = NULL;
  TRY(memory_allocate(1, sizeof **engine, "an engine of a convolution", &memory));
  ConvEngine *choosing = memory;
  const Status status = fill(choosing, graph, properties, rule);
  if (status == STATUS_OK)
    *engine = choosing;
  else
    conv_engine_close(choosing);
  return status;
}

void conv_engine_close(ConvEngine *engine)
{
  if (engine == NULL) return;
  cudnn_bag_empty(&engine->bag);
  memory_free(engine);
}

/* A pack per run: cuDNN has no call that changes the pointers of a finalized one. */
static Status run(const ConvEngine *engine, cudnnHandle_t handle, ConvOperands operands,
                  CudnnBag *bag)
{
  const int64_t ids[5] = {CONV_X, CONV_W, CONV_Y, CONV_BIAS, CONV_ADD};
  const void *const given[5] = {operands.x, operands.w, operands.y, operands.bias, operands.add};
  int64_t used_ids[5];
  const void *used[5];
  int64_t count = 0;
  for (int i = 0; i < 5; ++i)
    if (given[i] != NULL) {
      used_ids[count] = ids[i];
      used[count++] = given[i];
    }
  cudnnBackendDescriptor_t pack;
  TRY(cudnn_create(bag, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, &pack));
  TRY(cudnn_set(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, count, used_ids));
  TRY(cudnn_set(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, count, used));
  TRY(cudnn_set(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1,
                &operands.workspace));
  TRY(cudnn_finalize(pack, "variant pack"));
  return cudnn_status(cudnnBackendExecute(handle, engine->plan, pack), "execute a convolution");
}

Status conv_engine_run(const ConvEngine *engine, cudnnHandle_t handle, ConvOperands operands)
{
  CudnnBag bag = {.count = 0};
  const Status status = run(engine, handle, operands, &bag);
  cudnn_bag_empty(&bag);
  return status;
}
