#include "tile_tables.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/output.h"
#include "base/path.h"
#include "geo/crs.h"
#include "store/document.h"

enum { CRS_WKT_BYTES = 8192 };

static void read_colour(const Document *item, ClassEntry *entry)
{
  double parts[3];
  size_t count = 0;
  bool present = false;
  if (document_get_reals(item, "Color", parts, 3, &count, &present) != STATUS_OK || !present ||
      count != 3)
    return;
  for (int i = 0; i < 3; ++i)
    if (!(parts[i] >= 0 && parts[i] <= 255)) return; /* -1: unknown */
  for (int i = 0; i < 3; ++i)
    entry->rgb[i] = (uint8_t)parts[i];
}

/* Newer and older spellings. */
static Status read_class(const Document *item, ChipClass *one)
{
  int64_t value = -1;
  const char *name = NULL;
  char number[16];
  bool present = false;
  TRY(document_get_int(item, "ClassValue", &value, &present));
  if (!present) TRY(document_get_int(item, "Value", &value, &present));
  TRY(document_get_text(item, "ClassName", &name, &present));
  if (!present) TRY(document_get_text(item, "Name", &name, &present));
  if (value < 0 || value > CLASS_LARGEST_VALUE)
    return status_set(STATUS_BAD_INPUT, "a class has the value %lld; they go from 0 to %d",
                      (long long)value, CLASS_LARGEST_VALUE);
  (void)snprintf(number, sizeof number, "%d", (int)value);
  *one = (ChipClass){.entry = class_entry((int32_t)value, name == NULL ? number : name)};
  read_colour(item, &one->entry);
  return STATUS_OK;
}

static int by_value(const void *a, const void *b)
{
  return ((const ChipClass *)a)->entry.value - ((const ChipClass *)b)->entry.value;
}

static Status sort_classes(TileTables *tables)
{
  qsort(tables->classes, (size_t)tables->class_count, sizeof *tables->classes, by_value);
  for (int32_t i = 1; i < tables->class_count; ++i)
    if (tables->classes[i].entry.value == tables->classes[i - 1].entry.value)
      return status_set(STATUS_BAD_INPUT, "the class %d stands twice in it",
                        tables->classes[i].entry.value);
  return STATUS_OK;
}

/* Counts of the classes, in the order of the list. */
static Status read_class_counts(const Document *root, TileTables *tables, bool *found)
{
  const Document *stats = document_child(root, "ClassPixelStats");
  const Document *pixels = document_child(stats, "NumPixelsPerClass");
  const Document *chips = document_child(stats, "NumImagesPerClass");
  *found = (int32_t)document_count(pixels) == tables->class_count &&
           (int32_t)document_count(chips) == tables->class_count;
  for (int32_t i = 0; *found && i < tables->class_count; ++i) {
    TRY(document_as_int(document_item(pixels, (size_t)i), &tables->classes[i].pixel_count));
    TRY(document_as_int(document_item(chips, (size_t)i), &tables->classes[i].chip_count));
  }
  return STATUS_OK;
}

/* The list may lack class 0, which has what all others leave. */
static void add_background(TileTables *tables, int64_t chip_count)
{
  int64_t left = tables->bands[0].pixel_count;
  bool has_background = false;
  for (int32_t i = 0; i < tables->class_count; ++i) {
    left -= tables->classes[i].pixel_count;
    has_background = has_background || tables->classes[i].entry.value == 0;
  }
  if (left < 0) left = 0;
  if (has_background) return;
  tables->classes[tables->class_count++] = (ChipClass){.entry = class_entry(0, "background"),
                                                       .pixel_count = left,
                                                       .chip_count = left > 0 ? chip_count : 0};
}

static Status read_class_list(const Document *list, Arena *arena, TileTables *tables)
{
  void *memory;
  const size_t count = document_count(list);
  if (count == 0 || count > CLASS_LARGEST_VALUE + 1) return STATUS_OK;
  TRY(arena_allocate(arena, (count + 1) * sizeof *tables->classes, &memory));
  tables->classes = memory;
  for (size_t i = 0; i < count; ++i)
    TRY(read_class(document_item(list, i), &tables->classes[i]));
  tables->class_count = (int32_t)count;
  tables->has_classes = true;
  return STATUS_OK;
}

static Status read_band(const Document *item, ChipBand *band)
{
  double squares = 0, count = 0;
  TRY(document_get_real(item, "Min", &band->least, NULL));
  TRY(document_get_real(item, "Max", &band->most, NULL));
  TRY(document_get_real(item, "M1", &band->mean, NULL));
  TRY(document_get_real(item, "M2", &squares, NULL));
  TRY(document_get_real(item, "Num", &count, NULL));
  if (!(count >= 0 && count < 0x1p62) || !(squares >= 0))
    return status_set(STATUS_BAD_INPUT, "the state of a band's statistics is impossible");
  band->pixel_count = (int64_t)count;
  band->standard_deviation = count > 0 ? sqrt(squares / count) : 0;
  return STATUS_OK;
}

