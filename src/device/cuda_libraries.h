#pragma once

#include <stdbool.h>

/* cuDNN and NCCL as the site has them: a library that is open before the plug-in is the one that the
 * plug-in gets. What is not found is not opened; the loader says so when it opens the plug-in. The
 * libraries stay open until the process ends. */

/* From the folders that QUADRAT_CUDA_LIBRARIES names, parted by ':'. cuBLASLt and NVRTC, which cuDNN
 * opens when it needs them, are opened as well if they lie there. Before the plug-in, so that they
 * go before the folders that it was built with. */
void cuda_libraries_open_named(void);

/* For a plug-in that found them nowhere. The first of
 *
 *   1. the loader's path: LD_LIBRARY_PATH, /etc/ld.so.conf
 *   2. lib and lib64 under CUDNN_PATH, NCCL_HOME, CUDA_HOME, CUDA_PATH, /usr/local/cuda
 *   3. Python's wheels (nvidia/cudnn/lib, nvidia/nccl/lib) in VIRTUAL_ENV, CONDA_PREFIX, the user's
 *      and the system's packages */
void cuda_libraries_open_usual(void);
/* One of them: whether it was found and is open. The plug-in, which opens NCCL when it is wanted, has
 * this, too. */
bool cuda_libraries_open_one(const char *name);
