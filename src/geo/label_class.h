#pragma once

#include "gdal_door.h"
#include "geo/class_table.h"
#include "geo/label_source.h"

/* How a layer's features get their class, and the table of classes. */
typedef enum ClassRule {
  CLASS_RULE_ONE,    /* all features are of one class */
  CLASS_RULE_NUMBER, /* the field is the value */
  CLASS_RULE_TEXT    /* the field is the name */
} ClassRule;

enum { FIELD_NAME_BYTES = 128 };

typedef struct LabelClasses {
  ClassRule rule;
  bool listed;    /* options.classes names the only ones that count */
  int field;      /* -1 with CLASS_RULE_ONE */
  int name_field; /* -1: none; names beside the numbers */
  char field_name[FIELD_NAME_BYTES];
  ClassEntry *entries; /* sorted by value; with CLASS_RULE_TEXT and not listed, by name too */
  int32_t count;
  int32_t capacity;
} LabelClasses;

/* Chooses the field and reads the whole column. Ends with the layer rewound. classes is ended by
 * label_classes_free in any case. */
Status label_classes_read(const char *path, OGRLayerH layer, const LabelOptions *options,
                          LabelClasses *classes);
void label_classes_free(LabelClasses *classes);
/* The feature's class value, -1 if it has none. */
int32_t label_classes_value(const LabelClasses *classes, OGRFeatureH feature);
/* The entry of a value, to count in; NULL if there is none. */
ClassEntry *label_classes_entry(LabelClasses *classes, int32_t value);
/* "building, road, …": what the field holds, for a sentence. */
void label_classes_sample(OGRLayerH layer, int field, size_t bytes, char *text);

/* Puts an entry into its place by value (or by name), unless it is there; grows the table. */
Status label_classes_insert(LabelClasses *classes, bool by_name, int32_t value, const char *name);
/* "building=1;road=2". Errors: STATUS_BAD_OPTION. */
Status label_classes_parse(const char *text, LabelClasses *classes);
