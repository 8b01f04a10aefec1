#include "geo/mask_layer.h"

#include <cpl_conv.h>

#include "base/memory.h"
#include "feature_set.h"
#include "geometry.h"

struct MaskLayer {
  GDALDatasetH dataset; /* open only while it is read */
  FeatureSet polygons;
};

static Status fill(MaskLayer *mask, const char *path, const char *name, bool assume_raster_crs,
                   const Grid *raster)
{
  GdalWatch watch;
  gdal_watch_begin(&watch);
  mask->dataset =
      GDALOpenEx(path, GDAL_OF_VECTOR | GDAL_OF_READONLY | GDAL_OF_VERBOSE_ERROR, NULL, NULL, NULL);
  gdal_watch_end(&watch);
  if (mask->dataset == NULL) return gdal_open_failed(path, "features", &watch);
  OGRLayerH layer;
  TRY(feature_layer(mask->dataset, path, name, &layer));
  const FeatureQuery query = {.path = path, .area = raster, .assume_raster_crs = assume_raster_crs};
  TRY(feature_set_read(layer, &query, &mask->polygons));
  if (mask->polygons.count == 0) return feature_set_explain_empty(layer, &query, &mask->polygons);
  for (int64_t i = 0; i < mask->polygons.count; ++i)
    if (OGR_G_GetDimension(mask->polygons.items[i].geometry) != 2)
      return status_set(STATUS_BAD_INPUT, "%s: feature %lld of the mask is no polygon", path,
                        (long long)mask->polygons.items[i].id);
  return STATUS_OK;
}

Status mask_layer_open(const char *path, const char *layer, bool assume_raster_crs,
                       const Grid *raster, MaskLayer **mask)
{
  *mask = NULL;
  void *memory;
  Status status = memory_allocate(1, sizeof(MaskLayer), "a mask", &memory);
  if (status != STATUS_OK) return status;
  MaskLayer *opening = memory;
  status = fill(opening, path, layer, assume_raster_crs, raster);
  if (opening->dataset != NULL) GDALClose(opening->dataset);
  opening->dataset = NULL;
  if (status == STATUS_OK)
    *mask = opening;
  else
    mask_layer_close(opening);
  return status;
}

void mask_layer_close(MaskLayer *mask)
{
  if (mask == NULL) return;
  feature_set_free(&mask->polygons);
  memory_free(mask);
}

/* A chip on the very outline must not fall out by the last digit of a coordinate. */
static const double outline_slack_px = 1e-3;

bool mask_layer_holds(const MaskLayer *mask, const Grid *chip)
{
  int count;
  bool holds = false;
  const Feature **near = feature_set_near(&mask->polygons, chip, &count);
  OGRGeometryH outline = geometry_of_grid(chip, outline_slack_px);
  for (int i = 0; i < count && !holds; ++i)
    holds = OGR_G_Contains(near[i]->geometry, outline) != 0;
  OGR_G_DestroyGeometry(outline);
  CPLFree(near);
  return holds;
}
