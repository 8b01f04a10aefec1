#include "plan.h"

enum { TRIES_MOST = 24 };

/* Collective. Whether a batch fits on all ranks; one that no kernel takes does not. */
static Status try_one(const Job *job, const Plan *plan, PlanTry *try_batch, void *context,
                      int64_t batch, int64_t *bytes)
{
  PlanMemory memory = {0};
  const Status status = try_batch(context, batch, &memory);
  *bytes = status == STATUS_OK ? (int64_t)plan_peak_bytes(plan, &memory) : INT64_MAX;
  return comm_reduce_int64(job->comm, COMM_MAX, bytes, 1);
}

/* Bytes grow almost evenly with the batch: the next try lies on the line through two of them. */
static int64_t guess(int64_t low, int64_t low_bytes, int64_t high, int64_t high_bytes, int64_t room)
{
  if (high_bytes == INT64_MAX || high_bytes <= low_bytes) return low + (high - low) / 2;
  const double share = (double)(room - low_bytes) / (double)(high_bytes - low_bytes);
  const int64_t found = low + (int64_t)(share * (double)(high - low));
  if (found <= low) return low + 1;
  return found >= high ? high - 1 : found;
}

Status plan_largest_batch(const Job *job, const Plan *plan, int64_t known, const PlanMemory *memory,
                          int64_t most, PlanTry *try_batch, void *context, int64_t *largest)
{
  int64_t room = (int64_t)plan->room_bytes;
  int64_t low = 0, low_bytes = 0;                  /* the largest that fits */
  int64_t high = most + 1, high_bytes = INT64_MAX; /* the smallest that does not */
  int64_t next = known;
  int64_t bytes = (int64_t)plan_peak_bytes(plan, memory);
  TRY(comm_reduce_int64(job->comm, COMM_MAX, &bytes, 1));
  /* What is free is not the same to two ranks that ask one after the other. */
  TRY(comm_reduce_int64(job->comm, COMM_MIN, &room, 1));
  for (int tries = 0; tries < TRIES_MOST; ++tries) {
    if (tries > 0) TRY(try_one(job, plan, try_batch, context, next, &bytes));
    if (bytes <= room) {
      low = next;
      low_bytes = bytes;
    } else {
      high = next;
      high_bytes = bytes;
    }
    if (high - low == 1) break;
    if (high_bytes == INT64_MAX && high == most + 1)
      next = 2 * low < most ? 2 * low : most;
    else if (low == 0 || tries % 3 == 2) /* where they do not grow evenly, halves get there too */
      next = low + (high - low) / 2;
    else
      next = guess(low, low_bytes, high, high_bytes, room);
  }
  *largest = low;
  return STATUS_OK;
}
