#include "detect_options.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "compute.h"
#include "detect_views.h"
#include "geo/object_file.h"

#define FIELD(name) offsetof(DetectOptions, name)

static const Option options[] = {
    {"raster", OPTION_TEXT, FIELD(run.raster), NULL, NULL, 0, 0, NULL,
     "The imagery: anything GDAL opens, of the type and bands that the model was trained on."},
    {"model", OPTION_TEXT, FIELD(run.model), NULL, NULL, 0, 0, NULL,
     "The model package (.dlpk) of a Mask R-CNN or Faster R-CNN, an .emd beside its weights, or a "
     "folder with one."},
    {"output", OPTION_TEXT, FIELD(output), NULL, NULL, 0, 0, NULL,
     "The features to write: .gpkg, .fgb, .geojson, .shp, or any ending for which GDAL has a "
     "format."},
    {"format", OPTION_TEXT, FIELD(format), "", NULL, 0, 0, NULL,
     "GDAL's name of the output's format, where the ending does not tell: GPKG, MapInfo File …"},
    {"result", OPTION_TEXT, FIELD(result), "", NULL, 0, 0, NULL,
     "The HDF5 file (.h5) with the same objects: boxes, scores, classes, masks as runs, with plan, "
     "options, origin, counters and coverage. Empty: the output's name with .result.h5. none: not "
     "written."},
    {"quicklook", OPTION_TEXT, FIELD(quicklook), "", NULL, 0, 0, NULL,
     "Also writes a picture (.png) of the objects' outlines over the image."},
    {"extent", OPTION_REALS, FIELD(run.extent), "", "map units", 0, 0, NULL,
     "Only this part of the raster: x_min,y_min,x_max,y_max in its reference system. Objects that "
     "reach into it are kept, with what the padding shows of them beyond."},
    {"bands", OPTION_REALS, FIELD(run.bands), "", NULL, 1, 65535, NULL,
     "The raster's bands, counted from 1, in the order of the model's: 4,3,2. Empty: the model's "
     "own choice, which is 1,2,3 … as a rule."},
    {"threshold", OPTION_REAL, FIELD(threshold), "-1", NULL, -1, 1, NULL,
     "Objects of less confidence are not found. -1: the model's own, else 0.5."},
    {"nms_overlap", OPTION_REAL, FIELD(nms_overlap), "-1", NULL, -1, 1, NULL,
     "Of two objects of a class whose intersection over union is larger the surer one stays: by "
     "boxes in a tile, by masks over the raster. -1: the model's own, else 0.5."},
    {"exclude_pad_detections", OPTION_FLAG, FIELD(exclude_pad_detections), "no", NULL, 0, 0, NULL,
     "Leaves out what is cut by the side of a tile and found in no other tile, as ArcGIS does."},
    {"return_bboxes", OPTION_FLAG, FIELD(return_bboxes), "no", NULL, 0, 0, NULL,
     "Writes the objects' boxes instead of their outlines. Models without masks want it."},
    {"test_time_augmentation", OPTION_FLAG, FIELD(test_time_augmentation), "no", NULL, 0, 0, NULL,
     "Looks at each tile in 8 views (4 where it is not square), mirrored and turned, and takes "
     "what "
     "at least half of them found; 8 times the work."},
    {"merge_policy", OPTION_CHOICE, FIELD(merge_policy), "mean", NULL, 0, 0, DETECT_POLICIES,
     "The confidence of what several views found. max keeps also what a single one found."},
    {"classes", OPTION_TEXT, FIELD(classes), "", NULL, 0, 0, NULL,
     "Only these classes, by name: Palm;House. Empty: all."},
    {"min_area", OPTION_REAL, FIELD(min_area), "0", "m2", 0, 1e15, NULL,
     "Smaller objects are left out."},
    {"simplify", OPTION_TEXT, FIELD(simplify), "0", NULL, 0, 0, NULL,
     "Tolerance with which outlines are simplified: 1.5px, or 0.3m on the ground. 0: they follow "
     "the pixels."},
    {"regularize", OPTION_FLAG, FIELD(regularize), "no", NULL, 0, 0, NULL,
     "Also writes right-angled outlines, into a second layer of the .gpkg, NAME_regular, where "
     "they "
     "cover the object to 80 % (intersection over union); elsewhere its outline."},
    {"confidence_scale", OPTION_CHOICE, FIELD(confidence_scale), "1", NULL, 0, 0, "1|100",
     "Confidence is written as 0 … 1, or as 0 … 100."},
    {"tile_size", OPTION_INT, FIELD(run.tile_size), "0", "px", 0, 16384, NULL,
     "Width and height of the tiles that the network sees, a multiple of its strides. 0: the "
     "model's, or 512 where it does not say; less where that saves overlap."},
    {"padding", OPTION_INT, FIELD(run.padding), "-1", "px", -1, 8192, NULL,
     "Neighbouring tiles overlap by twice that. Objects are put together over any number of tiles; "
     "those smaller than the overlap are seen whole by one. -1: a quarter of tile_size."},
    {"batch_size", OPTION_INT, FIELD(run.batch_size), "0", "tiles", 0, 4096, NULL,
     "Tiles computed together. 0: 1 on a CPU, up to 8 as memory allows on a GPU."},
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

const OptionTable detect_table = {
    .tool = "detect",
    .summary = "a raster + a model package -> polygons with class and confidence",
    .example =
        "mpirun -n 2 quadrat detect --raster=ortho.tif --model=roofs.dlpk --output=roofs.gpkg "
        "--quicklook=roofs.png",
    .options = options,
    .count = sizeof options / sizeof *options,
};

Status detect_simplify(const DetectOptions *given, DetectLength *length)
{
  char *unit;
  length->value = strtod(given->simplify, &unit);
  while (*unit == ' ')
    ++unit;
  length->in_metres = strcmp(unit, "m") == 0;
  const bool known = *unit == '\0' || length->in_metres || strcmp(unit, "px") == 0;
  if (unit == given->simplify || !known || !(length->value >= 0 && length->value <= 1e9))
    return status_set(STATUS_BAD_OPTION,
                      "--simplify=%s: takes a length of 0 or more, as 1.5px or 0.3m",
                      given->simplify);
  return STATUS_OK;
}

Status detect_result_path(const DetectOptions *given, Arena *arena, const char **path)
{
  if (strcmp(given->result, "none") == 0 || *given->result != '\0') {
    *path = strcmp(given->result, "none") == 0 ? "" : given->result;
    return STATUS_OK;
  }
  const char *dot = strrchr(path_file_name(given->output), '.');
  const size_t stem = dot == NULL ? strlen(given->output) : (size_t)(dot - given->output);
  const size_t bytes = stem + sizeof ".result.h5";
  void *text;
  TRY(arena_allocate(arena, bytes, &text));
  (void)snprintf(text, bytes, "%.*s.result.h5", (int)stem, given->output);
  *path = text;
  return STATUS_OK;
}

static Status check_result(const DetectOptions *given)
{
  const char *result = given->result;
  if (*result == '\0' || strcmp(result, "none") == 0 || path_has_ending(result, ".h5") ||
      path_has_ending(result, ".hdf5"))
    return STATUS_OK;
  return status_set(STATUS_BAD_OPTION,
                    "--result=%s: the name must end in .h5; none writes no such file", result);
}

Status detect_options_check(const DetectOptions *given)
{
  DetectLength length;
  if (*given->output == '\0')
    return status_set(STATUS_BAD_OPTION, "--output is empty; give the name of the features' file");
  TRY(object_file_check(given->output, given->format, given->regularize));
  TRY(check_result(given));
  if (*given->quicklook != '\0' && !path_has_ending(given->quicklook, ".png"))
    return status_set(STATUS_BAD_OPTION, "--quicklook=%s: the name must end in .png",
                      given->quicklook);
  TRY(detect_simplify(given, &length));
  if (given->return_bboxes && (given->regularize || length.value > 0))
    return status_set(STATUS_BAD_OPTION,
                      "--return_bboxes leaves nothing to simplify or to regularize");
  return raster_options_check(&given->run);
}
