#pragma once

#include <stdint.h>

#include "object_mask.h"

/* The connected pieces of a mask (4-neighbours), numbered by their first run. */
typedef struct ObjectPieces {
  int32_t count;
  int32_t *piece_of_run; /* one for each run of the mask */
  int64_t *area_px;      /* one for each piece */
} ObjectPieces;

Status object_pieces_find(const ObjectMask *mask, ObjectPieces *pieces);
void object_pieces_close(ObjectPieces *pieces);
