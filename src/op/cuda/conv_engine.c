#include "conv_engine.h"

#include <string.h>

#include "base/memory.h"
#include "conv_offers.h"
#include "plan_configuration.h"

/* Most engines want no workspace, or little. The few that want more must not decide the memory plan
 * while others can do the work. */
static const size_t workspace_bytes[] = {(size_t)256 << 20, (size_t)1 << 30, (size_t)8 << 30};
enum { WORKSPACES = sizeof workspace_bytes / sizeof *workspace_bytes };

/* What a later engine's time must be below, as a share of the fastest one's before it. */
static const double faster = 0.98;

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

/* One search for an engine. */
typedef struct Search {
  const ConvGraph *graph;
  cudnnBackendDescriptor_t properties;
  EngineRule rule;
  EngineTimer timer; /* time NULL: the first that will do is taken */
} Search;

static bool allowed(EngineNotes notes, Element element, EngineRule rule)
{
  if (notes.nondeterministic || notes.rounds_sums || notes.transforms) return false;
  return element != ELEMENT_F32 || rule.allow_tf32 || !(notes.tensor_cores || notes.rounds_inputs);
}

/* Makes the plan; loadable says whether it could also be put on a device. */
static Status make_plan(const Search *search, cudnnBackendDescriptor_t configuration,
                        ConvEngine *engine)
{
  TRY(cudnn_create(&engine->bag, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, &engine->plan));
  TRY(cudnn_set_descriptor(engine->plan, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, search->properties));
  TRY(cudnn_set_descriptor(engine->plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration));
  const cudnnStatus_t code = cudnnBackendFinalize(engine->plan);
  engine->loadable = code == CUDNN_STATUS_SUCCESS;
  if (code == no_driver && search->rule.accept_without_driver) return STATUS_OK;
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

/* Fills the engine, if the rule allows this configuration and it can be made. */
static Status take(const Search *search, cudnnBackendDescriptor_t configuration,
                   size_t workspace_most_bytes, ConvEngine *engine)
{
  EngineNotes notes;
  TRY(engine_notes_read(configuration, &notes));
  if (!allowed(notes, search->graph->x.element, search->rule))
    return status_set(STATUS_UNSUPPORTED, "an engine that the rule does not allow");
  TRY(make_plan(search, configuration, engine));
  engine->compiled_at_run_time = notes.compiled_at_run_time;
  engine->tensor_cores = notes.tensor_cores;
  TRY(read_workspace(engine));
  if (engine->workspace_bytes > workspace_most_bytes)
    return status_set(STATUS_UNSUPPORTED, "an engine with %zu MiB of workspace",
                      engine->workspace_bytes >> 20);
  return STATUS_OK;
}

/* The first offer from at on that will do, or offers->count. */
static int64_t take_next(const Search *search, const ConvOffers *offers, int64_t at,
                         size_t workspace_most_bytes, ConvEngine *engine)
{
  for (; at < offers->count; ++at) {
    const int kept = engine->bag.count;
    if (take(search, offers->configurations[at], workspace_most_bytes, engine) == STATUS_OK) break;
    cudnn_bag_shrink(&engine->bag, kept);
  }
  return at;
}

/* The fastest offer, or offers->count if none could be timed. */
static int64_t find_fastest(const Search *search, const ConvOffers *offers,
                            size_t workspace_most_bytes, ConvEngine *engine)
{
  const int kept = engine->bag.count;
  int64_t fastest = offers->count;
  double least_s = 0.0;
  int64_t at = 0;
  for (int timed = 0; timed < ENGINES_TIMED; ++timed, ++at) {
    double seconds = 0.0;
    at = take_next(search, offers, at, workspace_most_bytes, engine);
    if (at == offers->count) break;
    const Status status =
        search->timer.time(search->timer.context, search->graph, engine, &seconds);
    cudnn_bag_shrink(&engine->bag, kept);
    if (status != STATUS_OK || (fastest < offers->count && !(seconds < faster * least_s))) continue;
    fastest = at;
    least_s = seconds;
  }
  return fastest;
}

static bool find(const Search *search, const ConvOffers *offers, size_t workspace_most_bytes,
                 ConvEngine *engine)
{
  int64_t at = 0;
  if (search->timer.time != NULL) at = find_fastest(search, offers, workspace_most_bytes, engine);
  engine->refused = (int)take_next(search, offers, at, workspace_most_bytes, engine);
  if (engine->refused == offers->count) return false;
  engine->named =
      plan_choice_read(offers->configurations[engine->refused], &engine->choice) == STATUS_OK;
  return true;
}

static Status fill(const Search *search, ConvEngine *engine)
{
  ConvOffers offers;
  TRY(conv_offers_ask(search->graph, search->properties, &engine->bag, &offers));
  engine->offered = (int)offers.count;
  for (int i = 0; i < WORKSPACES; ++i)
    if (find(search, &offers, workspace_bytes[i], engine)) return STATUS_OK;
  char text[160];
  return status_set(STATUS_UNSUPPORTED,
                    "cuDNN %zu has no deterministic engine with at most %zu MiB of workspace for "
                    "%s (it offered %d)",
                    cudnnGetVersion(), workspace_bytes[WORKSPACES - 1] >> 20,
                    conv_graph_text(search->graph, text), engine->offered);
}

static Status restore(const Search *search, const PlanChoice *choice, ConvEngine *engine)
{
  cudnnBackendDescriptor_t operations, configuration;
  TRY(conv_operations_build(search->graph, &engine->bag, &operations));
  TRY(plan_choice_configure(choice, operations, search->properties, &engine->bag, &configuration));
  TRY(take(search, configuration, workspace_bytes[WORKSPACES - 1], engine));
  engine->choice = *choice;
  engine->named = true;
  return STATUS_OK;
}

/* choice: NULL to search. */
static Status open_engine(const Search *search, const PlanChoice *choice, ConvEngine **engine)
{
  void *memory = NULL;
  *engine = NULL;
  TRY(memory_allocate(1, sizeof **engine, "an engine of a convolution", &memory));
  ConvEngine *opening = memory;
  const Status status = choice == NULL ? fill(search, opening) : restore(search, choice, opening);
  if (status == STATUS_OK)
    *engine = opening;
  else
    conv_engine_close(opening);
  return status;
}

Status conv_engine_choose(const ConvGraph *graph, cudnnBackendDescriptor_t properties,
                          EngineRule rule, ConvEngine **engine)
{
  const Search search = {.graph = graph, .properties = properties, .rule = rule};
  return open_engine(&search, NULL, engine);
}

Status conv_engine_choose_fastest(const ConvGraph *graph, cudnnBackendDescriptor_t properties,
                                  EngineRule rule, EngineTimer timer, ConvEngine **engine)
{
  const Search search = {.graph = graph, .properties = properties, .rule = rule, .timer = timer};
  return open_engine(&search, NULL, engine);
}

Status conv_engine_restore(const ConvGraph *graph, cudnnBackendDescriptor_t properties,
                           EngineRule rule, const PlanChoice *choice, ConvEngine **engine)
{
  const Search search = {.graph = graph, .properties = properties, .rule = rule};
  return open_engine(&search, choice, engine);
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
