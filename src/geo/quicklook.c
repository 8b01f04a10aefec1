#include "geo/quicklook.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "png_file.h"

/* All at the size of the picture. */
struct Quicklook {
  int32_t width_px;
  int32_t height_px;
  Window window; /* of the image that is shown */
  int32_t bands[3];
  int32_t band_count; /* 1: grey */
  void *image;        /* height x width x band_count of the image's type */
  uint8_t *valid;
  uint16_t *classes; /* NULL: none */
  uint8_t *classes_valid;
  uint8_t *rgba;
};

static void choose_bands(const Raster *image, const QuicklookOptions *options, Quicklook *look)
{
  const int32_t *wanted = options->bands;
  look->band_count = 3;
  memcpy(look->bands, wanted, sizeof look->bands);
  if (wanted[0] != 0 || wanted[1] != 0 || wanted[2] != 0) return;
  look->band_count = raster_band_count(image) >= 3 ? 3 : 1;
  for (int32_t i = 0; i < 3; ++i)
    look->bands[i] = i;
}

static void choose_size(const QuicklookOptions *options, Quicklook *look)
{
  const int64_t most = options->max_side_px < 1 ? 2048 : options->max_side_px;
  const int64_t width = look->window.width_px;
  const int64_t height = look->window.height_px;
  const int64_t longer = width > height ? width : height;
  const double scale = longer <= most ? 1 : (double)most / (double)longer;
  look->width_px = (int32_t)fmax(1, nearbyint((double)width * scale));
  look->height_px = (int32_t)fmax(1, nearbyint((double)height * scale));
}

static Status allocate(const Raster *image, bool with_classes, Quicklook *look)
{
  void *memory;
  const size_t pixels = (size_t)look->width_px * (size_t)look->height_px;
  const size_t pixel = (size_t)look->band_count * pixel_bytes(raster_type(image));
  TRY(memory_allocate(pixels, pixel, "a quicklook", &look->image));
  TRY(memory_allocate(pixels, 1, "a quicklook", &memory));
  look->valid = memory;
  TRY(memory_allocate(pixels, 4, "a quicklook", &memory));
  look->rgba = memory;
  if (!with_classes) return STATUS_OK;
  TRY(memory_allocate(pixels, sizeof(uint16_t), "a quicklook", &memory));
  look->classes = memory;
  TRY(memory_allocate(pixels, 1, "a quicklook", &memory));
  look->classes_valid = memory;
  return STATUS_OK;
}

static void release(Quicklook *look)
{
  memory_free(look->image);
  memory_free(look->valid);
  memory_free(look->classes);
  memory_free(look->classes_valid);
  memory_free(look->rgba);
}

static Status find_window(const Raster *image, const Raster *map, Quicklook *look)
{
  look->window = grid_window(raster_grid(image));
  if (map == NULL) return STATUS_OK;
  if (raster_type(map) != PIXEL_U8 && raster_type(map) != PIXEL_U16)
    return status_set(STATUS_MISMATCH, "%s: is %s, which is no class map", raster_path(map),
                      pixel_name(raster_type(map)));
  int64_t x_px, y_px;
  const Status status = grid_check_aligned(raster_grid(image), raster_grid(map), &x_px, &y_px);
  if (status != STATUS_OK)
    return status_prefix(status, "%s does not lie on %s", raster_path(map), raster_path(image));
  const Window of_map = {x_px, y_px, raster_grid(map)->width_px, raster_grid(map)->height_px};
  if (!window_contains(look->window, of_map))
    return status_set(STATUS_MISMATCH, "%s is no part of %s", raster_path(map), raster_path(image));
  look->window = of_map;
  return STATUS_OK;
}

/* uint8 classes are widened where they lie, from the last to the first. */
static Status read_classes(Raster *map, Quicklook *look)
{
  TRY(raster_read_reduced(map, grid_window(raster_grid(map)), RASTER_NEAREST, NULL, 1,
                          look->width_px, look->height_px, look->classes, look->classes_valid));
  if (raster_type(map) == PIXEL_U16) return STATUS_OK;
  const uint8_t *narrow = (const uint8_t *)look->classes;
  for (int64_t i = (int64_t)look->width_px * look->height_px - 1; i >= 0; --i)
    look->classes[i] = narrow[i];
  return STATUS_OK;
}

