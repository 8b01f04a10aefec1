#pragma once

/* Labels of PASCAL_VOC_rectangles, in the form in which ArcGIS writes them. */

#include "chip/chip_writer.h"

/* folder/labels/000000007.xml; the class is its value as text, boxes are in pixels, with two places.
 * Errors: STATUS_IO. */
Status voc_file_write(const char *folder, int64_t number, const ChipForm *form,
                      const ChipObjects *objects);
