#include "geo/object_file.h"

#include <math.h>

#include "area.h"
#include "base/memory.h"
#include "feature_file.h"
#include "geo/crs.h"
#include "geometry.h"
#include "qgis_style.h"
#include "regular_outline.h"

enum { FIELD_COUNT = 7 };

static const double least_iou = 0.8;

struct ObjectFile {
  ObjectFileOptions options;
  FeatureFile *file;
  Ellipsoid *ellipsoid; /* NULL: areas are unknown */
  OGRLayerH regular;    /* NULL: not wanted */
  int64_t written;
};

enum { CLASS_NAME, CLASS_VALUE, CONFIDENCE, AREA, TILE, FRAGMENTS, MODEL, IS_REGULAR, IOU };

static Status add_fields(FeatureFile *file, OGRLayerH layer)
{
  static const OGRFieldType types[FIELD_COUNT] = {OFTString,    OFTInteger,   OFTReal,  OFTReal,
                                                  OFTInteger64, OFTInteger64, OFTString};
  const char *const names[FIELD_COUNT] = {
      "Class",      feature_file_is_shapefile(file) ? "classvalue" : "class_value",
      "Confidence", "area_m2",
      "tile",       "fragments",
      "model"};
  for (int i = 0; i < FIELD_COUNT; ++i)
    TRY(feature_file_add_field_to(file, layer, names[i], types[i]));
  return STATUS_OK;
}

static Status add_regular_layer(ObjectFile *file)
{
  if (!file->options.regularize) return STATUS_OK;
  TRY(feature_file_add_layer(file->file, "_regular", file->options.grid->crs_wkt, wkbMultiPolygon,
                             &file->regular));
  TRY(add_fields(file->file, file->regular));
  TRY(feature_file_add_field_to(file->file, file->regular, "regular", OFTInteger));
  return feature_file_add_field_to(file->file, file->regular, "iou", OFTReal);
}

static Status no_second_layer(const char *path)
{
  return status_set(STATUS_UNSUPPORTED,
                    "%s: right-angled outlines go into a second layer, which only a .gpkg has; "
                    "choose that or --regularize=no",
                    path);
}

Status object_file_check(const char *path, const char *format, bool regularize)
{
  TRY(feature_file_check_format(path, format));
  return regularize && !feature_file_would_be_geopackage(path, format) ? no_second_layer(path)
                                                                       : STATUS_OK;
}

static Status fill(ObjectFile *file, const char *path)
{
  const ObjectFileOptions *options = &file->options;
  const char *crs_wkt = options->grid->crs_wkt;
  if (ellipsoid_open(crs_wkt, &file->ellipsoid) != STATUS_OK && options->min_area_m2 > 0)
    return status_set(STATUS_MISMATCH,
                      "%s: the raster has no reference system tied to the Earth; a least area of "
                      "%g m2 means nothing there",
                      path, options->min_area_m2);
  TRY(feature_file_create_as(path, options->format, crs_wkt, wkbMultiPolygon, &file->file));
  if (options->regularize && !feature_file_is_geopackage(file->file)) return no_second_layer(path);
  TRY(add_fields(file->file, feature_file_layer(file->file)));
  return add_regular_layer(file);
}

Status object_file_create(const char *path, const ObjectFileOptions *options, ObjectFile **file)
{
  void *memory;
  *file = NULL;
  TRY(memory_allocate(1, sizeof **file, "a file of objects", &memory));
  ObjectFile *creating = memory;
  creating->options = *options;
  const Status status = fill(creating, path);
  if (status == STATUS_OK)
    *file = creating;
  else
    object_file_close(creating);
  return status;
}

/* Geometry: in pixels, where it is simplified; then on the map. */

static OGRGeometryH ring_in_pixels(const Outline *outline, const OutlineRing *ring)
{
  OGRGeometryH made = OGR_G_CreateGeometry(wkbLinearRing);
  for (int64_t i = 0; i <= ring->count; ++i) {
    const OutlinePoint *point = &outline->points[ring->first + i % ring->count];
    OGR_G_AddPoint_2D(made, point->x_px, point->y_px);
  }
  return made;
}

static OGRGeometryH polygons_in_pixels(const Outline *outline)
{
  OGRGeometryH all = OGR_G_CreateGeometry(wkbMultiPolygon);
  OGRGeometryH polygon = NULL;
  for (int64_t i = 0; i < outline->ring_count; ++i) {
    if (!outline->rings[i].is_hole) {
      if (polygon != NULL) (void)OGR_G_AddGeometryDirectly(all, polygon);
      polygon = OGR_G_CreateGeometry(wkbPolygon);
    }
    (void)OGR_G_AddGeometryDirectly(polygon, ring_in_pixels(outline, &outline->rings[i]));
  }
  if (polygon != NULL) (void)OGR_G_AddGeometryDirectly(all, polygon);
  return all;
}

