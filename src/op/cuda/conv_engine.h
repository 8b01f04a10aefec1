#pragma once

#include "conv_operations.h"
#include "plan_text.h"

/* The choice of an engine for a graph of a convolution, on a device that is either there or only
 * described. The choice is a function of the graph, the device's properties and cuDNN's version, so
 * that results repeat from run to run: the first engine, in the order of cuDNN's heuristics, that
 * is deterministic, sums in float32, wants little workspace and can be made. */

/* Device properties, which stand for the device in everything but execution. They are in the bag.
 */
Status device_properties_of_gpu(int32_t gpu, CudnnBag *bag, cudnnBackendDescriptor_t *properties);
/* json: what cuDNN gives as a device's properties; for tests without a GPU. */
Status device_properties_of_json(const char *json, CudnnBag *bag,
                                 cudnnBackendDescriptor_t *properties);

typedef struct EngineRule {
  bool allow_tf32;            /* float32 products may be rounded to 10 bits of mantissa */
  bool accept_without_driver; /* an engine that is compiled but cannot be loaded here counts */
} EngineRule;

struct ConvEngine {
  CudnnBag bag; /* all that the plan rests on */
  cudnnBackendDescriptor_t plan;
  size_t workspace_bytes;
  bool compiled_at_run_time;
  bool tensor_cores;
  bool loadable;     /* false only under accept_without_driver */
  bool named;        /* choice holds the engine; else it has no such name */
  PlanChoice choice; /* makes the same engine by conv_engine_restore */
  int offered;       /* configurations that the heuristics gave; 0 if they were not asked */
  int refused; /* of those before the chosen one: by rule, or because they could not be made */
};

/* Errors: STATUS_UNSUPPORTED if no engine is left, with the graph; STATUS_DEVICE. */
Status conv_engine_choose(const ConvGraph *graph, cudnnBackendDescriptor_t properties,
                          EngineRule rule, ConvEngine **engine);
void conv_engine_close(ConvEngine *engine); /* accepts NULL */

/* The engine of an earlier choice, without the heuristics. Errors: STATUS_UNSUPPORTED if it breaks
 * the rule, STATUS_DEVICE if it cannot be made. */
Status conv_engine_restore(const ConvGraph *graph, cudnnBackendDescriptor_t properties,
                           EngineRule rule, const PlanChoice *choice, ConvEngine **engine);

/* How long one run of an engine takes. An engine for which it fails is out. */
typedef struct EngineTimer {
  Status (*time)(void *context, const ConvGraph *graph, const ConvEngine *engine, double *seconds);
  void *context;
} EngineTimer;

/* How many of the first engines that the rule allows are timed. */
enum { ENGINES_TIMED = 8 };

/* The fastest of the first ENGINES_TIMED that conv_engine_choose would consider with the same
 * limit of workspace. A later one must be at least 2 % faster than one before it, since times
 * scatter. Errors: as conv_engine_choose, also if the timer failed for all. */
Status conv_engine_choose_fastest(const ConvGraph *graph, cudnnBackendDescriptor_t properties,
                                  EngineRule rule, EngineTimer timer, ConvEngine **engine);

/* Issues one run on the handle's stream. */
Status conv_engine_run(const ConvEngine *engine, cudnnHandle_t handle, ConvOperands operands);
