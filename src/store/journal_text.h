#pragma once

#include <stddef.h>

#include "store/journal.h"

/* Goes through the text of a journal, which it changes (line ends become 0). *whole_bytes: up to
 * where its lines are whole. The first line's record is compared with identity unless that is NULL.
 * STATUS_BAD_INPUT if the text does not begin as a journal does; a first line that a crash cut
 * short is that of an empty journal (*whole_bytes is 0). visit may be NULL. */
Status journal_walk(char *text, size_t byte_count, const char *path, const char *identity,
                    JournalVisit *visit, void *context, size_t *whole_bytes);

/* What stands before the identity in the first record. */
extern const char journal_opening[];
