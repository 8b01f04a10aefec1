#pragma once

#include <stddef.h>

#include "base/status.h"

/* Zeroed memory, aligned to 64 bytes, freed by memory_free. A count of 0 gives a valid pointer.
 * Errors: STATUS_NO_MEMORY, also when count * size overflows; what names the thing in the sentence.
 */
Status memory_allocate(size_t count, size_t size, const char *what, void **memory);
void memory_free(void *memory); /* accepts NULL */

/* A copy of text; what it returns is freed by memory_free. */
Status memory_copy_text(const char *text, char **copy);

/* Once, at the start: blocks of a MiB and more go back to the system as soon as they are freed,
 * whatever was freed before, so that what a process takes can be foretold. */
void memory_start(void);

/* Bytes of this process that are in memory now (VmRSS), and the most that ever were (VmHWM); 0 where
 * the system does not say. */
size_t memory_resident_bytes(void);
size_t memory_peak_bytes(void);
/* Bytes of the host that this process could still take: what the system calls available, or what
 * its control group (a container, a job of Slurm) leaves, if that is less; 0 where it is not said.
 */
size_t memory_available_bytes(void);
