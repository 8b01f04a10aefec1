#pragma once

#include "feature_set.h"

/* Burns features into a chip of PIXEL_U8 or PIXEL_U16 that it clears first, in the set's order. */
Status rasterize_features(const char *path, const FeatureSet *set, const Grid *chip, PixelType type,
                          void *class_values);
