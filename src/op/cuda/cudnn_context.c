#include "cudnn_context.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "conv_engine.h"
#include "cuda_device.h"

typedef struct Choice Choice;

struct Choice {
  ConvGraph graph;
  ConvEngine *engine;
  Choice *next;
};

typedef struct CudnnContext {
  cudnnHandle_t handle;
  CudnnBag bag;
  cudnnBackendDescriptor_t properties;
  bool allow_tf32;
  Choice *choices;
} CudnnContext;

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
  cudnn_bag_empty(&context->bag);
  if (context->handle != NULL) (void)cudnnDestroy(context->handle);
  memory_free(context);
}

static Status fill(CudnnContext *context, CudaDevice *device)
{
  const char *tf32 = getenv("QUADRAT_ALLOW_TF32");
  context->allow_tf32 = tf32 != NULL && strcmp(tf32, "1") == 0;
  TRY(cuda_status(cudaSetDevice(device->gpu), "choose the GPU"));
  TRY(cudnn_status(cudnnCreate(&context->handle), "open the library"));
  TRY(cudnn_status(cudnnSetStream(context->handle, device->stream), "set the stream"));
  return device_properties_of_gpu(device->gpu, &context->bag, &context->properties);
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
  const EngineRule rule = {.allow_tf32 = context->allow_tf32};
  const Status status = conv_engine_choose(graph, context->properties, rule, &chosen);
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
  device_fail(device, conv_engine_run(engine, context->handle, operands));
}
