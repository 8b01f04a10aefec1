#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "base/status.h"

/* The ranks of a job, and what they say to each other. A Comm is used by one thread at a time
 * (comm_duplicate gives another). Calls that wait for other ranks let go of the core while they do,
 * but comm_sum_float, which stands in the training loop where ranks keep step. After STATUS_COMM
 * nothing is promised: the rank that has it asks no other any more, and main ends the job. */
typedef struct Comm Comm;

typedef enum CommOp { COMM_SUM, COMM_MAX, COMM_MIN } CommOp;

/* Collective. Starts MPI (a program started without mpirun is a job of one rank) and makes
 * require() end the whole job. comm_stop ends MPI and accepts NULL; all ranks come there, also
 * after an error that all agreed on. comm_abort ends all ranks at once, for main's last resort;
 * comm may be NULL. Errors: STATUS_UNSUPPORTED (an MPI without threads), STATUS_COMM; then main
 * ends with comm_abort. */
Status comm_start(int *argument_count, char ***arguments, Comm **world);
void comm_stop(Comm *world);
_Noreturn void comm_abort(const Comm *comm, int exit_code);
/* comm_abort after 2 s, in which other ranks that met the same failure may say so. */
_Noreturn void comm_abort_after_words(const Comm *comm, int exit_code);

/* Local. */
int comm_rank(const Comm *comm);
int comm_rank_count(const Comm *comm);
/* The place among the ranks of this node, and their number. */
int comm_rank_on_node(const Comm *comm);
int comm_rank_count_on_node(const Comm *comm);

/* Collective. Returns on all ranks the status of the lowest rank that failed, with its sentence
 * (behind "rank 3 on node7: " unless it is rank 0, which speaks for the job); STATUS_OK if none
 * did. Stands before every collective that a failed rank would not reach. A rank whose own status
 * is STATUS_COMM does not wait for the others, which may never come: it has its status back at once.
 */
Status comm_agree(const Comm *comm, Status mine);
/* Collective. The same for any status, but waits for the others for so long only (INFINITY: for
 * ever). all: whether they came; if not, nothing may be asked of them any more, and the result is
 * mine, or STATUS_COMM if that is STATUS_OK. */
Status comm_agree_within(const Comm *comm, Status mine, double seconds, bool *all);

/* Collective. The same bytes everywhere, from rank root. */
Status comm_broadcast(const Comm *comm, int root, void *bytes, size_t count);
/* Collective. Rank 0 gives a text, all others receive a copy, freed by memory_free; rank 0 receives
 * one too. */
Status comm_broadcast_text(const Comm *comm, const char *text_of_root, char **text);
/* Collective. Element by element over all ranks, in place. Doubles are for a few values: the sum is
 * added in the order of ranks, and a NaN of any rank is the result of every op. */
Status comm_reduce_int64(const Comm *comm, CommOp op, int64_t *values, size_t count);
Status comm_reduce_double(const Comm *comm, CommOp op, double *values, size_t count);
/* Collective. In place, host memory. Each element is ((r0 + r1) + r2) + … over the ranks in their
 * order, rounded each time: the same bytes on every rank, in every run, on any nodes and MPI. */
Status comm_sum_float(const Comm *comm, float *values, size_t count);
/* Collective. all, on every rank, holds rank_count * bytes: the ranks' pieces in their order. */
Status comm_gather(const Comm *comm, const void *mine, size_t bytes, void *all);
/* Collective. */
Status comm_barrier(const Comm *comm);
/* Collective. A communicator of the same ranks whose messages never meet those of comm. comm_close
 * is collective as well, and accepts NULL. */
Status comm_duplicate(const Comm *comm, Comm **copy);
void comm_close(Comm *copy);

/* Collective. Prints which rank sits where: host, cores it may use, threads it runs, device; ranks
 * that sit alike share a line. Warns, with the remedy, where threads outnumber cores or a rank is
 * bound to one core beside idle ones (mpirun -n 1 does that). threads: those this rank will run. */
Status comm_print_binding(const Comm *comm, const Log *log, int threads, const char *device_name);
/* Local. What the library says of itself, its first line: "Open MPI v4.1.4, …". */
enum { COMM_VERSION_BYTES = 160 };
void comm_mpi_version(char text[COMM_VERSION_BYTES]);
/* Local. "NCCL 2.28.9", or "NCCL cannot be loaded: …"; NULL where there is no plug-in, or one that was
 * built without NCCL. */
const char *comm_nccl_version(void);
/* Local. Cores that this process may run on, counted as the kernel does (hardware threads). */
int comm_usable_cores(void);
