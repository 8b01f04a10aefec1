#include "export_options.h"

#include <math.h>

#include "base/path.h"
#include "chip/chip_grid.h"
#include "chip/chip_writer.h"

#define FIELD(name) offsetof(ExportOptions, name)

static const Option options[] = {
    {"raster", OPTION_TEXT, FIELD(raster), NULL, NULL, 0, 0, NULL,
     "The imagery: anything GDAL opens, of uint8, uint16, int16 or float32. Several, parted by "
     "';', "
     "must have the same type and bands."},
    {"labels", OPTION_TEXT, FIELD(labels), NULL, NULL, 0, 0, NULL,
     "The labels: features of any format that GDAL opens, or a raster of class values. Features "
     "are "
     "taken into the raster's reference system."},
    {"layer", OPTION_TEXT, FIELD(layer), "", NULL, 0, 0, NULL,
     "Layer of the labels. Empty: the only one, else the first with features."},
    {"class_field", OPTION_TEXT, FIELD(class_field), "", NULL, 0, 0, NULL,
     "Field that holds the class. Empty: classvalue, value, class_value, class_id or class; where "
     "there is none, all features are class 1."},
    {"classes", OPTION_TEXT, FIELD(classes), "", NULL, 0, 0, NULL,
     "Only these classes, with these values: building=1;road=2. Empty: all."},
    {"buffer", OPTION_REAL, FIELD(buffer), "0", NULL, 0, 1e9, NULL,
     "Widens features, in units of the labels' own reference system; makes circles of points."},
    {"assume_raster_crs", OPTION_FLAG, FIELD(assume_raster_crs), "no", NULL, 0, 0, NULL,
     "Labels and masks that name no reference system are in the raster's."},
    {"bands", OPTION_REALS, FIELD(bands), "", NULL, 1, 65535, NULL,
     "Bands of the chips in this order, counted from 1 and without a band of transparency: 4,3,2. "
     "Empty: all."},
    {"extent", OPTION_REALS, FIELD(extent), "", "map units", 0, 0, NULL,
     "Only this part of the raster: x_min,y_min,x_max,y_max in its reference system."},
    {"mask", OPTION_TEXT, FIELD(mask), "", NULL, 0, 0, NULL,
     "Polygons: only chips that lie completely inside one of them are written."},
    {"mask_layer", OPTION_TEXT, FIELD(mask_layer), "", NULL, 0, 0, NULL,
     "Layer of the mask. Empty: the only one."},
    {"tile_size", OPTION_INT, FIELD(tile_size), "256", "px", 16, 8192, NULL,
     "Width and height of a chip."},
    {"stride", OPTION_INT, FIELD(stride), "0", "px", 0, 1000000, NULL,
     "Step from one chip to the next. 0: tile_size, no overlap."},
    {"grid", OPTION_CHOICE, FIELD(grid), "plain", NULL, 0, 0, "plain|esri",
     "plain: evenly spaced; the last chips of rows and columns are shifted inwards. esri: blocks "
     "of "
     "tile_size, with strides inside each, as ArcGIS lays chips; they hang over the edge."},
    {"rotation", OPTION_REAL, FIELD(rotation), "0", "degrees", 0, 359, NULL,
     "Writes each chip again, turned by this angle, by twice the angle and so on up to the full "
     "turn. 0: never; else at least 1."},
    {"all_tiles", OPTION_FLAG, FIELD(all_tiles), "no", NULL, 0, 0, NULL,
     "Writes chips without labels, too."},
    {"minimum_label_share", OPTION_REAL, FIELD(minimum_label_share), "0", NULL, 0, 1, NULL,
     "Leaves out chips with a smaller share of labelled pixels."},
    {"minimum_valid_share", OPTION_REAL, FIELD(minimum_valid_share), "0", NULL, 0, 1, NULL,
     "Leaves out chips with a smaller share of pixels that are not NoData. Chips that are nothing "
     "but NoData are never written."},
    {"min_polygon_overlap_ratio", OPTION_REAL, FIELD(min_polygon_overlap_ratio), "0", NULL, 0, 1,
     NULL,
     "Formats with objects: leaves a feature out of a chip where a smaller share of its area lies "
     "in "
     "the chip."},
    {"format", OPTION_CHOICE, FIELD(format), "chips", NULL, 0, 0,
     "chips|classified_tiles|instances|rcnn_masks|pascal_voc_rectangles|coco",
     "A class per pixel: chips, one HDF5 file with a folder of shards beside it; classified_tiles, "
     "the "
     "folder of ArcGIS, with TIFF chips and labels, map.txt, stats.txt, statistics and an .emd. An "
     "object per feature, with box and mask: instances, in HDF5; rcnn_masks and "
     "pascal_voc_rectangles (boxes alone), folders of ArcGIS; coco, a folder of TIFF chips and "
     "annotations.json."},
    {"output", OPTION_TEXT, FIELD(output), NULL, NULL, 0, 0, NULL,
     "The .h5 file of chips and instances, or the folder of all others. It appears when it is "
     "whole."},
    {"compress", OPTION_INT, FIELD(compress), "1", NULL, 0, 9, NULL,
     "Level of compression in HDF5. 0: none, which reads fastest."},
    {"forward_slashes", OPTION_FLAG, FIELD(forward_slashes), "no", NULL, 0, 0, NULL,
     "Writes images/… instead of images\\… in map.txt."},
    {"overwrite", OPTION_FLAG, FIELD(overwrite), "no", NULL, 0, 0, NULL,
     "Replaces an output that is there."},
};

