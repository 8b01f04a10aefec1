#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "comm/comm.h"
#include "device/device.h"

/* Sums of gradients over all ranks, bucket by bucket while the backward pass goes on. On GPUs NCCL
 * on its own stream; on CPUs MPI on the host, blocking (overlap was measured to lose there); and
 * where NCCL refuses, as it does for several ranks on one GPU, or is not built in, MPI over pinned
 * memory, all at the end. MPI adds as comm_sum_float does, so the result does not depend on the
 * buckets. On one rank every call is empty.
 *
 * NCCL is watched by a thread: a sum that hangs (QUADRAT_NCCL_TIMEOUT_S of the environment, 300 s)
 * or fails is STATUS_COMM from device_synchronize or from the next call here, in a sentence with the
 * step, the sum and the ranks that did not come to it; a host that does not come for it is ended
 * with that sentence. */
typedef struct Gradients Gradients;

/* Collective. block: the flat gradients, float32, in device memory; they are complete from the end
 * to the start, in the order in which the backward pass ends. Neither they nor comm and device are
 * owned. bucket_bytes, the same on all ranks: 8 MiB is a good size; a bucket has at least one
 * element, and the one at the start of the block may be short. */
Status gradients_open(const Comm *comm, Device *device, float *block, size_t count,
                      size_t bucket_bytes, Gradients **gradients);
/* Local. A step whose sums were not finished is given up, and this one begins; counted from 0, it
 * names the sums that follow in what is said of a failure. */
void gradients_begin_step(Gradients *gradients, int64_t step);
/* Collective on CPUs. All ranks call it with the same values in the same order. Elements from first
 * on are complete: sums every whole bucket among them that is not summed yet; the caller leaves
 * them alone until gradients_finish. */
Status gradients_ready(Gradients *gradients, size_t first);
/* Collective. Sums what is left and makes the compute stream wait for it; the next step begins. */
Status gradients_finish(Gradients *gradients);
/* Collective. A few values in device memory, complete when the next op runs. what names them, "sum of
 * losses"; alive as long as the process. */
Status gradients_sum(Gradients *gradients, const char *what, float *values, size_t count);
/* Local. Whether the calls above may stand in a capture of the compute stream: on one rank, and with
 * NCCL. There they record; all ranks capture the same, after one step without a capture, and each
 * capture replaces the one before. gradients_replayed goes with every launch of the graph, after
 * gradients_begin_step and just before the launch. */
bool gradients_can_be_recorded(const Gradients *gradients);
void gradients_replayed(Gradients *gradients);
/* Collective. After a recording that failed on any rank, which may have cost NCCL its connection:
 * connects anew, or goes over the host; no sum can be recorded any more. */
Status gradients_give_up_recording(Gradients *gradients);
/* "NCCL 2.28.9", "MPI on the host" (with the reason, where NCCL was refused). Worth a line of the
 * log. */
const char *gradients_backend(const Gradients *gradients);
/* Collective. Accepts NULL. */
void gradients_close(Gradients *gradients);
