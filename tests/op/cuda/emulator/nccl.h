#pragma once

/* As much of NCCL as the plug-in uses, between processes of one machine over shared memory
 * (emulated_nccl.cpp). A sum is added in the order of the ranks, and runs in the order of its
 * stream.
 *
 * EMULATED_NCCL_FAULT=FAULT[:NUMBER][@RANK] in the environment breaks one rank, or all:
 *   missing  there is no NCCL on this machine
 *   refuse   init answers as it does for two ranks on one GPU
 *   absent   init never comes to the others
 *   drag     every sum takes NUMBER ms on the GPU
 *   slow     every call is "in progress" for a while
 *   unrecorded  a sum cannot be recorded, and to have tried ends the communicator
 *   remote   a failure of another rank is found in the background, when sum NUMBER (from 1) begins
 *   hang     sum NUMBER never begins on the GPU
 *   die      the process is killed when sum NUMBER begins
 *   stuck    the host never comes back from the call of sum NUMBER */
#include <cuda_runtime_api.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NCCL_UNIQUE_ID_BYTES 128

typedef struct ncclUniqueId {
  char internal[NCCL_UNIQUE_ID_BYTES];
} ncclUniqueId;

typedef struct ncclComm *ncclComm_t;

typedef struct ncclConfig_t {
  int blocking;
} ncclConfig_t;

#define NCCL_CONFIG_INITIALIZER                                                                    \
  {                                                                                                \
    1                                                                                              \
  }

typedef enum ncclResult_t {
  ncclSuccess,
  ncclSystemError,
  ncclInvalidArgument,
  ncclInvalidUsage,
  ncclRemoteError,
  ncclInProgress
} ncclResult_t;

typedef enum ncclDataType_t { ncclFloat32 } ncclDataType_t;
typedef enum ncclRedOp_t { ncclSum } ncclRedOp_t;

ncclResult_t ncclGetVersion(int *version);
ncclResult_t ncclGetUniqueId(ncclUniqueId *id);
const char *ncclGetErrorString(ncclResult_t code);
const char *ncclGetLastError(ncclComm_t comm);
ncclResult_t ncclCommInitRankConfig(ncclComm_t *comm, int rank_count, ncclUniqueId id, int rank,
                                    ncclConfig_t *config);
ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t *state);
ncclResult_t ncclAllReduce(const void *from, void *to, size_t count, ncclDataType_t type,
                           ncclRedOp_t op, ncclComm_t comm, cudaStream_t stream);
ncclResult_t ncclCommFinalize(ncclComm_t comm);
ncclResult_t ncclCommDestroy(ncclComm_t comm);
ncclResult_t ncclCommAbort(ncclComm_t comm);

#ifdef __cplusplus
}
#endif
