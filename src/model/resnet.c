#include "resnet.h"

#include <stdio.h>
#include <string.h>

enum { NAME_BYTES = 192 };

static const struct {
  const char *name;
  int32_t blocks[4];
  int32_t expansion; /* a bottleneck's output over its width; 1: a basic block */
} resnets[] = {
    [ENCODER_RESNET18] = {"resnet18", {2, 2, 2, 2}, 1},
    [ENCODER_RESNET34] = {"resnet34", {3, 4, 6, 3}, 1},
    [ENCODER_RESNET50] = {"resnet50", {3, 4, 6, 3}, 4},
    [ENCODER_RESNET101] = {"resnet101", {3, 4, 23, 3}, 4},
};

const char *encoder_name(Encoder encoder)
{
  return resnets[encoder].name;
}

bool encoder_find(const char *name, Encoder *encoder)
{
  for (size_t i = 0; i < sizeof resnets / sizeof *resnets; ++i)
    if (strcmp(name, resnets[i].name) == 0) {
      *encoder = (Encoder)i;
      return true;
    }
  return false;
}

/* One block on its way: its name, and its input's. */
typedef struct Block {
  Graph *graph;
  char name[NAME_BYTES / 2];
} Block;

static Value conv(const Block *block, Value x, const char *part, int32_t out_channels,
                  int32_t kernel, int32_t stride)
{
  char name[NAME_BYTES];
  (void)snprintf(name, sizeof name, "%s%s", block->name, part);
  const GraphConv shape = {.out_channels = out_channels,
                           .kernel = kernel,
                           .stride = stride,
                           .pad = kernel / 2,
                           .initial = INITIAL_KAIMING_NORMAL_OUT};
  return graph_conv2d(block->graph, x, shape, name);
}

static Value norm(const Block *block, Value x, Value residual, bool relu, const char *part)
{
  char name[NAME_BYTES];
  (void)snprintf(name, sizeof name, "%s%s", block->name, part);
  return graph_batch_norm2d(block->graph, x, residual, relu, name);
}

/* The shortcut comes last in PyTorch's state_dict, whose order the parameters keep; but the
 * residual must exist before the block's last norm. So both branches come first, the norm that
 * joins them last, and names tell which is which. */
static Value shortcut(const Block *block, Value x, bool projected, int32_t out_channels,
                      int32_t stride)
{
  if (!projected) return x;
  const Value projection = conv(block, x, "downsample.0", out_channels, 1, stride);
  return norm(block, projection, VALUE_NONE, false, "downsample.1");
}

static Value basic_block(const Block *block, Value x, bool projected, int32_t width, int32_t stride)
{
  Value y = conv(block, x, "conv1", width, 3, stride);
  y = norm(block, y, VALUE_NONE, true, "bn1");
  y = conv(block, y, "conv2", width, 3, 1);
  return norm(block, y, shortcut(block, x, projected, width, stride), true, "bn2");
}

static Value bottleneck(const Block *block, Value x, bool projected, int32_t width, int32_t stride)
{
  Value y = conv(block, x, "conv1", width, 1, 1);
  y = norm(block, y, VALUE_NONE, true, "bn1");
  y = conv(block, y, "conv2", width, 3, stride);
  y = norm(block, y, VALUE_NONE, true, "bn2");
  y = conv(block, y, "conv3", 4 * width, 1, 1);
  return norm(block, y, shortcut(block, x, projected, 4 * width, stride), true, "bn3");
}

static Value layer(Graph *graph, Encoder encoder, Value x, int32_t index, const char *prefix)
{
  const int32_t width = 64 << index;
  for (int32_t i = 0; i < resnets[encoder].blocks[index]; ++i) {
    const bool first = i == 0;
    const int32_t stride = first && index > 0 ? 2 : 1;
    Block block = {.graph = graph};
    (void)snprintf(block.name, sizeof block.name, "%slayer%d.%d.", prefix, index + 1, i);
    x = resnets[encoder].expansion == 1 ? basic_block(&block, x, first && index > 0, width, stride)
                                        : bottleneck(&block, x, first, width, stride);
  }
  return x;
}

int32_t resnet_feature_channels(Encoder encoder, int32_t feature)
{
  return feature == 0 ? 64 : (64 << (feature - 1)) * resnets[encoder].expansion;
}

static void train_layer(Graph *graph, ResnetTraining training, int32_t index)
{
  graph_set_training(graph, (GraphTraining){.frozen = 5 - index > training.trained_layers,
                                            .norm_frozen = training.norm_frozen,
                                            .norm_eps = training.norm_eps});
}

void resnet_build(Graph *graph, Encoder encoder, ResnetTraining training, Value input,
                  const char *prefix, Value features[RESNET_FEATURES])
{
  Block stem = {.graph = graph};
  (void)snprintf(stem.name, sizeof stem.name, "%s", prefix);
  train_layer(graph, training, 0);
  const Value y = conv(&stem, input, "conv1", 64, 7, 2);
  features[0] = norm(&stem, y, VALUE_NONE, true, "bn1");
  Value x = graph_max_pool2d(graph, features[0], (MaxPool2d){.size = 3, .stride = 2, .pad = 1});
  for (int32_t i = 0; i < 4; ++i) {
    train_layer(graph, training, i + 1);
    features[i + 1] = x = layer(graph, encoder, x, i, prefix);
  }
  graph_set_training(graph, graph_training_default());
}
