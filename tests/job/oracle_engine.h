#pragma once

#include "detect_engine.h"

/* An engine that knows: rasters of three bands of uint16 (make_shapes) hold for each pixel the
 * number of its shape, its class from 1 and its score in 65535ths. It finds exactly what a tile
 * shows of them. The model is a text file of words:
 *
 *   pieces=4   0: a shape is one thing in a tile, else each connected piece of it (4 or 8
 *              neighbours)
 *   limit=9    finds no more in a tile, and then calls it full
 *   masks=no   boxes alone
 *   ghosts=yes finds besides, in each tile that shows data, a thing of class 1 of 8 x 8 px in the
 *              tile's upper left corner, data or not
 *   slow=5     takes so many milliseconds for a batch */
extern const DetectEngine oracle_engine;
