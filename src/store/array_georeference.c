#include <math.h>
#include <stdio.h>
#include <string.h>

#include "array_door.h"
#include "base/memory.h"

enum { NAME_BYTES = ARRAY_PATH_BYTES + 32 };

/* What GDAL's netCDF driver honours (3.6): the variable named by grid_mapping with spatial_ref (or
 * crs_wkt) and GeoTransform, and x and y as HDF5 dimension scales. Names and units: CF
 * conventions 1.8, appendix F and section 4. */
typedef struct Grid {
  const char *crs_wkt;
  const double *pixel_to_map;
  int64_t height_px;
  int64_t width_px;
  char group[ARRAY_PATH_BYTES]; /* with its slash, or empty */
} Grid;

static void name_in_group(const Grid *grid, const char *name, char path[NAME_BYTES])
{
  (void)snprintf(path, NAME_BYTES, "%s%s", grid->group, name);
}

static bool is_geographic(const char *crs_wkt)
{
  return strncmp(crs_wkt, "GEOG", 4) == 0 || strncmp(crs_wkt, "GEODCRS", 7) == 0;
}

static Status write_axis(ArrayFile *file, const char *path, int64_t count, double origin,
                         double step)
{
  void *memory;
  const ArrayLayout layout = {.type = ARRAY_F64, .rank = 1, .dims = {count}};
  TRY(array_create_unlocked(file, path, &layout));
  TRY(memory_allocate((size_t)count, sizeof(double), "axis", &memory));
  double *centres = memory;
  for (int64_t i = 0; i < count; ++i)
    centres[i] = origin + ((double)i + 0.5) * step;
  const Status status = array_move_unlocked(file, path, NULL, NULL, ARRAY_F64, centres, false);
  memory_free(memory);
  return status;
}

/* A dimension scale, as the HDF5 dimension scale specification 1.0 has it. */
static Status describe_axis(ArrayFile *file, const char *path, const char *name,
                            const char *standard_name, const char *units, const char *axis)
{
  TRY(array_put_text(file, path, "CLASS", "DIMENSION_SCALE"));
  TRY(array_put_text(file, path, "NAME", name));
  TRY(array_put_text(file, path, "standard_name", standard_name));
  TRY(array_put_text(file, path, "units", units));
  return array_put_text(file, path, "axis", axis);
}

/* The linear unit of a projected system is the last one that its WKT names; UDUNITS knows metres as
 * "m". */
static void find_unit(const char *crs_wkt, char unit[64])
{
  (void)snprintf(unit, 64, "m");
  const char *found = NULL;
  for (const char *next = strstr(crs_wkt, "UNIT[\""); next != NULL;
       next = strstr(next + 1, "UNIT[\""))
    found = next + strlen("UNIT[\"");
  if (found == NULL) return;
  const size_t length = strcspn(found, "\"");
  const bool metre = (length == 5 || length == 6) && strncmp(found, "met", 3) == 0;
  if (!metre) (void)snprintf(unit, 64, "%.*s", (int)(length < 63 ? length : 63), found);
}

static Status write_axes(ArrayFile *file, const Grid *grid)
{
  const double *map = grid->pixel_to_map;
  const bool geographic = is_geographic(grid->crs_wkt);
  char path[NAME_BYTES];
  char unit[64];
  find_unit(grid->crs_wkt, unit);
  name_in_group(grid, "x", path);
  TRY(write_axis(file, path, grid->width_px, map[0], map[1]));
  TRY(describe_axis(file, path, "x", geographic ? "longitude" : "projection_x_coordinate",
                    geographic ? "degrees_east" : unit, "X"));
  name_in_group(grid, "y", path);
  TRY(write_axis(file, path, grid->height_px, map[3], map[5]));
  return describe_axis(file, path, "y", geographic ? "latitude" : "projection_y_coordinate",
                       geographic ? "degrees_north" : unit, "Y");
}

static Status write_crs(ArrayFile *file, const Grid *grid, const char *transform)
{
  char path[NAME_BYTES];
  const ArrayLayout layout = {.type = ARRAY_I32, .rank = 1, .dims = {1}};
  name_in_group(grid, "crs", path);
  TRY(array_create_unlocked(file, path, &layout));
  TRY(array_put_text(file, path, "crs_wkt", grid->crs_wkt));
  TRY(array_put_text(file, path, "spatial_ref", grid->crs_wkt));
  return array_put_text(file, path, "GeoTransform", transform);
}

