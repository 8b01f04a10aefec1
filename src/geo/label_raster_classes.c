/* Where a raster of labels says what its values mean. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "geo/class_map.h"
#include "geo/grid.h"
#include "label_raster.h"

static int column_of(GDALRasterAttributeTableH table, GDALRATFieldUsage usage,
                     const char *const *names)
{
  for (; *names != NULL; ++names)
    for (int i = 0; i < GDALRATGetColumnCount(table); ++i)
      if (EQUAL(GDALRATGetNameOfCol(table, i), *names)) return i;
  return GDALRATGetColOfUsage(table, usage);
}

static void take_colour(GDALRasterAttributeTableH table, int row, ClassEntry *entry)
{
  static const GDALRATFieldUsage usages[3] = {GFU_Red, GFU_Green, GFU_Blue};
  static const char *const names[3][2] = {{"Red", NULL}, {"Green", NULL}, {"Blue", NULL}};
  for (int i = 0; i < 3; ++i) {
    const int column = column_of(table, usages[i], names[i]);
    if (column < 0) return;
    double part = GDALRATGetValueAsDouble(table, row, column);
    if (GDALRATGetTypeOfCol(table, column) == GFT_Real && part <= 1) part *= 255;
    if (part >= 0 && part <= 255) entry->rgb[i] = (uint8_t)(part + 0.5);
  }
}

static Status from_table(GDALRasterAttributeTableH table, LabelClasses *classes)
{
  static const char *const value_names[] = {"Value", NULL};
  static const char *const name_names[] = {"Class", "Class_Name", "ClassName", "Name", NULL};
  const int value_column = column_of(table, GFU_MinMax, value_names);
  const int name_column = column_of(table, GFU_Name, name_names);
  if (value_column < 0) return STATUS_OK;
  for (int row = 0; row < GDALRATGetRowCount(table); ++row) {
    const int value = GDALRATGetValueAsInt(table, row, value_column);
    char name[CLASS_NAME_BYTES];
    (void)snprintf(name, sizeof name, "%d", value);
    if (value < 0 || value > CLASS_LARGEST_VALUE) continue;
    if (name_column >= 0)
      (void)snprintf(name, sizeof name, "%s", GDALRATGetValueAsString(table, row, name_column));
    TRY(label_classes_insert(classes, false, value, name));
    take_colour(table, row, label_classes_entry(classes, value));
  }
  return STATUS_OK;
}

static void colour_from_palette(GDALColorTableH palette, ClassEntry *entry)
{
  const GDALColorEntry *colour = palette == NULL ? NULL : GDALGetColorEntry(palette, entry->value);
  if (colour == NULL) return;
  entry->rgb[0] = (uint8_t)colour->c1;
  entry->rgb[1] = (uint8_t)colour->c2;
  entry->rgb[2] = (uint8_t)colour->c3;
}

/* Category names are a list by value; empty ones are gaps. */
static Status from_categories(char **names, GDALColorTableH palette, LabelClasses *classes)
{
  for (int value = 0; names[value] != NULL && value <= CLASS_LARGEST_VALUE; ++value) {
    if (names[value][0] == '\0') continue;
    TRY(label_classes_insert(classes, false, value, names[value]));
    colour_from_palette(palette, label_classes_entry(classes, value));
  }
  return STATUS_OK;
}

static void mark_values(const LabelRaster *labels, int64_t count, uint8_t *seen)
{
  for (int64_t i = 0; i < count; ++i) {
    const int32_t value = labels->values[i];
    if (value > 0 && value <= CLASS_LARGEST_VALUE) seen[value] = 1;
  }
}

/* Whole rows of tiles at a time, so that each is decoded once. */
static Status scan(LabelRaster *labels, uint8_t *seen)
{
  int block_width, block_height;
  GDALGetBlockSize(labels->band, &block_width, &block_height);
  const Window all = grid_window(&labels->grid);
  int64_t height = block_height < 1024 ? block_height : 1024;
  int64_t width = LABEL_RASTER_WINDOW_PX / height;
  width = width > block_width ? width - width % block_width : width;
  for (int64_t y = 0; y < all.height_px; y += height)
    for (int64_t x = 0; x < all.width_px; x += width) {
      const Window part = window_intersect(all, (Window){x, y, width, height});
      TRY(label_raster_window(labels, part));
      mark_values(labels, window_pixels(part), seen);
    }
  return STATUS_OK;
}

static Status take_seen(const uint8_t *seen, GDALColorTableH palette, LabelClasses *classes)
{
  for (int32_t value = 1; value <= CLASS_LARGEST_VALUE; ++value) {
    if (seen[value] == 0) continue;
    char name[16];
    (void)snprintf(name, sizeof name, "%d", value);
    TRY(label_classes_insert(classes, false, value, name));
    colour_from_palette(palette, label_classes_entry(classes, value));
  }
  return STATUS_OK;
}

static Status from_pixels(LabelRaster *labels, GDALColorTableH palette, LabelClasses *classes)
{
  void *seen;
  TRY(memory_allocate(CLASS_LARGEST_VALUE + 1, 1, "class values", &seen));
  Status status = scan(labels, seen);
  if (status == STATUS_OK) status = take_seen(seen, palette, classes);
  memory_free(seen);
  return status;
}

static Status named_classes(GDALRasterBandH band, LabelClasses *classes)
{
  GDALRasterAttributeTableH table = GDALGetDefaultRAT(band);
  char **names = GDALGetRasterCategoryNames(band);
  if (table != NULL) TRY(from_table(table, classes));
  if (classes->count > 0 || names == NULL) return STATUS_OK;
  return from_categories(names, GDALGetRasterColorTable(band), classes);
}

Status label_raster_classes(LabelRaster *labels, LabelClasses *classes)
{
  TRY(named_classes(labels->band, classes));
  if (classes->count > 0) return STATUS_OK;
  return from_pixels(labels, GDALGetRasterColorTable(labels->band), classes);
}

static Status copy_classes(const LabelClasses *classes, Arena *arena, const ClassEntry **entries)
{
  void *memory;
  TRY(arena_allocate(arena, ((size_t)classes->count + 1) * sizeof(ClassEntry), &memory));
  if (classes->count > 0)
    memcpy(memory, classes->entries, (size_t)classes->count * sizeof(ClassEntry));
  *entries = memory;
  return STATUS_OK;
}

Status class_map_names(const char *path, Arena *arena, const ClassEntry **entries, int32_t *count)
{
  GdalWatch watch;
  LabelClasses classes = {.count = 0};
  gdal_watch_begin(&watch);
  GDALDatasetH dataset = GDALOpenEx(path, GDAL_OF_RASTER | GDAL_OF_VERBOSE_ERROR, NULL, NULL, NULL);
  gdal_watch_end(&watch);
  if (dataset == NULL) return gdal_open_failed(path, "a class map", &watch);
  Status status = STATUS_OK;
  if (GDALGetRasterCount(dataset) > 0)
    status = named_classes(GDALGetRasterBand(dataset, 1), &classes);
  if (status == STATUS_OK) status = copy_classes(&classes, arena, entries);
  *count = classes.count;
  label_classes_free(&classes);
  GDALClose(dataset);
  return status;
}
