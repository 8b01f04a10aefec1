/* Which polygons lie near each other, and how much they share. */
#include <math.h>
#include <stdlib.h>

#include <cpl_conv.h>

#include "base/memory.h"
#include "polygon_layer_private.h"

/* Of the smaller polygon: corners that GEOS cannot place better than to the last digit. */
static const double rounding_share = 1e-9;

double extent_area(Extent extent)
{
  return (extent.x_max - extent.x_min) * (extent.y_max - extent.y_min);
}

double extent_shared_area(Extent a, Extent b)
{
  const double width = fmin(a.x_max, b.x_max) - fmax(a.x_min, b.x_min);
  const double height = fmin(a.y_max, b.y_max) - fmax(a.y_min, b.y_min);
  return width > 0 && height > 0 ? width * height : 0;
}

static int by_index(const void *left, const void *right)
{
  const int64_t a = *(const int64_t *)left;
  const int64_t b = *(const int64_t *)right;
  return a < b ? -1 : a > b;
}

Status polygon_layer_near(const PolygonLayer *layer, Extent extent, int64_t **indices,
                          int64_t *count)
{
  void *memory;
  int found_count = 0;
  void **found = NULL;
  const CPLRectObj rectangle = {extent.x_min, extent.y_min, extent.x_max, extent.y_max};
  if (layer->tree != NULL) found = CPLQuadTreeSearch(layer->tree, &rectangle, &found_count);
  const Status status =
      memory_allocate((size_t)found_count, sizeof(int64_t), "polygons nearby", &memory);
  *indices = memory;
  *count = status == STATUS_OK ? found_count : 0;
  for (int64_t i = 0; i < *count; ++i)
    (*indices)[i] = ((const PolygonShape *)found[i])->index;
  if (*count > 1) qsort(*indices, (size_t)*count, sizeof(int64_t), by_index);
  CPLFree(found);
  return status;
}

static Status intersect(const PolygonLayer *a, int64_t a_index, const PolygonLayer *b,
                        int64_t b_index, double *area)
{
  GdalWatch watch;
  gdal_watch_begin(&watch);
  OGRGeometryH shared =
      OGR_G_Intersection(a->shapes[a_index].geometry, b->shapes[b_index].geometry);
  gdal_watch_end(&watch);
  if (shared != NULL) {
    *area = OGR_G_IsEmpty(shared) || OGR_G_GetDimension(shared) < 2 ? 0 : OGR_G_Area(shared);
    OGR_G_DestroyGeometry(shared);
    return STATUS_OK;
  }
  return status_set(STATUS_BAD_INPUT, "%s: GEOS cannot intersect feature %lld with %lld of %s (%s)",
                    a->path, (long long)a->items[a_index].number,
                    (long long)b->items[b_index].number, b->path, gdal_watch_words(&watch));
}

Status polygon_layer_shared_area(const PolygonLayer *a, int64_t a_index, const PolygonLayer *b,
                                 int64_t b_index, double *area)
{
  const PolygonItem *one = &a->items[a_index], *other = &b->items[b_index];
  *area = extent_shared_area(one->box, other->box);
  if (*area > 0 && !(a->shapes[a_index].is_box && b->shapes[b_index].is_box))
    TRY(intersect(a, a_index, b, b_index, area));
  if (*area <= rounding_share * fmin(one->area, other->area)) *area = 0;
  return STATUS_OK;
}

Status polygon_layer_touches(const PolygonLayer *layer, int64_t index, const PolygonLayer *other,
                             bool *touches)
{
  int64_t *near, count;
  *touches = false;
  TRY(polygon_layer_near(other, layer->items[index].box, &near, &count));
  for (int64_t i = 0; i < count && !*touches; ++i)
    *touches =
        OGR_G_Intersects(layer->shapes[index].geometry, other->shapes[near[i]].geometry) != 0;
  memory_free(near);
  return STATUS_OK;
}
