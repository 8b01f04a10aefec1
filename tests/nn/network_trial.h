#pragma once

#include "nn/network.h"
#include "support/backends.h"

/* A small network on one backend, the naive one too (backend_of is replaced: link with
 * -Wl,--wrap=backend_of), with parameters, input and gradients of a formula. */
typedef struct NetworkTrial {
  const TestBackend *on;
  Room *room;
  const Graph *graph;
  Network *network;
  NetworkOptions options;
  int32_t first_image; /* of the formula's input; 0 unless set before a forward pass */
  float *host_trained, *host_statistics;
  float *trained, *statistics, *gradients; /* device; training only */
} NetworkTrial;

/* Any failure fails the test. Parameters are ready: loaded, or bound and packed. */
NetworkTrial *network_trial_open(const TestBackend *on, const Graph *graph, NetworkOptions options);
void network_trial_close(NetworkTrial *trial);
/* network_open on that backend. */
Status network_trial_try(const TestBackend *on, const Graph *graph, NetworkOptions options,
                         Network **network);

/* Uploads the host's parameters and packs them. */
void network_trial_set(NetworkTrial *trial);
/* A forward pass over the formula's input; N x H x W x channels of the output. */
float *network_trial_forward(NetworkTrial *trial);
int64_t network_trial_output_count(const NetworkTrial *trial);
/* After a forward pass, before a backward one: the gradient of sum(weights * output). */
void network_trial_aim(NetworkTrial *trial, const float *weights);
/* The gradient of that sum by the trained parameters; after a forward pass. */
float *network_trial_backward(NetworkTrial *trial, const float *weights);
