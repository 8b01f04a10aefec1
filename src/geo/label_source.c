#include "geo/label_source.h"

#include <string.h>

#include <cpl_conv.h>

#include "base/memory.h"
#include "feature_set.h"
#include "geometry.h"
#include "label_raster.h"
#include "rasterize.h"
#include "rasterize_objects.h"

struct LabelSource {
  char *path;
  GDALDatasetH dataset; /* stays open for a raster only */
  bool is_raster;
  LabelClasses classes;
  FeatureSet features;
  LabelRaster raster;
};

static Status read_features(LabelSource *source, const LabelOptions *options, const Grid *raster,
                            const Window *within)
{
  OGRLayerH layer;
  const Grid area = within == NULL ? *raster : grid_subgrid(raster, *within);
  TRY(feature_layer(source->dataset, source->path, options->layer, &layer));
  TRY(label_classes_read(source->path, layer, options, &source->classes));
  const FeatureQuery query = {
      .path = source->path,
      .area = &area,
      .buffer = options->buffer,
      .assume_raster_crs = options->assume_raster_crs,
      .classes = &source->classes,
  };
  TRY(feature_set_read(layer, &query, &source->features));
  if (within == NULL && source->features.count == 0)
    return feature_set_explain_empty(layer, &query, &source->features);
  return STATUS_OK;
}

static Status fill(LabelSource *source, const char *path, const LabelOptions *options,
                   const Grid *raster, const Window *within)
{
  TRY(memory_copy_text(path, &source->path));
  if (!(options->buffer >= 0 && options->buffer < 1e30))
    return status_set(STATUS_BAD_OPTION, "%s: a buffer of %g is no width", path, options->buffer);
  GdalWatch watch;
  gdal_watch_begin(&watch);
  source->dataset =
      GDALOpenEx(path, GDAL_OF_VECTOR | GDAL_OF_RASTER | GDAL_OF_READONLY | GDAL_OF_VERBOSE_ERROR,
                 NULL, NULL, NULL);
  gdal_watch_end(&watch);
  if (source->dataset == NULL) return gdal_open_failed(path, "labels", &watch);
  source->is_raster = GDALDatasetGetLayerCount(source->dataset) == 0;
  if (!source->is_raster) return read_features(source, options, raster, within);
  if (GDALGetRasterCount(source->dataset) == 0)
    return status_set(STATUS_BAD_INPUT, "%s: holds neither features nor a raster", path);
  return label_raster_read(source->path, source->dataset, options, raster, within, &source->raster,
                           &source->classes);
}

Status label_source_open(const char *path, const LabelOptions *options, const Grid *raster,
                         const Window *within, LabelSource **source)
{
  *source = NULL;
  void *memory;
  Status status = memory_allocate(1, sizeof(LabelSource), "labels", &memory);
  if (status != STATUS_OK) return status;
  LabelSource *opening = memory;
  status = fill(opening, path, options, raster, within);
  if (opening->dataset != NULL && !opening->is_raster) {
    GDALClose(opening->dataset);
    opening->dataset = NULL;
  }
  if (status == STATUS_OK)
    *source = opening;
  else
    label_source_close(opening);
  return status;
}

void label_source_close(LabelSource *source)
{
  if (source == NULL) return;
  feature_set_free(&source->features);
  label_raster_free(&source->raster);
  label_classes_free(&source->classes);
  if (source->dataset != NULL) GDALClose(source->dataset);
  memory_free(source->path);
  memory_free(source);
}

bool label_source_is_raster(const LabelSource *source)
{
  return source->is_raster;
}

const ClassEntry *label_source_classes(const LabelSource *source, int32_t *count)
{
  *count = source->classes.count;
  return source->classes.entries;
}

LabelCounts label_source_counts(const LabelSource *source)
{
  return source->features.counts;
}

const char *label_source_class_field(const LabelSource *source)
{
  return source->classes.field_name;
}

Status label_source_burn(LabelSource *source, const Grid *chip, PixelType type, void *class_values)
{
  if (type != PIXEL_U8 && type != PIXEL_U16)
    return status_set(STATUS_BAD_OPTION, "labels are uint8 or uint16, not %s", pixel_name(type));
  if (source->is_raster)
    return label_raster_burn(&source->raster, &source->classes, chip, type, class_values);
  return rasterize_features(source->path, &source->features, chip, type, class_values);
}

Status label_source_burn_objects(LabelSource *source, const Grid *chip, LabelObjectTaker *take,
                                 void *context)
{
  if (source->is_raster)
    return status_set(STATUS_UNSUPPORTED,
                      "%s: a raster of classes does not tell objects apart; give features",
                      source->path);
  return rasterize_objects(&source->features, chip, take, context);
}

static bool any_touches(const Feature *const *near, int count, OGRGeometryH outline)
{
  for (int i = 0; i < count; ++i)
    if (OGR_G_Intersects(near[i]->geometry, outline)) return true;
  return false;
}

static Status raster_touches(LabelSource *source, const Grid *chip, bool *touches)
{
  void *memory;
  const size_t count = (size_t)(chip->width_px * chip->height_px);
  TRY(memory_allocate(count, sizeof(uint16_t), "labels of a chip", &memory));
  const uint16_t *values = memory;
  const Status status =
      label_raster_burn(&source->raster, &source->classes, chip, PIXEL_U16, memory);
  for (size_t i = 0; status == STATUS_OK && i < count && !*touches; ++i)
    *touches = values[i] != 0;
  memory_free(memory);
  return status;
}

Status label_source_touches(LabelSource *source, const Grid *chip, bool *touches)
{
  *touches = false;
  if (source->is_raster) return raster_touches(source, chip, touches);
  int count;
  const Feature **near = feature_set_near(&source->features, chip, &count);
  OGRGeometryH outline = geometry_of_grid(chip, 0);
  *touches = any_touches(near, count, outline);
  OGR_G_DestroyGeometry(outline);
  CPLFree(near);
  return STATUS_OK;
}
