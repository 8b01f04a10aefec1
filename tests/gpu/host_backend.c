#include "base/require.h"
#include "op/backend.h"
#include "support/naive_ops.h"

/* What the whole program takes from oneDNN, which a machine with a GPU need not have: the host's
 * backend is the naive one. */
const Backend *backend_of(const Device *device)
{
  if (device_kind(device) == DEVICE_CPU) return &naive_backend;
  const Backend *backend = device_plugin_symbol("quadrat_cuda_backend");
  require(backend != NULL);
  return backend;
}
