#pragma once

#include <stdbool.h>

#include "nn/graph.h"

/* Small graphs that no model has, so that every way through the network's code is taken. Their
 * output has 12 x 8 px where the input has. */

/* Every kind of node; values that two and three nodes read. */
Graph *odd_graph_open(void);
/* Residuals that may and that may not give their memory to the sum; norms that cannot be folded. */
Graph *residual_graph_open(void);

/* A value that two nodes read: a relu, and a node of each kind, before the relu or behind it. */
typedef enum Reader {
  READER_CONV,
  READER_CONV_OF_STRIDE_2,
  READER_CONV_OF_GROUPS,
  READER_POOL,
  READER_RELU,
  READER_ADD_LEFT,
  READER_ADD_RIGHT,
  READER_UPSAMPLE,
  READER_CONCAT,
  READER_DECODER,
  READER_SKIP,
  READER_RESIDUAL,
  READER_COUNT
} Reader;
Graph *reader_graph_open(Reader reader, bool first);
const char *reader_name(Reader reader);
