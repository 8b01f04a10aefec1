#include "geo/class_map.h"

#include <string.h>

#include <cpl_string.h>

#include "base/memory.h"
#include "cog_writer.h"

struct ClassMap {
  CogWriter *writer;
};

static Status check_classes(const char *path, const ClassEntry *classes, int32_t class_count,
                            const ClassMapOptions *options)
{
  const int32_t most = options->type == PIXEL_U8 ? UINT8_MAX : UINT16_MAX;
  if (options->type != PIXEL_U8 && options->type != PIXEL_U16)
    return status_set(STATUS_BAD_OPTION, "%s: a class map is uint8 or uint16, not %s", path,
                      pixel_name(options->type));
  if (options->nodata < -1 || options->nodata > most)
    return status_set(STATUS_BAD_OPTION, "%s: NoData %d is no %s", path, options->nodata,
                      pixel_name(options->type));
  for (int32_t i = 0; i < class_count; ++i) {
    if (classes[i].value < 0 || classes[i].value > most)
      return status_set(STATUS_BAD_OPTION, "%s: the class “%s” has the value %d, which is no %s",
                        path, classes[i].name, classes[i].value, pixel_name(options->type));
    if (classes[i].value == options->nodata)
      return status_set(STATUS_BAD_OPTION, "%s: the value %d means both NoData and class “%s”",
                        path, options->nodata, classes[i].name);
  }
  return STATUS_OK;
}

static void set_colours(GDALRasterBandH band, const ClassEntry *classes, int32_t class_count)
{
  GDALColorTableH table = GDALCreateColorTable(GPI_RGB);
  const GDALColorEntry nothing = {0, 0, 0, 0};
  GDALSetColorEntry(table, 0, &nothing);
  for (int32_t i = 0; i < class_count; ++i) {
    uint8_t rgb[3];
    class_colour(&classes[i], rgb);
    const GDALColorEntry colour = {rgb[0], rgb[1], rgb[2], 255};
    GDALSetColorEntry(table, classes[i].value, &colour);
  }
  (void)GDALSetRasterColorTable(band, table);
  GDALDestroyColorTable(table);
}

/* Category names are a list by value, so gaps between values are empty names. */
static void set_names(GDALRasterBandH band, const ClassEntry *classes, int32_t class_count)
{
  char **names = NULL;
  const int32_t largest = class_largest_value(classes, class_count);
  for (int32_t value = 0; value <= largest; ++value) {
    const ClassEntry *entry = class_find(classes, class_count, value);
    names = CSLAddString(names, entry == NULL ? "" : entry->name);
  }
  if (names != NULL) (void)GDALSetRasterCategoryNames(band, names);
  CSLDestroy(names);
}

static void set_attribute_table(GDALRasterBandH band, const ClassEntry *classes,
                                int32_t class_count)
{
  GDALRasterAttributeTableH table = GDALCreateRasterAttributeTable();
  (void)GDALRATCreateColumn(table, "Value", GFT_Integer, GFU_MinMax);
  (void)GDALRATCreateColumn(table, "Class", GFT_String, GFU_Name);
  (void)GDALRATCreateColumn(table, "Red", GFT_Integer, GFU_Red);
  (void)GDALRATCreateColumn(table, "Green", GFT_Integer, GFU_Green);
  (void)GDALRATCreateColumn(table, "Blue", GFT_Integer, GFU_Blue);
  (void)GDALRATSetTableType(table, GRTT_THEMATIC);
  for (int32_t i = 0; i < class_count; ++i) {
    uint8_t rgb[3];
    class_colour(&classes[i], rgb);
    GDALRATSetValueAsInt(table, i, 0, classes[i].value);
    GDALRATSetValueAsString(table, i, 1, classes[i].name);
    for (int part = 0; part < 3; ++part)
      GDALRATSetValueAsInt(table, i, 2 + part, rgb[part]);
  }
  (void)GDALSetDefaultRAT(band, table);
  GDALDestroyRasterAttributeTable(table);
}

Status class_map_create(const char *path, const Grid *grid, const ClassEntry *classes,
                        int32_t class_count, const ClassMapOptions *options, ClassMap **map)
{
  *map = NULL;
  const CogSpec spec = {
      .type = options->type,
      .band_count = 1,
      .has_nodata = options->nodata >= 0,
      .nodata = options->nodata,
      .overviews = COG_MODE,
      .thread_count = options->thread_count,
  };
  TRY(check_classes(path, classes, class_count, options));
  void *memory;
  TRY(memory_allocate(1, sizeof(ClassMap), "a class map", &memory));
  ClassMap *creating = memory;
  const Status status = cog_writer_create(path, grid, &spec, &creating->writer);
  if (status != STATUS_OK) {
    class_map_close(creating);
    return status;
  }
  GDALRasterBandH band = GDALGetRasterBand(cog_writer_dataset(creating->writer), 1);
  set_colours(band, classes, class_count);
  set_names(band, classes, class_count);
  set_attribute_table(band, classes, class_count);
  *map = creating;
  return STATUS_OK;
}

Status class_map_write(ClassMap *map, Window window, const void *values)
{
  return cog_writer_write(map->writer, window, values);
}

Status class_map_finish(ClassMap *map)
{
  return cog_writer_finish(map->writer);
}

void class_map_close(ClassMap *map)
{
  if (map == NULL) return;
  cog_writer_close(map->writer);
  memory_free(map);
}
