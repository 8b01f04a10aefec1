#include "turned_read.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "geo/pixel.h"

void turned_reader_end(TurnedReader *reader)
{
  memory_free(reader->pixels);
  memory_free(reader->valid);
  *reader = (TurnedReader){.pixels = NULL};
}

static Status reserve(void **memory, size_t *capacity, size_t count, size_t bytes)
{
  if (*capacity >= count * bytes && *memory != NULL) return STATUS_OK;
  memory_free(*memory);
  *memory = NULL;
  TRY(memory_allocate(count, bytes, "a turned chip", memory));
  *capacity = count * bytes;
  return STATUS_OK;
}

static Status read_around(TurnedReader *reader, Raster *raster, Window around, const int32_t *bands,
                          int32_t band_count)
{
  const size_t pixel_count = (size_t)window_pixels(around);
  void *valid = reader->valid;
  Status status = reserve(&valid, &reader->valid_capacity, pixel_count, 1);
  reader->valid = valid;
  if (status == STATUS_OK)
    status = reserve(&reader->pixels, &reader->pixel_capacity, pixel_count,
                     (size_t)band_count * pixel_bytes(raster_type(raster)));
  if (status != STATUS_OK) return status;
  return raster_read(raster, around, bands, band_count, reader->pixels, reader->valid);
}

static void put_value(PixelType type, void *pixels, size_t index, double value)
{
  switch (type) {
  case PIXEL_U8: ((uint8_t *)pixels)[index] = (uint8_t)lrint(value); return;
  case PIXEL_U16: ((uint16_t *)pixels)[index] = (uint16_t)lrint(value); return;
  case PIXEL_I16: ((int16_t *)pixels)[index] = (int16_t)lrint(value); return;
  case PIXEL_F32: break;
  }
  ((float *)pixels)[index] = (float)value;
}

/* Four neighbours and their weights; those that are not valid weigh nothing, the others sum to 1.
 */
typedef struct Neighbours {
  int64_t places[4];
  double weights[4];
} Neighbours;

/* Coordinates that hit a centre but for rounding hit it. */
static double settle(double fraction)
{
  static const double slack = 1e-6;
  if (fraction < slack) return 0;
  return fraction > 1 - slack ? 1 : fraction;
}

static Neighbours find_neighbours(const TurnedReader *reader, Window around, double column,
                                  double row)
{
  Neighbours found;
  double sum = 0;
  const double x = column - 0.5 - (double)around.x_px;
  const double y = row - 0.5 - (double)around.y_px;
  const double u = settle(x - floor(x));
  const double v = settle(y - floor(y));
  for (int i = 0; i < 4; ++i) {
    const int64_t at_x = (int64_t)floor(x) + i % 2;
    const int64_t at_y = (int64_t)floor(y) + i / 2;
    const bool inside = at_x >= 0 && at_y >= 0 && at_x < around.width_px && at_y < around.height_px;
    found.places[i] = inside ? at_y * around.width_px + at_x : 0;
    found.weights[i] = (i % 2 == 1 ? u : 1 - u) * (i / 2 == 1 ? v : 1 - v);
    if (!inside || reader->valid[found.places[i]] == 0) found.weights[i] = 0;
    sum += found.weights[i];
  }
  for (int i = 0; i < 4; ++i)
    found.weights[i] = sum > 0 ? found.weights[i] / sum : 0;
  return found;
}

static bool is_valid_at(const TurnedReader *reader, Window around, double column, double row)
{
  const int64_t x = (int64_t)floor(column + 1e-6) - around.x_px;
  const int64_t y = (int64_t)floor(row + 1e-6) - around.y_px;
  if (x < 0 || y < 0 || x >= around.width_px || y >= around.height_px) return false;
  return reader->valid[y * around.width_px + x] != 0;
}

Status turned_read(TurnedReader *reader, Raster *raster, const Grid *grid, const int32_t *bands,
                   int32_t band_count, void *pixels, uint8_t *valid)
{
  const PixelType type = raster_type(raster);
  const Window around =
      window_grow(grid_window_of_extent(raster_grid(raster), grid_extent(grid)), 1);
  TRY(read_around(reader, raster, around, bands, band_count));
  memset(pixels, 0, (size_t)(grid->width_px * grid->height_px * band_count) * pixel_bytes(type));
  for (int64_t i = 0; i < grid->width_px * grid->height_px; ++i) {
    double x, y, column, row;
    grid_pixel_to_map(grid, (double)(i % grid->width_px) + 0.5, (double)(i / grid->width_px) + 0.5,
                      &x, &y);
    grid_map_to_pixel(raster_grid(raster), x, y, &column, &row);
    valid[i] = is_valid_at(reader, around, column, row);
    if (valid[i] == 0) continue;
    const Neighbours from = find_neighbours(reader, around, column, row);
    for (int32_t band = 0; band < band_count; ++band) {
      double value = 0;
      for (int n = 0; n < 4; ++n)
        value += from.weights[n] *
                 pixel_value(type, reader->pixels, (size_t)(from.places[n] * band_count + band));
      put_value(type, pixels, (size_t)(i * band_count + band), value);
    }
  }
  return STATUS_OK;
}
