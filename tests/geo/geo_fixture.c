#include "geo/geo_fixture.h"

#include <dirent.h>
#include <stdio.h>

#include "base/path.h"
#include "geo/geo.h"

static char folder[] = "/tmp/quadrat-geo-XXXXXX";

const char fixture_crs[] = "EPSG:32645";
const Grid fixture_grid = {32, 24, {300000, 2, 0, 3060000, 0, -2}, fixture_crs};

int fixture_start(void **state)
{
  geo_start(16 << 20);
  return mkdtemp(folder) == NULL ? -1 : 0;
}

int fixture_end(void **state)
{
  geo_stop();
  return path_remove_tree(folder) == STATUS_OK ? 0 : -1;
}

void fixture_path(const char *name, char path[FIXTURE_PATH_BYTES])
{
  CHECK_OK(path_join(folder, name, FIXTURE_PATH_BYTES, path));
}

int fixture_holds(const char *beginning)
{
  DIR *files = opendir(folder);
  assert_non_null(files);
  int found = 0;
  for (struct dirent *file = readdir(files); file != NULL; file = readdir(files))
    if (strncmp(file->d_name, beginning, strlen(beginning)) == 0) ++found;
  (void)closedir(files);
  return found;
}

static OGRSpatialReferenceH open_crs(const char *crs)
{
  if (crs[0] == '\0') return NULL;
  OGRSpatialReferenceH opened = OSRNewSpatialReference(NULL);
  assert_int_equal(OSRSetFromUserInput(opened, crs), OGRERR_NONE);
  OSRSetAxisMappingStrategy(opened, OAMS_TRADITIONAL_GIS_ORDER);
  return opened;
}

GDALDatasetH fixture_raster(const char *path, const Grid *grid, const char *crs, GDALDataType type,
                            int band_count, const void *pixels, char **options)
{
  const int width = (int)grid->width_px;
  const int height = (int)grid->height_px;
  const GSpacing element = GDALGetDataTypeSizeBytes(type);
  double pixel_to_map[6];
  memcpy(pixel_to_map, grid->pixel_to_map, sizeof pixel_to_map);
  GDALDatasetH raster =
      GDALCreate(GDALGetDriverByName("GTiff"), path, width, height, band_count, type, options);
  assert_non_null(raster);
  assert_int_equal(GDALSetGeoTransform(raster, pixel_to_map), CE_None);
  OGRSpatialReferenceH system = open_crs(crs);
  if (system != NULL) {
    assert_int_equal(GDALSetSpatialRef(raster, system), CE_None);
    OSRRelease(system);
  }
  assert_int_equal(GDALDatasetRasterIOEx(raster, GF_Write, 0, 0, width, height,
                                         (void *)(uintptr_t)pixels, width, height, type, band_count,
                                         NULL, element * band_count, element * band_count * width,
                                         element, NULL),
                   CE_None);
  return raster;
}

void fixture_features(const char *path, const char *driver, const char *crs, const char *field,
                      OGRFieldType type, const FixtureFeature *features, size_t count)
{
  GDALDatasetH dataset = GDALCreate(GDALGetDriverByName(driver), path, 0, 0, 0, GDT_Unknown, NULL);
  assert_non_null(dataset);
  OGRSpatialReferenceH system = open_crs(crs);
  OGRLayerH layer = GDALDatasetCreateLayer(dataset, "labels", system, wkbUnknown, NULL);
  assert_non_null(layer);
  OGRFieldDefnH definition = OGR_Fld_Create(field, type);
  assert_int_equal(OGR_L_CreateField(layer, definition, 0), OGRERR_NONE);
  OGR_Fld_Destroy(definition);
  for (size_t i = 0; i < count; ++i) {
    OGRFeatureH feature = OGR_F_Create(OGR_L_GetLayerDefn(layer));
    OGRGeometryH geometry = NULL;
    char *wkt = (char *)(uintptr_t)features[i].wkt;
    assert_int_equal(OGR_G_CreateFromWkt(&wkt, NULL, &geometry), OGRERR_NONE);
    if (features[i].text != NULL) OGR_F_SetFieldString(feature, 0, features[i].text);
    assert_int_equal(OGR_F_SetGeometryDirectly(feature, geometry), OGRERR_NONE);
    assert_int_equal(OGR_L_CreateFeature(layer, feature), OGRERR_NONE);
    OGR_F_Destroy(feature);
  }
  if (system != NULL) OSRRelease(system);
  GDALClose(dataset);
}

int fixture_same_bytes(const char *a_path, const char *b_path)
{
  FILE *a = fopen(a_path, "rb");
  FILE *b = fopen(b_path, "rb");
  assert_non_null(a);
  assert_non_null(b);
  int left, right;
  do {
    left = fgetc(a);
    right = fgetc(b);
  } while (left == right && left != EOF);
  (void)fclose(a);
  (void)fclose(b);
  return left == right;
}
