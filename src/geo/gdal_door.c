#include "gdal_door.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cpl_conv.h>
#include <cpl_error.h>
#include <cpl_string.h>
#include <cpl_vsi.h>

static void CPL_STDCALL hear(CPLErr severity, CPLErrorNum number, const char *words)
{
  GdalWatch *watch = CPLGetErrorHandlerUserData();
  if (severity < CE_Failure || watch->failed) return;
  watch->failed = true;
  (void)snprintf(watch->words, sizeof watch->words, "%s", words);
  for (char *c = watch->words; *c != '\0'; ++c)
    if (*c == '\n' || *c == '\r') *c = ' ';
  size_t length = strlen(watch->words);
  while (length > 0 && (watch->words[length - 1] == '.' || watch->words[length - 1] == ' '))
    watch->words[--length] = '\0';
}

void gdal_watch_begin(GdalWatch *watch)
{
  *watch = (GdalWatch){.failed = false};
  CPLErrorReset();
  CPLPushErrorHandlerEx(hear, watch);
}

void gdal_watch_end(GdalWatch *watch)
{
  CPLPopErrorHandler();
}

const char *gdal_watch_words(const GdalWatch *watch)
{
  return watch->words[0] == '\0' ? "no reason given" : watch->words;
}

/* GDAL before 3.7 has no type for signed bytes and marks them in metadata. */
static bool is_signed_byte(GDALRasterBandH band)
{
  const char *mark = GDALGetMetadataItem(band, "PIXELTYPE", "IMAGE_STRUCTURE");
  return GDALGetRasterDataType(band) == GDT_Byte && mark != NULL && EQUAL(mark, "SIGNEDBYTE");
}

bool gdal_pixel_type(GDALRasterBandH band, PixelType *type)
{
  if (is_signed_byte(band)) return false;
  for (int candidate = 0; candidate < PIXEL_TYPE_COUNT; ++candidate) {
    if (GDALGetRasterDataType(band) != gdal_type_of_pixel((PixelType)candidate)) continue;
    *type = (PixelType)candidate;
    return true;
  }
  return false;
}

GDALDataType gdal_type_of_pixel(PixelType type)
{
  static const GDALDataType types[PIXEL_TYPE_COUNT] = {
      [PIXEL_U8] = GDT_Byte,
      [PIXEL_U16] = GDT_UInt16,
      [PIXEL_I16] = GDT_Int16,
      [PIXEL_F32] = GDT_Float32,
  };
  return types[type];
}

const char *gdal_type_words(GDALRasterBandH band)
{
  static const struct {
    const char *gdal;
    const char *ours;
  } names[] = {{"Byte", "uint8"},
               {"Int8", "int8"},
               {"UInt16", "uint16"},
               {"Int16", "int16"},
               {"UInt32", "uint32"},
               {"Int32", "int32"},
               {"UInt64", "uint64"},
               {"Int64", "int64"},
               {"Float16", "float16"},
               {"Float32", "float32"},
               {"Float64", "float64"},
               {"CInt16", "complex int16"},
               {"CInt32", "complex int32"},
               {"CFloat32", "complex float32"},
               {"CFloat64", "complex float64"}};
  if (is_signed_byte(band)) return "int8";
  const char *gdal = GDALGetDataTypeName(GDALGetRasterDataType(band));
  for (size_t i = 0; gdal != NULL && i < sizeof names / sizeof names[0]; ++i)
    if (strcmp(gdal, names[i].gdal) == 0) return names[i].ours;
  return gdal == NULL ? "unknown" : gdal;
}

OGRSpatialReferenceH gdal_crs_open(const char *wkt)
{
  if (wkt == NULL || wkt[0] == '\0') return NULL;
  OGRSpatialReferenceH crs = OSRNewSpatialReference(NULL);
  if (crs == NULL) return NULL;
  if (OSRSetFromUserInput(crs, wkt) != OGRERR_NONE) {
    OSRRelease(crs);
    return NULL;
  }
  if (OSRIsCompound(crs)) (void)OSRStripVertical(crs);
  OSRSetAxisMappingStrategy(crs, OAMS_TRADITIONAL_GIS_ORDER);
  return crs;
}

/* What a GeoPackage without a reference system says. */
static bool is_undefined(OGRSpatialReferenceH crs)
{
  const char *name = OSRGetName(crs);
  return name != NULL && strncmp(name, "Undefined ", strlen("Undefined ")) == 0;
}

char *gdal_crs_wkt(OGRSpatialReferenceH crs)
{
  char *wkt = NULL;
  const char *const format[] = {"FORMAT=WKT2_2019", NULL};
  if (crs == NULL || is_undefined(crs)) return CPLStrdup("");
  if (OSRExportToWktEx(crs, &wkt, format) == OGRERR_NONE && wkt != NULL) return wkt;
  CPLFree(wkt);
  return CPLStrdup("");
}

/* Paths that name no file by themselves: "NETCDF:a.nc:t", "<VRTDataset…", "PG:dbname=x". */
static bool names_a_file(const char *path)
{
  return path[0] != '<' && (path[0] == '/' || strchr(path, ':') == NULL);
}

Status gdal_open_failed(const char *path, const char *as_what, const GdalWatch *watch)
{
  VSIStatBufL found;
  if (names_a_file(path) && VSIStatL(path, &found) != 0)
    return status_set(STATUS_IO, "%s: there is no such file; check the path", path);
  if (names_a_file(path) && strncmp(path, "/vsi", 4) != 0 && access(path, R_OK) != 0)
    return status_set(STATUS_IO, "%s: cannot be read (%s)", path, strerror(errno));
  return status_set(STATUS_BAD_INPUT, "%s: GDAL %s cannot open it as %s (%s)", path,
                    GDALVersionInfo("RELEASE_NAME"), as_what, gdal_watch_words(watch));
}

Status gdal_set_grid(GDALDatasetH dataset, const Grid *grid, const char *path)
{
  double pixel_to_map[6];
  memcpy(pixel_to_map, grid->pixel_to_map, sizeof pixel_to_map);
  OGRSpatialReferenceH crs = gdal_crs_open(grid->crs_wkt);
  const bool failed = GDALSetGeoTransform(dataset, pixel_to_map) != CE_None ||
                      (crs != NULL && GDALSetSpatialRef(dataset, crs) != CE_None);
  if (crs != NULL) OSRRelease(crs);
  if (failed)
    return status_set(STATUS_IO, "%s: cannot write the georeference (%s)", path,
                      CPLGetLastErrorMsg());
  return STATUS_OK;
}