static Status read_bands(const Document *root, int32_t band_count, TileTables *tables, bool *found)
{
  const Document *states = document_child(root, "BandStatsState");
  *found = document_kind(states) == DOCUMENT_LIST && (int32_t)document_count(states) == band_count;
  for (int32_t i = 0; *found && i < band_count; ++i)
    TRY(read_band(document_item(states, (size_t)i), &tables->bands[i]));
  return STATUS_OK;
}

static void read_band_names(const Document *root, int32_t band_count, TileTables *tables)
{
  const Document *names = document_child(document_child(root, "InputRastersProps"), "BandNames");
  const bool fits = (int32_t)document_count(names) == band_count;
  for (int32_t i = 0; i < band_count; ++i) {
    ChipBand *band = &tables->bands[i];
    const char *name = NULL;
    if (fits && document_as_text(document_item(names, (size_t)i), &name) == STATUS_OK)
      (void)snprintf(band->name, sizeof band->name, "%s", name);
    else
      (void)snprintf(band->name, sizeof band->name, "Band_%d", i + 1);
  }
}

/* wkid is ArcGIS' number: EPSG's, or its own. */
static Status read_crs(const Document *root, Arena *arena, TileTables *tables)
{
  static const char *const keys[] = {"latestWkid", "wkid"};
  static const char *const authorities[] = {"EPSG", "ESRI"};
  const Document *system = document_child(document_child(root, "MinCellSize"), "spatialReference");
  char text[32], wkt[CRS_WKT_BYTES];
  const char *own = NULL;
  bool present = false;
  if (document_get_text(system, "wkt", &own, &present) == STATUS_OK && present &&
      crs_of_text(own, sizeof wkt, wkt) == STATUS_OK)
    return arena_copy_text(arena, wkt, &tables->crs_wkt);
  for (int i = 0; i < 4; ++i) {
    int64_t number = 0;
    if (document_get_int(system, keys[i / 2], &number, &present) != STATUS_OK || number <= 0)
      continue;
    (void)snprintf(text, sizeof text, "%s:%lld", authorities[i % 2], (long long)number);
    if (crs_of_text(text, sizeof wkt, wkt) == STATUS_OK)
      return arena_copy_text(arena, wkt, &tables->crs_wkt);
  }
  return STATUS_OK;
}

static Status take_statistics(const Document *root, Arena *arena, int64_t chip_count,
                              int32_t band_count, TileTables *tables)
{
  bool bands = false, classes = false, present = false;
  int64_t tiles = -1;
  read_band_names(root, band_count, tables);
  TRY(read_crs(root, arena, tables));
  TRY(read_bands(root, band_count, tables, &bands));
  TRY(read_class_list(document_child(root, "Classes"), arena, tables));
  if (tables->has_classes) TRY(read_class_counts(root, tables, &classes));
  TRY(document_get_int(root, "NumTiles", &tiles, &present));
  tables->has_bands = bands && tiles == chip_count;
  tables->has_counts = tables->has_bands && classes;
  return STATUS_OK;
}

/* NULL where there is no such file. */
static Status read_document(const char *folder, const char *name, Document **document)
{
  char path[OUTPUT_PATH_BYTES];
  *document = NULL;
  TRY(path_join(folder, name, sizeof path, path));
  return path_exists(path) ? document_read(path, document) : STATUS_OK;
}

static Status read_statistics(const char *folder, Arena *arena, int64_t chip_count,
                              int32_t band_count, TileTables *tables)
{
  static const char name[] = "esri_accumulated_stats.json";
  Document *root = NULL;
  TRY(read_document(folder, name, &root));
  const Status status = take_statistics(root, arena, chip_count, band_count, tables);
  document_close(root);
  return status_prefix(status, "%s/%s", folder, name);
}

static Status read_definition(const char *folder, Arena *arena, TileTables *tables)
{
  static const char name[] = "esri_model_definition.emd";
  Document *root = NULL;
  if (tables->has_classes) return STATUS_OK;
  TRY(read_document(folder, name, &root));
  const Status status = read_class_list(document_child(root, "Classes"), arena, tables);
  document_close(root);
  return status_prefix(status, "%s/%s", folder, name);
}

Status tile_tables_read(const char *folder, Arena *arena, int64_t chip_count, int32_t band_count,
                        TileTables *tables)
{
  void *bands;
  *tables = (TileTables){.class_count = 0};
  TRY(arena_allocate(arena, (size_t)band_count * sizeof(ChipBand), &bands));
  TRY(arena_copy_text(arena, "", &tables->crs_wkt));
  tables->bands = bands;
  TRY(read_statistics(folder, arena, chip_count, band_count, tables));
  TRY(read_definition(folder, arena, tables));
  if (!tables->has_classes) return STATUS_OK;
  add_background(tables, chip_count);
  return status_prefix(sort_classes(tables), "%s", folder);
}
