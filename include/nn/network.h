#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/log.h"
#include "comm/gradients.h"
#include "device/device.h"
#include "nn/graph.h"
#include "tensor/shape.h"

/* A graph made ready to run on a device, for one batch and tile size: a kernel for every node, and
 * a place in memory for every tensor, settled before anything runs. Nothing is allocated
 * afterwards.
 *
 * For inference batch norms are folded into the convolutions before them, with the residual and the
 * relu behind them, a relu right behind a convolution is part of it, and tensors share memory as
 * soon as their last reader is done. For training what the backward pass reads is kept. */
typedef struct Network Network;

typedef struct NetworkOptions {
  bool training;
  bool frozen_norm;       /* training: all batch norms use and keep their running statistics */
  bool input_gradient;    /* training: the caller wants that of the input too */
  Gradients *shared_norm; /* training: statistics over all ranks' pixels; NULL: each rank its own */
  int32_t rank_count;     /* of the ranks that share them */
  Element element; /* what activations and products are in: float32, bfloat16, on GPUs float16 */
  int32_t images;
  int32_t height;
  int32_t width;
} NetworkOptions;

/* Makes kernels and the memory plan; allocates no activations yet, so that a batch size can be
 * tried. Errors: STATUS_BAD_SHAPE if the sides are no multiple of graph_size_multiple;
 * STATUS_UNSUPPORTED, STATUS_DEVICE. */
Status network_open(const Graph *graph, Device *device, NetworkOptions options, Network **network);
void network_close(Network *network); /* accepts NULL */

/* Bytes of device memory that network_allocate will take: activations (and their gradients), packed
 * weights, scratch. */
size_t network_bytes(const Network *network);
Status network_allocate(Network *network);
void network_log_plan(const Network *network, const Log *log);

/* Inference. Takes the parameters from the host's flat blocks, folds and packs them. Waits. */
Status network_load(Network *network, const float *trained, const float *statistics);

/* Training. Device memory of the flat blocks, the caller's; before the first pack. */
void network_bind(Network *network, const float *trained, float *statistics, float *gradients);
/* Training. Packs the weights anew; after every change of them. */
void network_pack(Network *network);

Shape network_input_shape(const Network *network);
Shape network_output_shape(const Network *network, int32_t output);
void *network_input(Network *network);          /* device memory, to be filled before forward */
void *network_input_gradient(Network *network); /* NULL where it was not wanted */
/* Valid until the next forward (training: backward). */
const void *network_output(Network *network, int32_t output);
/* To be written, all of it and of every output, between forward and backward. */
void *network_output_gradient(Network *network, int32_t output);

void network_forward(Network *network);
/* From network_output_gradient to the flat gradients and network_input_gradient, which are added to. ready: told, with its
 * context, from which element of the flat block on the gradients are complete, in falling order;
 * may be NULL. */
Status network_backward(Network *network, Status (*ready)(void *context, size_t first),
                        void *context);