/* One that collapsed stays as it was. */
static OGRGeometryH take_simplified(OGRGeometryH taken, double tolerance_px)
{
  bool repaired;
  if (!(tolerance_px > 0)) return taken;
  OGRGeometryH simple =
      geometry_take_clean(OGR_G_SimplifyPreserveTopology(taken, tolerance_px), &repaired);
  if (simple == NULL) return taken;
  OGR_G_DestroyGeometry(taken);
  return OGR_G_ForceToMultiPolygon(simple);
}

static bool turns_clockwise(OGRGeometryH ring)
{
  const int count = OGR_G_GetPointCount(ring);
  const double x0 = OGR_G_GetX(ring, 0);
  const double y0 = OGR_G_GetY(ring, 0);
  double sum = 0;
  for (int i = 0; i + 1 < count; ++i)
    sum += (OGR_G_GetX(ring, i) - x0) * (OGR_G_GetY(ring, i + 1) - y0) -
           (OGR_G_GetX(ring, i + 1) - x0) * (OGR_G_GetY(ring, i) - y0);
  return sum < 0;
}

static void reverse(OGRGeometryH ring)
{
  const int count = OGR_G_GetPointCount(ring);
  for (int i = 0; i < count / 2; ++i) {
    const int j = count - 1 - i;
    const double x = OGR_G_GetX(ring, i);
    const double y = OGR_G_GetY(ring, i);
    OGR_G_SetPoint_2D(ring, i, OGR_G_GetX(ring, j), OGR_G_GetY(ring, j));
    OGR_G_SetPoint_2D(ring, j, x, y);
  }
}

/* Outer rings counter-clockwise, holes clockwise. */
static void orient(OGRGeometryH polygons)
{
  for (int i = 0; i < OGR_G_GetGeometryCount(polygons); ++i) {
    OGRGeometryH polygon = OGR_G_GetGeometryRef(polygons, i);
    for (int j = 0; j < OGR_G_GetGeometryCount(polygon); ++j) {
      OGRGeometryH ring = OGR_G_GetGeometryRef(polygon, j);
      if (turns_clockwise(ring) == (j == 0)) reverse(ring);
    }
  }
}

/* x' = map[0] + x * map[1] + y * map[2], y' = map[3] + x * map[4] + y * map[5] */
static void transform(OGRGeometryH geometry, const double map[6])
{
  for (int i = 0; i < OGR_G_GetGeometryCount(geometry); ++i)
    transform(OGR_G_GetGeometryRef(geometry, i), map);
  for (int i = 0; i < OGR_G_GetPointCount(geometry); ++i) {
    const double x = OGR_G_GetX(geometry, i);
    const double y = OGR_G_GetY(geometry, i);
    OGR_G_SetPoint_2D(geometry, i, map[0] + x * map[1] + y * map[2],
                      map[3] + x * map[4] + y * map[5]);
  }
}

/* Right angles are to be right on the ground: the plane about the object whose units are those of
 * y. */
static double ground_ratio(const ObjectFile *file, const OGREnvelope *box)
{
  double x = (box->MinX + box->MaxX) / 2;
  double y = (box->MinY + box->MaxY) / 2;
  double east_m;
  double north_m;
  if (file->ellipsoid == NULL || !crs_is_geographic(file->options.grid->crs_wkt)) return 1;
  if (ellipsoid_place(file->ellipsoid, 1, &x, &y) != STATUS_OK) return 1;
  ellipsoid_radii_m(file->ellipsoid, y, &east_m, &north_m);
  return east_m / north_m;
}

/* The right-angled form of a geometry on the map; a copy of it where there is none. */
static OGRGeometryH make_regular(const ObjectFile *file, OGRGeometryH geometry, bool *is_regular,
                                 double *iou)
{
  OGREnvelope box;
  double width;
  double height;
  OGR_G_GetEnvelope(geometry, &box);
  grid_cell_size(file->options.grid, &width, &height);
  const double ratio = ground_ratio(file, &box);
  const double x = (box.MinX + box.MaxX) / 2;
  const double y = (box.MinY + box.MaxY) / 2;
  const double to_plane[6] = {-x * ratio, ratio, 0, -y, 0, 1};
  const double to_map[6] = {x, 1 / ratio, 0, y, 0, 1};
  OGRGeometryH plane = OGR_G_Clone(geometry);
  transform(plane, to_plane);
  OGRGeometryH regular = regular_outline(plane, sqrt(width * ratio * height), least_iou, iou);
  OGR_G_DestroyGeometry(plane);
  *is_regular = regular != NULL;
  if (regular == NULL) {
    *iou = 1;
    return OGR_G_Clone(geometry);
  }
  transform(regular, to_map);
  orient(regular);
  return regular;
}

