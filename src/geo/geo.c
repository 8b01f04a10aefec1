#include "geo/geo.h"

#include <cpl_error.h>
#include <stdio.h>

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

void geo_proj_version(char text[32])
{
  int major = 0, minor = 0, patch = 0;
  OSRGetPROJVersion(&major, &minor, &patch);
  (void)snprintf(text, 32, "%d.%d.%d", major, minor, patch);
}

bool geo_has_format(const char *gdal_name)
{
  return GDALGetDriverByName(gdal_name) != NULL;
}
