#pragma once

#include <nccl.h>

/* Private to the plug-in's NCCL: the library's functions, taken when they are first wanted, so that
 * the plug-in loads and a GPU computes on machines that have no NCCL. */
typedef struct NcclLibrary {
  __typeof__(&ncclGetVersion) get_version;
  __typeof__(&ncclGetUniqueId) get_unique_id;
  __typeof__(&ncclGetErrorString) get_error_string;
  __typeof__(&ncclGetLastError) get_last_error;
  __typeof__(&ncclCommInitRankConfig) comm_init_rank_config;
  __typeof__(&ncclCommGetAsyncError) comm_get_async_error;
  __typeof__(&ncclAllReduce) all_reduce;
  __typeof__(&ncclCommFinalize) comm_finalize;
  __typeof__(&ncclCommDestroy) comm_destroy;
  __typeof__(&ncclCommAbort) comm_abort;
} NcclLibrary;

/* NULL where there is none; why (may be NULL) is then one sentence. Both live as long as the
 * process. */
const NcclLibrary *nccl_library(const char **why);
