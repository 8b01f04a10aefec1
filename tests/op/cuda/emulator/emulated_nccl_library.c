#include <stdlib.h>
#include <string.h>

#include "nccl_library.h"

const NcclLibrary *nccl_library(const char **why)
{
  static const NcclLibrary functions = {.get_version = ncclGetVersion,
                                        .get_unique_id = ncclGetUniqueId,
                                        .get_error_string = ncclGetErrorString,
                                        .get_last_error = ncclGetLastError,
                                        .comm_init_rank_config = ncclCommInitRankConfig,
                                        .comm_get_async_error = ncclCommGetAsyncError,
                                        .all_reduce = ncclAllReduce,
                                        .comm_finalize = ncclCommFinalize,
                                        .comm_destroy = ncclCommDestroy,
                                        .comm_abort = ncclCommAbort};
  const char *fault = getenv("EMULATED_NCCL_FAULT");
  const int missing = fault != NULL && strcmp(fault, "missing") == 0;
  if (why != NULL) *why = missing ? "NCCL cannot be loaded: it is not emulated" : "";
  return missing ? NULL : &functions;
}
