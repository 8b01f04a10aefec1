#include "geometry.h"

#include <math.h>

static bool has_area(OGRwkbGeometryType type)
{
  const OGRwkbGeometryType flat = OGR_GT_Flatten(type);
  return flat == wkbPolygon || flat == wkbMultiPolygon;
}

/* GEOS may give lines where a polygon collapsed; only areas stay. */
static OGRGeometryH areas_of(OGRGeometryH taken)
{
  if (has_area(OGR_G_GetGeometryType(taken))) return taken;
  OGRGeometryH areas = OGR_G_CreateGeometry(wkbMultiPolygon);
  for (int i = 0; i < OGR_G_GetGeometryCount(taken); ++i) {
    OGRGeometryH part = OGR_G_GetGeometryRef(taken, i);
    const OGRwkbGeometryType type = OGR_GT_Flatten(OGR_G_GetGeometryType(part));
    if (type == wkbPolygon) (void)OGR_G_AddGeometry(areas, part);
    for (int j = 0; type == wkbMultiPolygon && j < OGR_G_GetGeometryCount(part); ++j)
      (void)OGR_G_AddGeometry(areas, OGR_G_GetGeometryRef(part, j));
  }
  OGR_G_DestroyGeometry(taken);
  return areas;
}

static OGRGeometryH without_curves(OGRGeometryH taken)
{
  const OGRwkbGeometryType type = OGR_GT_Flatten(OGR_G_GetGeometryType(taken));
  if (type == wkbPolyhedralSurface || type == wkbTIN) return OGR_G_ForceToMultiPolygon(taken);
  if (OGR_GT_IsNonLinear(type)) return OGR_G_ForceTo(taken, OGR_GT_GetLinear(type), NULL);
  return taken;
}

static bool is_usable(OGRGeometryH geometry)
{
  OGREnvelope box;
  if (OGR_G_IsEmpty(geometry)) return false;
  OGR_G_GetEnvelope(geometry, &box);
  return isfinite(box.MinX) && isfinite(box.MinY) && isfinite(box.MaxX) && isfinite(box.MaxY);
}

OGRGeometryH geometry_take_clean(OGRGeometryH taken, bool *repaired)
{
  *repaired = false;
  if (taken == NULL) return NULL;
  OGR_G_FlattenTo2D(taken);
  OGRGeometryH clean = without_curves(taken);
  if (is_usable(clean) && OGR_G_GetDimension(clean) == 2 && !OGR_G_IsValid(clean)) {
    OGRGeometryH valid = OGR_G_MakeValid(clean);
    OGR_G_DestroyGeometry(clean);
    clean = valid == NULL ? NULL : areas_of(valid);
    *repaired = true;
  }
  if (clean != NULL && is_usable(clean)) return clean;
  if (clean != NULL) OGR_G_DestroyGeometry(clean);
  return NULL;
}

/* Parts of a collection may lie over each other. */
static OGRGeometryH without_overlaps(OGRGeometryH taken, bool *repaired)
{
  OGRGeometryH areas = areas_of(taken);
  if (OGR_G_IsEmpty(areas) || OGR_G_IsValid(areas)) return areas;
  OGRGeometryH valid = OGR_G_MakeValid(areas);
  OGR_G_DestroyGeometry(areas);
  *repaired = true;
  return valid == NULL ? OGR_G_CreateGeometry(wkbPolygon) : areas_of(valid);
}

OGRGeometryH geometry_take_areas(OGRGeometryH taken, bool *repaired)
{
  OGRGeometryH areas = geometry_take_clean(taken, repaired);
  if (areas != NULL && !has_area(OGR_G_GetGeometryType(areas)))
    areas = without_overlaps(areas, repaired);
  if (areas == NULL || !OGR_G_IsEmpty(areas)) return areas;
  OGR_G_DestroyGeometry(areas);
  return NULL;
}

OGRGeometryH geometry_of_grid(const Grid *grid, double shrunk_px)
{
  static const double corners[5][2] = {{0, 0}, {1, 0}, {1, 1}, {0, 1}, {0, 0}};
  OGRGeometryH ring = OGR_G_CreateGeometry(wkbLinearRing);
  OGRGeometryH outline = OGR_G_CreateGeometry(wkbPolygon);
  for (int i = 0; i < 5; ++i) {
    double x, y;
    grid_pixel_to_map(grid, shrunk_px + corners[i][0] * ((double)grid->width_px - 2 * shrunk_px),
                      shrunk_px + corners[i][1] * ((double)grid->height_px - 2 * shrunk_px), &x,
                      &y);
    OGR_G_AddPoint_2D(ring, x, y);
  }
  (void)OGR_G_AddGeometryDirectly(outline, ring);
  return outline;
}
