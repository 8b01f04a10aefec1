#include "engine_timer.h"

#include "cuda_ops.h"

enum { WARM_UPS = 2, RUNS = 11 };

/* Bytes that make a small number in each element type (0.0115; 1.06 in float16): with zeros
 * multipliers draw less power, and the GPU runs faster than it ever will. */
enum { FILL = 0x3C };

enum { OPERANDS = 5 };

typedef struct Room {
  void *memory;
  size_t offsets[OPERANDS + 1]; /* x, w, y, bias, add, workspace */
  size_t bytes;
} Room;

static void lay(const ConvGraph *graph, const ConvEngine *engine, Room *room)
{
  const size_t sizes[OPERANDS + 1] = {
      shape_bytes(graph->x),
      shape_bytes(conv_graph_weights(graph)),
      shape_bytes(graph->y),
      graph->bias ? (size_t)graph->y.channels * element_bytes(graph->y.element) : 0,
      graph->add ? shape_bytes(graph->y) : 0,
      engine->workspace_bytes};
  room->bytes = 0;
  for (int i = 0; i <= OPERANDS; ++i) {
    room->offsets[i] = room->bytes;
    room->bytes += cuda_aligned(sizes[i]);
  }
}

static ConvOperands operands_in(const ConvGraph *graph, const Room *room)
{
  char *start = room->memory;
  return (ConvOperands){.x = start + room->offsets[0],
                        .w = start + room->offsets[1],
                        .y = start + room->offsets[2],
                        .bias = graph->bias ? start + room->offsets[3] : NULL,
                        .add = graph->add ? start + room->offsets[4] : NULL,
                        .workspace = start + room->offsets[5]};
}

static Status time_once(const EngineTiming *timing, const ConvEngine *engine, ConvOperands operands,
                        const cudaEvent_t events[2], float *milliseconds)
{
  const cudaStream_t stream = timing->device->stream;
  TRY(cuda_status(cudaEventRecord(events[0], stream), "record an event"));
  TRY(conv_engine_run(engine, timing->handle, operands));
  TRY(cuda_status(cudaEventRecord(events[1], stream), "record an event"));
  TRY(cuda_status(cudaEventSynchronize(events[1]), "time an engine"));
  return cuda_status(cudaEventElapsedTime(milliseconds, events[0], events[1]), "time an engine");
}

static float median(float *values, int count)
{
  for (int i = 1; i < count; ++i) {
    const float value = values[i];
    int at = i;
    for (; at > 0 && values[at - 1] > value; --at)
      values[at] = values[at - 1];
    values[at] = value;
  }
  return values[count / 2];
}

static Status time_runs(const EngineTiming *timing, const ConvGraph *graph,
                        const ConvEngine *engine, const Room *room, const cudaEvent_t events[2],
                        double *seconds)
{
  const ConvOperands operands = operands_in(graph, room);
  float milliseconds[RUNS];
  TRY(cuda_status(cudaMemsetAsync(room->memory, FILL, room->bytes, timing->device->stream),
                  "fill memory"));
  for (int i = 0; i < WARM_UPS; ++i)
    TRY(conv_engine_run(engine, timing->handle, operands));
  for (int i = 0; i < RUNS; ++i)
    TRY(time_once(timing, engine, operands, events, &milliseconds[i]));
  *seconds = (double)median(milliseconds, RUNS) / 1e3;
  return STATUS_OK;
}

static Status open_events(cudaEvent_t events[2])
{
  for (int i = 0; i < 2; ++i)
    TRY(cuda_status(cudaEventCreate(&events[i]), "create an event"));
  return STATUS_OK;
}

Status engine_timing_run(void *context, const ConvGraph *graph, const ConvEngine *engine,
                         double *seconds)
{
  const EngineTiming *timing = context;
  Room room = {.memory = NULL};
  cudaEvent_t events[2] = {NULL, NULL};
  lay(graph, engine, &room);
  Status status = cuda_status(cudaSetDevice(timing->device->gpu), "choose the GPU");
  if (status == STATUS_OK)
    status = cuda_status(cudaMalloc(&room.memory, room.bytes), "memory to time an engine in");
  if (status == STATUS_OK) status = open_events(events);
  if (status == STATUS_OK) status = time_runs(timing, graph, engine, &room, events, seconds);
  for (int i = 0; i < 2; ++i)
    if (events[i] != NULL) (void)cudaEventDestroy(events[i]);
  if (room.memory != NULL) (void)cudaFree(room.memory);
  return status;
}
