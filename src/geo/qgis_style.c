#include "qgis_style.h"

#include <stdio.h>
#include <string.h>

#include <cpl_conv.h>
#include <cpl_string.h>

#include "base/memory.h"

enum { BYTES_PER_CLASS = 2048, BYTES_AROUND = 512 };

/* Appends; what does not fit is cut, which the sizes above exclude. */
static void append(char *text, size_t bytes, const char *more)
{
  const size_t length = strlen(text);
  (void)snprintf(text + length, bytes - length, "%s", more);
}

static void append_category(char *text, size_t bytes, const ClassEntry *entry, int32_t index)
{
  char line[BYTES_PER_CLASS / 2];
  char *label = CPLEscapeString(entry->name, -1, CPLES_XML);
  (void)snprintf(line, sizeof line,
                 "<category value=\"%d\" symbol=\"%d\" label=\"%s\" type=\"integer\" "
                 "render=\"true\"/>",
                 entry->value, index, label);
  CPLFree(label);
  append(text, bytes, line);
}

static void append_symbol(char *text, size_t bytes, const ClassEntry *entry, int32_t index,
                          QgisFill fill)
{
  char line[BYTES_PER_CLASS / 2];
  uint8_t rgb[3];
  class_colour(entry, rgb);
  const bool filled = fill == QGIS_FILLED;
  const int darker = filled ? 2 : 1;
  (void)snprintf(line, sizeof line,
                 "<symbol type=\"fill\" name=\"%d\" alpha=\"1\"><layer class=\"SimpleFill\" "
                 "enabled=\"1\" locked=\"0\" pass=\"0\"><prop k=\"color\" v=\"%d,%d,%d,128\"/>"
                 "<prop k=\"outline_color\" v=\"%d,%d,%d,255\"/><prop k=\"outline_width\" "
                 "v=\"%s\"/><prop k=\"style\" v=\"%s\"/></layer></symbol>",
                 index, rgb[0], rgb[1], rgb[2], rgb[0] / darker, rgb[1] / darker, rgb[2] / darker,
                 filled ? "0.3" : "0.5", filled ? "solid" : "no");
  append(text, bytes, line);
}

static void compose(char *text, size_t bytes, const char *class_field, const ClassEntry *classes,
                    int32_t class_count, QgisFill fill)
{
  (void)snprintf(text, bytes,
                 "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'><qgis "
                 "version=\"3.16\"><renderer-v2 type=\"categorizedSymbol\" attr=\"%s\" "
                 "symbollevels=\"0\" enableorderby=\"0\"><categories>",
                 class_field);
  for (int32_t i = 0; i < class_count; ++i)
    append_category(text, bytes, &classes[i], i);
  append(text, bytes, "</categories><symbols>");
  for (int32_t i = 0; i < class_count; ++i)
    append_symbol(text, bytes, &classes[i], i, fill);
  append(text, bytes, "</symbols></renderer-v2></qgis>");
}

/* The columns that QGIS gives its table. */
static OGRLayerH create_table(GDALDatasetH dataset)
{
  static const char *const texts[] = {"f_table_catalog",   "f_table_schema", "f_table_name",
                                      "f_geometry_column", "styleName",      "styleQML",
                                      "styleSLD"};
  OGRLayerH layer = GDALDatasetCreateLayer(dataset, "layer_styles", NULL, wkbNone, NULL);
  if (layer == NULL) return NULL;
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; ++i) {
    OGRFieldDefnH field = OGR_Fld_Create(texts[i], OFTString);
    (void)OGR_L_CreateField(layer, field, TRUE);
    OGR_Fld_Destroy(field);
  }
  OGRFieldDefnH preset = OGR_Fld_Create("useAsDefault", OFTInteger);
  OGR_Fld_SetSubType(preset, OFSTBoolean);
  (void)OGR_L_CreateField(layer, preset, TRUE);
  OGR_Fld_Destroy(preset);
  static const char *const more[] = {"description", "owner", "ui"};
  for (size_t i = 0; i < sizeof more / sizeof more[0]; ++i) {
    OGRFieldDefnH field = OGR_Fld_Create(more[i], OFTString);
    (void)OGR_L_CreateField(layer, field, TRUE);
    OGR_Fld_Destroy(field);
  }
  OGRFieldDefnH time = OGR_Fld_Create("update_time", OFTDateTime);
  (void)OGR_L_CreateField(layer, time, TRUE);
  OGR_Fld_Destroy(time);
  return layer;
}

static void set_text(OGRFeatureH feature, const char *field, const char *text)
{
  OGR_F_SetFieldString(feature, OGR_F_GetFieldIndex(feature, field), text);
}

static bool add_style(OGRLayerH layer, FeatureFile *file, const char *style)
{
  OGRFeatureH feature = OGR_F_Create(OGR_L_GetLayerDefn(layer));
  set_text(feature, "f_table_catalog", "");
  set_text(feature, "f_table_schema", "");
  set_text(feature, "f_table_name", feature_file_layer_name(file));
  set_text(feature, "f_geometry_column", OGR_L_GetGeometryColumn(feature_file_layer(file)));
  set_text(feature, "styleName", "classes");
  set_text(feature, "styleQML", style);
  set_text(feature, "description", "the colours of the classes");
  set_text(feature, "update_time", "1970/01/01 00:00:00+00");
  OGR_F_SetFieldInteger(feature, OGR_F_GetFieldIndex(feature, "useAsDefault"), 1);
  const bool done = OGR_L_CreateFeature(layer, feature) == OGRERR_NONE;
  OGR_F_Destroy(feature);
  return done;
}

Status qgis_style_write(FeatureFile *file, const char *class_field, const ClassEntry *classes,
                        int32_t class_count, QgisFill fill)
{
  void *memory;
  const size_t bytes = BYTES_AROUND + (size_t)class_count * BYTES_PER_CLASS;
  TRY(memory_allocate(bytes, 1, "a style", &memory));
  compose(memory, bytes, class_field, classes, class_count, fill);
  GdalWatch watch;
  gdal_watch_begin(&watch);
  OGRLayerH layer = create_table(feature_file_dataset(file));
  const bool done = layer != NULL && add_style(layer, file, memory);
  gdal_watch_end(&watch);
  memory_free(memory);
  if (!done || watch.failed)
    return status_set(STATUS_IO, "%s: the style cannot be written (%s)",
                      feature_file_layer_name(file), gdal_watch_words(&watch));
  return STATUS_OK;
}
