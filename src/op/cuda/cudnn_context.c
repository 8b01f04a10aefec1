#include "cudnn_context.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "conv_plans.h"
#include "cuda_device.h"
#include "engine_timer.h"

typedef struct Choice Choice;

struct Choice {
  ConvGraph graph;
  ConvEngine *engine;
  Choice *next;
};

typedef struct CudnnContext {
  cudnnHandle_t handle;
  CudnnBag bag;
  EngineTiming timing;
  ConvPlans plans;
  Choice *choices;
} CudnnContext;

void library_cuda(char text[BACKEND_LIBRARY_BYTES])
{
  const size_t version = cudnnGetVersion(); /* 91002 for 9.10.2 */
  (void)snprintf(text, BACKEND_LIBRARY_BYTES, "cuDNN %zu.%zu.%zu", version / 10000,
                 version / 100 % 100, version % 100);
}

static void close_context(void *ops)
{
  CudnnContext *context = ops;
  if (context == NULL) return;
  while (context->choices != NULL) {
    Choice *choice = context->choices;
    context->choices = choice->next;
    conv_engine_close(choice->engine);
    memory_free(choice);
  }
  if (context->plans.cache != NULL) (void)plan_cache_save(context->plans.cache);
  plan_cache_close(context->plans.cache);
  cudnn_bag_empty(&context->bag);
  if (context->handle != NULL) (void)cudnnDestroy(context->handle);
  memory_free(context);
}

/* What engines are chosen by, besides graph and rule. */
static Status open_cache(const CudaDevice *device, PlanCache **cache)
{
  char folder[OUTPUT_PATH_BYTES];
  char identity[PLAN_IDENTITY_BYTES];
  int multiprocessors = 0;
  TRY(cuda_status(
      cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device->gpu),
      "count multiprocessors"));
  (void)snprintf(identity, sizeof identity, "cuDNN %zu; %s; %d multiprocessors; sm_%d",
                 cudnnGetVersion(), device->name, multiprocessors, device->compute_capability);
  plan_cache_folder(folder);
  return plan_cache_open(folder, identity, cache);
}

static Status fill(CudnnContext *context, CudaDevice *device)
{
  const char *tf32 = getenv("QUADRAT_ALLOW_TF32");
  context->plans.rule.allow_tf32 = tf32 != NULL && strcmp(tf32, "1") == 0;
  TRY(cuda_status(cudaSetDevice(device->gpu), "choose the GPU"));
  TRY(cudnn_status(cudnnCreate(&context->handle), "open the library"));
  TRY(cudnn_status(cudnnSetStream(context->handle, device->stream), "set the stream"));
  context->timing = (EngineTiming){.device = device, .handle = context->handle};
  TRY(device_properties_of_gpu(device->gpu, &context->bag, &context->plans.properties));
  return open_cache(device, &context->plans.cache);
}

static Status context_of(Device *device, CudnnContext **context)
{
  CudaDevice *cuda = cuda_device_of(device);
  *context = cuda->ops;
  if (*context != NULL) return STATUS_OK;
  void *memory = NULL;
  TRY(memory_allocate(1, sizeof **context, "cuDNN", &memory));
  const Status status = fill(memory, cuda);
  if (status != STATUS_OK) {
    close_context(memory);
    return status;
  }
  cuda->ops = memory;
  cuda->close_ops = close_context;
  *context = memory;
  return STATUS_OK;
}

void cudnn_context_autotune(Device *device, bool autotune)
{
  CudnnContext *context = NULL;
  device_fail(device, context_of(device, &context));
  if (context == NULL) return;
  context->plans.timer =
      (EngineTimer){.time = autotune ? engine_timing_run : NULL, .context = &context->timing};
}

Status cudnn_context_engine(Device *device, const ConvGraph *graph, const ConvEngine **engine)
{
  CudnnContext *context = NULL;
  *engine = NULL;
  TRY(context_of(device, &context));
  for (const Choice *choice = context->choices; choice != NULL; choice = choice->next)
    if (conv_graph_equal(&choice->graph, graph)) {
      *engine = choice->engine;
      return STATUS_OK;
    }
  void *memory = NULL;
  ConvEngine *chosen = NULL;
  const Status status = conv_plans_engine(&context->plans, graph, &chosen);
  if (status != STATUS_OK) return status;
  if (memory_allocate(1, sizeof(Choice), "an engine", &memory) != STATUS_OK) {
    conv_engine_close(chosen);
    return STATUS_NO_MEMORY;
  }
  Choice *choice = memory;
  *choice = (Choice){.graph = *graph, .engine = chosen, .next = context->choices};
  context->choices = choice;
  *engine = chosen;
  return STATUS_OK;
}

size_t cudnn_context_workspace_bytes(const ConvEngine *engine)
{
  return engine->workspace_bytes;
}

void cudnn_context_run(Device *device, const ConvEngine *engine, ConvOperands operands)
{
  const CudnnContext *context = cuda_device_of(device)->ops;
  (void)cuda_stream_of(device); /* makes the GPU current */
  /* Here, since a network is whole when it first runs, and many a job never ends by itself. */
  (void)plan_cache_save(context->plans.cache);
  device_fail(device, conv_engine_run(engine, context->handle, operands));
  device_fail(device, cuda_status(cuda_outcome(device), "cuDNN's convolution"));
}
