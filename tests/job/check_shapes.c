/* Whether features are exactly the shapes of a raster of make_shapes, pixel by pixel:
 *
 *   check_shapes RASTER.tif FEATURES [LAYER]
 *
 * Each shape must be one feature of its class and score, and each feature one shape, in which every
 * pixel of one is one of the other; geometries valid, outer rings counter-clockwise (but in a
 * Shapefile, whose own rule is the other). Prints the
 * number of shapes, and of features; exits with 1 and a sentence at the first that is wrong. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gdal.h>
#include <gdal_alg.h>
#include <ogr_api.h>

enum { SHAPES_MOST = 65536 };

typedef struct Scene {
  int width;
  int height;
  uint16_t *bands[3];
  double to_map[6];
  bool turns; /* rings have their directions */
} Scene;

static uint16_t *read_band(GDALDatasetH raster, int band)
{
  const int width = GDALGetRasterXSize(raster), height = GDALGetRasterYSize(raster);
  uint16_t *pixels = malloc((size_t)width * (size_t)height * sizeof *pixels);
  if (GDALRasterIO(GDALGetRasterBand(raster, band), GF_Read, 0, 0, width, height, pixels, width,
                   height, GDT_UInt16, 0, 0) != CE_None)
    exit(1);
  return pixels;
}

static void read_scene(const char *path, Scene *scene)
{
  GDALDatasetH raster = GDALOpen(path, GA_ReadOnly);
  if (raster == NULL) exit(1);
  scene->width = GDALGetRasterXSize(raster);
  scene->height = GDALGetRasterYSize(raster);
  const double nowhere[6] = {0, 1, 0, 0, 0, -1};
  for (int i = 0; i < 6; ++i)
    scene->to_map[i] = nowhere[i];
  double found[6];
  if (GDALGetGeoTransform(raster, found) == CE_None)
    for (int i = 0; i < 6; ++i)
      scene->to_map[i] = found[i];
  for (int band = 0; band < 3; ++band)
    scene->bands[band] = read_band(raster, band + 1);
  for (int i = 0; i < scene->width * scene->height; ++i)
    if (scene->bands[0][i] == 65535) scene->bands[0][i] = 0;
  GDALClose(raster);
}

static void wrong(const char *what, long long feature)
{
  (void)printf("feature %lld: %s\n", feature, what);
  exit(1);
}

static double turn(OGRGeometryH ring)
{
  double sum = 0;
  const double x0 = OGR_G_GetX(ring, 0), y0 = OGR_G_GetY(ring, 0);
  for (int i = 0; i + 1 < OGR_G_GetPointCount(ring); ++i)
    sum += (OGR_G_GetX(ring, i) - x0) * (OGR_G_GetY(ring, i + 1) - y0) -
           (OGR_G_GetX(ring, i + 1) - x0) * (OGR_G_GetY(ring, i) - y0);
  return sum;
}

static void check_geometry(OGRGeometryH geometry, bool turns, long long id)
{
  if (!OGR_G_IsValid(geometry)) wrong("not valid", id);
  for (int i = 0; i < OGR_G_GetGeometryCount(geometry); ++i) {
    OGRGeometryH polygon = OGR_G_GetGeometryRef(geometry, i);
    for (int j = 0; j < OGR_G_GetGeometryCount(polygon); ++j)
      if (turns && (turn(OGR_G_GetGeometryRef(polygon, j)) > 0) != (j == 0))
        wrong("turns wrongly", id);
  }
}

