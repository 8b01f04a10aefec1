#pragma once

#include "op/conv2d.h"
#include "op/decoder_conv2d.h"

/* What cuDNN is asked to compute for a convolution; without a type of cuDNN's. All tensors are
 * channels last; weights are out_channels x kernel_height x kernel_width x in_channels / groups in
 * x's element, padded channels included. */
typedef enum ConvPass {
  CONV_FORWARD,        /* x, w -> y */
  CONV_FORWARD_FUSED,  /* x, w, add, bias -> y, in the order that ready-made engines know:
                          relu((conv + add) + bias), all in x's element */
  CONV_BACKWARD_DATA,  /* dy, w -> dx */
  CONV_BACKWARD_WEIGHT /* x, dy -> dw, in x's element */
} ConvPass;

/* What makes two graphs the same. */
typedef struct ConvGraph {
  ConvPass pass;
  Shape x; /* or dx */
  Shape y; /* or dy; y.channels are those of memory, as are x's */
  int32_t kernel_height;
  int32_t kernel_width;
  int32_t stride;
  int32_t pad;
  int32_t dilation;
  int32_t groups;
  bool bias; /* these three: CONV_FORWARD_FUSED only */
  bool add;
  bool relu;
} ConvGraph;

/* Names of tensors in a graph, for the variant pack. */
enum { CONV_X = 'x', CONV_W = 'w', CONV_Y = 'y', CONV_BIAS = 'b', CONV_ADD = 'z' };

/* A kernel that covers all of x is one of 1 x 1 over images of one pixel, whose channels are all
 * numbers of x: in memory both are the same, and the library knows products of matrices best. Any
 * other plan stays as it is. */
Conv2dPlan conv_graph_flat(const Conv2dPlan *plan);

/* The convolution of the enlarged and joined image, whose padded channels are a's, then skip's. */
Conv2dPlan conv_graph_joined(const DecoderConv2dPlan *plan);

ConvGraph conv_graph_of(const Conv2dPlan *plan, ConvPass pass);
bool conv_graph_equal(const ConvGraph *a, const ConvGraph *b);
/* w as a tensor: images are y's channels. */
Shape conv_graph_weights(const ConvGraph *graph);
/* For messages: "backward weight 3 x 3 …". Returns text. */
const char *conv_graph_text(const ConvGraph *graph, char text[160]);

/* Memory for one run of a graph. */
typedef struct ConvOperands {
  const void *x;
  const void *w;
  const void *y;
  const void *bias; /* NULL where the graph has none; add too */
  const void *add;
  void *workspace; /* aligned to 16 bytes */
} ConvOperands;

/* An engine that cuDNN has for a graph. */
typedef struct ConvEngine ConvEngine;
