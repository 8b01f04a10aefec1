#pragma once

#include "feature_file.h"
#include "geo/class_table.h"

/* The colours of the classes as a style that QGIS finds in a GeoPackage (its table layer_styles)
 * and applies by itself. */
typedef enum QgisFill { QGIS_FILLED, QGIS_OUTLINES } QgisFill;

Status qgis_style_write(FeatureFile *file, const char *class_field, const ClassEntry *classes,
                        int32_t class_count, QgisFill fill);
