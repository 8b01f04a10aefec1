/* Which fields of a layer are class and confidence, and what they say. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "polygon_layer_private.h"

/* -1 if there is none of the names. */
static int first_field(OGRFeatureDefnH definition, const char *const *names)
{
  for (; *names != NULL; ++names) {
    const int field = OGR_FD_GetFieldIndex(definition, *names);
    if (field >= 0) return field;
  }
  return -1;
}

static Status no_such_field(const char *path, OGRFeatureDefnH definition, const char *wanted)
{
  char known[300] = "";
  size_t length = 0;
  for (int i = 0; i < OGR_FD_GetFieldCount(definition) && length + 40 < sizeof known; ++i)
    length +=
        (size_t)snprintf(known + length, sizeof known - length, "%s%.30s", length == 0 ? "" : ", ",
                         OGR_Fld_GetNameRef(OGR_FD_GetFieldDefn(definition, i)));
  return status_set(STATUS_BAD_OPTION, "%s: has no field “%s”; it has: %s", path, wanted,
                    length == 0 ? "no fields at all" : known);
}

static Status choose(const char *path, OGRFeatureDefnH definition, const char *wanted,
                     const char *const *usual, int *field)
{
  *field = -1;
  if (wanted == NULL || wanted[0] == '\0') {
    *field = first_field(definition, usual);
    return STATUS_OK;
  }
  *field = OGR_FD_GetFieldIndex(definition, wanted);
  if (*field < 0 && strcmp(wanted, "none") != 0) return no_such_field(path, definition, wanted);
  return STATUS_OK;
}

static bool is_number(OGRFieldType type)
{
  return type == OFTInteger || type == OFTInteger64 || type == OFTReal;
}

/* Copies the field's name. */
static Status check_type(const char *path, OGRFeatureDefnH definition, int field, bool text_too,
                         char name[FIELD_NAME_BYTES])
{
  if (field < 0) return STATUS_OK;
  OGRFieldDefnH found = OGR_FD_GetFieldDefn(definition, field);
  const OGRFieldType type = OGR_Fld_GetType(found);
  (void)snprintf(name, FIELD_NAME_BYTES, "%s", OGR_Fld_GetNameRef(found));
  if (is_number(type) || (text_too && type == OFTString)) return STATUS_OK;
  return status_set(STATUS_BAD_OPTION, "%s: the field “%s” is of type %s; %s", path, name,
                    OGR_GetFieldTypeName(type),
                    text_too ? "a class is a number or a text" : "a confidence is a number");
}

Status polygon_fields_choose(OGRLayerH source, PolygonReading *reading)
{
  static const char *const classes[] = {"Class", "Classvalue", "class_value", "class_id",
                                        "Value", "class_name", NULL};
  static const char *const confidences[] = {"Confidence", "confidence_score", "score", NULL};
  PolygonLayer *layer = reading->layer;
  OGRFeatureDefnH definition = OGR_L_GetLayerDefn(source);
  TRY(choose(layer->path, definition, reading->options->class_field, classes,
             &reading->class_field));
  TRY(choose(layer->path, definition, reading->options->confidence_field, confidences,
             &reading->confidence_field));
  if (reading->confidence_field < 0 && reading->options->needs_confidence)
    return no_such_field(layer->path, definition, confidences[0]);
  TRY(check_type(layer->path, definition, reading->class_field, true, layer->class_field));
  return check_type(layer->path, definition, reading->confidence_field, false,
                    layer->confidence_field);
}

Status polygon_class_text(const PolygonReading *reading, OGRFeatureH feature, const char **text)
{
  char number[40];
  char *copy;
  const char *words = number;
  const int field = reading->class_field;
  *text = "";
  if (field < 0 || !OGR_F_IsFieldSetAndNotNull(feature, field)) return STATUS_OK;
  const OGRFieldType type = OGR_Fld_GetType(OGR_F_GetFieldDefnRef(feature, field));
  const double value = OGR_F_GetFieldAsDouble(feature, field);
  if (type == OFTString)
    words = OGR_F_GetFieldAsString(feature, field);
  else if (type == OFTReal && !(fabs(value) < 1e15 && value == floor(value)))
    (void)snprintf(number, sizeof number, "%.17g", value);
  else
    (void)snprintf(number, sizeof number, "%lld",
                   (long long)OGR_F_GetFieldAsInteger64(feature, field));
  TRY(arena_copy_text(reading->layer->arena, words, &copy));
  *text = copy;
  return STATUS_OK;
}

double polygon_confidence(const PolygonReading *reading, OGRFeatureH feature)
{
  const int field = reading->confidence_field;
  if (field < 0 || !OGR_F_IsFieldSetAndNotNull(feature, field)) return NAN;
  return OGR_F_GetFieldAsDouble(feature, field);
}

static bool whole_number(const char *text, long long *number)
{
  char *end;
  *number = strtoll(text, &end, 10);
  return *text != '\0' && *end == '\0' && strlen(text) < 18;
}

static int compare_classes(const char *a, const char *b)
{
  long long a_number, b_number;
  const bool a_is_number = whole_number(a, &a_number);
  const bool b_is_number = whole_number(b, &b_number);
  if (a_is_number != b_is_number) return a_is_number ? -1 : 1;
  if (a_is_number && a_number != b_number) return a_number < b_number ? -1 : 1;
  return strcmp(a, b);
}

static int by_class(const void *left, const void *right)
{
  return compare_classes(*(const char *const *)left, *(const char *const *)right);
}

static int32_t find_class(const PolygonLayer *layer, const char *text)
{
  int32_t low = 0, high = layer->class_count - 1;
  while (low < high) {
    const int32_t middle = low + (high - low) / 2;
    if (compare_classes(layer->classes[middle], text) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

Status polygon_classes_number(PolygonLayer *layer)
{
  void *memory;
  TRY(memory_allocate((size_t)layer->count, sizeof(char *), "classes of polygons", &memory));
  layer->classes = memory;
  for (int64_t i = 0; i < layer->count; ++i)
    layer->classes[i] = layer->shapes[i].class_text;
  if (layer->count > 1) qsort(memory, (size_t)layer->count, sizeof(char *), by_class);
  for (int64_t i = 0; i < layer->count; ++i) {
    const char *text = layer->classes[i];
    if (layer->class_count > 0 && strcmp(text, layer->classes[layer->class_count - 1]) == 0)
      continue;
    layer->classes[layer->class_count++] = text;
  }
  for (int64_t i = 0; i < layer->count; ++i)
    layer->items[i].class_index = find_class(layer, layer->shapes[i].class_text);
  return STATUS_OK;
}
