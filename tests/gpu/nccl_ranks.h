#pragma once

/* Ranks as processes of their own on one GPU, without MPI (platform: NCCL takes ranks with a
 * different NCCL_HOSTID for separate nodes, and uses sockets between them). */
enum { RANK_OUTPUT_BYTES = 4096 };

typedef struct RankEnd {
  int exit_code;                  /* 128 + the signal, for one that was killed */
  char output[RANK_OUTPUT_BYTES]; /* of stderr */
} RankEnd;

/* Starts rank_count processes of this program, "PROGRAM rank RANK RANK_COUNT FOLDER TRIAL", and
 * waits for their ends; after deadline_s all that are left are killed. Returns whether all left in
 * time. */
int ranks_run(int rank_count, const char *trial, double deadline_s, RankEnd *ends);

/* What such a process does: sums over all ranks, checked, in the way that trial names. Returns its
 * exit code. */
int rank_main(int rank, int rank_count, const char *folder, const char *trial);
