#include "odd_graphs.h"

#include "support/check.h"

static Value conv(Graph *g, Value x, GraphConv shape, const char *name)
{
  return graph_conv2d(g, x, shape, name);
}

static Value conv3(Graph *g, Value x, int32_t channels, const char *name)
{
  return conv(g, x, (GraphConv){.out_channels = channels, .kernel = 3, .pad = 1}, name);
}

static Value norm(Graph *g, Value x, const char *name)
{
  return graph_batch_norm2d(g, x, VALUE_NONE, true, name);
}

static Graph *begin(void)
{
  Graph *graph;
  CHECK_OK(graph_open(5, &graph));
  return graph;
}

static Graph *finish(Graph *graph, Value output)
{
  CHECK_OK(graph_finish(graph, output));
  return graph;
}

static const MaxPool2d halve = {.size = 3, .stride = 2, .pad = 1};

Graph *odd_graph_open(void)
{
  Graph *g = begin();
  const GraphConv stem = {.out_channels = 6, .kernel = 5, .stride = 2, .pad = 2};
  const Value a = norm(g, conv(g, graph_input(g), stem, "stem"), "stem_norm"); /* read thrice */
  const Value p = graph_max_pool2d(g, a, halve);
  const GraphConv grouped = {
      .out_channels = 8, .kernel = 3, .pad = 2, .dilation = 2, .groups = 2, .bias = true};
  const Value r = graph_relu(g, conv(g, p, grouped, "grouped")); /* read thrice */
  const Value c = conv(g, r, (GraphConv){.out_channels = 8}, "point");
  const Value d = graph_batch_norm2d(g, c, r, true, "bn2");
  const Value s = graph_add(g, d, r);
  const Value e = norm(g, graph_decoder_conv2d(g, s, a, 6, "decoder1"), "decoder1_norm");
  const Value f = graph_add(g, e, a);
  const Value u = graph_upsample_nearest(g, d);
  const Value all = graph_concat(g, (const Value[]){f, u, e, f}, 4);
  const Value h = graph_decoder_conv2d(g, all, VALUE_NONE, 4, "decoder2");
  const GraphConv head = {.out_channels = 3, .kernel = 3, .pad = 1, .bias = true};
  return finish(g, conv(g, graph_relu(g, h), head, "head"));
}

Graph *residual_graph_open(void)
{
  Graph *g = begin();
  const Value v1 = norm(g, conv3(g, graph_input(g), 8, "c1"), "n1");
  /* the residual is the convolution's own input */
  const Value v2 = graph_batch_norm2d(g, conv3(g, v1, 8, "c2"), v1, true, "bn2.2");
  /* it dies in the sum */
  const Value s = graph_batch_norm2d(g, conv(g, v2, (GraphConv){.out_channels = 8}, "downsample.3"),
                                     VALUE_NONE, false, "downsample.n3");
  const Value v3 = graph_batch_norm2d(g, conv3(g, v2, 8, "c3"), s, true, "bn2.3");
  /* an old one that dies in the sum */
  const Value v4 = graph_batch_norm2d(g, conv3(g, v3, 8, "c4"), v2, false, "bn2.4");
  /* made between the convolution and its norm */
  const Value c5 = conv3(g, v4, 8, "c5");
  const Value q = graph_relu(g, v3);
  const Value v5 = graph_batch_norm2d(g, c5, q, true, "bn2.5");
  /* it is read again behind the sum */
  const Value v6 = graph_batch_norm2d(g, conv3(g, v5, 8, "c6"), v4, true, "bn2.6");
  const Value sum = graph_add(g, v6, v4);
  /* norms that nothing can take in: behind a sum, a bias, a decoder with a residual */
  const Value v7 = norm(g, sum, "n7");
  const GraphConv biased = {.out_channels = 8, .kernel = 3, .pad = 1, .bias = true};
  const Value v8 = norm(g, conv(g, v7, biased, "c8"), "n8");
  const Value small = graph_max_pool2d(g, v8, halve);
  const Value d = graph_decoder_conv2d(g, small, v7, 8, "decoder");
  const Value v9 = graph_batch_norm2d(g, d, v8, true, "bn2.9");
  return finish(g, conv3(g, v9, 3, "head"));
}

static const char *const reader_names[READER_COUNT] = {
    [READER_CONV] = "a convolution",
    [READER_CONV_OF_STRIDE_2] = "a convolution of stride 2",
    [READER_CONV_OF_GROUPS] = "a convolution of groups",
    [READER_POOL] = "a pooling",
    [READER_RELU] = "a relu",
    [READER_ADD_LEFT] = "an addition, on the left",
    [READER_ADD_RIGHT] = "an addition, on the right",
    [READER_UPSAMPLE] = "an enlargement",
    [READER_CONCAT] = "a concatenation",
    [READER_DECODER] = "a decoder",
    [READER_SKIP] = "a decoder, as the skip",
    [READER_RESIDUAL] = "a norm, as the residual",
};

const char *reader_name(Reader reader)
{
  return reader_names[reader];
}

/* What reads x, at x's size. other: a value of x's shape; small: of half its size. */
static Value read_by(Graph *g, Reader reader, Value x, Value other, Value small)
{
  const GraphConv strided = {.out_channels = 4, .kernel = 3, .stride = 2, .pad = 1};
  const GraphConv grouped = {.out_channels = 6, .kernel = 3, .pad = 1, .groups = 2};
  switch (reader) {
  case READER_CONV: return conv3(g, x, 4, "reader");
  case READER_CONV_OF_STRIDE_2: return graph_upsample_nearest(g, conv(g, x, strided, "reader"));
  case READER_CONV_OF_GROUPS: return conv(g, x, grouped, "reader");
  case READER_POOL: return graph_upsample_nearest(g, graph_max_pool2d(g, x, halve));
  case READER_RELU: return graph_relu(g, x);
  case READER_ADD_LEFT: return graph_add(g, x, other);
  case READER_ADD_RIGHT: return graph_add(g, other, x);
  case READER_UPSAMPLE: return graph_max_pool2d(g, graph_upsample_nearest(g, x), halve);
  case READER_CONCAT: return graph_concat(g, (const Value[]){other, x}, 2);
  case READER_DECODER:
    return graph_max_pool2d(g, graph_decoder_conv2d(g, x, VALUE_NONE, 4, "reader"), halve);
  case READER_SKIP: return graph_decoder_conv2d(g, small, x, 4, "reader");
  case READER_RESIDUAL:
    return graph_batch_norm2d(g, conv3(g, other, 6, "reader"), x, true, "reader_norm");
  case READER_COUNT: break;
  }
  return VALUE_NONE;
}

Graph *reader_graph_open(Reader reader, bool first)
{
  Graph *g = begin();
  const Value x =
      graph_batch_norm2d(g, conv3(g, graph_input(g), 6, "stem"), VALUE_NONE, false, "stem_norm");
  const Value other = conv3(g, graph_input(g), 6, "other");
  const Value small = graph_max_pool2d(g, other, halve);
  Value relu = VALUE_NONE;
  if (!first) relu = graph_relu(g, x);
  const Value read = read_by(g, reader, x, other, small);
  if (first) relu = graph_relu(g, x);
  const Value back = graph_upsample_nearest(g, small);
  const Value all = graph_concat(g, (const Value[]){read, relu, back}, 3);
  return finish(g, conv3(g, all, 3, "head"));
}
