#pragma once

/* Programming errors stop the whole job at once: prints the condition, file and line, and calls the
 * handler that comm installed (MPI_Abort), else abort. Bad input is never a programming error. */
#define require(condition) ((condition) ? (void)0 : require_failed(#condition, __FILE__, __LINE__))

_Noreturn void require_failed(const char *condition, const char *file, int line);

/* What ends the job. Default: abort(). */
void require_set_handler(void (*end_job)(void));
