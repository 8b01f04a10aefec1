/* Ranks ask, a thread on rank 0 answers. Two-sided messages, since a counter in MPI's one-sided
 * windows stands still while rank 0 computes (measured: 2 s), or is refused.
 *
 * Each rank but 0 sends requests and gets an answer to WORK_NEXT alone:
 *
 *   WORK_NEXT    more work, please           -> Range
 *   WORK_CANCEL  give nothing to anybody
 *   WORK_CLOSE   the last word of this rank; the thread ends when all ranks have said it
 *
 * Each carries what the rank has finished since its last request. Rank 0 goes to the desk itself.
 */
#include "comm/work.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#include "base/memory.h"
#include "base/require.h"
#include "mpi_door.h"
#include "work_desk.h"

enum { WORK_NEXT, WORK_CANCEL, WORK_CLOSE };
enum { TAG_REQUEST = 1, TAG_ANSWER = 2 };

typedef struct Request {
  int64_t wish;
  int64_t finished; /* pieces, since the last request */
} Request;

struct Work {
  Comm *comm; /* the service's own; NULL on one rank */
  int rank;
  Desk *desk; /* rank 0 */
  pthread_t service;
  bool service_runs;
  pthread_mutex_t asking; /* a rank's threads ask one after the other */
  atomic_llong unreported;
  atomic_llong reported;
  atomic_bool emptied; /* this rank was told that nothing is left */
};

static Status answer_one(Work *work, int *open_ranks, bool *answered)
{
  int waiting = 0;
  MPI_Status envelope;
  TRY_MPI(MPI_Iprobe(MPI_ANY_SOURCE, TAG_REQUEST, work->comm->mpi, &waiting, &envelope));
  *answered = waiting != 0;
  if (!waiting) return STATUS_OK;

  Request request;
  TRY_MPI(MPI_Recv(&request, sizeof request, MPI_BYTE, envelope.MPI_SOURCE, TAG_REQUEST,
                   work->comm->mpi, MPI_STATUS_IGNORE));
  desk_add_finished(work->desk, request.finished);
  if (request.wish == WORK_CANCEL) desk_cancel(work->desk);
  if (request.wish == WORK_CLOSE) --*open_ranks;
  if (request.wish != WORK_NEXT) return STATUS_OK;

  const Range range = desk_take(work->desk);
  TRY_MPI(
      MPI_Send(&range, sizeof range, MPI_BYTE, envelope.MPI_SOURCE, TAG_ANSWER, work->comm->mpi));
  return STATUS_OK;
}

static void *serve(void *argument)
{
  Work *work = argument;
  const struct timespec pause = {.tv_nsec = 150000}; /* 100 to 200 µs: 0.2 to 0.5 ms per request */
  int open_ranks = work->comm->rank_count - 1;
  while (open_ranks > 0) {
    bool answered = false;
    const Status status = answer_one(work, &open_ranks, &answered);
    if (status != STATUS_OK) {
      /* Ranks wait for answers that can no longer be sent: nobody is left to return this to. */
      (void)fprintf(stderr, "quadrat: the work service cannot go on: %s\n", status_message());
      comm_abort(work->comm, status_exit_code(status));
    }
    if (!answered) (void)nanosleep(&pause, NULL);
  }
  return NULL;
}

static Status start_service(Work *work)
{
  if (work->rank != 0) return STATUS_OK;
  if (pthread_create(&work->service, NULL, serve, work) != 0)
    return status_set(STATUS_NO_MEMORY, "the work service cannot start its thread; raise the limit "
                                        "of processes (ulimit -u)");
  work->service_runs = true;
  return STATUS_OK;
}

static Status fill(Work *work, const Comm *comm, int64_t count, int64_t chunk, const uint8_t *done)
{
  Status status = STATUS_OK;
  if (work->rank == 0) status = desk_open(count, chunk, done, &work->desk);
  TRY(comm_agree(comm, status));
  if (comm->rank_count == 1) return STATUS_OK;
  TRY(comm_duplicate(comm, &work->comm));
  return comm_agree(comm, start_service(work));
}

