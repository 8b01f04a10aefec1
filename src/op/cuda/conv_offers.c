#include "conv_offers.h"

enum { NOTES_MOST = 16 };

/* Appends what one mode of the heuristics offers. */
static Status ask(cudnnBackendHeurMode_t mode, cudnnBackendDescriptor_t properties, CudnnBag *bag,
                  ConvOffers *offers)
{
  cudnnBackendDescriptor_t heuristics;
  TRY(cudnn_create(bag, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, &heuristics));
  TRY(cudnn_set_descriptor(heuristics, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, offers->operations));
  TRY(cudnn_set(heuristics, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode));
  TRY(cudnn_set_descriptor(heuristics, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, properties));
  if (cudnnBackendFinalize(heuristics) != CUDNN_STATUS_SUCCESS) return STATUS_OK; /* no offer */

  int64_t found = 0;
  TRY(cudnn_status(cudnnBackendGetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                            CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &found, NULL),
                   "count engines"));
  const int64_t room = OFFERS_MOST - offers->count;
  const int64_t wanted = found < room ? found : room;
  cudnnBackendDescriptor_t *configurations = &offers->configurations[offers->count];
  if (wanted == 0) return STATUS_OK;
  for (int64_t i = 0; i < wanted; ++i)
    TRY(cudnn_create(bag, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, &configurations[i]));
  TRY(cudnn_status(cudnnBackendGetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                            CUDNN_TYPE_BACKEND_DESCRIPTOR, wanted, &found,
                                            configurations),
                   "list engines"));
  offers->count += found < wanted ? found : wanted;
  return STATUS_OK;
}

Status conv_offers_ask(const ConvGraph *graph, cudnnBackendDescriptor_t properties, CudnnBag *bag,
                       ConvOffers *offers)
{
  offers->count = 0;
  TRY(conv_operations_build(graph, bag, &offers->operations));
  TRY(ask(CUDNN_HEUR_MODE_A, properties, bag, offers));
  return ask(CUDNN_HEUR_MODE_FALLBACK, properties, bag, offers);
}

static Status read_numerical(cudnnBackendDescriptor_t engine, EngineNotes *notes)
{
  cudnnBackendNumericalNote_t items[NOTES_MOST];
  int64_t count = 0;
  TRY(cudnn_status(cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE,
                                            CUDNN_TYPE_NUMERICAL_NOTE, NOTES_MOST, &count, items),
                   "the numerical notes of an engine"));
  for (int64_t i = 0; i < count && i < NOTES_MOST; ++i) {
    notes->nondeterministic |= items[i] == CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC;
    notes->tensor_cores |= items[i] == CUDNN_NUMERICAL_NOTE_TENSOR_CORE;
    notes->rounds_inputs |= items[i] == CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS;
    notes->transforms |=
        items[i] == CUDNN_NUMERICAL_NOTE_WINOGRAD || items[i] == CUDNN_NUMERICAL_NOTE_FFT;
    notes->rounds_sums |= items[i] == CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION;
  }
  return STATUS_OK;
}

static Status read_behaviour(cudnnBackendDescriptor_t engine, EngineNotes *notes)
{
  cudnnBackendBehaviorNote_t items[NOTES_MOST];
  int64_t count = 0;
  TRY(cudnn_status(cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE,
                                            CUDNN_TYPE_BEHAVIOR_NOTE, NOTES_MOST, &count, items),
                   "the behaviour notes of an engine"));
  for (int64_t i = 0; i < count && i < NOTES_MOST; ++i)
    notes->compiled_at_run_time |= items[i] == CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION;
  return STATUS_OK;
}

static Status read_notes(cudnnBackendDescriptor_t configuration, CudnnBag *bag, EngineNotes *notes)
{
  cudnnBackendDescriptor_t engine;
  int64_t count = 0;
  TRY(cudnn_create(bag, CUDNN_BACKEND_ENGINE_DESCRIPTOR, &engine));
  TRY(cudnn_status(cudnnBackendGetAttribute(configuration, CUDNN_ATTR_ENGINECFG_ENGINE,
                                            CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count, &engine),
                   "the engine of a configuration"));
  TRY(read_numerical(engine, notes));
  return read_behaviour(engine, notes);
}

Status engine_notes_read(cudnnBackendDescriptor_t configuration, EngineNotes *notes)
{
  CudnnBag bag = {.count = 0};
  *notes = (EngineNotes){0};
  const Status status = read_notes(configuration, &bag, notes);
  cudnn_bag_empty(&bag);
  return status;
}
