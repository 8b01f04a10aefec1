#include "ellipsoid.h"

#include <math.h>

#include "base/memory.h"
#include "gdal_door.h"
#include "geo/crs.h"

struct Ellipsoid {
  OGRCoordinateTransformationH to_degrees;
  double semi_major_m;
  double eccentricity_squared;
  double short_edge;
};

static const double pi = 3.14159265358979323846;

static Status no_ellipsoid(const char *crs_wkt)
{
  char name[CRS_NAME_BYTES];
  crs_name(crs_wkt, name);
  return status_set(STATUS_MISMATCH,
                    "the reference system %s has no longitude and latitude; metres are unknown",
                    name);
}

static Status measure(Ellipsoid *ellipsoid, const char *crs_wkt, OGRSpatialReferenceH crs,
                      OGRSpatialReferenceH degrees)
{
  if (degrees == NULL) return no_ellipsoid(crs_wkt);
  OSRSetAxisMappingStrategy(degrees, OAMS_TRADITIONAL_GIS_ORDER);
  OGRErr failed = OGRERR_NONE;
  const double a = OSRGetSemiMajor(crs, &failed);
  const double b = OSRGetSemiMinor(crs, NULL);
  if (failed != OGRERR_NONE || !(a > 0) || !(b > 0)) return no_ellipsoid(crs_wkt);
  ellipsoid->semi_major_m = a;
  ellipsoid->eccentricity_squared = 1 - (b / a) * (b / a);
  ellipsoid->short_edge = OSRIsGeographic(crs) ? 0.001 : 100 / OSRGetLinearUnits(crs, NULL);
  ellipsoid->to_degrees = OCTNewCoordinateTransformation(crs, degrees);
  if (ellipsoid->to_degrees == NULL) return no_ellipsoid(crs_wkt);
  return STATUS_OK;
}

Status ellipsoid_open(const char *crs_wkt, Ellipsoid **ellipsoid)
{
  *ellipsoid = NULL;
  OGRSpatialReferenceH crs = gdal_crs_open(crs_wkt);
  if (crs == NULL) return no_ellipsoid(crs_wkt);

  void *memory;
  Status status = memory_allocate(1, sizeof(Ellipsoid), "an ellipsoid", &memory);
  Ellipsoid *opening = memory;
  if (status == STATUS_OK) {
    OGRSpatialReferenceH degrees = OSRCloneGeogCS(crs);
    status = measure(opening, crs_wkt, crs, degrees);
    if (degrees != NULL) OSRRelease(degrees);
  }
  OSRRelease(crs);
  if (status == STATUS_OK)
    *ellipsoid = opening;
  else
    ellipsoid_close(opening);
  return status;
}

void ellipsoid_close(Ellipsoid *ellipsoid)
{
  if (ellipsoid == NULL) return;
  if (ellipsoid->to_degrees != NULL) OCTDestroyCoordinateTransformation(ellipsoid->to_degrees);
  memory_free(ellipsoid);
}

Status ellipsoid_place(const Ellipsoid *ellipsoid, int count, double *x, double *y)
{
  const double x_first = count > 0 ? x[0] : 0;
  const double y_first = count > 0 ? y[0] : 0;
  if (!OCTTransform(ellipsoid->to_degrees, count, x, y, NULL))
    return status_set(STATUS_MISMATCH,
                      "%.3f, %.3f cannot be taken to longitude and latitude; is its reference "
                      "system right?",
                      x_first, y_first);
  for (int i = 0; i < count; ++i) {
    x[i] *= pi / 180;
    y[i] *= pi / 180;
  }
  return STATUS_OK;
}

double ellipsoid_short_edge(const Ellipsoid *ellipsoid)
{
  return ellipsoid->short_edge;
}

void ellipsoid_radii_m(const Ellipsoid *ellipsoid, double latitude, double *east_m, double *north_m)
{
  const double e2 = ellipsoid->eccentricity_squared;
  const double w2 = 1 - e2 * sin(latitude) * sin(latitude);
  *east_m = ellipsoid->semi_major_m / sqrt(w2) * cos(latitude);
  *north_m = ellipsoid->semi_major_m * (1 - e2) / (w2 * sqrt(w2));
}

/* Snyder's q: a^2 / 2 * q * dlongitude is the area between the equator and the latitude. */
static double cylinder_height(double e2, double latitude)
{
  const double s = sin(latitude);
  if (e2 < 1e-12) return 2 * s;
  const double e = sqrt(e2);
  return (1 - e2) * (s / (1 - e2 * s * s) + atanh(e * s) / e);
}

double ellipsoid_ring_area_m2(const Ellipsoid *ellipsoid, int count, const double *longitude,
                              const double *latitude)
{
  if (count < 3) return 0;
  const double e2 = ellipsoid->eccentricity_squared;
  const double base = cylinder_height(e2, latitude[0]); /* keeps digits: only differences matter */
  double sum = 0;
  double height = 0;
  for (int i = 0; i < count; ++i) {
    const int next = i + 1 < count ? i + 1 : 0;
    const double next_height = cylinder_height(e2, latitude[next]) - base;
    const double turn = remainder(longitude[next] - longitude[i], 2 * pi);
    sum += turn * (height + next_height) / 2;
    height = next_height;
  }
  return fabs(sum) * ellipsoid->semi_major_m * ellipsoid->semi_major_m / 2;
}
