/* Draws shapes that are known exactly (object_oracle.h) for the oracle that finds them:
 *
 *   make_shapes PATH.tif WIDTH HEIGHT LONGEST SEED [WEST_NODATA_PX] [nowhere]
 *
 * Three bands of uint16: number of the shape, class from 1, score in 65535ths. The westernmost
 * columns may be without data; "nowhere" leaves out the georeference. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gdal.h>
#include <ogr_srs_api.h>

#include "object_oracle.h"
#include "support/check.h"

enum { BANDS = 3, NODATA = 65535 };

static void set_place(GDALDatasetH raster)
{
  double place[6] = {300000, 0.5, 0, 3060000, 0, -0.5};
  OGRSpatialReferenceH crs = OSRNewSpatialReference(NULL);
  (void)OSRSetFromUserInput(crs, "EPSG:32645");
  (void)GDALSetGeoTransform(raster, place);
  (void)GDALSetSpatialRef(raster, crs);
  OSRRelease(crs);
}

static uint16_t value_of(const Oracle *oracle, int32_t label, int band)
{
  if (label == 0) return 0;
  if (band == 0) return (uint16_t)label;
  if (band == 1) return (uint16_t)(oracle->shapes[label].apart_class + 1);
  return (uint16_t)(oracle->shapes[label].score * 65534);
}

static void write_band(GDALDatasetH raster, const Oracle *oracle, int band, int nodata_px)
{
  uint16_t *row = malloc((size_t)oracle->width_px * sizeof *row);
  GDALRasterBandH to = GDALGetRasterBand(raster, band + 1);
  (void)GDALSetRasterNoDataValue(to, NODATA);
  for (int32_t y = 0; y < oracle->height_px; ++y) {
    for (int32_t x = 0; x < oracle->width_px; ++x)
      row[x] = x < nodata_px
                   ? NODATA
                   : value_of(oracle, oracle->labels[(int64_t)y * oracle->width_px + x], band);
    if (GDALRasterIO(to, GF_Write, 0, y, oracle->width_px, 1, row, oracle->width_px, 1, GDT_UInt16,
                     0, 0) != CE_None)
      exit(1);
  }
  free(row);
}

int main(int count, char **arguments)
{
  Oracle oracle;
  char *options[] = {"TILED=YES", "BLOCKXSIZE=64", "BLOCKYSIZE=64", "COMPRESS=DEFLATE", NULL};
  if (count < 6) {
    (void)fprintf(stderr, "usage: make_shapes PATH WIDTH HEIGHT LONGEST SEED [NODATA] [nowhere]\n");
    return 2;
  }
  GDALAllRegister();
  oracle_draw(strtoull(arguments[5], NULL, 10), (int32_t)strtol(arguments[2], NULL, 10),
              (int32_t)strtol(arguments[3], NULL, 10), (int32_t)strtol(arguments[4], NULL, 10),
              &oracle);
  GDALDatasetH raster = GDALCreate(GDALGetDriverByName("GTiff"), arguments[1], oracle.width_px,
                                   oracle.height_px, BANDS, GDT_UInt16, options);
  if (raster == NULL) return 1;
  if (count < 8 || strcmp(arguments[7], "nowhere") != 0) set_place(raster);
  for (int band = 0; band < BANDS; ++band)
    write_band(raster, &oracle, band, count < 7 ? 0 : (int)strtol(arguments[6], NULL, 10));
  GDALClose(raster);
  oracle_close(&oracle);
  return 0;
}
