#include "geo/band_map.h"

#include "base/memory.h"
#include "cog_writer.h"

struct BandMap {
  CogWriter *writer;
};

static void describe(GDALDatasetH dataset, const BandMapOptions *options)
{
  for (int32_t i = 0; i < options->band_count; ++i) {
    GDALRasterBandH band = GDALGetRasterBand(dataset, i + 1);
    if (options->band_names != NULL) GDALSetDescription(band, options->band_names[i]);
    if (options->scale != 0 && options->scale != 1) (void)GDALSetRasterScale(band, options->scale);
  }
}

Status band_map_create(const char *path, const Grid *grid, const BandMapOptions *options,
                       BandMap **map)
{
  *map = NULL;
  void *memory;
  const CogSpec spec = {
      .type = options->type,
      .band_count = options->band_count,
      .has_nodata = options->has_nodata,
      .nodata = options->nodata,
      .overviews = COG_AVERAGE,
      .has_gradients = true,
      .is_rgb = options->is_rgb && options->band_count >= 3,
      .thread_count = options->thread_count,
  };
  TRY(memory_allocate(1, sizeof(BandMap), "a raster to write", &memory));
  BandMap *creating = memory;
  const Status status = cog_writer_create(path, grid, &spec, &creating->writer);
  if (status != STATUS_OK) {
    band_map_close(creating);
    return status;
  }
  describe(cog_writer_dataset(creating->writer), options);
  *map = creating;
  return STATUS_OK;
}

Status band_map_write(BandMap *map, Window window, const void *pixels)
{
  return cog_writer_write(map->writer, window, pixels);
}

Status band_map_finish(BandMap *map)
{
  return cog_writer_finish(map->writer);
}

void band_map_close(BandMap *map)
{
  if (map == NULL) return;
  cog_writer_close(map->writer);
  memory_free(map);
}
