#pragma once

/* Private to comm: collectives cut into pieces, since MPI counts in int. Apart, so that tests can
 * cut small ones. */
#include "comm/comm.h"

/* Collective. comm_broadcast, at most piece_bytes in one call of MPI. */
Status comm_broadcast_pieces(const Comm *comm, int root, void *bytes, size_t count,
                             size_t piece_bytes);
/* Collective. comm_gather; pieces above piece_bytes go from one rank after the other. */
Status comm_gather_pieces(const Comm *comm, const void *mine, size_t bytes, void *all,
                          size_t piece_bytes);
