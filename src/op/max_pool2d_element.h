#pragma once

#include <stdbool.h>

#include "tensor/bf16.h"

/* Whether a window's next value replaces its best so far, in row-major order: the first of equals
 * stays, and a NaN wins and then stays. */
SHARED_INLINE bool max_pool2d_beats(float challenger, float best)
{
  return best == best && !(challenger <= best);
}
