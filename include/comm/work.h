#pragma once

#include <stdint.h>

#include "comm/comm.h"

/* Work handed out to whoever asks: a service thread on rank 0 gives ranges of numbered pieces, so
 * that a fast rank does more of them. Rank 0 asks like all others. Which rank does a piece may
 * never change the result. */
typedef struct Work Work;

/* Collective. Pieces 0 … count - 1, chunk of them at a time. done (count bytes, on rank 0; may be
 * NULL) marks pieces that an earlier run finished: they are not given out. */
Status work_open(const Comm *comm, int64_t count, int64_t chunk, const uint8_t *done, Work **work);
/* Local. The next range for this rank, first … end - 1; first == end when none is left. Waits
 * without spinning. */
Status work_next(Work *work, int64_t *first, int64_t *end);
/* Local. Tells how many pieces this rank has finished; work_finished is what rank 0 has heard of in
 * all (for progress). */
void work_report(Work *work, int64_t finished);
int64_t work_finished(const Work *work);
/* Local. From now on work_next gives nothing to any rank: the job is to stop. */
void work_cancel(Work *work);
/* Collective. */
void work_close(Work *work);
