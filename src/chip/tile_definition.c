#include "tile_definition.h"

#include <string.h>

#include "geo/crs.h"

static Status set_system(Document *cell_size, const char *crs_wkt)
{
  Document *system;
  const int code = crs_epsg(crs_wkt);
  TRY(document_set_object(cell_size, "spatialReference", &system));
  if (code == 0) return document_set_text(system, "wkt", crs_wkt);
  TRY(document_set_int(system, "wkid", code));
  return document_set_int(system, "latestWkid", code);
}

static Status set_cell_size(Document *root, const char *key, const Grid *grid)
{
  Document *size;
  double width, height;
  grid_cell_size(grid, &width, &height);
  TRY(document_set_object(root, key, &size));
  TRY(document_set_real(size, "x", width));
  TRY(document_set_real(size, "y", height));
  return set_system(size, grid->crs_wkt);
}

/* The finest and the coarsest of the rasters. */
static Status set_cell_sizes(Document *root, const ChipStory *story)
{
  const Grid *finest = &story->rasters[0], *coarsest = finest;
  for (int32_t i = 1; i < story->raster_count; ++i) {
    double width, height, fine, coarse;
    grid_cell_size(&story->rasters[i], &width, &height);
    grid_cell_size(finest, &fine, &height);
    grid_cell_size(coarsest, &coarse, &height);
    if (width < fine) finest = &story->rasters[i];
    if (width > coarse) coarsest = &story->rasters[i];
  }
  TRY(set_cell_size(root, "MinCellSize", finest));
  return set_cell_size(root, "MaxCellSize", coarsest);
}

static Status set_classes(Document *root, const ChipForm *form, const char *value_key,
                          const char *name_key)
{
  Document *list;
  TRY(document_set_list(root, "Classes", &list));
  for (int32_t i = 1; i < form->class_count; ++i) {
    Document *item;
    uint8_t rgb[3];
    class_colour(&form->classes[i], rgb);
    const int64_t colour[3] = {rgb[0], rgb[1], rgb[2]};
    TRY(document_add_object(list, &item));
    TRY(document_set_int(item, value_key, form->classes[i].value));
    TRY(document_set_text(item, name_key, form->classes[i].name));
    TRY(document_set_ints(item, "Color", colour, 3));
  }
  return STATUS_OK;
}

static Status set_range(Document *item, int64_t least, int64_t most, int64_t total, int64_t count)
{
  TRY(document_set_int(item, "Min", least));
  TRY(document_set_int(item, "Max", most));
  TRY(document_set_real(item, "Mean", count == 0 ? 0 : (double)total / (double)count));
  TRY(document_set_int(item, "Sum", total));
  return document_set_int(item, "Count", count);
}

static Status set_class_lists(Document *stats, const SetSum *sum)
{
  Document *chips, *pixels;
  TRY(document_set_list(stats, "NumImagesPerClass", &chips));
  TRY(document_set_list(stats, "NumPixelsPerClass", &pixels));
  for (int32_t i = 1; i < sum->class_count; ++i) {
    TRY(document_add_int(chips, sum->classes[i].chip_count));
    TRY(document_add_int(pixels, sum->classes[i].pixel_count));
  }
  return STATUS_OK;
}

static Status set_class_statistics(Document *root, const SetSum *sum)
{
  Document *stats, *range, *list;
  TRY(document_set_object(root, "ClassPixelStats", &stats));
  TRY(document_set_int(stats, "NumClasses", sum->class_count - 1));
  TRY(document_set_int(stats, "NumImagesTotal", sum->chip_count));
  TRY(set_class_lists(stats, sum));
  TRY(document_set_object(stats, "NumClassesPerImage", &range));
  TRY(set_range(range, sum->classes_per_chip_least, sum->classes_per_chip_most,
                sum->classes_per_chip_sum, sum->chip_count));
  TRY(document_set_list(stats, "PixelsPerClass", &list));
  for (int32_t i = 1; i < sum->class_count; ++i) {
    const ClassSum *one = &sum->classes[i];
    TRY(document_add_object(list, &range));
    TRY(set_range(range, one->least, one->most, one->pixel_count, sum->chip_count));
  }
  return STATUS_OK;
}

