/* Sums of floating-point numbers, always added in the order of ranks: ((r0 + r1) + r2) + …, element
 * by element. MPI only advises libraries to keep an order in MPI_Allreduce (MPI 3.1, 5.9.1), so
 * here MPI moves numbers and this file adds them. The bytes moved are those of a ring all-reduce.
 */
#include <math.h>
#include <string.h>

#include "mpi_door.h"

static double combine(CommOp op, double a, double b)
{
  if (op == COMM_SUM) return a + b;
  if (isnan(a) || isnan(b)) return NAN;
  if (op == COMM_MAX) return a > b ? a : b;
  return a < b ? a : b;
}

static Status reduce_piece(const Comm *comm, CommOp op, double *values, size_t count)
{
  double *all = comm->scratch;
  TRY_MPI(MPI_Allgather(values, (int)count, MPI_DOUBLE, all, (int)count, MPI_DOUBLE, comm->mpi));
  memcpy(values, all, count * sizeof *values);
  for (int rank = 1; rank < comm->rank_count; ++rank)
    for (size_t i = 0; i < count; ++i)
      values[i] = combine(op, values[i], all[(size_t)rank * count + i]);
  return STATUS_OK;
}

Status comm_reduce_double(const Comm *comm, CommOp op, double *values, size_t count)
{
  if (comm->rank_count == 1) return STATUS_OK;
  const size_t piece_count = comm->scratch_bytes / sizeof *values / (size_t)comm->rank_count;
  TRY(comm_meet(comm));
  for (size_t first = 0; first < count; first += piece_count) {
    const size_t left = count - first;
    TRY(reduce_piece(comm, op, values + first, left < piece_count ? left : piece_count));
  }
  return STATUS_OK;
}

/* Adds rank_count pieces that lie one behind the other. */
static void add_in_order(float *restrict sum, const float *restrict pieces, size_t count,
                         int piece_count)
{
  memcpy(sum, pieces, count * sizeof *sum);
  for (int p = 1; p < piece_count; ++p) {
    const float *piece = pieces + (size_t)p * count;
    for (size_t i = 0; i < count; ++i)
      sum[i] += piece[i];
  }
}

/* A few values: each rank gets all and adds for itself. One step of latency. */
static Status sum_few(const Comm *comm, float *values, size_t count)
{
  float *all = comm->scratch;
  TRY_MPI(MPI_Allgather(values, (int)count, MPI_FLOAT, all, (int)count, MPI_FLOAT, comm->mpi));
  add_in_order(values, all, count, comm->rank_count);
  return STATUS_OK;
}

/* Many values: each rank adds one slice of them and sends it to the others. */
static Status sum_many(const Comm *comm, float *values, size_t count)
{
  const int ranks = comm->rank_count;
  int *slice_counts = comm->lengths;
  int *slice_firsts = slice_counts + ranks;
  int *my_counts = slice_firsts + ranks;
  int *my_firsts = my_counts + ranks;
  const int slice = (int)((count + (size_t)ranks - 1) / (size_t)ranks);
  for (int rank = 0; rank < ranks; ++rank) {
    const int first = rank * slice < (int)count ? rank * slice : (int)count;
    slice_firsts[rank] = first;
    slice_counts[rank] = (int)count - first < slice ? (int)count - first : slice;
  }
  const int mine = slice_counts[comm->rank];
  for (int rank = 0; rank < ranks; ++rank) {
    my_counts[rank] = mine;
    my_firsts[rank] = rank * mine;
  }
  float *pieces = comm->scratch;
  TRY_MPI(MPI_Alltoallv(values, slice_counts, slice_firsts, MPI_FLOAT, pieces, my_counts, my_firsts,
                        MPI_FLOAT, comm->mpi));
  add_in_order(values + slice_firsts[comm->rank], pieces, (size_t)mine, ranks);
  TRY_MPI(MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, values, slice_counts, slice_firsts,
                         MPI_FLOAT, comm->mpi));
  return STATUS_OK;
}

Status comm_sum_float(const Comm *comm, float *values, size_t count)
{
  if (comm->rank_count == 1) return STATUS_OK;
  const size_t few_bytes = 64 << 10; /* of all ranks: where latency, not bandwidth, decides */
  const size_t ranks = (size_t)comm->rank_count;
  if (count * ranks * sizeof *values <= few_bytes) return sum_few(comm, values, count);

  const size_t piece_count = comm->scratch_bytes / sizeof *values - ranks; /* slices round up */
  for (size_t first = 0; first < count; first += piece_count) {
    const size_t left = count - first;
    TRY(sum_many(comm, values + first, left < piece_count ? left : piece_count));
  }
  return STATUS_OK;
}
