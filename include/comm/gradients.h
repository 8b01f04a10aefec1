#pragma once

#include <stddef.h>

#include "comm/comm.h"
#include "device/device.h"

/* Sums of gradients over all ranks, bucket by bucket while the backward pass goes on. On GPUs NCCL
 * on its own stream; on CPUs MPI on the host, blocking (overlap was measured to lose there); and
 * where NCCL refuses, as it does for several ranks on one GPU, MPI over pinned memory, all at the
 * end. MPI adds as comm_sum_float does, so the result does not depend on the buckets. On one rank
 * every call is empty. */
typedef struct Gradients Gradients;

/* Collective. block: the flat gradients, float32, in device memory; they are complete from the end
 * to the start, in the order in which the backward pass ends. Neither they nor comm and device are
 * owned. bucket_bytes, the same on all ranks: 25 MiB is a good size; a bucket has at least one
 * element, and the one at the start of the block may be short. */
Status gradients_open(const Comm *comm, Device *device, float *block, size_t count,
                      size_t bucket_bytes, Gradients **gradients);
/* Collective on CPUs. All ranks call it with the same values in the same order. Elements from first
 * on are complete: sums every whole bucket among them that is not summed yet; the caller leaves
 * them alone until gradients_finish. */
Status gradients_ready(Gradients *gradients, size_t first);
/* Collective. Sums what is left and makes the compute stream wait for it; the next step begins. */
Status gradients_finish(Gradients *gradients);
/* Collective. A few values in device memory (batch norm's and losses' sums), complete when the next
 * op runs. */
Status gradients_sum(Gradients *gradients, float *values, size_t count);
/* "NCCL 2.28.9", "MPI on the host" (with the reason, where NCCL was refused). Worth a line of the
 * log. */
const char *gradients_backend(const Gradients *gradients);
/* Collective. Accepts NULL. */
void gradients_close(Gradients *gradients);
