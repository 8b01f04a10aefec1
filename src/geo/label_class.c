#include "label_class.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cpl_string.h>

#include "base/memory.h"

static int find_field(OGRFeatureDefnH definition, const char *const *names)
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
  for (int i = 0; i < OGR_FD_GetFieldCount(definition) && length + 40 < sizeof known; ++i) {
    const char *name = OGR_Fld_GetNameRef(OGR_FD_GetFieldDefn(definition, i));
    const int written =
        snprintf(known + length, sizeof known - length, "%s%.30s", length == 0 ? "" : ", ", name);
    length += written > 0 ? (size_t)written : 0;
  }
  return status_set(STATUS_BAD_OPTION, "%s: has no field “%s”; it has: %s", path, wanted,
                    length == 0 ? "no fields at all" : known);
}

static Status choose_field(const char *path, OGRFeatureDefnH definition, const char *wanted,
                           LabelClasses *classes)
{
  static const char *const usual[] = {"classvalue", "value", "class_value",
                                      "class_id",   "class", NULL};
  static const char *const names[] = {"classname", "class_name", "class", "name", NULL};
  if (wanted == NULL || wanted[0] == '\0') {
    classes->field = find_field(definition, usual);
  } else {
    classes->field = OGR_FD_GetFieldIndex(definition, wanted);
    if (classes->field < 0 && strcmp(wanted, "none") != 0)
      return no_such_field(path, definition, wanted);
  }
  if (classes->field < 0) return STATUS_OK;

  OGRFieldDefnH field = OGR_FD_GetFieldDefn(definition, classes->field);
  const OGRFieldType type = OGR_Fld_GetType(field);
  (void)snprintf(classes->field_name, sizeof classes->field_name, "%s", OGR_Fld_GetNameRef(field));
  if (type == OFTString) {
    classes->rule = CLASS_RULE_TEXT;
    return STATUS_OK;
  }
  classes->rule = CLASS_RULE_NUMBER;
  if (type != OFTInteger && type != OFTInteger64 && type != OFTReal)
    return status_set(STATUS_BAD_OPTION,
                      "%s: the field “%s” is of type %s; a class is a number or a text", path,
                      classes->field_name, OGR_GetFieldTypeName(type));
  classes->name_field = find_field(definition, names);
  if (classes->name_field >= 0 &&
      OGR_Fld_GetType(OGR_FD_GetFieldDefn(definition, classes->name_field)) != OFTString)
    classes->name_field = -1;
  return STATUS_OK;
}

static bool is_filled(OGRFeatureH feature, int field)
{
  return OGR_F_IsFieldSetAndNotNull(feature, field) != 0;
}

/* A whole number from 0 on, written with digits only. */
static bool is_class_number(const char *text, int32_t *value)
{
  if (text[0] == '\0' || strlen(text) > 5 || strspn(text, "0123456789") != strlen(text))
    return false;
  const long number = strtol(text, NULL, 10);
  *value = (int32_t)number;
  return number <= CLASS_LARGEST_VALUE;
}

static Status note_number(const char *path, LabelClasses *classes, OGRFeatureH feature)
{
  const double number = OGR_F_GetFieldAsDouble(feature, classes->field);
  if (!(number >= 0 && number <= CLASS_LARGEST_VALUE) || number != floor(number))
    return status_set(
        STATUS_BAD_OPTION,
        "%s: feature %lld has %.10g in the field “%s”; class values are whole numbers "
        "from 0 to %d (name another class field, or none)",
        path, (long long)OGR_F_GetFID(feature), number, classes->field_name, CLASS_LARGEST_VALUE);
  char digits[16];
  const char *name = digits;
  (void)snprintf(digits, sizeof digits, "%d", (int)number);
  if (classes->name_field >= 0 && is_filled(feature, classes->name_field) &&
      OGR_F_GetFieldAsString(feature, classes->name_field)[0] != '\0')
    name = OGR_F_GetFieldAsString(feature, classes->name_field);
  return label_classes_insert(classes, false, (int32_t)number, name);
}

static Status note_text(const char *path, LabelClasses *classes, OGRFeatureH feature)
{
  const char *text = OGR_F_GetFieldAsString(feature, classes->field);
  if (text[0] == '\0') return STATUS_OK;
  if (strlen(text) >= CLASS_NAME_BYTES)
    return status_set(
        STATUS_BAD_OPTION,
        "%s: feature %lld has a text of %zu bytes in the field “%s”; names of classes "
        "have at most %d",
        path, (long long)OGR_F_GetFID(feature), strlen(text), classes->field_name,
        CLASS_NAME_BYTES - 1);
  if (classes->count >= CLASS_LARGEST_VALUE)
    return status_set(STATUS_BAD_OPTION,
                      "%s: the field “%s” has more than %d different texts; is it a class?", path,
                      classes->field_name, CLASS_LARGEST_VALUE);
  return label_classes_insert(classes, true, 0, text);
}

/* Reads the class column of all features. OGR hands out a feature that is ours to end, so the loop
 * may not return early. */
