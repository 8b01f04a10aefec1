#include "area.h"

#include "base/memory.h"

static Status area_of_ring(const Ellipsoid *ellipsoid, OGRGeometryH ring, double *area_m2)
{
  const int count = OGR_G_GetPointCount(ring);
  void *memory;
  TRY(memory_allocate((size_t)count, 2 * sizeof(double), "the points of a ring", &memory));
  double *x = memory;
  double *y = x + count;
  (void)OGR_G_GetPoints(ring, x, sizeof *x, y, sizeof *y, NULL, 0);
  const Status status = ellipsoid_place(ellipsoid, count, x, y);
  if (status == STATUS_OK) *area_m2 = ellipsoid_ring_area_m2(ellipsoid, count, x, y);
  memory_free(memory);
  return status;
}

/* The first ring is the outline, the others are holes. */
static Status area_of_polygon(const Ellipsoid *ellipsoid, OGRGeometryH polygon, double *area_m2)
{
  *area_m2 = 0;
  for (int i = 0; i < OGR_G_GetGeometryCount(polygon); ++i) {
    double ring_m2;
    TRY(area_of_ring(ellipsoid, OGR_G_GetGeometryRef(polygon, i), &ring_m2));
    *area_m2 += i == 0 ? ring_m2 : -ring_m2;
  }
  return STATUS_OK;
}

static Status area_of_parts(const Ellipsoid *ellipsoid, OGRGeometryH geometry, double *area_m2)
{
  if (OGR_GT_Flatten(OGR_G_GetGeometryType(geometry)) == wkbPolygon)
    return area_of_polygon(ellipsoid, geometry, area_m2);
  *area_m2 = 0;
  for (int i = 0; i < OGR_G_GetGeometryCount(geometry); ++i) {
    double part_m2;
    TRY(area_of_parts(ellipsoid, OGR_G_GetGeometryRef(geometry, i), &part_m2));
    *area_m2 += part_m2;
  }
  return STATUS_OK;
}

Status area_of_geometry(const Ellipsoid *ellipsoid, OGRGeometryH geometry, double *area_m2)
{
  OGRGeometryH fine = OGR_G_Clone(geometry);
  OGR_G_Segmentize(fine, ellipsoid_short_edge(ellipsoid));
  const Status status = area_of_parts(ellipsoid, fine, area_m2);
  OGR_G_DestroyGeometry(fine);
  return status;
}