/* Writing. */

static OGRFeatureH make_feature(const ObjectFile *file, OGRLayerH layer, const ObjectFields *fields,
                                double area_m2)
{
  const ObjectFileOptions *options = &file->options;
  OGRFeatureH feature = OGR_F_Create(OGR_L_GetLayerDefn(layer));
  const ClassEntry *entry = class_find(options->classes, options->class_count, fields->class_value);
  if (entry != NULL) OGR_F_SetFieldString(feature, CLASS_NAME, entry->name);
  OGR_F_SetFieldInteger(feature, CLASS_VALUE, fields->class_value);
  OGR_F_SetFieldDouble(feature, CONFIDENCE, fields->confidence * options->confidence_scale);
  if (!isnan(area_m2)) OGR_F_SetFieldDouble(feature, AREA, area_m2);
  OGR_F_SetFieldInteger64(feature, TILE, fields->tile);
  OGR_F_SetFieldInteger64(feature, FRAGMENTS, fields->fragments);
  OGR_F_SetFieldString(feature, MODEL, options->model);
  return feature;
}

static Status measure(const ObjectFile *file, OGRGeometryH geometry, double *area_m2)
{
  *area_m2 = NAN;
  return file->ellipsoid == NULL ? STATUS_OK : area_of_geometry(file->ellipsoid, geometry, area_m2);
}

static Status write_regular(ObjectFile *file, OGRGeometryH exact, const ObjectFields *fields,
                            ObjectWritten *written)
{
  double iou;
  double area_m2;
  OGRGeometryH regular = make_regular(file, exact, &written->is_regular, &iou);
  Status status = measure(file, regular, &area_m2);
  if (status == STATUS_OK) {
    OGRFeatureH feature = make_feature(file, file->regular, fields, area_m2);
    OGR_F_SetFieldInteger(feature, IS_REGULAR, written->is_regular);
    OGR_F_SetFieldDouble(feature, IOU, iou);
    (void)OGR_F_SetGeometry(feature, regular);
    status = feature_file_write_to(file->file, file->regular, feature);
    OGR_F_Destroy(feature);
  }
  OGR_G_DestroyGeometry(regular);
  return status;
}

static Status write_geometry(ObjectFile *file, OGRGeometryH geometry, const ObjectFields *fields,
                             ObjectWritten *written)
{
  TRY(measure(file, geometry, &written->area_m2));
  if (file->options.min_area_m2 > 0 && !(written->area_m2 >= file->options.min_area_m2))
    return STATUS_OK;
  OGRFeatureH feature =
      make_feature(file, feature_file_layer(file->file), fields, written->area_m2);
  (void)OGR_F_SetGeometry(feature, geometry);
  const Status status = feature_file_write(file->file, feature);
  OGR_F_Destroy(feature);
  written->is_written = status == STATUS_OK;
  return status;
}

Status object_file_write(ObjectFile *file, const Outline *outline, const ObjectFields *fields,
                         ObjectWritten *written)
{
  *written = (ObjectWritten){.area_m2 = NAN};
  OGRGeometryH exact = polygons_in_pixels(outline);
  OGRGeometryH geometry = take_simplified(OGR_G_Clone(exact), file->options.simplify_px);
  transform(geometry, file->options.grid->pixel_to_map);
  orient(geometry);
  Status status = write_geometry(file, geometry, fields, written);
  if (status == STATUS_OK && written->is_written && file->regular != NULL) {
    transform(exact, file->options.grid->pixel_to_map);
    orient(exact);
    status = write_regular(file, exact, fields, written);
  }
  OGR_G_DestroyGeometry(geometry);
  OGR_G_DestroyGeometry(exact);
  return status;
}

void object_file_note(ObjectFile *file, const char *key, const char *text)
{
  feature_file_note(file->file, key, text);
}

Status object_file_finish(ObjectFile *file)
{
  if (feature_file_is_geopackage(file->file))
    TRY(qgis_style_write(file->file, "class_value", file->options.classes,
                         file->options.class_count, QGIS_OUTLINES));
  return feature_file_finish(file->file);
}

void object_file_close(ObjectFile *file)
{
  if (file == NULL) return;
  feature_file_close(file->file);
  ellipsoid_close(file->ellipsoid);
  memory_free(file);
}
