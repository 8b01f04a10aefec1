#pragma once

/* Private to comm: the ways that sums can go, chosen from outside, so that tests without a GPU walk
 * all of them. */
#include <stdbool.h>

#include "comm/gradients.h"
#include "nccl_driver.h"

/* Collective. gradients_open, which finds both by itself. on_gpu: the memory of this rank's device
 * is not the host's. driver: NCCL, or NULL where this rank has none. */
Status gradients_open_by(const Comm *comm, Device *device, bool on_gpu, const NcclDriver *driver,
                         float *block, size_t count, size_t bucket_bytes, Gradients **gradients);
