#include <cpl_conv.h>
#include <cpl_string.h>
#include <gdal.h>
#include <math.h>
#include <ogr_api.h>
#include <ogr_srs_api.h>

#include "layout.h"
#include "scene_files.h"

enum { STEP_PX = 1024, OBJECTS_MAX = 120000, PROBES = 9 };

typedef struct Labelling {
  const SceneOptions *options;
  const World *world;
  const Flight *flight;
  GDALDatasetH dataset;
  OGRLayerH layer;
  OGRSpatialReferenceH ground_system, label_system;
  OGRCoordinateTransformationH to_label; /* NULL where none is needed */
  Layout layout;
  SceneSummary *summary;
} Labelling;

/* How a copy of the scene lies in the raster: pixel = offset + sign * pixel of the scene. */
typedef struct Copy {
  double offset_x_px, offset_y_px;
  double sign_x, sign_y;
} Copy;

typedef struct Pixel {
  double x, y;
} Pixel;

static Pixel pixel_of(const Labelling *labelling, const Copy *copy, Point point)
{
  const SceneOptions *options = labelling->options;
  const double x = point.x_m / options->cell_m - (double)options->left_px;
  const double y = point.y_m / options->cell_m - (double)options->top_px;
  return (Pixel){copy->offset_x_px + copy->sign_x * x, copy->offset_y_px + copy->sign_y * y};
}

/* The share of an object that the flight covered, by probes. */
static double covered(const Labelling *labelling, const Object *object, const Copy *copy)
{
  int on_object = 0, on_flight = 0;
  for (int i = 0; i < PROBES; ++i)
    for (int j = 0; j < PROBES; ++j) {
      const double a = object->half_length_m * ((2.0 * i + 1.0) / PROBES - 1.0);
      const double b = object->half_width_m * ((2.0 * j + 1.0) / PROBES - 1.0);
      const bool void_of_wing = object->wing_m > 0.0 && b > object->half_width_m - object->wing_m &&
                                (a < object->wing_left_m || a > object->wing_right_m);
      if (void_of_wing) continue;
      const Pixel pixel = pixel_of(labelling, copy, object_point(object, a, b));
      ++on_object;
      on_flight += flight_covers(labelling->flight, pixel.x, pixel.y) ? 1 : 0;
    }
  return (double)on_flight / on_object;
}

static const char *roof_name(const Object *object)
{
  static const char *const shapes[] = {[ROOF_FLAT] = "flat",
                                       [ROOF_GABLED] = "gabled",
                                       [ROOF_HIPPED] = "hipped",
                                       [ROOF_SHED] = "shed",
                                       [ROOF_VAULT] = "vault"};
  return shapes[object->roof];
}

static const char *material_name(const Object *object)
{
  static const char *const materials[] = {[MATERIAL_METAL] = "metal",
                                          [MATERIAL_TILE] = "tile",
                                          [MATERIAL_CONCRETE] = "concrete",
                                          [MATERIAL_THATCH] = "thatch",
                                          [MATERIAL_CLOTH] = "cloth"};
  return materials[object->material];
}

static double area_m2(const Object *object)
{
  const double box = 4.0 * object->half_length_m * object->half_width_m;
  if (object->wing_m <= 0.0) return box;
  return box - object->wing_m *
                   (2.0 * object->half_length_m - (object->wing_right_m - object->wing_left_m));
}

static OGRGeometryH outline_of(const Labelling *labelling, const Object *object, const Copy *copy)
{
  Point corners[OBJECT_OUTLINE_MAX];
  const SceneOptions *options = labelling->options;
  const int count = object_outline(object, corners);
  OGRGeometryH ring = OGR_G_CreateGeometry(wkbLinearRing);
  for (int i = 0; i <= count; ++i) {
    const Pixel pixel = pixel_of(labelling, copy, corners[i % count]);
    OGR_G_AddPoint_2D(ring,
                      scene_origin_east_m + ((double)options->left_px + pixel.x) * options->cell_m,
                      scene_origin_north_m - ((double)options->top_px + pixel.y) * options->cell_m);
  }
  OGRGeometryH polygon = OGR_G_CreateGeometry(wkbPolygon);
  (void)OGR_G_AddGeometryDirectly(polygon, ring);
  return polygon;
}

