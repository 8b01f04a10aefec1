#pragma once

/* annotations.json of a COCO folder. */

#include "chip/chip_writer.h"

/* From the shards in folder. Images and annotations are numbered from 1; category_id is the class
 * value; masks are polygons along the edges of pixels or, with holes, compressed run lengths. */
Status coco_writer_write(const char *set_folder, const ChipForm *form, const char *folder,
                         int32_t shard_count, const ShardCount *counts);
