#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* NCCL as the plug-in gives it, under NCCL_DRIVER_SYMBOL (device_plugin_symbol); a plug-in that was
 * built without NCCL has no such symbol. One communicator per device; its sums run on a stream of
 * their own, of the highest priority, beside the compute stream.
 *
 * Sums may be recorded into a CUDA graph: while the compute stream is being captured, sum and join
 * put their work into the graph and touch nothing that a capture forbids, and the communication
 * stream is a part of the graph from the first sum to join, which must follow the last one before
 * the capture ends. All ranks capture the same sums in the same order, after each kind of sum has
 * run once outside of a graph (NCCL connects at the first), and replay as often as the others. The
 * device itself counts what has ended, so that a replay counts as the sums that it holds. */
#define NCCL_DRIVER_SYMBOL "quadrat_cuda_nccl"

enum { NCCL_ID_BYTES = 128 };

typedef struct Nccl Nccl;

/* Calls are made by one thread at a time; ended and check by any thread until close. */
typedef struct NcclDriver {
  /* Local. NULL, or one sentence that says why this machine's NCCL cannot be used; then only
   * version may be called besides. */
  const char *(*why_not)(void);
  /* "NCCL 2.28.9"; alive as long as the process. NULL if it cannot be used. */
  const char *(*version)(void);
  /* Local; on one rank, which then sends the id to the others. */
  Status (*make_id)(unsigned char id[NCCL_ID_BYTES]);
  /* Collective. cuda_device: device_driver() of the rank's GPU. Polls, and gives up after
   * deadline_s without any rank hanging. Errors: STATUS_UNSUPPORTED where NCCL refuses the ranks'
   * places (two ranks on one GPU: use the host instead), STATUS_COMM. After a failure the caller
   * agrees over MPI and closes on every rank. */
  Status (*open)(void *cuda_device, const unsigned char id[NCCL_ID_BYTES], int rank, int rank_count,
                 double deadline_s, Nccl **nccl);
  /* Collective in order. Sums count float32 over all ranks, in place, after the work that the
   * compute stream has been given so far; does not wait. */
  Status (*sum)(Nccl *nccl, float *values, size_t count);
  /* Local. The compute stream's next work waits for all sums issued so far; the host does not. */
  Status (*join)(Nccl *nccl);
  /* Local. Whether the compute stream is being captured: a sum is then recorded, not issued. */
  bool (*is_recording)(const Nccl *nccl);
  /* Local. Sums that the device has ended, those of replayed graphs among them; counts modulo
   * 2^32. Reads memory: no call of CUDA. */
  uint32_t (*ended)(const Nccl *nccl);
  /* Local. A failure that NCCL met in the background, else STATUS_OK; also STATUS_OK while another
   * thread is inside NCCL. */
  Status (*check)(Nccl *nccl);
  /* Local. What the device asks while the host waits for it (device_synchronize); a failure ends
   * the wait. NULL: nothing. */
  void (*watch)(Nccl *nccl, Status (*ask)(void *context), void *context);
  /* Local. Ends the communicator without the other ranks, so that the streams run out; what is on
   * its way is lost, and later sums fail. */
  void (*abort)(Nccl *nccl);
  /* Collective, but Local after abort or a failure. Accepts NULL. */
  void (*close)(Nccl *nccl);
} NcclDriver;