const OptionTable export_table = {
    "export", "raster(s) + labels -> chips to train on",
    "mpirun -n 4 quadrat export --raster=ortho.tif --labels=buildings.gpkg --output=chips.h5",
    options, sizeof options / sizeof *options};

static Status check_extent(const OptionReals *extent)
{
  const double *v = extent->values;
  if (extent->count == 0 || (extent->count == 4 && v[0] < v[2] && v[1] < v[3])) return STATUS_OK;
  return status_set(STATUS_BAD_OPTION,
                    "--extent takes four numbers, x_min,y_min,x_max,y_max, the first two smaller");
}

static Status check_output(const ExportOptions *given)
{
  const bool is_file =
      path_has_ending(given->output, ".h5") || path_has_ending(given->output, ".hdf5");
  if (*given->output == '\0')
    return status_set(STATUS_BAD_OPTION, "--output is empty; give the name of what is to be made");
  const ChipFormat format = (ChipFormat)given->format;
  if (chip_format_is_arrays(format) && !is_file)
    return status_set(STATUS_BAD_OPTION,
                      "--output=%s: %s go into a file that ends in .h5; format=%s makes a folder",
                      given->output, chip_format_name(format),
                      format == CHIP_FORMAT_CHIPS ? "classified_tiles" : "rcnn_masks");
  if (!chip_format_is_arrays(format) && is_file)
    return status_set(STATUS_BAD_OPTION, "--output=%s: %s is a folder; give it a name without .h5",
                      given->output, chip_format_name(format));
  return STATUS_OK;
}

static Status check_bands(const OptionReals *bands)
{
  for (size_t i = 0; i < bands->count; ++i)
    if (bands->values[i] != floor(bands->values[i]))
      return status_set(STATUS_BAD_OPTION, "--bands: %g is no number of a band", bands->values[i]);
  return STATUS_OK;
}

Status export_options_check(const ExportOptions *given)
{
  TRY(check_extent(&given->extent));
  TRY(check_bands(&given->bands));
  TRY(check_output(given));
  if (given->grid == CHIP_GRID_ESRI && given->stride > given->tile_size)
    return status_set(STATUS_BAD_OPTION,
                      "--stride=%lld: grid=esri takes strides up to tile_size=%lld",
                      (long long)given->stride, (long long)given->tile_size);
  if (given->rotation != 0 && given->rotation < 1)
    return status_set(STATUS_BAD_OPTION, "--rotation=%g: it takes 0, or 1 to 359 degrees",
                      given->rotation);
  if (given->all_tiles && given->minimum_label_share > 0)
    return status_set(STATUS_BAD_OPTION,
                      "--all_tiles and --minimum_label_share=%g exclude each other; leave one out",
                      given->minimum_label_share);
  if (given->min_polygon_overlap_ratio > 0 && !chip_format_has_objects((ChipFormat)given->format))
    return status_set(
        STATUS_BAD_OPTION,
        "--min_polygon_overlap_ratio=%g: this format has no objects; format=instances "
        "has",
        given->min_polygon_overlap_ratio);
  if (*given->mask == '\0' && *given->mask_layer != '\0')
    return status_set(STATUS_BAD_OPTION, "--mask_layer=%s: no --mask is given", given->mask_layer);
  return STATUS_OK;
}