static void release(Work *work)
{
  if (work == NULL) return;
  desk_close(work->desk);
  comm_close(work->comm);
  (void)pthread_mutex_destroy(&work->asking);
  memory_free(work);
}

static Status allocate(const Comm *comm, Work **work)
{
  void *memory;
  TRY(memory_allocate(1, sizeof **work, "work", &memory));
  *work = memory;
  (*work)->rank = comm->rank;
  if (pthread_mutex_init(&(*work)->asking, NULL) != 0)
    return status_set(STATUS_NO_MEMORY, "no lock for asking for work");
  return STATUS_OK;
}

Status work_open(const Comm *comm, int64_t count, int64_t chunk, const uint8_t *done, Work **work)
{
  require(count >= 0 && chunk >= 1);
  *work = NULL;
  Work *opening = NULL;
  Status status = comm_agree(comm, allocate(comm, &opening));
  if (status == STATUS_OK) status = fill(opening, comm, count, chunk, done);
  if (status == STATUS_OK)
    *work = opening;
  else
    release(opening);
  return status;
}

static Status send_request(Work *work, int64_t wish)
{
  const Request request = {.wish = wish, .finished = atomic_exchange(&work->unreported, 0)};
  TRY_MPI(MPI_Send(&request, sizeof request, MPI_BYTE, 0, TAG_REQUEST, work->comm->mpi));
  return STATUS_OK;
}

static Status ask(Work *work, Range *range)
{
  MPI_Request answer;
  TRY_MPI(MPI_Irecv(range, sizeof *range, MPI_BYTE, 0, TAG_ANSWER, work->comm->mpi, &answer));
  TRY(send_request(work, WORK_NEXT));
  return comm_wait(&answer);
}

/* Two threads of a rank must not take each other's answers. */
static Status ask_in_turn(Work *work, Range *range)
{
  (void)pthread_mutex_lock(&work->asking);
  Status status = STATUS_OK;
  if (!atomic_load(&work->emptied)) status = ask(work, range);
  (void)pthread_mutex_unlock(&work->asking);
  return status;
}

Status work_next(Work *work, int64_t *first, int64_t *end)
{
  Range range = {0, 0};
  Status status = STATUS_OK;
  if (work->desk != NULL)
    range = desk_take(work->desk);
  else if (!atomic_load(&work->emptied))
    status = ask_in_turn(work, &range);
  if (status != STATUS_OK) range = (Range){0, 0};
  if (status == STATUS_OK && range.first == range.end) atomic_store(&work->emptied, true);
  *first = range.first;
  *end = range.end;
  return status;
}

void work_report(Work *work, int64_t finished)
{
  (void)atomic_fetch_add(&work->reported, finished);
  if (work->desk != NULL)
    desk_add_finished(work->desk, finished);
  else
    (void)atomic_fetch_add(&work->unreported, finished);
}

int64_t work_finished(const Work *work)
{
  return work->desk != NULL ? desk_finished(work->desk) : atomic_load(&work->reported);
}

void work_cancel(Work *work)
{
  if (atomic_exchange(&work->emptied, true)) return; /* all is given out, or cancelled already */
  if (work->desk != NULL)
    desk_cancel(work->desk);
  else
    (void)send_request(work, WORK_CANCEL); /* a failure shows in the next call that returns one */
}

void work_close(Work *work)
{
  if (work == NULL) return;
  work_cancel(work); /* a rank that leaves before the end has failed: nobody need go on */
  if (work->rank != 0 && work->comm != NULL) (void)send_request(work, WORK_CLOSE);
  if (work->service_runs) (void)pthread_join(work->service, NULL);
  if (work->comm != NULL) (void)comm_meet(work->comm);
  release(work);
}
