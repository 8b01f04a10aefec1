/* Start and end of MPI, who sits where, and agreement on what happened. */
#include "comm/comm.h"

#include <math.h>
#include <sched.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/require.h"
#include "mpi_door.h"

enum { INTERNAL_ERROR_EXIT_CODE = 1 };

Status comm_mpi_error(int mpi_code, const char *call)
{
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  if (MPI_Error_string(mpi_code, text, &length) != MPI_SUCCESS) text[0] = '\0';
  return status_set(STATUS_COMM, "%.*s failed: %s (code %d)", (int)strcspn(call, "("), call, text,
                    mpi_code);
}

static void nap(double waited_s)
{
  const double shortest_s = 50e-6, longest_s = 2e-3;
  if (waited_s < shortest_s) {
    (void)sched_yield();
    return;
  }
  double nap_s = waited_s / 16;
  if (nap_s < shortest_s) nap_s = shortest_s;
  if (nap_s > longest_s) nap_s = longest_s;
  const struct timespec pause = {.tv_nsec = (long)(nap_s * 1e9)};
  (void)nanosleep(&pause, NULL);
}

static Status wait_within(MPI_Request *request, double seconds, bool *came)
{
  const double started_s = clock_seconds();
  for (;;) {
    int complete = 0;
    TRY_MPI(MPI_Test(request, &complete, MPI_STATUS_IGNORE));
    const double waited_s = clock_seconds() - started_s;
    *came = complete != 0;
    if (*came || waited_s > seconds) return STATUS_OK;
    nap(waited_s);
  }
}

Status comm_wait(MPI_Request *request)
{
  bool came;
  return wait_within(request, (double)INFINITY, &came);
}

Status comm_meet(const Comm *comm)
{
  if (comm->rank_count == 1) return STATUS_OK;
  MPI_Request arrival;
  TRY_MPI(MPI_Ibarrier(comm->mpi, &arrival));
  return comm_wait(&arrival);
}

/* Each node is what MPI can share memory in, whatever started the ranks. */
static Status find_place_on_node(Comm *comm)
{
  MPI_Comm node;
  TRY_MPI(MPI_Comm_split_type(comm->mpi, MPI_COMM_TYPE_SHARED, comm->rank, MPI_INFO_NULL, &node));
  TRY_MPI(MPI_Comm_rank(node, &comm->rank_on_node));
  TRY_MPI(MPI_Comm_size(node, &comm->rank_count_on_node));
  TRY_MPI(MPI_Comm_free(&node));
  return STATUS_OK;
}

static Status allocate_scratch(Comm *comm)
{
  if (comm->rank_count == 1) return STATUS_OK;
  const size_t ranks = (size_t)comm->rank_count;
  const size_t least_bytes = 64 * ranks; /* some values of each rank, however many there are */
  void *memory;
  comm->scratch_bytes = least_bytes > SCRATCH_BYTES ? least_bytes : SCRATCH_BYTES;
  TRY(memory_allocate(comm->scratch_bytes, 1, "scratch of sums over ranks", &comm->scratch));
  TRY(memory_allocate(4 * ranks, sizeof *comm->lengths, "lists of sums over ranks", &memory));
  comm->lengths = memory;
  return STATUS_OK;
}

static void release(Comm *comm)
{
  memory_free(comm->lengths);
  memory_free(comm->scratch);
  memory_free(comm);
}

static void end_job(void)
{
  comm_abort(NULL, INTERNAL_ERROR_EXIT_CODE);
}

static Status start_mpi(int *argument_count, char ***arguments)
{
  int level = MPI_THREAD_SINGLE;
  TRY_MPI(MPI_Init_thread(argument_count, arguments, MPI_THREAD_MULTIPLE, &level));
  TRY_MPI(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN));
  if (level < MPI_THREAD_MULTIPLE)
    return status_set(STATUS_UNSUPPORTED,
                      "this MPI gives thread level %d, not MPI_THREAD_MULTIPLE (%d); use an MPI "
                      "that was built with threads",
                      level, MPI_THREAD_MULTIPLE);
  return STATUS_OK;
}

static Status fill_world(Comm *world)
{
  world->mpi = MPI_COMM_WORLD;
  TRY_MPI(MPI_Comm_rank(world->mpi, &world->rank));
  TRY_MPI(MPI_Comm_size(world->mpi, &world->rank_count));
  TRY(find_place_on_node(world));
  return comm_agree(world, allocate_scratch(world));
}

