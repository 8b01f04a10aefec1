#pragma once

#include "feature_set.h"

/* As label_source_burn_objects. */
Status rasterize_objects(const FeatureSet *set, const Grid *chip, LabelObjectTaker *take,
                         void *context);
