#pragma once

/* The two JSON documents of a folder of chips. */

#include "chip/chip_writer.h"
#include "store/document.h"

/* esri_accumulated_stats.json */
Status tile_statistics_build(Document *root, const ChipForm *form, const ChipStory *story,
                             const SetSum *sum);
/* esri_model_definition.emd: a template; values that begin with "e.g." are for people to fill in.
 */
Status tile_definition_build(Document *root, const ChipForm *form, const ChipStory *story,
                             const SetSum *sum);
