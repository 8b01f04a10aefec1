#include "rasterize_objects.h"

#include <math.h>
#include <stdio.h>

#include <cpl_conv.h>
#include <gdal_alg.h>

#include "base/memory.h"
#include "geometry.h"

/* One chip, and the room that its features are burned in, one after the other. */
typedef struct Burning {
  Grid chip;
  Extent extent;
  bool upright;         /* the chip fills its extent */
  OGRGeometryH outline; /* of the chip */
  uint8_t *mask;        /* room for a chip */
  Window window;        /* what of the chip is burned */
} Burning;

/* Whole numbers of pixels are taken off exactly, so that a feature burns the same pixels in every
 * window. */
static int to_window(void *context, int from_pixels, int count, double *x, double *y, double *z,
                     int *done)
{
  const Burning *burning = context;
  for (int i = 0; i < count; ++i) {
    if (from_pixels) {
      grid_pixel_to_map(&burning->chip, x[i] + (double)burning->window.x_px,
                        y[i] + (double)burning->window.y_px, &x[i], &y[i]);
    } else {
      grid_map_to_pixel(&burning->chip, x[i], y[i], &x[i], &y[i]);
      x[i] -= (double)burning->window.x_px;
      y[i] -= (double)burning->window.y_px;
    }
    done[i] = TRUE;
  }
  return TRUE;
}

/* A dataset whose one band is the mask. NULL if GDAL refuses. */
static GDALDatasetH wrap_mask(const Burning *burning)
{
  char pointer[64];
  char address[80];
  const int length = CPLPrintPointer(pointer, burning->mask, (int)sizeof pointer - 1);
  pointer[length] = '\0';
  (void)snprintf(address, sizeof address, "DATAPOINTER=%s", pointer);
  char *options[] = {address, NULL};
  GDALDatasetH dataset = GDALCreate(GDALGetDriverByName("MEM"), "", (int)burning->window.width_px,
                                    (int)burning->window.height_px, 0, GDT_Byte, NULL);
  if (dataset == NULL) return NULL;
  if (GDALAddBand(dataset, GDT_Byte, options) == CE_None) return dataset;
  GDALClose(dataset);
  return NULL;
}

static Status burn_mask(Burning *burning, OGRGeometryH geometry)
{
  int band = 1;
  const double value = 1;
  GdalWatch watch;
  const int64_t pixels = window_pixels(burning->window);
  for (int64_t i = 0; i < pixels; ++i)
    burning->mask[i] = 0;
  GDALDatasetH dataset = wrap_mask(burning);
  if (dataset == NULL)
    return status_set(STATUS_NO_MEMORY, "labels of a chip (%s)", CPLGetLastErrorMsg());
  gdal_watch_begin(&watch);
  const CPLErr failed = GDALRasterizeGeometries(dataset, 1, &band, 1, &geometry, to_window, burning,
                                                &value, NULL, NULL, NULL);
  GDALFlushCache(dataset);
  GDALClose(dataset);
  gdal_watch_end(&watch);
  if (failed != CE_None || watch.failed)
    return status_set(STATUS_BAD_INPUT, "labels cannot be burned (%s)", gdal_watch_words(&watch));
  return STATUS_OK;
}

static bool lies_inside(const Burning *burning, const OGREnvelope *box)
{
  const Extent *e = &burning->extent;
  return burning->upright && box->MinX >= e->x_min && box->MaxX <= e->x_max &&
         box->MinY >= e->y_min && box->MaxY <= e->y_max;
}

/* What of the feature is in the chip; false where it only touches it, or not even that. */
static bool measure(const Burning *burning, const Feature *feature, LabelObject *object)
{
  const double whole = OGR_G_Area(feature->geometry);
  object->share = 1;
  object->area_map = whole;
  if (lies_inside(burning, &feature->box)) return true;
  if (!OGR_G_Intersects(feature->geometry, burning->outline)) return false;
  if (!(whole > 0)) return true;
  OGRGeometryH part = OGR_G_Intersection(feature->geometry, burning->outline);
  object->area_map = part == NULL ? 0 : OGR_G_Area(part);
  if (part != NULL) OGR_G_DestroyGeometry(part);
  object->share = fmin(1, object->area_map / whole);
  return object->area_map > 0;
}

/* The pixels of the chip that the feature's box meets. */
static Window pixels_of(const Burning *burning, const OGREnvelope *box)
{
  const Extent extent = {box->MinX, box->MinY, box->MaxX, box->MaxY};
  const Window around = window_grow(grid_window_of_extent(&burning->chip, extent), 1);
  return window_intersect(around, grid_window(&burning->chip));
}

static Status burn_feature(Burning *burning, const Feature *feature, LabelObjectTaker *take,
                           void *context)
{
  LabelObject object = {.feature = feature->id, .class_value = feature->value};
  if (feature->value == 0 || !measure(burning, feature, &object)) return STATUS_OK;
  object.window = pixels_of(burning, &feature->box);
  burning->window = object.window;
  if (!window_is_empty(object.window)) TRY(burn_mask(burning, feature->geometry));
  return take(context, &object, burning->mask);
}

static Status burn_all(Burning *burning, const Feature *const *near, int count,
                       LabelObjectTaker *take, void *context)
{
  for (int i = 0; i < count; ++i)
    TRY(burn_feature(burning, near[i], take, context));
  return STATUS_OK;
}

Status rasterize_objects(const FeatureSet *set, const Grid *chip, LabelObjectTaker *take,
                         void *context)
{
  int count;
  void *mask;
  TRY(memory_allocate((size_t)chip->width_px, (size_t)chip->height_px, "labels of a chip", &mask));
  Burning burning = {.chip = *chip,
                     .extent = grid_extent(chip),
                     .upright = chip->pixel_to_map[2] == 0 && chip->pixel_to_map[4] == 0,
                     .outline = geometry_of_grid(chip, 0),
                     .mask = mask};
  const Feature **near = feature_set_near(set, chip, &count);
  const Status status = burn_all(&burning, near, count, take, context);
  CPLFree(near);
  OGR_G_DestroyGeometry(burning.outline);
  memory_free(mask);
  return status;
}
