#pragma once

#include "conv_operations.h"

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
  bool loadable; /* false only under accept_without_driver */
  int offered;   /* configurations that the heuristics gave */
  int refused;   /* of those before the chosen one: by rule, or because they could not be made */
};

/* Errors: STATUS_UNSUPPORTED if no engine is left, with the graph; STATUS_DEVICE. */
Status conv_engine_choose(const ConvGraph *graph, cudnnBackendDescriptor_t properties,
                          EngineRule rule, ConvEngine **engine);
void conv_engine_close(ConvEngine *engine); /* accepts NULL */

/* Issues one run on the handle's stream. */
Status conv_engine_run(const ConvEngine *engine, cudnnHandle_t handle, ConvOperands operands);
