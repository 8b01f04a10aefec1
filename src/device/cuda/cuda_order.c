#include "cuda_order.h"

cudaStream_t cuda_stream(const CudaDevice *device, DeviceStream stream)
{
  if (stream == STREAM_IN) return device->copies_in;
  return stream == STREAM_OUT ? device->copies_out : device->stream;
}

Status mark_open_cuda(void *handle, void **mark)
{
  cudaEvent_t event = NULL;
  *mark = NULL;
  TRY(cuda_choose(handle));
  TRY(cuda_status(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "create an event"));
  *mark = event;
  return STATUS_OK;
}

void mark_close_cuda(void *handle, void *mark)
{
  if (cuda_choose(handle) == STATUS_OK) (void)cudaEventDestroy(mark);
}

Status mark_set_cuda(void *handle, void *mark, DeviceStream stream)
{
  TRY(cuda_choose(handle));
  return cuda_status(cudaEventRecord(mark, cuda_stream(handle, stream)), "record an event");
}

Status mark_await_cuda(void *handle, void *mark, DeviceStream stream)
{
  TRY(cuda_choose(handle));
  return cuda_status(cudaStreamWaitEvent(cuda_stream(handle, stream), mark, 0),
                     "wait for an event");
}

static cudaError_t event_is_done(void *event)
{
  return cudaEventQuery(event);
}

Status mark_meet_cuda(void *handle, void *mark)
{
  return cuda_wait(handle, event_is_done, mark);
}

/* What other threads do meanwhile (pinned memory for the reader's) is theirs. */
Status record_begin_cuda(void *handle)
{
  const CudaDevice *device = handle;
  TRY(cuda_choose(device));
  if (device->checks)
    return status_set(STATUS_UNSUPPORTED, "QUADRAT_CUDA_CHECK=1 waits for every kernel");
  return cuda_status(cudaStreamBeginCapture(device->stream, cudaStreamCaptureModeThreadLocal),
                     "begin a graph");
}

Status record_end_cuda(void *handle, void **recording)
{
  const CudaDevice *device = handle;
  cudaGraph_t graph = NULL;
  cudaGraphExec_t playable = NULL;
  *recording = NULL;
  TRY(cuda_choose(device));
  TRY(cuda_status(cudaStreamEndCapture(device->stream, &graph), "end a graph"));
  const Status status = cuda_status(cudaGraphInstantiate(&playable, graph, 0), "make a graph");
  (void)cudaGraphDestroy(graph);
  *recording = playable;
  return status;
}

Status play_cuda(void *handle, void *recording)
{
  const CudaDevice *device = handle;
  TRY(cuda_choose(device));
  return cuda_status(cudaGraphLaunch(recording, device->stream), "launch a graph");
}

void recording_close_cuda(void *handle, void *recording)
{
  if (cuda_choose(handle) == STATUS_OK) (void)cudaGraphExecDestroy(recording);
}
