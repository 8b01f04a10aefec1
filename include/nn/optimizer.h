#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "device/device.h"
#include "nn/parameter.h"
#include "nn/schedule.h"

/* The flat blocks of a training on one device (parameters, gradients, optimiser state), and the
 * step that moves them. */
typedef enum OptimizerKind { OPTIMIZER_SGD, OPTIMIZER_ADAMW } OptimizerKind;
#define OPTIMIZER_CHOICES "sgd|adamw"

typedef struct OptimizerOptions {
  OptimizerKind kind;
  Schedule schedule;
  double momentum; /* SGD; AdamW: beta1 */
  double weight_decay;
  double norm_limit; /* gradients are scaled down to it; 0: never */
  bool
      loss_scaling; /* for float16, loss_scale.h: gradients come multiplied by optimizer_loss_scale,
                        and a step in which one of them is not finite is left out */
} OptimizerOptions;

typedef struct Optimizer Optimizer;

Status optimizer_open(const ParameterList *parameters, Device *device, OptimizerOptions options,
                      Optimizer **optimizer);
void optimizer_close(Optimizer *optimizer); /* accepts NULL */

/* Device memory, float32; state is one block (SGD) or two (AdamW) of the size of the trained
 * parameters, one behind the other, and behind them the state of loss scaling where there is one. */
float *optimizer_trained(Optimizer *optimizer);
float *optimizer_statistics(Optimizer *optimizer);
float *optimizer_gradients(Optimizer *optimizer);
float *optimizer_state(Optimizer *optimizer);
size_t optimizer_state_count(const Optimizer *optimizer);
/* Bytes of device memory in all. */
size_t optimizer_bytes(const Optimizer *optimizer);

void optimizer_clear_gradients(Optimizer *optimizer);
/* What losses are to be multiplied by before the backward pass: one float32 in device memory, or NULL
 * for 1. */
const float *optimizer_loss_scale(const Optimizer *optimizer);
/* One step with the rate of the given step, counted from 0: optimizer_set_step, then
 * optimizer_apply, which issues the same work for every step and so can be recorded. */
void optimizer_step(Optimizer *optimizer, int64_t step);
void optimizer_set_step(Optimizer *optimizer, int64_t step);
void optimizer_apply(Optimizer *optimizer);
/* The norm of the last step's gradients before clipping, in device memory (one float32). */
const float *optimizer_norm(const Optimizer *optimizer);

/* Between the device's blocks and the host's. They wait. state may be NULL. */
Status optimizer_upload(Optimizer *optimizer, const float *trained, const float *statistics,
                        const float *state);
Status optimizer_download(Optimizer *optimizer, float *trained, float *statistics, float *state);
