#include "geo/geo.h"

#include <cpl_error.h>

#include "gdal_door.h"

void geo_start(int64_t cache_bytes)
{
  CPLSetErrorHandler(CPLQuietErrorHandler);
  GDALAllRegister();
  if (cache_bytes > 0) GDALSetCacheMax64(cache_bytes);
}

void geo_stop(void)
{
  GDALDestroyDriverManager();
  OSRCleanup();
  CPLSetErrorHandler(NULL);
}

const char *geo_version(void)
{
  return GDALVersionInfo("RELEASE_NAME");
}

bool geo_has_format(const char *gdal_name)
{
  return GDALGetDriverByName(gdal_name) != NULL;
}