static int by_size(const void *left, const void *right)
{
  const float a = *(const float *)left;
  const float b = *(const float *)right;
  return a < b ? -1 : a > b;
}

/* The values below which 2 and 98 of 100 valid pixels lie. */
static Status stretch_of(const Quicklook *look, PixelType type, int32_t band, double *low,
                         double *high)
{
  void *memory;
  const size_t pixels = (size_t)look->width_px * (size_t)look->height_px;
  TRY(memory_allocate(pixels, sizeof(float), "a quicklook's histogram", &memory));
  float *sorted = memory;
  size_t count = 0;
  for (size_t i = 0; i < pixels; ++i)
    if (look->valid[i] != 0)
      sorted[count++] =
          (float)pixel_value(type, look->image, i * (size_t)look->band_count + (size_t)band);
  qsort(sorted, count, sizeof *sorted, by_size);
  *low = count == 0 ? 0 : (double)sorted[count * 2 / 100];
  *high = count == 0 ? 1 : (double)sorted[(count - 1) * 98 / 100];
  memory_free(memory);
  return STATUS_OK;
}

static uint8_t to_byte(double value)
{
  return (uint8_t)fmax(0, fmin(255, nearbyint(value)));
}

static Status paint_band(Quicklook *look, PixelType type, int32_t band)
{
  double low = 0, high = 255;
  if (type != PIXEL_U8) TRY(stretch_of(look, type, band, &low, &high));
  const double gain = high > low ? 255 / (high - low) : 1;
  const size_t pixels = (size_t)look->width_px * (size_t)look->height_px;
  for (size_t i = 0; i < pixels; ++i) {
    const size_t place = i * (size_t)look->band_count + (size_t)band;
    const uint8_t shown = to_byte((pixel_value(type, look->image, place) - low) * gain);
    look->rgba[4 * i + (size_t)band] = shown;
    if (look->band_count == 1) look->rgba[4 * i + 1] = look->rgba[4 * i + 2] = shown;
  }
  return STATUS_OK;
}

static void paint_nodata(Quicklook *look, bool transparent)
{
  const size_t pixels = (size_t)look->width_px * (size_t)look->height_px;
  for (size_t i = 0; i < pixels; ++i) {
    if (look->valid[i] == 0) memset(&look->rgba[4 * i], 255, 3);
    look->rgba[4 * i + 3] = look->valid[i] == 0 && transparent ? 0 : 255;
  }
}

/* Whether a neighbour to the right, left, above or below is of another class. */
static bool on_outline(const Quicklook *look, int32_t column, int32_t row)
{
  static const int32_t steps[4][2] = {{1, 0}, {-1, 0}, {0, 1}, {0, -1}};
  const uint16_t own = look->classes[(int64_t)row * look->width_px + column];
  for (int i = 0; i < 4; ++i) {
    const int32_t x = column + steps[i][0];
    const int32_t y = row + steps[i][1];
    if (x < 0 || y < 0 || x >= look->width_px || y >= look->height_px) continue;
    if (look->classes[(int64_t)y * look->width_px + x] != own) return true;
  }
  return false;
}

static void paint_classes(Quicklook *look, const ClassEntry *classes, int32_t class_count,
                          const QuicklookOptions *options)
{
  for (int32_t row = 0; row < look->height_px; ++row)
    for (int32_t column = 0; column < look->width_px; ++column) {
      const size_t i = (size_t)row * (size_t)look->width_px + (size_t)column;
      const uint16_t value = look->classes[i];
      const bool shown = value != 0 || options->show_background;
      if (!shown || look->classes_valid[i] == 0 || look->valid[i] == 0) continue;
      uint8_t rgb[3];
      const ClassEntry unnamed = {.value = value};
      const ClassEntry *entry = class_find(classes, class_count, value);
      class_colour(entry == NULL ? &unnamed : entry, rgb);
      const double opacity =
          options->outlines && on_outline(look, column, row) ? 1 : options->opacity;
      for (size_t part = 0; part < 3; ++part)
        look->rgba[4 * i + part] =
            to_byte(look->rgba[4 * i + part] * (1 - opacity) + rgb[part] * opacity);
    }
}

static Status paint_image(Raster *image, const QuicklookOptions *options, Quicklook *look)
{
  TRY(raster_read_reduced(image, look->window, RASTER_AVERAGE, look->bands, look->band_count,
                          look->width_px, look->height_px, look->image, look->valid));
  for (int32_t band = 0; band < look->band_count; ++band)
    TRY(paint_band(look, raster_type(image), band));
  paint_nodata(look, options->transparent_nodata);
  return STATUS_OK;
}

