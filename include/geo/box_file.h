#pragma once

#include <stdint.h>

#include "base/status.h"

/* Labels that are boxes, in a file for each chip. */
typedef struct BoxLabel {
  char name[96]; /* as the file has it: a class value as text, or a class' name */
  double box[4]; /* x1, y1, x2, y2 in pixels, as they stand there: maybe no numbers at all */
} BoxLabel;

typedef struct BoxLabels {
  BoxLabel *items;
  int32_t count;
  int32_t capacity;
} BoxLabels;

/* The objects of an XML file as PASCAL VOC and ArcGIS write it: <annotation>, in it <object> with
 * <name> and <bndbox> of <xmin>, <ymin>, <xmax>, <ymax>; all else is passed over. labels is empty,
 * or holds another file's; ended by box_labels_free. Errors: STATUS_IO; STATUS_BAD_INPUT for what is
 * no such file, or an object without a name or a box. */
Status box_labels_read_voc(const char *path, BoxLabels *labels);
/* As KITTI writes them: a line per object, the first word its class, words 5 to 8 the box. */
Status box_labels_read_kitti(const char *path, BoxLabels *labels);
void box_labels_free(BoxLabels *labels);