/* Burns the polygon into the window of its box and compares with the shape. */
static int check_pixels(const Scene *scene, OGRGeometryH geometry, long long id, int64_t *area_px)
{
  OGREnvelope box;
  OGR_G_GetEnvelope(geometry, &box);
  const int left = (int)floor((box.MinX - scene->to_map[0]) / scene->to_map[1] + 0.5);
  const int right = (int)floor((box.MaxX - scene->to_map[0]) / scene->to_map[1] + 0.5);
  const int top = (int)floor((box.MaxY - scene->to_map[3]) / scene->to_map[5] + 0.5);
  const int bottom = (int)floor((box.MinY - scene->to_map[3]) / scene->to_map[5] + 0.5);
  const int width = right - left, height = bottom - top;
  if (left < 0 || top < 0 || right > scene->width || bottom > scene->height || width < 1 ||
      height < 1)
    wrong("lies outside", id);
  GDALDatasetH burned =
      GDALCreate(GDALGetDriverByName("MEM"), "", width, height, 1, GDT_Byte, NULL);
  double place[6] = {scene->to_map[0] + left * scene->to_map[1],
                     scene->to_map[1],
                     0,
                     scene->to_map[3] + top * scene->to_map[5],
                     0,
                     scene->to_map[5]};
  (void)GDALSetGeoTransform(burned, place);
  int band = 1;
  double value = 1;
  if (GDALRasterizeGeometries(burned, 1, &band, 1, &geometry, NULL, NULL, &value, NULL, NULL,
                              NULL) != CE_None)
    wrong("cannot be burned", id);
  uint8_t *pixels = malloc((size_t)width * (size_t)height);
  if (GDALRasterIO(GDALGetRasterBand(burned, 1), GF_Read, 0, 0, width, height, pixels, width,
                   height, GDT_Byte, 0, 0) != CE_None)
    exit(1);
  int place_of_first = -1;
  *area_px = 0;
  for (int i = 0; i < width * height; ++i) {
    const int at = (top + i / width) * scene->width + left + i % width;
    if (pixels[i] == 0) continue;
    if (place_of_first < 0) place_of_first = at;
    if (scene->bands[0][at] == 0 || scene->bands[0][at] != scene->bands[0][place_of_first])
      wrong("covers more than its shape", id);
    ++*area_px;
  }
  free(pixels);
  GDALClose(burned);
  if (place_of_first < 0) wrong("covers nothing", id);
  return place_of_first;
}

static void check_feature(const Scene *scene, OGRFeatureH feature, int64_t *areas_px, char *seen)
{
  const long long id = OGR_F_GetFID(feature);
  int64_t area_px;
  OGRGeometryH geometry = OGR_G_ForceToMultiPolygon(OGR_G_Clone(OGR_F_GetGeometryRef(feature)));
  check_geometry(geometry, scene->turns, id);
  const int place = check_pixels(scene, geometry, id, &area_px);
  OGR_G_DestroyGeometry(geometry);
  const int shape = scene->bands[0][place];
  if (seen[shape]) wrong("a second one of its shape", id);
  seen[shape] = 1;
  if (area_px != areas_px[shape]) wrong("covers less than its shape", id);
  if (OGR_F_GetFieldAsInteger(feature, 1) != 10 * scene->bands[1][place]) wrong("its class", id);
  const double confidence =
      OGR_F_GetFieldAsDouble(feature, OGR_F_GetFieldIndex(feature, "Confidence"));
  if (fabs(confidence - scene->bands[2][place] / 65535.0) > 1e-6) wrong("its confidence", id);
}

int main(int count, char **arguments)
{
  static int64_t areas_px[SHAPES_MOST];
  static char seen[SHAPES_MOST];
  Scene scene;
  int shapes = 0, features = 0, missing = 0;
  if (count < 3) return 2;
  GDALAllRegister();
  read_scene(arguments[1], &scene);
  scene.turns = strstr(arguments[2], ".shp") == NULL;
  for (int i = 0; i < scene.width * scene.height; ++i)
    ++areas_px[scene.bands[0][i]];
  GDALDatasetH made = GDALOpenEx(arguments[2], GDAL_OF_VECTOR, NULL, NULL, NULL);
  if (made == NULL) wrong("no such file", 0);
  OGRLayerH layer =
      count > 3 ? GDALDatasetGetLayerByName(made, arguments[3]) : GDALDatasetGetLayer(made, 0);
  for (OGRFeatureH feature = OGR_L_GetNextFeature(layer); feature != NULL;
       feature = OGR_L_GetNextFeature(layer)) {
    check_feature(&scene, feature, areas_px, seen);
    OGR_F_Destroy(feature);
    ++features;
  }
  for (int i = 1; i < SHAPES_MOST; ++i) {
    shapes += areas_px[i] > 0;
    missing += areas_px[i] > 0 && !seen[i];
  }
  GDALClose(made);
  for (int band = 0; band < 3; ++band)
    free(scene.bands[band]);
  (void)printf("%d shapes, %d features\n", shapes, features);
  return missing > 0;
}
