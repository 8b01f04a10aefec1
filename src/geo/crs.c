#include "geo/crs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cpl_conv.h>

#include "gdal_door.h"

Status crs_of_text(const char *text, size_t wkt_bytes, char *wkt)
{
  OGRSpatialReferenceH crs = gdal_crs_open(text);
  if (crs == NULL)
    return status_set(STATUS_BAD_OPTION,
                      "“%.80s” is no reference system that PROJ knows; write it as EPSG:32645 or "
                      "as WKT",
                      text);
  char *whole = gdal_crs_wkt(crs);
  const size_t length = strlen(whole);
  if (length < wkt_bytes) memcpy(wkt, whole, length + 1);
  CPLFree(whole);
  OSRRelease(crs);
  if (length >= wkt_bytes)
    return status_set(STATUS_BAD_OPTION, "the WKT of “%.80s” has %zu bytes, there is room for %zu",
                      text, length, wkt_bytes - 1);
  return STATUS_OK;
}

static bool same(OGRSpatialReferenceH a, OGRSpatialReferenceH b)
{
  const char *const how[] = {"CRITERION=EQUIVALENT_EXCEPT_AXIS_ORDER_GEOGCRS",
                             "IGNORE_DATA_AXIS_TO_SRS_AXIS_MAPPING=YES", NULL};
  if (a == NULL || b == NULL) return a == b;
  return OSRIsSameEx(a, b, how) != 0;
}

bool crs_same(const char *a_wkt, const char *b_wkt)
{
  if (strcmp(a_wkt, b_wkt) == 0) return true;
  OGRSpatialReferenceH a = gdal_crs_open(a_wkt);
  OGRSpatialReferenceH b = gdal_crs_open(b_wkt);
  const bool answer = same(a, b);
  if (a != NULL) OSRRelease(a);
  if (b != NULL) OSRRelease(b);
  return answer;
}

void crs_name(const char *wkt, char name[CRS_NAME_BYTES])
{
  OGRSpatialReferenceH crs = gdal_crs_open(wkt);
  if (crs == NULL) {
    (void)snprintf(name, CRS_NAME_BYTES, "unknown");
    return;
  }
  const char *own = OSRGetName(crs);
  const char *authority = OSRGetAuthorityName(crs, NULL);
  const char *code = OSRGetAuthorityCode(crs, NULL);
  if (own == NULL) own = "without a name";
  if (authority != NULL && code != NULL)
    (void)snprintf(name, CRS_NAME_BYTES, "%.20s:%.20s (%.80s)", authority, code, own);
  else
    (void)snprintf(name, CRS_NAME_BYTES, "%.100s", own);
  OSRRelease(crs);
}

int crs_epsg(const char *wkt)
{
  OGRSpatialReferenceH crs = gdal_crs_open(wkt);
  if (crs == NULL) return 0;
  const char *authority = OSRGetAuthorityName(crs, NULL);
  const char *code = OSRGetAuthorityCode(crs, NULL);
  long epsg = 0;
  if (authority != NULL && code != NULL && strcmp(authority, "EPSG") == 0)
    epsg = strtol(code, NULL, 10);
  OSRRelease(crs);
  return epsg > 0 && epsg < 10000000 ? (int)epsg : 0;
}

bool crs_is_geographic(const char *wkt)
{
  OGRSpatialReferenceH crs = gdal_crs_open(wkt);
  if (crs == NULL) return false;
  const bool answer = OSRIsGeographic(crs) != 0;
  OSRRelease(crs);
  return answer;
}
