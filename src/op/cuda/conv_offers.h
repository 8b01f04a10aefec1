#pragma once

#include "conv_operations.h"

/* What cuDNN offers for a graph on a device, and what it says about it. */
enum { OFFERS_MOST = 64 };

typedef struct ConvOffers {
  cudnnBackendDescriptor_t operations;
  cudnnBackendDescriptor_t configurations[OFFERS_MOST]; /* in the order of the heuristics */
  int64_t count;
} ConvOffers;

/* All of it is in the bag. No offer is no error. Errors: STATUS_DEVICE. */
Status conv_offers_ask(const ConvGraph *graph, cudnnBackendDescriptor_t properties, CudnnBag *bag,
                       ConvOffers *offers);

typedef struct EngineNotes {
  bool nondeterministic;
  bool tensor_cores;
  bool rounds_inputs;
  bool rounds_sums;
  bool transforms; /* Winograd or Fourier: sums of other products than the definition's */
  bool compiled_at_run_time;
} EngineNotes;

Status engine_notes_read(cudnnBackendDescriptor_t configuration, EngineNotes *notes);