static bool add_feature(const Labelling *labelling, const Object *object, OGRGeometryH outline)
{
  if (labelling->to_label != NULL && OGR_G_Transform(outline, labelling->to_label) != OGRERR_NONE)
    return false;
  const bool tent = object->kind == OBJECT_TENT;
  OGRFeatureH feature = OGR_F_Create(OGR_L_GetLayerDefn(labelling->layer));
  OGR_F_SetFieldString(feature, 0, tent ? "tent" : "building");
  OGR_F_SetFieldInteger(feature, 1, tent ? 2 : 1);
  OGR_F_SetFieldString(feature, 2, roof_name(object));
  OGR_F_SetFieldString(feature, 3, material_name(object));
  OGR_F_SetFieldDouble(feature, 4, round(100.0 * area_m2(object)) / 100.0);
  const bool added = OGR_F_SetGeometry(feature, outline) == OGRERR_NONE &&
                     OGR_L_CreateFeature(labelling->layer, feature) == OGRERR_NONE;
  OGR_F_Destroy(feature);
  return added;
}

static Status label_object(Labelling *labelling, const Object *object, const Copy *copy)
{
  if (covered(labelling, object, copy) < 0.25) return STATUS_OK; /* an eye would not name it */
  OGRGeometryH outline = outline_of(labelling, object, copy);
  const bool added = add_feature(labelling, object, outline);
  OGR_G_DestroyGeometry(outline);
  if (!added) return status_set(STATUS_IO, "cannot write a label: %s", CPLGetLastErrorMsg());
  SceneSummary *summary = labelling->summary;
  if (object->kind == OBJECT_TENT) {
    ++summary->tent_count;
    summary->tent_m2 += area_m2(object);
  } else {
    ++summary->building_count;
    summary->building_m2 += area_m2(object);
  }
  return STATUS_OK;
}

static Point window_point(const SceneOptions *options, int64_t x_px, int64_t y_px)
{
  return (Point){(double)(options->left_px + x_px) * options->cell_m,
                 (double)(options->top_px + y_px) * options->cell_m};
}

/* In a mirrored scene an object on the mirror has no one outline: it goes unlabelled. */
static bool inside_pattern(const Labelling *labelling, const Object *object)
{
  static const Copy itself = {0, 0, 1, 1};
  Point corners[OBJECT_OUTLINE_MAX];
  const int count = object_outline(object, corners);
  for (int i = 0; i < count; ++i) {
    const Pixel pixel = pixel_of(labelling, &itself, corners[i]);
    if (fmin(pixel.x, pixel.y) < 0.0 || fmax(pixel.x, pixel.y) > SCENE_BIG_PX) return false;
  }
  return true;
}

/* Each object belongs to the one square that holds its centre. */
static Status label_square(Labelling *labelling, int64_t x_px, int64_t y_px, const Copy *copy)
{
  const SceneOptions *options = labelling->options;
  const Point least = window_point(options, x_px, y_px);
  const Point most = window_point(options, x_px + STEP_PX, y_px + STEP_PX);
  layout_gather(&labelling->layout, labelling->world, least, most);
  for (size_t i = 0; i < labelling->layout.count; ++i) {
    const Object *object = &labelling->layout.items[i];
    const Point centre = object->centre;
    if (object->kind != OBJECT_BUILDING && object->kind != OBJECT_TENT) continue;
    if (centre.x_m < least.x_m || centre.x_m >= most.x_m || centre.y_m < least.y_m ||
        centre.y_m >= most.y_m)
      continue;
    if (options->big && !inside_pattern(labelling, object)) continue;
    TRY(label_object(labelling, object, copy));
  }
  return STATUS_OK;
}

static Status label_copy(Labelling *labelling, const Copy *copy, int64_t from_px, int64_t right_px,
                         int64_t bottom_px)
{
  for (int64_t y_px = from_px; y_px < bottom_px; y_px += STEP_PX)
    for (int64_t x_px = from_px; x_px < right_px; x_px += STEP_PX)
      TRY(label_square(labelling, x_px, y_px, copy));
  return STATUS_OK;
}

static Status label_all(Labelling *labelling)
{
  const SceneOptions *options = labelling->options;
  static const Copy itself = {0, 0, 1, 1};
  if (!options->big) /* a square more around, for what reaches into the raster */
    return label_copy(labelling, &itself, -STEP_PX, options->width_px + STEP_PX,
                      options->height_px + STEP_PX);
  for (int64_t y_px = 0; y_px < options->height_px; y_px += SCENE_BIG_PX)
    for (int64_t x_px = 0; x_px < options->width_px; x_px += SCENE_BIG_PX) {
      const bool turned_x = x_px / SCENE_BIG_PX % 2 == 1, turned_y = y_px / SCENE_BIG_PX % 2 == 1;
      const Copy copy = {(double)(turned_x ? x_px + SCENE_BIG_PX : x_px),
                         (double)(turned_y ? y_px + SCENE_BIG_PX : y_px), turned_x ? -1.0 : 1.0,
                         turned_y ? -1.0 : 1.0};
      TRY(label_copy(labelling, &copy, 0, SCENE_BIG_PX, SCENE_BIG_PX));
    }
  return STATUS_OK;
}

