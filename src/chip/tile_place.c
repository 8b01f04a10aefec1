#include "tile_place.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/output.h"
#include "base/path.h"
#include "geo/raster.h"

static bool read_world_file(const char *path, Grid *grid)
{
  double n[6];
  FILE *stream = fopen(path, "re");
  if (stream == NULL) return false;
  const int count =
      fscanf(stream, "%lf %lf %lf %lf %lf %lf", &n[0], &n[1], &n[2], &n[3], &n[4], &n[5]);
  (void)fclose(stream);
  if (count != 6 || n[0] * n[3] - n[1] * n[2] == 0) return false;
  double *m = grid->pixel_to_map;
  m[1] = n[0];
  m[4] = n[1];
  m[2] = n[2];
  m[5] = n[3];
  m[0] = n[4] - (m[1] + m[2]) / 2; /* the file names the centre of the first pixel */
  m[3] = n[5] - (m[4] + m[5]) / 2;
  return true;
}

/* .tif: .tfw, .tifw; and .wld for all. */
static bool find_world_file(const char *image_path, Grid *grid)
{
  char path[OUTPUT_PATH_BYTES];
  const char *name = path_file_name(image_path);
  const char *dot = strrchr(name, '.');
  if (dot == NULL || strlen(dot) < 4) return false;
  const char endings[3][8] = {
      {'.', dot[1], dot[strlen(dot) - 1], 'w'},
      {'.', dot[1], dot[2], dot[3], dot[4] == '\0' ? 'w' : dot[4], dot[4] == '\0' ? '\0' : 'w'},
      ".wld"};
  for (int i = 0; i < 3; ++i) {
    const int bytes =
        snprintf(path, sizeof path, "%.*s%s", (int)(dot - image_path), image_path, endings[i]);
    if (bytes > 0 && bytes < (int)sizeof path && read_world_file(path, grid)) return true;
  }
  return false;
}

Status tile_grid(const char *image_path, int32_t width_px, int32_t height_px, Grid *grid,
                 bool *found)
{
  Raster *raster = NULL;
  *grid = (Grid){.width_px = width_px, .height_px = height_px, .crs_wkt = ""};
  *found = find_world_file(image_path, grid);
  if (*found) return STATUS_OK;
  TRY(raster_open(image_path, &raster));
  *found = raster_is_georeferenced(raster);
  memcpy(grid->pixel_to_map, raster_grid(raster)->pixel_to_map, sizeof grid->pixel_to_map);
  raster_close(raster);
  return STATUS_OK;
}

ChipPlace tile_place(const Grid *first, const Grid *grid)
{
  static const double slack_px = 0.01; /* world files have ten decimals */
  const Extent origin = grid_extent(first);
  const Extent box = grid_extent(grid);
  double width, height;
  grid_cell_size(first, &width, &height);
  const double left = floor((box.x_min - origin.x_min) / width + slack_px);
  const double top = floor((origin.y_max - box.y_max) / height + slack_px);
  const double right = ceil((box.x_max - origin.x_min) / width - slack_px);
  const double bottom = ceil((origin.y_max - box.y_min) / height - slack_px);
  const double most = 0x1p60;
  if (!(fabs(left) < most && fabs(top) < most && fabs(right) < most && fabs(bottom) < most))
    return (ChipPlace){.raster = -1};
  return (ChipPlace){.x_px = (int64_t)left,
                     .y_px = (int64_t)top,
                     .width_px = (int64_t)(right - left),
                     .height_px = (int64_t)(bottom - top)};
}
