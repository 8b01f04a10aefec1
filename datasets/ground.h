#pragma once

#include "street.h"

/* What lies on the bare earth: soil, grass, crops, paths and roads. */
Colour ground_colour(const World *world, const Cell *cell, StreetPoint street, Point point);