Status comm_start(int *argument_count, char ***arguments, Comm **world)
{
  *world = NULL;
  TRY(start_mpi(argument_count, arguments));
  require_set_handler(end_job);

  void *memory;
  Status status = memory_allocate(1, sizeof **world, "communicator", &memory);
  if (status != STATUS_OK) return status;
  Comm *starting = memory;
  status = fill_world(starting);
  if (status == STATUS_OK)
    *world = starting;
  else
    release(starting);
  return status;
}

void comm_stop(Comm *world)
{
  if (world == NULL) return;
  release(world);
  require_set_handler(NULL);
  (void)MPI_Finalize();
}

void comm_abort(const Comm *comm, int exit_code)
{
  int started = 0;
  int stopped = 0;
  (void)MPI_Initialized(&started);
  (void)MPI_Finalized(&stopped);
  if (started && !stopped) (void)MPI_Abort(comm == NULL ? MPI_COMM_WORLD : comm->mpi, exit_code);
  _exit(exit_code);
}

void comm_abort_after_words(const Comm *comm, int exit_code)
{
  (void)nanosleep(&(struct timespec){.tv_sec = 2}, NULL);
  comm_abort(comm, exit_code);
}

int comm_rank(const Comm *comm)
{
  return comm->rank;
}

int comm_rank_count(const Comm *comm)
{
  return comm->rank_count;
}

int comm_rank_on_node(const Comm *comm)
{
  return comm->rank_on_node;
}

int comm_rank_count_on_node(const Comm *comm)
{
  return comm->rank_count_on_node;
}

typedef struct Failure {
  Status status;
  char host[64];
  char message[1024];
} Failure;

static Failure describe(Status mine)
{
  Failure failure = {.status = mine};
  (void)gethostname(failure.host, sizeof failure.host - 1);
  (void)strncpy(failure.message, status_message(), sizeof failure.message - 1);
  return failure;
}

/* On all ranks what rank first_failed says. */
static Status hear_failure(const Comm *comm, int first_failed, Status mine)
{
  Failure failure = describe(mine);
  TRY_MPI(MPI_Bcast(&failure, sizeof failure, MPI_BYTE, first_failed, comm->mpi));
  /* Rank 0 speaks for the job; of another rank it matters where it sits. */
  if (first_failed == 0) return status_set(failure.status, "%s", failure.message);
  return status_set(failure.status, "rank %d on %s: %s", first_failed, failure.host,
                    failure.message);
}

Status comm_agree_within(const Comm *comm, Status mine, double seconds, bool *all)
{
  *all = true;
  if (comm->rank_count == 1) return mine;
  const int my_place = mine == STATUS_OK ? comm->rank_count : comm->rank;
  int first_failed = comm->rank_count;
  MPI_Request request;
  TRY_MPI(MPI_Iallreduce(&my_place, &first_failed, 1, MPI_INT, MPI_MIN, comm->mpi, &request));
  TRY(wait_within(&request, seconds, all));
  if (!*all && mine != STATUS_OK) return mine;
  if (!*all)
    return status_set(STATUS_COMM, "not all ranks have answered after %.0f s; is one lost?",
                      seconds);
  return first_failed == comm->rank_count ? STATUS_OK : hear_failure(comm, first_failed, mine);
}

Status comm_agree(const Comm *comm, Status mine)
{
  bool all;
  return mine == STATUS_COMM ? mine : comm_agree_within(comm, mine, (double)INFINITY, &all);
}

static Status fill_copy(const Comm *comm, Comm *copy)
{
  *copy = *comm;
  copy->mpi = MPI_COMM_NULL;
  copy->scratch = NULL;
  copy->lengths = NULL;
  TRY(comm_agree(comm, allocate_scratch(copy)));
  TRY_MPI(MPI_Comm_dup(comm->mpi, &copy->mpi));
  TRY_MPI(MPI_Comm_set_errhandler(copy->mpi, MPI_ERRORS_RETURN));
  return STATUS_OK;
}

Status comm_duplicate(const Comm *comm, Comm **copy)
{
  *copy = NULL;
  void *memory;
  Status status = comm_agree(comm, memory_allocate(1, sizeof **copy, "communicator", &memory));
  Comm *opening = memory;
  if (status == STATUS_OK) status = fill_copy(comm, opening);
  if (status == STATUS_OK)
    *copy = opening;
  else if (opening != NULL)
    comm_close(opening);
  return status;
}

void comm_close(Comm *copy)
{
  if (copy == NULL) return;
  if (copy->mpi != MPI_COMM_NULL) (void)MPI_Comm_free(&copy->mpi);
  release(copy);
}
