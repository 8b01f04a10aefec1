#pragma once

#include "cudnn_descriptor.h"
#include "plan_text.h"

/* A configuration of an engine as cuDNN's descriptor, and as what a file keeps. */

/* Errors: STATUS_UNSUPPORTED if it has more knobs than a choice holds; STATUS_DEVICE. */
Status plan_choice_read(cudnnBackendDescriptor_t configuration, PlanChoice *choice);

/* The configuration for a graph of operations; it is in the bag. Errors: STATUS_DEVICE if the graph
 * has no such engine, or the engine no such settings. */
Status plan_choice_configure(const PlanChoice *choice, cudnnBackendDescriptor_t operations,
                             cudnnBackendDescriptor_t properties, CudnnBag *bag,
                             cudnnBackendDescriptor_t *configuration);
