/* The same bytes, extremes and whole numbers on every rank: what no order of ranks can change. */
#include <stdint.h>
#include <string.h>

#include "base/memory.h"
#include "base/require.h"
#include "mpi_door.h"
#include "pieces.h"

Status comm_barrier(const Comm *comm)
{
  return comm_meet(comm);
}

Status comm_broadcast_pieces(const Comm *comm, int root, void *bytes, size_t count,
                             size_t piece_bytes)
{
  require(root >= 0 && root < comm->rank_count);
  if (comm->rank_count == 1) return STATUS_OK;
  TRY(comm_meet(comm));
  char *at = bytes;
  for (size_t left = count; left > 0;) {
    const size_t piece = left < piece_bytes ? left : piece_bytes;
    TRY_MPI(MPI_Bcast(at, (int)piece, MPI_BYTE, root, comm->mpi));
    at += piece;
    left -= piece;
  }
  return STATUS_OK;
}

Status comm_broadcast(const Comm *comm, int root, void *bytes, size_t count)
{
  return comm_broadcast_pieces(comm, root, bytes, count, PIECE_BYTES);
}

static Status broadcast_length(const Comm *comm, const char *text_of_root, size_t *length)
{
  int64_t bytes = comm->rank == 0 ? (int64_t)strlen(text_of_root) : 0;
  TRY(comm_broadcast(comm, 0, &bytes, sizeof bytes));
  *length = (size_t)bytes;
  return STATUS_OK;
}

Status comm_broadcast_text(const Comm *comm, const char *text_of_root, char **text)
{
  *text = NULL;
  size_t length = 0;
  TRY(broadcast_length(comm, text_of_root, &length));

  void *copy;
  Status status = comm_agree(comm, memory_allocate(length + 1, 1, "text", &copy));
  if (status == STATUS_OK && comm->rank == 0) memcpy(copy, text_of_root, length);
  if (status == STATUS_OK) status = comm_broadcast(comm, 0, copy, length);
  if (status == STATUS_OK)
    *text = copy;
  else
    memory_free(copy);
  return status;
}

Status comm_reduce_int64(const Comm *comm, CommOp op, int64_t *values, size_t count)
{
  const MPI_Op mpi_op = op == COMM_SUM ? MPI_SUM : op == COMM_MAX ? MPI_MAX : MPI_MIN;
  const size_t piece_count = PIECE_BYTES / sizeof *values;
  if (comm->rank_count == 1) return STATUS_OK;
  TRY(comm_meet(comm));
  for (size_t first = 0; first < count; first += piece_count) {
    const size_t left = count - first;
    const int piece = (int)(left < piece_count ? left : piece_count);
    TRY_MPI(MPI_Allreduce(MPI_IN_PLACE, values + first, piece, MPI_INT64_T, mpi_op, comm->mpi));
  }
  return STATUS_OK;
}

/* MPI's counts are of one rank's piece, so only large ones need care. */
Status comm_gather_pieces(const Comm *comm, const void *mine, size_t bytes, void *all,
                          size_t piece_bytes)
{
  char *pieces = all;
  if (bytes > 0) memcpy(pieces + (size_t)comm->rank * bytes, mine, bytes);
  if (comm->rank_count == 1) return STATUS_OK;
  if (bytes > piece_bytes) {
    for (int rank = 0; rank < comm->rank_count; ++rank)
      TRY(comm_broadcast_pieces(comm, rank, pieces + (size_t)rank * bytes, bytes, piece_bytes));
    return STATUS_OK;
  }
  TRY(comm_meet(comm));
  TRY_MPI(MPI_Allgather(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, all, (int)bytes, MPI_BYTE, comm->mpi));
  return STATUS_OK;
}

Status comm_gather(const Comm *comm, const void *mine, size_t bytes, void *all)
{
  return comm_gather_pieces(comm, mine, bytes, all, PIECE_BYTES);
}
