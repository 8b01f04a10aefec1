#include "process_comm.h"

#include <fcntl.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "roll_call.h"

enum { SLOT_BYTES = 2048 };

static const double wait_most_s = 120;

typedef struct Shared {
  atomic_int arrived, turn; /* of a barrier */
  char slots[PROCESSES_MOST][SLOT_BYTES];
  RollWord words[PROCESSES_MOST];
  atomic_bool said[PROCESSES_MOST];
} Shared;

struct Comm {
  Shared *shared;
  int rank, rank_count;
};

struct RollCall {
  const Comm *comm;
};

Status process_comm_open(const char *path, int rank, int rank_count, Comm **comm)
{
  void *memory;
  *comm = NULL;
  const int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0 || ftruncate(file, sizeof(Shared)) != 0)
    return status_set(STATUS_IO, "%s cannot be made", path);
  void *shared = mmap(NULL, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  (void)close(file);
  if (shared == MAP_FAILED) return status_set(STATUS_IO, "%s cannot be mapped", path);
  TRY(memory_allocate(1, sizeof **comm, "a group of processes", &memory));
  *comm = memory;
  **comm = (Comm){.shared = shared, .rank = rank, .rank_count = rank_count};
  return STATUS_OK;
}

int comm_rank(const Comm *comm)
{
  return comm->rank;
}

int comm_rank_count(const Comm *comm)
{
  return comm->rank_count;
}

static void nap(void)
{
  (void)nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
}

/* Whether all come within the time. */
static bool meet(const Comm *comm, double seconds)
{
  Shared *shared = comm->shared;
  const double start_s = clock_seconds();
  const int turn = atomic_load(&shared->turn);
  if (atomic_fetch_add(&shared->arrived, 1) + 1 == comm->rank_count) {
    atomic_store(&shared->arrived, 0);
    atomic_store(&shared->turn, turn + 1);
    return true;
  }
  while (atomic_load(&shared->turn) == turn) {
    if (clock_seconds() - start_s > seconds) return false;
    nap();
  }
  return true;
}

/* Everybody's bytes, rank after rank. */
static bool gather(const Comm *comm, const void *mine, size_t bytes, void *all, double seconds)
{
  memcpy(comm->shared->slots[comm->rank], mine, bytes);
  if (!meet(comm, seconds)) return false;
  for (int rank = 0; rank < comm->rank_count; ++rank)
    memcpy((char *)all + (size_t)rank * bytes, comm->shared->slots[rank], bytes);
  return meet(comm, seconds);
}

typedef struct Outcome {
  Status status;
  char message[1024];
} Outcome;

Status comm_agree_within(const Comm *comm, Status mine, double seconds, bool *all)
{
  Outcome outcome = {.status = mine};
  Outcome outcomes[PROCESSES_MOST];
  (void)snprintf(outcome.message, sizeof outcome.message, "%s", status_message());
  *all = gather(comm, &outcome, sizeof outcome, outcomes, fmin(seconds, wait_most_s));
  if (!*all) return mine != STATUS_OK ? mine : status_set(STATUS_COMM, "a process did not come");
  for (int rank = 0; rank < comm->rank_count; ++rank)
    if (outcomes[rank].status != STATUS_OK)
      return status_set(outcomes[rank].status, "%s", outcomes[rank].message);
  return STATUS_OK;
}

Status comm_agree(const Comm *comm, Status mine)
{
  bool all;
  return mine == STATUS_COMM ? mine : comm_agree_within(comm, mine, wait_most_s, &all);
}

Status comm_broadcast(const Comm *comm, int root, void *bytes, size_t count)
{
  char all[PROCESSES_MOST * SLOT_BYTES];
  if (!gather(comm, bytes, count, all, wait_most_s))
    return status_set(STATUS_COMM, "a process did not come");
  memcpy(bytes, all + (size_t)root * count, count);
  return STATUS_OK;
}

/* Minima only. */
Status comm_reduce_int64(const Comm *comm, CommOp op, int64_t *values, size_t count)
{
  int64_t all[PROCESSES_MOST * SLOT_BYTES / sizeof(int64_t)];
  if (op != COMM_MIN || !gather(comm, values, count * sizeof *values, all, wait_most_s))
    return status_set(STATUS_COMM, "a process did not come");
  for (size_t i = 0; i < count * (size_t)comm->rank_count; ++i)
    if (all[i] < values[i % count]) values[i % count] = all[i];
  return STATUS_OK;
}

Status comm_sum_float(const Comm *comm, float *values, size_t count)
{
  return status_set(STATUS_UNSUPPORTED, "processes of this suite sum by NCCL only");
}

void comm_abort_after_words(const Comm *comm, int exit_code)
{
  _exit(exit_code);
}

Status roll_call_open(const Comm *comm, RollCall **roll)
{
  void *memory;
  TRY(memory_allocate(1, sizeof **roll, "a roll call", &memory));
  *roll = memory;
  (*roll)->comm = comm;
  return STATUS_OK;
}

void roll_call_close(RollCall *roll)
{
  memory_free(roll);
}

void roll_call_drop(RollCall *roll)
{
  memory_free(roll);
}

bool roll_call_listen(RollCall *roll)
{
  for (int rank = 0; rank < roll->comm->rank_count; ++rank)
    if (rank != roll->comm->rank && roll_call_word(roll, rank) != NULL) return true;
  return false;
}

void roll_call_say(RollCall *roll, const RollWord *word)
{
  Shared *shared = roll->comm->shared;
  if (atomic_load(&shared->said[roll->comm->rank])) return;
  shared->words[roll->comm->rank] = *word;
  atomic_store(&shared->said[roll->comm->rank], true);
}

const RollWord *roll_call_word(const RollCall *roll, int rank)
{
  const Shared *shared = roll->comm->shared;
  return atomic_load(&shared->said[rank]) ? &shared->words[rank] : NULL;
}

bool roll_call_is_complete(const RollCall *roll)
{
  for (int rank = 0; rank < roll->comm->rank_count; ++rank)
    if (rank != roll->comm->rank && roll_call_word(roll, rank) == NULL) return false;
  return true;
}

void roll_call_describe(const RollCall *roll, int64_t waited, char *text, size_t bytes)
{
  size_t used = 0;
  *text = '\0';
  for (int rank = 0; rank < roll->comm->rank_count && used < bytes; ++rank)
    if (rank != roll->comm->rank && roll_call_word(roll, rank) == NULL)
      used += (size_t)snprintf(text + used, bytes - used, "; no word from rank %d", rank);
}
