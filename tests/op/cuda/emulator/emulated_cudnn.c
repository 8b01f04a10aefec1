#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/require.h"
#include "cuda_device.h"
#include "cudnn_context.h"
#include "emulated_half.h"
#include "tensor/bf16.h"

/* cuDNN's part of the plug-in as plain loops over what a graph says: channels last, padded channels
 * like any others. Like the library it knows nothing of what lies behind the pointers, and like the
 * library it refuses some graphs, so that both ways of the plug-in are tested: in float32 it fuses
 * for one image only (behind a rounding to 16 bits a second one would show), and it has no groups
 * of fewer than 4 channels. */
enum { WORKSPACE_BYTES = 4096 };

struct ConvEngine {
  ConvGraph graph;
  ConvEngine *next;
};

void library_cuda(char text[BACKEND_LIBRARY_BYTES])
{
  (void)snprintf(text, BACKEND_LIBRARY_BYTES, "cuDNN emulated");
}

static void close_engines(void *ops)
{
  ConvEngine *engine = ops;
  while (engine != NULL) {
    ConvEngine *next = engine->next;
    memory_free(engine);
    engine = next;
  }
}

void cudnn_context_autotune(Device *device, bool autotune)
{
}

Status cudnn_context_engine(Device *device, const ConvGraph *graph, const ConvEngine **engine)
{
  CudaDevice *cuda = cuda_device_of(device);
  *engine = NULL;
  if ((graph->pass == CONV_FORWARD_FUSED && graph->x.images > 1 &&
       graph->x.element == ELEMENT_F32) ||
      (graph->groups > 1 && graph->x.channels / graph->groups < 4))
    return status_set(STATUS_UNSUPPORTED, "the emulated cuDNN has no engine for this graph");
  void *memory = NULL;
  TRY(memory_allocate(1, sizeof **engine, "an engine", &memory));
  ConvEngine *chosen = memory;
  *chosen = (ConvEngine){.graph = *graph, .next = cuda->ops};
  cuda->ops = chosen;
  cuda->close_ops = close_engines;
  *engine = chosen;
  return STATUS_OK;
}

size_t cudnn_context_workspace_bytes(const ConvEngine *engine)
{
  return WORKSPACE_BYTES;
}

static double get(const void *values, Element element, int64_t index)
{
  switch (element) {
  case ELEMENT_BF16: return (double)bf16_to_f32(((const uint16_t *)values)[index]);
  case ELEMENT_F16: return (double)emulated_half_get((const uint16_t *)values + index);
  default: return (double)((const float *)values)[index];
  }
}

static void set(const void *values, Element element, int64_t index, double value)
{
  switch (element) {
  case ELEMENT_BF16: ((uint16_t *)values)[index] = bf16_from_f32((float)value); break;
  case ELEMENT_F16: emulated_half_set((uint16_t *)values + index, (float)value); break;
  default: ((float *)values)[index] = (float)value;
  }
}

/* Calls back with the elements of x, w and y of each product. */
typedef void Visit(double *sums, ConvOperands operands, Element element, int64_t x, int64_t w,
                   int64_t y);

static void add_y(double *sums, ConvOperands o, Element element, int64_t x, int64_t w, int64_t y)
{
  sums[y] += get(o.x, element, x) * get(o.w, element, w);
}

static void add_x(double *sums, ConvOperands o, Element element, int64_t x, int64_t w, int64_t y)
{
  sums[x] += get(o.y, element, y) * get(o.w, element, w);
}

static void add_w(double *sums, ConvOperands o, Element element, int64_t x, int64_t w, int64_t y)
{
  sums[w] += get(o.x, element, x) * get(o.y, element, y);
}

static int64_t at(Shape s, int32_t n, int32_t h, int32_t w, int32_t c)
{
  return (((int64_t)n * s.height + h) * s.width + w) * s.channels + c;
}

static void visit_pixel(const ConvGraph *g, ConvOperands operands, double *sums, Visit *visit,
                        int32_t n, int32_t i, int32_t j)
{
  const Shape w = conv_graph_weights(g);
  for (int32_t r = 0; r < g->kernel_height; ++r)
    for (int32_t s = 0; s < g->kernel_width; ++s) {
      const int32_t row = i * g->stride - g->pad + r * g->dilation;
      const int32_t column = j * g->stride - g->pad + s * g->dilation;
      if (row < 0 || row >= g->x.height || column < 0 || column >= g->x.width) continue;
      for (int32_t k = 0; k < g->y.channels; ++k) {
        const int32_t first = k / (g->y.channels / g->groups) * w.channels;
        for (int32_t c = 0; c < w.channels; ++c)
          visit(sums, operands, g->x.element, at(g->x, n, row, column, first + c),
                at(w, k, r, s, c), at(g->y, n, i, j, k));
      }
    }
}

static void compute(const ConvGraph *g, ConvOperands operands, double *sums, Visit *visit)
{
  for (int32_t n = 0; n < g->y.images; ++n)
    for (int32_t i = 0; i < g->y.height; ++i)
      for (int32_t j = 0; j < g->y.width; ++j)
        visit_pixel(g, operands, sums, visit, n, i, j);
}

static double finished(const ConvGraph *g, ConvOperands operands, int64_t index, double sum)
{
  if (g->add) sum += get(operands.add, g->y.element, index);
  if (g->bias) sum += get(operands.bias, g->y.element, index % g->y.channels);
  return g->relu && sum < 0.0 ? 0.0 : sum;
}

typedef struct Run {
  ConvGraph graph;
  ConvOperands operands;
} Run;

static void run(const void *argument)
{
  const Run *asked = argument;
  const ConvGraph *g = &asked->graph;
  const ConvOperands operands = asked->operands;
  memset(operands.workspace, 0xFF, WORKSPACE_BYTES);
  Visit *const visits[] = {add_y, add_y, add_x, add_w};
  const Shape shapes[] = {g->y, g->y, g->x, conv_graph_weights(g)};
  const void *const results[] = {operands.y, operands.y, operands.x, operands.w};
  const int64_t count = shape_elements(shapes[g->pass]);
  void *memory = NULL;
  require(memory_allocate((size_t)count, sizeof(double), "sums", &memory) == STATUS_OK);
  double *sums = memory;
  compute(g, operands, sums, visits[g->pass]);
  for (int64_t i = 0; i < count; ++i)
    set(results[g->pass], g->x.element, i,
        g->pass == CONV_FORWARD_FUSED ? finished(g, operands, i, sums[i]) : sums[i]);
  memset(operands.workspace, 0xFF, WORKSPACE_BYTES);
  memory_free(memory);
}

void cudnn_context_run(Device *device, const ConvEngine *engine, ConvOperands operands)
{
  const ConvGraph *g = &engine->graph;
  require((operands.bias != NULL) == g->bias && (operands.add != NULL) == g->add);
  require(operands.add == NULL || operands.add != operands.y);
  const Run asked = {*g, operands};
  emulated_copy_then_call(cuda_stream_of(device), run, &asked, sizeof asked);
}
