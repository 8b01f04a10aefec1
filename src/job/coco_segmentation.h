#pragma once

#include "coco_file.h"

/* The mask of a segmentation of any kind; mask is to be freed also after an error. */
Status coco_segmentation_read(const Document *segmentation, CocoImage image, MaskRuns *mask);
