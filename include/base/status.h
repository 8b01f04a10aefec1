#pragma once

#include <stddef.h>

/* Outcomes that a caller might treat differently. The sentence that goes with one is written where
 * the error is found, once, with the numbers that explain it, and is not overwritten on the way up.
 * It is kept per thread. */
typedef enum Status {
  STATUS_OK = 0,
  STATUS_BAD_OPTION,  /* an option that is unknown, missing or out of range */
  STATUS_IO,          /* a file that cannot be opened, read, written or renamed; a full disk */
  STATUS_BAD_INPUT,   /* a file that is truncated, corrupt or not of its format */
  STATUS_MISMATCH,    /* inputs that do not fit each other: reference system, bands, type, classes,
                         extent */
  STATUS_NO_MEMORY,   /* memory of the host or of a device */
  STATUS_UNSUPPORTED, /* correct, but not something this build or this device does */
  STATUS_BAD_SHAPE,   /* shapes that an op cannot take */
  STATUS_DEVICE,      /* a failure that a compute library reported */
  STATUS_COMM,        /* a failure that MPI or NCCL reported */
  STATUS_DIVERGED,    /* a loss that is no number any more */
  STATUS_INTERRUPTED  /* a signal asked the job to stop; its state is on disk */
} Status;

/* Returns early; so it may stand only in a function that owns nothing. */
#define TRY(call)                                                                                  \
  do {                                                                                             \
    const Status status_of_call = (call);                                                          \
    if (status_of_call != STATUS_OK) return status_of_call;                                        \
  } while (0)

/* Sets the thread's sentence and returns status, so that an error is one line: return
 * status_set(STATUS_IO, …). */
Status status_set(Status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Puts words before the thread's sentence, where a caller knows what the callee could not (which
 * file, which rank). */
Status status_prefix(Status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The thread's last sentence; lives until the thread sets another. */
const char *status_message(void);

/* The process's exit status for an outcome, as the README's table has it. */
int status_exit_code(Status status);
