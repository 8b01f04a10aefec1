#pragma once

#include "comm/comm.h"
#include "nccl_driver.h"

/* Private to comm: the watchdog of sums by NCCL. A thread looks 20 times a second, by reading
 * memory and without a call of CUDA, whether the oldest sum under way has been so for longer than
 * the deadline, whether NCCL reports a failure, and whether the host has come back from NCCL; so it
 * does not matter what the host does meanwhile. When it finds something it asks all ranks where
 * they are, and puts rank, step, sum and who is missing into one sentence. The host then has 10 s
 * (no more than the deadline) to come for it (sum_watch_check) and to close; else the thread prints
 * the sentence and ends the job itself, with the exit code of STATUS_COMM.
 *
 * The time of a sum counts from when it was issued, or the one before it ended, whichever is later:
 * a host that runs ahead of its GPU costs nothing. */
typedef struct SumWatch SumWatch;

/* what: alive as long as the process. bucket: from 1; 0: none. */
typedef struct SumName {
  const char *what;
  int32_t bucket;
} SumName;

typedef enum SumOutcome { SUM_FAILED, SUM_ISSUED, SUM_RECORDED } SumOutcome;

/* Local. QUADRAT_NCCL_TIMEOUT_S of the environment, 1 to 86400 s; 300 where it is not set. Errors:
 * STATUS_BAD_OPTION. */
Status sum_watch_deadline(double *deadline_s);

/* Collective. */
Status sum_watch_open(const Comm *comm, double deadline_s, SumWatch **watch);
/* Collective if together, as it is when all ranks end in order; Local else, and after a failure was
 * found. Accepts NULL. */
void sum_watch_close(SumWatch *watch, bool together);

/* All below are Local, and come from the thread that opened.
 *
 * The communicator to watch; NULL: none any more, before it is closed. */
void sum_watch_follow(SumWatch *watch, const NcclDriver *driver, Nccl *nccl);
/* Names the training step, counted from 0, of what comes next. */
void sum_watch_step(SumWatch *watch, int64_t step);
/* Around each call of NCCL that may not come back. A sum that was recorded counts when it is
 * replayed; the first one recorded after one that was not begins a new graph. */
void sum_watch_enter(SumWatch *watch, SumName name);
void sum_watch_leave(SumWatch *watch, SumOutcome outcome);
void sum_watch_replayed(SumWatch *watch);

/* STATUS_COMM with its sentence once something was found. Cheap. */
Status sum_watch_check(SumWatch *watch);
/* A failure that the host met in the call that it left last, of the oldest sum under way or of that
 * call: status with its sentence in the words of the watch. Waits for the other ranks' words, 3 s
 * at most. */
Status sum_watch_fail(SumWatch *watch, Status status);
