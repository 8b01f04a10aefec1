#include "nccl_library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "cuda_libraries.h"

/* One per process, like the library that it is; looked for once. */
static struct {
  pthread_once_t once;
  NcclLibrary functions;
  char why[512]; /* "" once loaded */
} nccl = {.once = PTHREAD_ONCE_INIT};

/* function: of any type; POSIX lets data pointers hold functions, C does not say so. */
static void take(void *library, const char *name, void *function)
{
  void *symbol = dlsym(library, name);
  memcpy(function, &symbol, sizeof symbol);
  if (symbol == NULL)
    (void)snprintf(nccl.why, sizeof nccl.why, "NCCL cannot be used: libnccl.so.2 has no %s", name);
}

static void load(void)
{
  static const char name[] = "libnccl.so.2";
  void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL && cuda_libraries_open_one(name))
    library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    const char *reason = dlerror();
    (void)snprintf(nccl.why, sizeof nccl.why, "NCCL cannot be loaded: %s", reason);
    return;
  }
  take(library, "ncclGetVersion", &nccl.functions.get_version);
  take(library, "ncclGetUniqueId", &nccl.functions.get_unique_id);
  take(library, "ncclGetErrorString", &nccl.functions.get_error_string);
  take(library, "ncclGetLastError", &nccl.functions.get_last_error);
  take(library, "ncclCommInitRankConfig", &nccl.functions.comm_init_rank_config);
  take(library, "ncclCommGetAsyncError", &nccl.functions.comm_get_async_error);
  take(library, "ncclAllReduce", &nccl.functions.all_reduce);
  take(library, "ncclCommFinalize", &nccl.functions.comm_finalize);
  take(library, "ncclCommDestroy", &nccl.functions.comm_destroy);
  take(library, "ncclCommAbort", &nccl.functions.comm_abort);
}

const NcclLibrary *nccl_library(const char **why)
{
  (void)pthread_once(&nccl.once, load);
  if (why != NULL) *why = nccl.why;
  return nccl.why[0] == '\0' ? &nccl.functions : NULL;
}
