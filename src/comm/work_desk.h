#pragma once

/* Private to comm: the desk on rank 0 where pieces of work are given out. Any thread may call it.
 */
#include <stdint.h>

#include "base/status.h"

typedef struct Desk Desk;

typedef struct Range {
  int64_t first;
  int64_t end;
} Range;

/* done is copied; NULL if nothing is done. */
Status desk_open(int64_t count, int64_t chunk, const uint8_t *done, Desk **desk);
void desk_close(Desk *desk); /* accepts NULL */

/* The next pieces that nobody has, at most chunk; first == end if there is none. */
Range desk_take(Desk *desk);
void desk_cancel(Desk *desk);
void desk_add_finished(Desk *desk, int64_t finished);
int64_t desk_finished(Desk *desk);