static Status paint(Raster *image, Raster *map, const ClassEntry *classes, int32_t class_count,
                    const QuicklookOptions *options, Quicklook *look)
{
  choose_bands(image, options, look);
  TRY(find_window(image, map, look));
  choose_size(options, look);
  TRY(allocate(image, map != NULL, look));
  TRY(paint_image(image, options, look));
  if (map == NULL) return STATUS_OK;
  TRY(read_classes(map, look));
  paint_classes(look, classes, class_count, options);
  return STATUS_OK;
}

Status quicklook_write(const char *png_path, Raster *image, const char *class_map_path,
                       const ClassEntry *classes, int32_t class_count,
                       const QuicklookOptions *options)
{
  Raster *map = NULL;
  Quicklook look = {.image = NULL};
  if (!(options->opacity >= 0 && options->opacity <= 1))
    return status_set(STATUS_BAD_OPTION, "an opacity of %g is not between 0 and 1",
                      options->opacity);
  Status status = class_map_path == NULL ? STATUS_OK : raster_open(class_map_path, &map);
  if (status == STATUS_OK) status = paint(image, map, classes, class_count, options, &look);
  if (status == STATUS_OK) status = png_write(png_path, look.width_px, look.height_px, look.rgba);
  raster_close(map);
  release(&look);
  return status;
}

/* Objects. */

static Status open_look(Raster *image, const QuicklookOptions *options, Quicklook *look)
{
  choose_bands(image, options, look);
  choose_size(options, look);
  TRY(allocate(image, false, look));
  return paint_image(image, options, look);
}

Status quicklook_open(Raster *image, Window window, const QuicklookOptions *options,
                      Quicklook **look)
{
  void *memory;
  *look = NULL;
  TRY(memory_allocate(1, sizeof **look, "a quicklook", &memory));
  Quicklook *opening = memory;
  opening->window = window;
  const Status status = open_look(image, options, opening);
  if (status == STATUS_OK)
    *look = opening;
  else
    quicklook_close(opening);
  return status;
}

static void paint_dot(Quicklook *look, int64_t column, int64_t row, const uint8_t rgb[3])
{
  if (column < 0 || row < 0 || column >= look->width_px || row >= look->height_px) return;
  memcpy(look->rgba + 4 * (row * look->width_px + column), rgb, 3);
}

static void draw_line(Quicklook *look, OutlinePoint from, OutlinePoint to, const uint8_t rgb[3])
{
  const bool is_wide = look->width_px > 1000 || look->height_px > 1000;
  const double scale_x = (double)look->width_px / (double)look->window.width_px;
  const double scale_y = (double)look->height_px / (double)look->window.height_px;
  const double x = (from.x_px - (double)look->window.x_px) * scale_x;
  const double y = (from.y_px - (double)look->window.y_px) * scale_y;
  const double width = (to.x_px - from.x_px) * scale_x;
  const double height = (to.y_px - from.y_px) * scale_y;
  const int64_t steps = 1 + (int64_t)fmax(fabs(width), fabs(height));
  for (int64_t i = 0; i <= steps; ++i) {
    const double share = (double)i / (double)steps;
    const int64_t column = (int64_t)floor(x + share * width);
    const int64_t row = (int64_t)floor(y + share * height);
    paint_dot(look, column, row, rgb);
    if (!is_wide) continue;
    paint_dot(look, column - 1, row, rgb);
    paint_dot(look, column, row - 1, rgb);
    paint_dot(look, column - 1, row - 1, rgb);
  }
}

void quicklook_draw(Quicklook *look, const Outline *outline, const uint8_t rgb[3])
{
  for (int64_t i = 0; i < outline->ring_count; ++i) {
    const OutlineRing *ring = &outline->rings[i];
    const OutlinePoint *points = outline->points + ring->first;
    for (int64_t j = 0; j < ring->count; ++j)
      draw_line(look, points[j], points[(j + 1) % ring->count], rgb);
  }
}

Status quicklook_save(const Quicklook *look, const char *png_path)
{
  return png_write(png_path, look->width_px, look->height_px, look->rgba);
}

void quicklook_close(Quicklook *look)
{
  if (look == NULL) return;
  release(look);
  memory_free(look);
}
