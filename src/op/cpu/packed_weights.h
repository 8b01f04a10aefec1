#pragma once

#include <oneapi/dnnl/dnnl.h>

#include "tensor/shape.h"

/* Weights on their way into the layout that the library has chosen for them, and their gradients on
 * their way back, turned or out of a larger array where that is asked, in one pass. A layout's offset is a sum of one part for each dimension, and those are kept as tables. */
typedef struct PackedWeights {
  Element element;
  int32_t groups;
  int32_t out_channels; /* of one group, as in_channels */
  int32_t in_channels;
  int32_t taps; /* height x width */
  size_t bytes;
  bool padded;      /* has elements that are none of the weights; they are 0 */
  int32_t *offsets; /* of groups, then of out_channels, in_channels and taps, in elements */
} PackedWeights;

/* Where a plain float32 weight lies. One of out_stride and in_stride is taps. */
typedef struct PlainWeights {
  int64_t group_stride;
  int64_t out_stride;
  int64_t in_stride;
  bool turned; /* by half a turn: the last tap first */
} PlainWeights;

/* layout: groups x out x in x height x width, or without groups; float32 or bfloat16. Errors:
 * STATUS_UNSUPPORTED, STATUS_NO_MEMORY. */
Status packed_weights_open(const dnnl_memory_desc_t *layout, PackedWeights *weights);
void packed_weights_close(PackedWeights *weights); /* accepts one that is zeros */

void packed_weights_pack(const PackedWeights *weights, PlainWeights plain, const float *from,
                         void *to);
/* The way back, of float32: added to what is there, or set. */
void packed_weights_unpack(const PackedWeights *weights, const float *from, PlainWeights plain,
                           bool add, float *to);
