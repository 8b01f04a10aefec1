#include "op/backend.h"

#include "base/require.h"
#include "op/count/count_backend.h"
#include "op/cpu/cpu_backend.h"

const Backend *backend_of_plugin(void)
{
  return device_plugin_symbol("quadrat_cuda_backend");
}

const Backend *backend_of(const Device *device)
{
  if (device_notes(device).context != NULL) return &count_backend;
  if (device_kind(device) == DEVICE_CPU) return &cpu_backend;
  const Backend *backend = backend_of_plugin();
  require(backend != NULL); /* device_open refuses a plug-in without it */
  return backend;
}
