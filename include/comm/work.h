#pragma once

#include <stdint.h>

#include "comm/comm.h"

/* Work handed out to whoever asks: a service thread on rank 0 gives ranges of numbered pieces, so
 * that a fast rank does more of them. Rank 0 asks like all others. Which rank does a piece may
 * never change the result. An answer takes 0.2 to 0.5 ms while rank 0 computes: choose chunks of at
 * least 100 times that, or ask for the next one while the current one runs. All calls but open and
 * close may come from any thread. */
typedef struct Work Work;

/* Collective. Pieces 0 … count - 1, chunk of them at a time, the same on all ranks; chunk >= 1.
 * done (count bytes, copied, on rank 0; may be NULL) marks pieces that an earlier run finished:
 * they are not given out. */
Status work_open(const Comm *comm, int64_t count, int64_t chunk, const uint8_t *done, Work **work);
/* Local. The next range for this rank, first … end - 1, at most chunk of them and none that is
 * done; first == end when none is left, and from then on. Waits without spinning. Errors:
 * STATUS_COMM. */
Status work_next(Work *work, int64_t *first, int64_t *end);
/* Local. This rank has finished so many more pieces; told to rank 0 with its next request. */
void work_report(Work *work, int64_t finished);
/* Local. On rank 0 what all ranks have told it, on others what this rank has finished; what done
 * marked is not among them. */
int64_t work_finished(const Work *work);
/* Local. From now on work_next gives nothing to any rank: the job is to stop. */
void work_cancel(Work *work);
/* Collective. Each rank comes when it was told that nothing is left, or at once after an error of
 * its own: a rank that leaves early cancels what is not given out, so all ranks come within one
 * range. Returns when all have come. Accepts NULL. */
void work_close(Work *work);
