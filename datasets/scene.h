#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

/* Makes NAME.tif and its labels in a folder. The same options give the same bytes, on any number of
 * threads. */
typedef enum SceneLabels { SCENE_LABELS_GPKG, SCENE_LABELS_GEOJSON } SceneLabels;

enum { SCENE_PATH_BYTES = 4096 };

typedef struct SceneOptions {
  const char *folder, *name;
  uint64_t seed;
  int64_t width_px, height_px;
  int64_t left_px, top_px; /* of the window in the seed's world; multiples of 8 */
  double cell_m;
  int32_t epsg;       /* a reference system in metres */
  SceneLabels labels; /* GeoJSON: in longitude and latitude, EPSG:4326 */
  bool big;           /* render one block of 4096 x 4096 px, repeat it mirrored */
} SceneOptions;

typedef struct SceneSummary {
  char raster_path[SCENE_PATH_BYTES], label_path[SCENE_PATH_BYTES];
  int64_t building_count, tent_count; /* labelled */
  int64_t nodata_px;
  double building_m2, tent_m2; /* of the labels */
} SceneSummary;

/* Errors: STATUS_BAD_OPTION (a window off the grid of 8 px, a reference system that is unknown or
 * not in metres), STATUS_IO, STATUS_NO_MEMORY. Nothing is left half-written. */
Status scene_make(const SceneOptions *options, SceneSummary *summary);