static bool add_field(OGRLayerH layer, const char *name, OGRFieldType type)
{
  OGRFieldDefnH field = OGR_Fld_Create(name, type);
  const bool added = OGR_L_CreateField(layer, field, 1) == OGRERR_NONE;
  OGR_Fld_Destroy(field);
  return added;
}

static Status set_systems(Labelling *labelling)
{
  const bool geographic = labelling->options->labels == SCENE_LABELS_GEOJSON;
  labelling->ground_system = OSRNewSpatialReference(NULL);
  labelling->label_system = OSRNewSpatialReference(NULL);
  const int label_epsg = geographic ? 4326 : labelling->options->epsg;
  if (OSRImportFromEPSG(labelling->ground_system, labelling->options->epsg) != OGRERR_NONE ||
      OSRImportFromEPSG(labelling->label_system, label_epsg) != OGRERR_NONE)
    return status_set(STATUS_IO, "no reference system: %s", CPLGetLastErrorMsg());
  OSRSetAxisMappingStrategy(labelling->ground_system, OAMS_TRADITIONAL_GIS_ORDER);
  OSRSetAxisMappingStrategy(labelling->label_system, OAMS_TRADITIONAL_GIS_ORDER);
  if (!geographic) return STATUS_OK;
  labelling->to_label =
      OCTNewCoordinateTransformation(labelling->ground_system, labelling->label_system);
  if (labelling->to_label == NULL)
    return status_set(STATUS_IO, "no way from EPSG:%d to longitude and latitude: %s",
                      (int)labelling->options->epsg, CPLGetLastErrorMsg());
  return STATUS_OK;
}

static Status create(Labelling *labelling, const char *path)
{
  const bool geographic = labelling->options->labels == SCENE_LABELS_GEOJSON;
  static const char *const geojson_words[] = {"RFC7946=YES", "COORDINATE_PRECISION=9", NULL};
  TRY(set_systems(labelling));
  labelling->dataset = GDALCreate(GDALGetDriverByName(geographic ? "GeoJSON" : "GPKG"), path, 0, 0,
                                  0, GDT_Unknown, NULL);
  if (labelling->dataset == NULL)
    return status_set(STATUS_IO, "cannot write %s: %s", path, CPLGetLastErrorMsg());
  labelling->layer =
      GDALDatasetCreateLayer(labelling->dataset, "labels", labelling->label_system, wkbPolygon,
                             geographic ? (CSLConstList)geojson_words : NULL);
  if (labelling->layer == NULL || !add_field(labelling->layer, "class", OFTString) ||
      !add_field(labelling->layer, "class_id", OFTInteger) ||
      !add_field(labelling->layer, "roof", OFTString) ||
      !add_field(labelling->layer, "material", OFTString) ||
      !add_field(labelling->layer, "area_m2", OFTReal))
    return status_set(STATUS_IO, "cannot write %s: %s", path, CPLGetLastErrorMsg());
  return STATUS_OK;
}

static Status label_into(Labelling *labelling, const char *path)
{
  TRY(layout_open(&labelling->layout, OBJECTS_MAX));
  TRY(create(labelling, path));
  if (GDALDatasetStartTransaction(labelling->dataset, 0) != OGRERR_NONE)
    CPLErrorReset(); /* GeoJSON has none */
  TRY(label_all(labelling));
  (void)GDALDatasetCommitTransaction(labelling->dataset);
  return STATUS_OK;
}

Status scene_write_labels(const SceneOptions *options, const World *world, const Flight *flight,
                          const char *path, SceneSummary *summary)
{
  Labelling labelling = {.options = options, .world = world, .flight = flight, .summary = summary};
  /* a GeoPackage notes when it was made; the same seed must give the same bytes */
  CPLSetConfigOption("OGR_CURRENT_DATE", "2026-01-01T00:00:00.000Z");
  Status status = label_into(&labelling, path);
  CPLErrorReset();
  if (labelling.dataset != NULL) GDALClose(labelling.dataset);
  if (status == STATUS_OK && CPLGetLastErrorType() >= CE_Failure)
    status = status_set(STATUS_IO, "cannot write %s: %s", path, CPLGetLastErrorMsg());
  CPLSetConfigOption("OGR_CURRENT_DATE", NULL);
  if (labelling.to_label != NULL) OCTDestroyCoordinateTransformation(labelling.to_label);
  OSRDestroySpatialReference(labelling.ground_system);
  OSRDestroySpatialReference(labelling.label_system);
  layout_close(&labelling.layout);
  return status;
}
