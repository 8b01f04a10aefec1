#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* Places tensors in one block so that two that live at the same time never overlap. */
typedef struct Piece {
  size_t bytes;
  int32_t first; /* the steps between which it lives, ends included */
  int32_t last;
  size_t offset; /* out */
} Piece;

enum { PIECE_ALIGNMENT_BYTES = 256 };

/* The largest first, each at the lowest offset that is free all its life. */
Status memory_plan_place(Piece *pieces, int32_t count, size_t *total_bytes);