static Status note_all(const char *path, OGRLayerH layer, LabelClasses *classes)
{
  Status status = STATUS_OK;
  const char *without_geometry[] = {"OGR_GEOMETRY", NULL};
  (void)OGR_L_SetIgnoredFields(layer, without_geometry);
  OGR_L_ResetReading(layer);
  GdalWatch watch;
  gdal_watch_begin(&watch);
  OGRFeatureH feature = NULL;
  while (status == STATUS_OK && (feature = OGR_L_GetNextFeature(layer)) != NULL) {
    if (is_filled(feature, classes->field))
      status = classes->rule == CLASS_RULE_TEXT ? note_text(path, classes, feature)
                                                : note_number(path, classes, feature);
    OGR_F_Destroy(feature);
  }
  gdal_watch_end(&watch);
  (void)OGR_L_SetIgnoredFields(layer, NULL);
  OGR_L_ResetReading(layer);
  if (status == STATUS_OK && watch.failed)
    status = status_set(STATUS_BAD_INPUT, "%s: cannot read the labels (%s)", path,
                        gdal_watch_words(&watch));
  return status;
}

/* Texts get values: the numbers they are, if all are numbers, else 1, 2, … in their order. */
static Status number_texts(LabelClasses *classes)
{
  LabelClasses numbered = {.field = -1};
  bool all_numbers = classes->count > 0;
  int32_t value;
  for (int32_t i = 0; i < classes->count; ++i) {
    all_numbers = all_numbers && is_class_number(classes->entries[i].name, &value);
    classes->entries[i] = class_entry(i + 1, classes->entries[i].name);
  }
  if (!all_numbers) return STATUS_OK;

  Status status = STATUS_OK;
  for (int32_t i = 0; i < classes->count && status == STATUS_OK; ++i) {
    (void)is_class_number(classes->entries[i].name, &value);
    status = label_classes_insert(&numbered, false, value, classes->entries[i].name);
  }
  memory_free(classes->entries);
  classes->entries = numbered.entries;
  classes->count = numbered.count;
  classes->capacity = numbered.capacity;
  classes->rule = CLASS_RULE_NUMBER;
  return status;
}

Status label_classes_read(const char *path, OGRLayerH layer, const LabelOptions *options,
                          LabelClasses *classes)
{
  *classes = (LabelClasses){.field = -1, .name_field = -1};
  TRY(choose_field(path, OGR_L_GetLayerDefn(layer), options->class_field, classes));
  classes->listed = options->classes != NULL && options->classes[0] != '\0';
  if (classes->listed) {
    TRY(label_classes_parse(options->classes, classes));
    if (classes->count == 0 || (classes->rule == CLASS_RULE_ONE && classes->count != 1))
      return status_set(STATUS_BAD_OPTION,
                        "%s: has no class field, so that all features are of one class, but %d "
                        "classes are listed",
                        path, classes->count);
    return STATUS_OK;
  }
  if (classes->rule == CLASS_RULE_ONE) return label_classes_insert(classes, false, 1, "1");
  TRY(note_all(path, layer, classes));
  return classes->rule == CLASS_RULE_TEXT ? number_texts(classes) : STATUS_OK;
}

static int32_t value_of_text(const LabelClasses *classes, const char *text)
{
  int32_t first = 0;
  int32_t last = classes->count;
  if (classes->listed) {
    while (first < last && strcmp(classes->entries[first].name, text) != 0)
      ++first;
    return first < last ? classes->entries[first].value : -1;
  }
  while (first < last) {
    const int32_t middle = first + (last - first) / 2;
    if (strcmp(classes->entries[middle].name, text) < 0)
      first = middle + 1;
    else
      last = middle;
  }
  const bool found = first < classes->count && strcmp(classes->entries[first].name, text) == 0;
  return found ? classes->entries[first].value : -1;
}

int32_t label_classes_value(const LabelClasses *classes, OGRFeatureH feature)
{
  if (classes->rule == CLASS_RULE_ONE) return classes->entries[0].value;
  if (!is_filled(feature, classes->field)) return -1;
  if (classes->rule == CLASS_RULE_TEXT)
    return value_of_text(classes, OGR_F_GetFieldAsString(feature, classes->field));
  if (OGR_F_GetFieldAsString(feature, classes->field)[0] == '\0') return -1;
  const double number = OGR_F_GetFieldAsDouble(feature, classes->field);
  if (!(number >= 0 && number <= CLASS_LARGEST_VALUE) || number != floor(number)) return -1;
  return class_find(classes->entries, classes->count, (int32_t)number) == NULL ? -1
                                                                               : (int32_t)number;
}

void label_classes_sample(OGRLayerH layer, int field, size_t bytes, char *text)
{
  size_t length = 0;
  text[0] = '\0';
  OGR_L_ResetReading(layer);
  for (int i = 0; i < 1000; ++i) {
    OGRFeatureH feature = OGR_L_GetNextFeature(layer);
    if (feature == NULL) break;
    const char *held = field < 0 ? "" : OGR_F_GetFieldAsString(feature, field);
    if (strstr(text, held) == NULL && length + 40 < bytes) {
      const int written =
          snprintf(text + length, bytes - length, "%s%.30s", length == 0 ? "" : ", ", held);
      length += written > 0 ? (size_t)written : 0;
    }
    OGR_F_Destroy(feature);
  }
  OGR_L_ResetReading(layer);
}
