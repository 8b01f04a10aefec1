/* Which rank sits where: found on each rank, told by rank 0. */
#include "binding.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "mpi_door.h"

static void find_cores(cpu_set_t *cores)
{
  CPU_ZERO(cores);
  if (sched_getaffinity(0, sizeof *cores, cores) == 0) return;
  const long online = sysconf(_SC_NPROCESSORS_ONLN); /* more cores than a cpu_set_t holds */
  for (size_t core = 0; core < CPU_SETSIZE && (long)core < online; ++core)
    CPU_SET(core, cores);
}

int comm_usable_cores(void)
{
  cpu_set_t cores;
  find_cores(&cores);
  const int count = CPU_COUNT(&cores);
  return count > 0 ? count : 1;
}

/* Slurm may have given the job only some of the node's cores; the others are not ours to miss. */
static int find_node_core_count(void)
{
  const char *text = getenv("SLURM_CPUS_ON_NODE");
  const long of_slurm = text == NULL ? 0 : strtol(text, NULL, 10);
  const long online = sysconf(_SC_NPROCESSORS_ONLN);
  if (of_slurm > 0 && of_slurm < online) return (int)of_slurm;
  return online > 0 ? (int)online : 1;
}

static Seat find_seat(int threads, const char *device_name)
{
  Seat seat;
  memset(&seat, 0, sizeof seat); /* padding too: seats are compared and sent as bytes */
  (void)gethostname(seat.host, sizeof seat.host - 1);
  (void)snprintf(seat.device, sizeof seat.device, "%s", device_name);
  find_cores(&seat.cores);
  seat.node_core_count = find_node_core_count();
  seat.threads = threads;
  return seat;
}

static size_t end_of_run(const cpu_set_t *cores, size_t first)
{
  size_t end = first;
  while (end < CPU_SETSIZE && CPU_ISSET(end, cores))
    ++end;
  return end;
}

void binding_core_list(const cpu_set_t *cores, char *text, size_t bytes)
{
  size_t length = 0;
  text[0] = '\0';
  for (size_t core = 0; core < CPU_SETSIZE; ++core) {
    if (!CPU_ISSET(core, cores)) continue;
    const size_t end = end_of_run(cores, core);
    char run[48];
    const char *comma = length > 0 ? "," : "";
    if (end - core > 1)
      (void)snprintf(run, sizeof run, "%s%zu-%zu", comma, core, end - 1);
    else
      (void)snprintf(run, sizeof run, "%s%zu", comma, core);
    if (length + strlen(run) + sizeof "…" > bytes) {
      (void)snprintf(text + length, bytes - length, "…");
      return;
    }
    length += (size_t)snprintf(text + length, bytes - length, "%s", run);
    core = end;
  }
}

typedef struct Node {
  cpu_set_t cores; /* that any of its ranks may use */
  int rank_count;
  int thread_count;
} Node;

static Node sum_up_node(const Seat *seats, int count, const char *host)
{
  Node node;
  memset(&node, 0, sizeof node);
  for (int i = 0; i < count; ++i) {
    if (strcmp(seats[i].host, host) != 0) continue;
    CPU_OR(&node.cores, &node.cores, &seats[i].cores);
    ++node.rank_count;
    node.thread_count += seats[i].threads;
  }
  return node;
}

/* A seat of at most two hardware threads is what mpirun -n 1 or -n 2 gives by itself. */
static bool fault_of_seat(const Seat *seat, int rank, const Node *node,
                          char text[BINDING_TEXT_BYTES])
{
  const char *const remedy = "start with mpirun --bind-to none or --map-by slot:PE=N (N threads a "
                             "rank), under srun with --cpus-per-task=N";
  const int cores = CPU_COUNT(&seat->cores);
  const int reachable = CPU_COUNT(&node->cores);
  if (seat->threads > cores) {
    (void)snprintf(text, BINDING_TEXT_BYTES,
                   "rank %d on %s is bound to %d core%s and will run %d threads on %s; %s", rank,
                   seat->host, cores, cores == 1 ? "" : "s", seat->threads,
                   cores == 1 ? "it" : "them", remedy);
    return true;
  }
  if (cores <= 2 && cores < seat->node_core_count && reachable < seat->node_core_count) {
    (void)snprintf(text, BINDING_TEXT_BYTES,
                   "rank %d on %s is bound to %d of %d cores and %d of them stand idle; %s", rank,
                   seat->host, cores, seat->node_core_count, seat->node_core_count - reachable,
                   remedy);
    return true;
  }
  return false;
}

static bool fault_of_node(const Seat *seat, const Node *node, char text[BINDING_TEXT_BYTES])
{
  const int cores = CPU_COUNT(&node->cores);
  if (node->thread_count <= cores) return false;
  const int written =
      snprintf(text, BINDING_TEXT_BYTES, "the %d ranks on %s will run %d threads on %d core%s; ",
               node->rank_count, seat->host, node->thread_count, cores, cores == 1 ? "" : "s");
  if (node->rank_count > cores)
    (void)snprintf(text + written, BINDING_TEXT_BYTES - (size_t)written, "start at most %d there",
                   cores);
  else
    (void)snprintf(text + written, BINDING_TEXT_BYTES - (size_t)written,
                   "set OMP_NUM_THREADS=%d or start fewer ranks", cores / node->rank_count);
  return true;
}

bool binding_fault(const Seat *seats, int count, char text[BINDING_TEXT_BYTES])
{
  text[0] = '\0';
  for (int i = 0; i < count; ++i) {
    if (i > 0 && strcmp(seats[i].host, seats[i - 1].host) == 0 &&
        memcmp(&seats[i], &seats[i - 1], sizeof *seats) == 0)
      continue;
    const Node node = sum_up_node(seats, count, seats[i].host);
    if (fault_of_seat(&seats[i], i, &node, text) || fault_of_node(&seats[i], &node, text))
      return true;
  }
  return false;
}

/* Ranks in a row that sit alike share a line. */
static void print_table(const Log *log, const Seat *seats, int count)
{
  log_once(log, "%-9s %-20s %-16s %7s  %s", "rank", "host", "cores", "threads", "device");
  for (int first = 0, end; first < count; first = end) {
    end = first + 1;
    while (end < count && memcmp(&seats[first], &seats[end], sizeof *seats) == 0)
      ++end;
    char ranks[32];
    char cores[24];
    if (end - first > 1)
      (void)snprintf(ranks, sizeof ranks, "%d-%d", first, end - 1);
    else
      (void)snprintf(ranks, sizeof ranks, "%d", first);
    binding_core_list(&seats[first].cores, cores, sizeof cores);
    log_once(log, "%-9s %-20s %-16s %7d  %s", ranks, seats[first].host, cores, seats[first].threads,
             seats[first].device);
  }
}

Status comm_print_binding(const Comm *comm, const Log *log, int threads, const char *device_name)
{
  const Seat mine = find_seat(threads, device_name);
  void *memory;
  Status status = comm_agree(
      comm, memory_allocate((size_t)comm->rank_count, sizeof(Seat), "places of ranks", &memory));
  Seat *seats = memory;
  if (status == STATUS_OK) status = comm_gather(comm, &mine, sizeof mine, seats);
  if (status == STATUS_OK && comm->rank == 0) {
    char fault[BINDING_TEXT_BYTES];
    print_table(log, seats, comm->rank_count);
    if (binding_fault(seats, comm->rank_count, fault)) log_warning(log, "%s", fault);
  }
  memory_free(seats);
  return status;
}
