#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "comm/comm.h"

/* Private to comm: where each rank is, asked of all when a sum of one does not end. Used by one
 * thread, which need not be the one that uses the Comm. Whoever is asked answers, at once and to
 * all, so that a rank whose host is stuck elsewhere still says where. */
typedef struct RollCall RollCall;

/* Sent as bytes. */
typedef struct RollWord {
  char host[64];
  char what[64];  /* the last sum that the host issued */
  int64_t step;   /* of it, counted from 1; 0: before the first */
  int64_t issued; /* sums by the host; sums are numbered from 1, alike on all ranks */
  int64_t ended;  /* by the device */
} RollWord;

/* Collective. */
Status roll_call_open(const Comm *comm, RollCall **roll);
/* Collective, but Local after a word of this rank's. Accepts NULL. */
void roll_call_close(RollCall *roll);
/* Local. Frees what needs no other rank; for a job that is about to be ended. Accepts NULL. */
void roll_call_drop(RollCall *roll);

/* Local. Takes in what has come; whether another rank has called. */
bool roll_call_listen(RollCall *roll);
/* Local. Sends this rank's word to all others; the first call only. */
void roll_call_say(RollCall *roll, const RollWord *word);
/* Local. The word of another rank; NULL where none has come. */
const RollWord *roll_call_word(const RollCall *roll, int rank);
bool roll_call_is_complete(const RollCall *roll);

/* Local. Who keeps the others from sum number waited, "; rank 2 on n8 has not come to it: …", few
 * of them by name. waited is 0 where no sum is waited for: only who is silent. */
void roll_call_describe(const RollCall *roll, int64_t waited, char *text, size_t bytes);
