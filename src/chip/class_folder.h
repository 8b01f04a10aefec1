#pragma once

/* Folders that are named after classes, as RCNN_Masks has them. */

#include "geo/class_table.h"

enum { CLASS_FOLDER_BYTES = CLASS_NAME_BYTES + 16 };

/* The class' name with '_' for what no file system takes; its value where nothing is left; with its
 * value after it where a class before it has the same. */
void class_folder_name(const ClassEntry *classes, int32_t index, char name[CLASS_FOLDER_BYTES]);
