#pragma once

#include "flight.h"
#include "scene.h"

/* The two files of a scene; GDAL stays behind these. */
enum { SCENE_BIG_PX = 4096 };
static const double scene_origin_east_m = 330000.0, scene_origin_north_m = 3056000.0;

Status scene_write_raster(const SceneOptions *options, const World *world, const Flight *flight,
                          const char *path, int64_t *nodata_px);
Status scene_write_labels(const SceneOptions *options, const World *world, const Flight *flight,
                          const char *path, SceneSummary *summary);
