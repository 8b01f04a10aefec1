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

/* The operands of one pass as numbers; the one that is computed begins as 0. */
typedef struct Numbers {
  double *x, *w, *y;
} Numbers;

static int64_t at(Shape s, int32_t n, int32_t h, int32_t w, int32_t c)
{
  return (((int64_t)n * s.height + h) * s.width + w) * s.channels + c;
}

/* The products of one output channel of one tap: count input channels. */
static void visit(ConvPass pass, int32_t count, double *x, double *w, double *y)
{
  double sum = 0;
  switch (pass) {
  case CONV_BACKWARD_DATA:
    for (int32_t c = 0; c < count; ++c)
      x[c] += *y * w[c];
    break;
  case CONV_BACKWARD_WEIGHT:
    for (int32_t c = 0; c < count; ++c)
      w[c] += *y * x[c];
    break;
  default:
    for (int32_t c = 0; c < count; ++c)
      sum += x[c] * w[c];
    *y += sum;
  }
}

static void visit_pixel(const ConvGraph *g, Numbers of, int32_t n, int32_t i, int32_t j)
{
  const Shape w = conv_graph_weights(g);
  for (int32_t r = 0; r < g->kernel_height; ++r)
    for (int32_t s = 0; s < g->kernel_width; ++s) {
      const int32_t row = i * g->stride - g->pad + r * g->dilation;
      const int32_t column = j * g->stride - g->pad + s * g->dilation;
      if (row < 0 || row >= g->x.height || column < 0 || column >= g->x.width) continue;
      for (int32_t k = 0; k < g->y.channels; ++k) {
        const int32_t first = k / (g->y.channels / g->groups) * w.channels;
        visit(g->pass, w.channels, of.x + at(g->x, n, row, column, first), of.w + at(w, k, r, s, 0),
              of.y + at(g->y, n, i, j, k));
      }
    }
}

static void compute(const ConvGraph *g, Numbers of)
{
  for (int32_t n = 0; n < g->y.images; ++n)
    for (int32_t i = 0; i < g->y.height; ++i)
      for (int32_t j = 0; j < g->y.width; ++j)
        visit_pixel(g, of, n, i, j);
}

static double *numbers_of(const ConvGraph *g, Shape shape, const void *values, bool computed)
{
  void *memory = NULL;
  const int64_t count = shape_elements(shape);
  require(memory_allocate((size_t)count, sizeof(double), "numbers", &memory) == STATUS_OK);
  double *numbers = memory;
  for (int64_t i = 0; !computed && i < count; ++i)
    numbers[i] = get(values, g->x.element, i);
  return numbers;
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
  const ConvOperands o = asked->operands;
  const bool is_forward = g->pass != CONV_BACKWARD_DATA && g->pass != CONV_BACKWARD_WEIGHT;
  memset(o.workspace, 0xFF, WORKSPACE_BYTES);
  const Numbers of = {numbers_of(g, g->x, o.x, g->pass == CONV_BACKWARD_DATA),
                      numbers_of(g, conv_graph_weights(g), o.w, g->pass == CONV_BACKWARD_WEIGHT),
                      numbers_of(g, g->y, o.y, is_forward)};
  compute(g, of);
  const Shape shape = is_forward                      ? g->y
                      : g->pass == CONV_BACKWARD_DATA ? g->x
                                                      : conv_graph_weights(g);
  const double *sums = is_forward ? of.y : g->pass == CONV_BACKWARD_DATA ? of.x : of.w;
  const void *result = is_forward ? o.y : g->pass == CONV_BACKWARD_DATA ? o.x : o.w;
  for (int64_t i = 0; i < shape_elements(shape); ++i)
    set(result, g->x.element, i,
        g->pass == CONV_FORWARD_FUSED ? finished(g, o, i, sums[i]) : sums[i]);
  memset(o.workspace, 0xFF, WORKSPACE_BYTES);
  memory_free(of.x);
  memory_free(of.w);
  memory_free(of.y);
}

void cudnn_context_run(Device *device, const ConvEngine *engine, ConvOperands operands)
{
  const ConvGraph *g = &engine->graph;
  require((operands.bias != NULL) == g->bias && (operands.add != NULL) == g->add);
  require(operands.add == NULL || operands.add != operands.y);
  const Run asked = {*g, operands};
  emulated_copy_then_call(cuda_stream_of(device), run, &asked, sizeof asked);
}