static Status set_object_lists(Document *stats, const SetSum *sum)
{
  Document *chips, *objects;
  TRY(document_set_list(stats, "NumImagesPerClass", &chips));
  TRY(document_set_list(stats, "NumFeaturesPerClass", &objects));
  for (int32_t i = 1; i < sum->class_count; ++i) {
    TRY(document_add_int(chips, sum->objects[i].chip_count));
    TRY(document_add_int(objects, sum->objects[i].count));
  }
  return STATUS_OK;
}

static Status set_areas(Document *item, const ObjectSum *objects)
{
  const double count = (double)objects->count;
  TRY(document_set_real(item, "Min", objects->area_least));
  TRY(document_set_real(item, "Max", objects->area_most));
  TRY(document_set_real(item, "Mean", objects->count == 0 ? 0 : objects->area_sum / count));
  TRY(document_set_real(item, "Sum", objects->area_sum));
  return document_set_int(item, "Count", objects->count);
}

static Status set_object_statistics(Document *root, const SetSum *sum)
{
  Document *stats, *range, *list;
  TRY(document_set_object(root, "FeatureStats", &stats));
  TRY(document_set_int(stats, "NumClasses", sum->class_count - 1));
  TRY(document_set_int(stats, "NumImagesTotal", sum->chip_count));
  TRY(document_set_int(stats, "NumFeaturesTotal", sum->object_count));
  TRY(set_object_lists(stats, sum));
  TRY(document_set_object(stats, "NumFeaturesPerImage", &range));
  TRY(set_range(range, sum->objects_least, sum->objects_most, sum->object_count, sum->chip_count));
  TRY(document_set_list(stats, "FeatureAreaPerClass", &list));
  for (int32_t i = 1; i < sum->class_count; ++i) {
    TRY(document_add_object(list, &range));
    TRY(set_areas(range, &sum->objects[i]));
  }
  return STATUS_OK;
}

static Status set_raster_properties(Document *root, const ChipForm *form, const ChipStory *story)
{
  Document *properties;
  TRY(document_set_object(root, "InputRastersProps", &properties));
  TRY(document_set_int(properties, "RasterCount", story->raster_count));
  TRY(document_set_text(properties, "SensorName", ""));
  return document_set_texts(properties, "BandNames", story->band_names, (size_t)form->band_count);
}

/* A running state: mean and standard deviation follow from M1, M2 and Num. */
static Status set_band_states(Document *root, const SetSum *sum)
{
  Document *list, *state;
  TRY(document_set_list(root, "BandStatsState", &list));
  for (int32_t i = 0; i < sum->band_count; ++i) {
    const BandSum *band = &sum->bands[i];
    TRY(document_add_object(list, &state));
    TRY(document_set_real(state, "Min", band->least));
    TRY(document_set_real(state, "Max", band->most));
    TRY(document_set_int(state, "Mean", 0));
    TRY(document_set_int(state, "StdDev", 0));
    TRY(document_set_real(state, "M1", band->mean));
    TRY(document_set_real(state, "M2", band->squares));
    TRY(document_set_int(state, "Num", (int64_t)band->count));
  }
  return STATUS_OK;
}

Status tile_statistics_build(Document *root, const ChipForm *form, const ChipStory *story,
                             const SetSum *sum)
{
  TRY(document_set_int(root, "Version", 1));
  TRY(document_set_int(root, "NumBands", form->band_count));
  TRY(document_set_int(root, "TileSizeX", form->width_px));
  TRY(document_set_int(root, "TileSizeY", form->height_px));
  TRY(document_set_int(root, "NumClasses", form->class_count - 1));
  TRY(document_set_int(root, "NumTiles", sum->chip_count));
  TRY(document_set_real(root, "NumTilesAsDouble", (double)sum->chip_count));
  TRY(document_set_int(root, "NextTileIndex", sum->chip_count));
  TRY(document_set_flag(root, "OutputFeatures", chip_format_has_objects(form->format)));
  TRY(document_set_text(root, "MetaDataMode", chip_format_name(form->format)));
  TRY(set_cell_sizes(root, story));
  TRY(set_classes(root, form, "ClassValue", "ClassName"));
  TRY(chip_format_has_objects(form->format) ? set_object_statistics(root, sum)
                                            : set_class_statistics(root, sum));
  TRY(set_raster_properties(root, form, story));
  return set_band_states(root, sum);
}

