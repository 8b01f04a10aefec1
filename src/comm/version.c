/* What the outside libraries of this floor say of themselves. */
#include <stdio.h>
#include <string.h>

#include "device/device.h"
#include "mpi_door.h"
#include "nccl_driver.h"

void comm_mpi_version(char text[COMM_VERSION_BYTES])
{
  char version[MPI_MAX_LIBRARY_VERSION_STRING] = "";
  int length = 0;
  (void)MPI_Get_library_version(version, &length);
  version[strcspn(version, "\n")] = '\0';
  (void)snprintf(text, COMM_VERSION_BYTES, "%.*s", COMM_VERSION_BYTES - 1, version);
}

const char *comm_nccl_version(void)
{
  const NcclDriver *driver = device_plugin_symbol(NCCL_DRIVER_SYMBOL);
  if (driver == NULL) return NULL;
  return driver->why_not() == NULL ? driver->version() : driver->why_not();
}