/* The references that tell which scale belongs to which dimension. */
static Status attach_axes(ArrayFile *file, const char *path, const Grid *grid)
{
  hobj_ref_t axes[2];
  hvl_t lists[2] = {{.len = 1, .p = &axes[0]}, {.len = 1, .p = &axes[1]}};
  char axis[NAME_BYTES];
  name_in_group(grid, "y", axis);
  herr_t outcome = H5Rcreate(&axes[0], file->file, axis, H5R_OBJECT, -1);
  name_in_group(grid, "x", axis);
  if (outcome >= 0) outcome = H5Rcreate(&axes[1], file->file, axis, H5R_OBJECT, -1);
  if (outcome < 0) return array_failed(file, path, STATUS_IO, "refer to the axes of");
  const hid_t type = H5Tvlen_create(H5T_STD_REF_OBJ);
  const Status status =
      array_put_attribute(file, path, "DIMENSION_LIST", type, type, 2, false, lists);
  (void)H5Tclose(type);
  return status;
}

/* Of the array's own type, as CF wants it. */
static Status put_no_data(ArrayFile *file, const char *path, ArrayType type, double no_data)
{
  double value[1] = {no_data};
  if (isnan(no_data) && type != ARRAY_F32 && type != ARRAY_F64) return STATUS_OK;
  if (H5Tconvert(H5T_NATIVE_DOUBLE, array_memory_type(type), 1, value, NULL, H5P_DEFAULT) < 0)
    return array_failed(file, path, STATUS_IO, "write the NoData value of");
  return array_put_attribute(file, path, "_FillValue", array_file_type(type),
                             array_memory_type(type), 1, false, value);
}

static Status check_same(ArrayFile *file, const Grid *grid, const char *transform, Arena *arena)
{
  char path[NAME_BYTES];
  char *old_crs;
  char *old_transform;
  ArrayLayout x;
  ArrayLayout y;
  name_in_group(grid, "crs", path);
  TRY(array_read_text_unlocked(file, path, "crs_wkt", arena, &old_crs));
  TRY(array_read_text_unlocked(file, path, "GeoTransform", arena, &old_transform));
  name_in_group(grid, "x", path);
  TRY(array_layout_unlocked(file, path, &x));
  name_in_group(grid, "y", path);
  TRY(array_layout_unlocked(file, path, &y));
  if (strcmp(old_crs, grid->crs_wkt) != 0 || strcmp(old_transform, transform) != 0 ||
      x.dims[0] != grid->width_px || y.dims[0] != grid->height_px)
    return status_set(STATUS_MISMATCH, "%s: the group “%s” already holds arrays of another grid",
                      file->path, grid->group);
  return STATUS_OK;
}

static Status make_or_check_grid(ArrayFile *file, const Grid *grid, const char *transform)
{
  char path[NAME_BYTES];
  Arena *arena;
  name_in_group(grid, "crs", path);
  if (!array_exists_unlocked(file, path)) {
    TRY(write_axes(file, grid));
    return write_crs(file, grid, transform);
  }
  TRY(arena_open(&arena));
  const Status status = check_same(file, grid, transform, arena);
  arena_close(arena);
  return status;
}

static Status make_grid(ArrayFile *file, const char *path, const char *crs_wkt,
                        const double pixel_to_map[6], ArrayType *type, Grid *grid)
{
  ArrayLayout layout;
  TRY(array_layout_unlocked(file, path, &layout));
  if (layout.rank != 2)
    return status_set(STATUS_BAD_SHAPE, "%s: “%s” has %d dimensions; a map has two", file->path,
                      path, layout.rank);
  if (pixel_to_map[2] != 0 || pixel_to_map[4] != 0)
    return status_set(STATUS_UNSUPPORTED, "%s: “%s”: a rotated grid cannot be described in HDF5",
                      file->path, path);
  *type = layout.type;
  *grid = (Grid){.crs_wkt = crs_wkt,
                 .pixel_to_map = pixel_to_map,
                 .height_px = layout.dims[0],
                 .width_px = layout.dims[1]};
  const char *slash = strrchr(path, '/');
  const size_t group_bytes = slash == NULL ? 0 : (size_t)(slash - path) + 1;
  memcpy(grid->group, path, group_bytes);
  return STATUS_OK;
}

static Status georeference_unlocked(ArrayFile *file, const char *path, const char *crs_wkt,
                                    const double map[6], double no_data)
{
  char transform[256];
  ArrayType type = ARRAY_U8;
  Grid grid;
  TRY(make_grid(file, path, crs_wkt, map, &type, &grid));
  (void)snprintf(transform, sizeof transform, "%.17g %.17g %.17g %.17g %.17g %.17g", map[0], map[1],
                 map[2], map[3], map[4], map[5]);
  TRY(make_or_check_grid(file, &grid, transform));
  TRY(array_put_text(file, "", "Conventions", "CF-1.8"));
  TRY(attach_axes(file, path, &grid));
  TRY(put_no_data(file, path, type, no_data));
  return array_put_text(file, path, "grid_mapping", "crs");
}

Status array_georeference(ArrayFile *file, const char *path, const char *crs_wkt,
                          const double pixel_to_map[6], double no_data)
{
  array_lock();
  return array_unlock(georeference_unlocked(file, path, crs_wkt, pixel_to_map, no_data));
}
