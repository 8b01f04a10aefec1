#pragma once

#include "base/status.h"
#include "layout.h"

/* Renders square blocks of the scene as a camera would have seen them. A block is a function of
 * world, cell size and its place alone. Blocks may be rendered in any order and by several threads,
 * each with its own Picture. */
enum { PICTURE_BLOCK_PX = 256 };

typedef struct Picture Picture;

Status picture_open(const World *world, double cell_m, Picture **picture);
void picture_close(Picture *picture); /* accepts NULL */

/* rgb: PICTURE_BLOCK_PX x PICTURE_BLOCK_PX x 3, no pixel all zero; column and row: of the block's
 * first pixel, counted from the world's origin, multiples of 8. */
void picture_render(Picture *picture, int64_t column, int64_t row, uint8_t *rgb);
