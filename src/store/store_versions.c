#include "store/store_versions.h"

#include <stdio.h>
#include <zlib.h>

#include "array_door.h"
#include "json_node.h"

StoreVersions store_versions(void)
{
  StoreVersions versions;
  unsigned major = 0, minor = 0, release = 0;
  (void)H5get_libversion(&major, &minor, &release);
  (void)snprintf(versions.hdf5, sizeof versions.hdf5, "%u.%u.%u", major, minor, release);
#if JANSSON_VERSION_HEX >= 0x020D00
  (void)snprintf(versions.jansson, sizeof versions.jansson, "%.31s", jansson_version_str());
#else
  (void)snprintf(versions.jansson, sizeof versions.jansson, "%.31s", JANSSON_VERSION);
#endif
  (void)snprintf(versions.zlib, sizeof versions.zlib, "%.31s", zlibVersion());
  return versions;
}
