#include "scene.h"

#include <cpl_conv.h>
#include <gdal.h>
#include <ogr_srs_api.h>
#include <stdio.h>

#include "base/output.h"
#include "base/path.h"
#include "scene_files.h"

static Status check_options(const SceneOptions *options)
{
  if (options->left_px % 8 != 0 || options->top_px % 8 != 0)
    return status_set(STATUS_BAD_OPTION, "the window starts at %lld, %lld px; give multiples of 8",
                      (long long)options->left_px, (long long)options->top_px);
  OGRSpatialReferenceH system = OSRNewSpatialReference(NULL);
  const bool metres = system != NULL && OSRImportFromEPSG(system, options->epsg) == OGRERR_NONE &&
                      OSRIsProjected(system) && OSRGetLinearUnits(system, NULL) == 1.0;
  OSRDestroySpatialReference(system);
  if (!metres)
    return status_set(STATUS_BAD_OPTION,
                      "EPSG:%d is no projected reference system in metres; take a UTM zone",
                      (int)options->epsg);
  return STATUS_OK;
}

static Status name_files(const SceneOptions *options, SceneSummary *summary)
{
  char file[256];
  const char *ending = options->labels == SCENE_LABELS_GPKG ? "gpkg" : "geojson";
  if (snprintf(file, sizeof file, "%s.tif", options->name) >= (int)sizeof file)
    return status_set(STATUS_BAD_OPTION, "the name %.40s… is too long", options->name);
  TRY(path_join(options->folder, file, sizeof summary->raster_path, summary->raster_path));
  if (snprintf(file, sizeof file, "%s.%s", options->name, ending) >= (int)sizeof file)
    return status_set(STATUS_BAD_OPTION, "the name %.40s… is too long", options->name);
  TRY(path_join(options->folder, file, sizeof summary->label_path, summary->label_path));
  TRY(output_make_folder(options->folder));
  TRY(output_check_writable(summary->raster_path));
  return output_check_writable(summary->label_path);
}

static Status write_files(const SceneOptions *options, SceneSummary *summary)
{
  char raster_aside[OUTPUT_PATH_BYTES], label_aside[OUTPUT_PATH_BYTES];
  const World world = world_from_seed(options->seed);
  const Flight flight = flight_over(&world, options->width_px, options->height_px);
  TRY(output_aside(summary->raster_path, raster_aside));
  TRY(output_aside(summary->label_path, label_aside));
  TRY(scene_write_labels(options, &world, &flight, label_aside, summary));
  TRY(scene_write_raster(options, &world, &flight, raster_aside, &summary->nodata_px));
  TRY(output_commit(summary->label_path));
  return output_commit(summary->raster_path);
}

Status scene_make(const SceneOptions *options, SceneSummary *summary)
{
  *summary = (SceneSummary){0};
  GDALAllRegister();
  CPLPushErrorHandler(CPLQuietErrorHandler);
  Status status = check_options(options);
  if (status == STATUS_OK) status = name_files(options, summary);
  if (status == STATUS_OK) {
    output_discard(summary->raster_path);
    output_discard(summary->label_path);
    status = write_files(options, summary);
    output_discard(summary->raster_path);
    output_discard(summary->label_path);
  }
  CPLPopErrorHandler();
  return status;
}
