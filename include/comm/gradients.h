#pragma once

#include <stddef.h>

#include "comm/comm.h"
#include "device/device.h"

/* Sums of gradients over all ranks, bucket by bucket while the backward pass goes on. On GPUs NCCL
 * on its own stream; on CPUs, and where several ranks share a GPU, MPI on the host, blocking
 * (overlap was measured to lose on CPUs). */
typedef struct Gradients Gradients;

/* Collective. block: the flat gradients, float32, in device memory; they are complete from the end
 * to the start, in the order in which the backward pass ends. */
Status gradients_open(const Comm *comm, Device *device, float *block, size_t count,
                      size_t bucket_bytes, Gradients **gradients);
/* Local or collective, by backend; all ranks call it with the same values in the same order.
 * Elements from first on are complete: sums every whole bucket among them. */
Status gradients_ready(Gradients *gradients, size_t first);
/* Collective. Sums what is left and makes the compute stream wait for it. */
Status gradients_finish(Gradients *gradients);
/* Collective. A few values in device memory (batch norm's and losses' sums), complete when the next
 * op runs. */
Status gradients_sum(Gradients *gradients, float *values, size_t count);
/* "NCCL 2.28.9", "MPI on the host". */
const char *gradients_backend(const Gradients *gradients);
void gradients_close(Gradients *gradients);
