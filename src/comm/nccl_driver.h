#pragma once

#include <stddef.h>

#include "base/status.h"

/* NCCL as the plug-in gives it, under NCCL_DRIVER_SYMBOL (device_plugin_symbol). One communicator
 * per device; its sums run on a stream of their own, of the highest priority, beside the compute
 * stream. */
#define NCCL_DRIVER_SYMBOL "quadrat_cuda_nccl"

enum { NCCL_ID_BYTES = 128 };

typedef struct Nccl Nccl;

typedef struct NcclDriver {
  /* "NCCL 2.28.9"; alive as long as the process. */
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
  /* Local. A failure that NCCL met in the background, else STATUS_OK. device_synchronize asks this
   * by itself while it waits, so that a lost rank ends in STATUS_COMM and not in a hang. */
  Status (*check)(Nccl *nccl);
  /* Local. Ends the communicator without the other ranks; accepts NULL. */
  void (*abort)(Nccl *nccl);
  /* Collective. Accepts NULL. */
  void (*close)(Nccl *nccl);
} NcclDriver;
