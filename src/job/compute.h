#pragma once

#include "device/device.h"
#include "job/job.h"
#include "tensor/shape.h"

/* Where and in what a tool computes. */
typedef enum DeviceChoice { DEVICE_CHOICE_AUTO, DEVICE_CHOICE_CPU, DEVICE_CHOICE_GPU } DeviceChoice;
#define DEVICE_CHOICES "auto|cpu|gpu"
typedef enum PrecisionChoice {
  PRECISION_AUTO,
  PRECISION_FLOAT32,
  PRECISION_BFLOAT16,
  PRECISION_FLOAT16
} PrecisionChoice;
#define PRECISION_CHOICES "auto|float32|bfloat16|float16"

/* Collective. Opens this rank's device: a GPU where there is one (ranks of a node share them out in
 * turn), else the CPU; says which, how ranks are bound, and why no GPU is used. threads: of OpenMP
 * on this rank, 0 for as many as it may use. All ranks succeed or none does. */
Status compute_open(const Job *job, DeviceChoice choice, int64_t threads, Device **device);

/* Local. What the option autotune asks for. */
void compute_autotune(Device *device, bool autotune);

/* Local. The same device once more, without a word. */
Status compute_open_again(const Job *job, DeviceChoice choice, Device **device);

/* Local. The element type for a choice; auto is bfloat16 where the device computes it fast, else
 * float32. Errors: STATUS_UNSUPPORTED for float16 on a CPU. */
Status compute_element(const Device *device, PrecisionChoice choice, Element *element);

/* Collective. Says what the rank with the most memory took of the host's at most: what plan predicts.
 */
Status compute_print_memory(const Job *job);