static Status set_placeholders(Document *root)
{
  static const char *const rows[][2] = {
      {"Framework", "e.g. CNTK"},
      {"ModelConfiguration", "some description"},
      {"ModelType", "e.g. ObjectDetection or ImageClassification"},
      {"ModelFile", "e.g. .\\trained.model"},
      {"Description", "e.g. what the model finds"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i)
    TRY(document_set_text(root, rows[i][0], rows[i][1]));
  return STATUS_OK;
}

static Status set_optional_placeholders(Document *root)
{
  static const char *const rows[][2] = {
      {"DataRange", "e.g. [0.1, 1.0] (optional)"},
      {"ModelPadding", "e.g. 64 (optional)"},
      {"BatchSize", "e.g. 8 (optional)"},
      {"PerProcessGPUMemoryFraction", "e.g. 0.8 (optional)"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i)
    TRY(document_set_text(root, rows[i][0], rows[i][1]));
  return STATUS_OK;
}

static Status set_known_bands(Document *root)
{
  static const char *const names[] = {
      "Red",           "Green",          "Blue",           "Infrared",
      "CoastalBlue",   "Yellow",         "RedEdge",        "ShortWaveInfrared",
      "NearInfrared",  "NearInfrared_1", "NearInfrared_2", "MidInfrared",
      "MidInfrared_1", "MidInfrared_2",  "Thermal",        "Thermal_1",
      "Thermal_2",     "Panchromatic",   "PseudoRed",      "PseudoGreen",
      "PseudoBlue"};
  return document_set_texts(
      root, "WellKnownBandNames (FYI, these band names can be used in ExtractBands)", names,
      sizeof names / sizeof *names);
}

static Status set_all_statistics(Document *root, const ChipStory *story, const SetSum *sum)
{
  Document *list, *item;
  TRY(document_set_list(root, "AllTilesStats", &list));
  for (int32_t i = 0; i < sum->band_count; ++i) {
    TRY(document_add_object(list, &item));
    TRY(document_set_text(item, "BandName", story->band_names[i]));
    TRY(document_set_real(item, "Min", sum->bands[i].least));
    TRY(document_set_real(item, "Max", sum->bands[i].most));
    TRY(document_set_real(item, "Mean", sum->bands[i].mean));
    TRY(document_set_real(item, "StdDev", band_sum_standard_deviation(&sum->bands[i])));
  }
  return STATUS_OK;
}

static Status set_extract_bands(Document *root, int32_t band_count)
{
  Document *list;
  TRY(document_set_list(root, "ExtractBands", &list));
  for (int32_t i = 0; i < band_count; ++i)
    TRY(document_add_int(list, i));
  return STATUS_OK;
}

Status tile_definition_build(Document *root, const ChipForm *form, const ChipStory *story,
                             const SetSum *sum)
{
  TRY(set_placeholders(root));
  TRY(document_set_text(root, "MetaDataMode", chip_format_name(form->format)));
  TRY(document_set_text(root, "ImageSpaceUsed", "MAP_SPACE"));
  TRY(document_set_int(root, "ImageHeight", form->height_px));
  TRY(document_set_int(root, "ImageWidth", form->width_px));
  TRY(set_extract_bands(root, form->band_count));
  TRY(set_optional_placeholders(root));
  TRY(set_cell_sizes(root, story));
  TRY(set_classes(root, form, "Value", "Name"));
  TRY(set_raster_properties(root, form, story));
  TRY(set_all_statistics(root, story, sum));
  return set_known_bands(root);
}
