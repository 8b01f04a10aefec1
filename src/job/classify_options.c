#include "classify_options.h"

#include <string.h>

#include "base/path.h"
#include "compute.h"

#define FIELD(name) offsetof(ClassifyOptions, name)

static const Option options[] = {
    {"raster", OPTION_TEXT, FIELD(run.raster), NULL, NULL, 0, 0, NULL,
     "The imagery: anything GDAL opens, of the type and bands that the model was trained on."},
    {"model", OPTION_TEXT, FIELD(run.model), NULL, NULL, 0, 0, NULL,
     "The model package (.dlpk) that train made, an .emd beside its weights, or a folder with "
     "one."},
    {"output", OPTION_TEXT, FIELD(output), NULL, NULL, 0, 0, NULL,
     "The class map to write (.tif): a Cloud Optimized GeoTIFF with colours and names."},
    {"probability", OPTION_TEXT, FIELD(probability), "", NULL, 0, 0, NULL,
     "Also writes the classes' probabilities (.tif), a band for each, in steps of 1/250."},
    {"result", OPTION_TEXT, FIELD(result), "", NULL, 0, 0, NULL,
     "Also keeps the ranks' shards, in a folder beside this HDF5 file (.h5), which joins them and "
     "tells plan, options, origin and coverage."},
    {"polygons", OPTION_TEXT, FIELD(polygons), "", NULL, 0, 0, NULL,
     "Also writes the patches of each class (.gpkg, .fgb, .geojson or .shp)."},
    {"quicklook", OPTION_TEXT, FIELD(quicklook), "", NULL, 0, 0, NULL,
     "Also writes a picture (.png) of the classes over the image."},
    {"extent", OPTION_REALS, FIELD(run.extent), "", "map units", 0, 0, NULL,
     "Only this part of the raster: x_min,y_min,x_max,y_max in its reference system."},
    {"bands", OPTION_REALS, FIELD(run.bands), "", NULL, 1, 65535, NULL,
     "The raster's bands, counted from 1, in the order of the model's: 4,3,2. Empty: the model's "
     "own choice, which is 1,2,3 … as a rule."},
    {"tile_size", OPTION_INT, FIELD(run.tile_size), "0", "px", 0, 16384, NULL,
     "Width and height of the tiles that the network sees, a multiple of 32. 0: 1024, or the "
     "model's if that is larger; less where that saves overlap."},
    {"padding", OPTION_INT, FIELD(run.padding), "-1", "px", -1, 8192, NULL,
     "How far a pixel is at least from the edge of the tile it is taken from; neighbours overlap "
     "by "
     "twice that. -1: 64, or an eighth of tile_size if that is less."},
    {"batch_size", OPTION_INT, FIELD(run.batch_size), "0", "tiles", 0, 4096, NULL,
     "Tiles computed together. 0: 1 on a CPU, up to 8 as memory allows on a GPU."},
    {"merge", OPTION_CHOICE, FIELD(merge), "crop", NULL, 0, 0, "crop|blend",
     "crop takes each pixel from the middle part of one tile. blend takes the weighted mean of all "
     "tiles that hold it; slower, softer where tiles disagree."},
    {"predict_background", OPTION_FLAG, FIELD(predict_background), "yes", NULL, 0, 0, NULL,
     "no: the class of value 0 is never chosen, each pixel gets the likeliest other class."},
    {"min_area", OPTION_REAL, FIELD(min_area), "0", "m2", 0, 1e15, NULL,
     "Smaller polygons are left out."},
    {"simplify", OPTION_REAL, FIELD(simplify), "0", "map units", 0, 1e9, NULL,
     "Tolerance with which polygons are simplified. 0: they follow the pixels."},
    {"device", OPTION_CHOICE, FIELD(run.device), "auto", NULL, 0, 0, DEVICE_CHOICES,
     "Where to compute. auto: GPUs if there are any, shared out among the ranks of a node."},
    {"precision", OPTION_CHOICE, FIELD(run.precision), "auto", NULL, 0, 0, PRECISION_CHOICES,
     "What the network computes in. auto: bfloat16 where the device is fast in it."},
    {"autotune", OPTION_FLAG, FIELD(run.autotune), "no", NULL, 0, 0, NULL,
     "On a GPU: each convolution gets the fastest of cuDNN's engines by the clock, not the one "
     "that cuDNN's rules name. The first run times them, for some seconds; later ones read what it "
     "found. Results then depend on these times in their last digits. On a CPU nothing changes."},
    {"threads", OPTION_INT, FIELD(run.threads), "0", NULL, 0, 1024, NULL,
     "Computing threads of each rank. 0: OMP_NUM_THREADS, or all cores."},
    {"reader_threads", OPTION_INT, FIELD(run.reader_threads), "0", NULL, 0, 32, NULL,
     "Threads of each rank that read ahead. 0: 1 on a CPU, 4 on a GPU."},
    {"checkpoint_every", OPTION_INT, FIELD(run.checkpoint_every), "120", "s", 0, 86400, NULL,
     "What is done is kept for good after this time: a killed job loses no more. A signal loses "
     "nothing."},
    {"overwrite", OPTION_FLAG, FIELD(run.overwrite), "no", NULL, 0, 0, NULL,
     "Replaces outputs that are there, and drops the unfinished work of another job."},
    {"resume", OPTION_CHOICE, FIELD(run.resume), "auto", NULL, 0, 0, "auto|no",
     "auto goes on where the same command was stopped; no begins anew."},
};

const OptionTable classify_table = {
    .tool = "classify",
    .summary = "a raster + a model package -> a class map, probabilities, polygons",
    .example =
        "mpirun -n 2 quadrat classify --raster=ortho.tif --model=roofs.dlpk --output=map.tif "
        "--quicklook=map.png",
    .options = options,
    .count = sizeof options / sizeof *options,
};

static Status check_ending(const char *option, const char *path, const char *first,
                           const char *second)
{
  if (*path == '\0' || path_has_ending(path, first) || path_has_ending(path, second))
    return STATUS_OK;
  return status_set(STATUS_BAD_OPTION, "--%s=%s: the name must end in %s", option, path, first);
}

static Status check_polygons(const char *path)
{
  static const char *const endings[] = {".gpkg", ".fgb", ".geojson", ".shp"};
  if (*path == '\0') return STATUS_OK;
  for (size_t i = 0; i < sizeof endings / sizeof *endings; ++i)
    if (path_has_ending(path, endings[i])) return STATUS_OK;
  return status_set(STATUS_BAD_OPTION,
                    "--polygons=%s: the name must end in .gpkg, .fgb, .geojson or .shp", path);
}

Status classify_options_check(const ClassifyOptions *given)
{
  if (*given->output == '\0')
    return status_set(STATUS_BAD_OPTION, "--output is empty; give the name of the class map");
  TRY(check_ending("output", given->output, ".tif", ".tiff"));
  TRY(check_ending("probability", given->probability, ".tif", ".tiff"));
  TRY(check_ending("result", given->result, ".h5", ".hdf5"));
  TRY(check_ending("quicklook", given->quicklook, ".png", ".png"));
  TRY(check_polygons(given->polygons));
  if (strcmp(given->output, given->probability) == 0)
    return status_set(STATUS_BAD_OPTION, "--output and --probability are the same file %s",
                      given->output);
  return raster_options_check(&given->run);
}
