#pragma once

#include <stdbool.h>

#include "base/status.h"

/* What is done, kept through any crash: append-only text, one record per line, each with a CRC-32
 * before it. The first line is the identity of the job (a digest of inputs and options). One writer
 * per file. */
typedef struct Journal Journal;

/* Makes the journal, or opens it to go on: a damaged end (a line that a crash cut) is cut off.
 * Errors: STATUS_MISMATCH if it is another job's; STATUS_BAD_INPUT if it is no journal (it is left
 * alone); STATUS_IO. */
Status journal_open(const char *path, const char *identity, Journal **journal);
void journal_close(Journal *journal); /* accepts NULL */

/* record: one line of text, without a line end (STATUS_BAD_INPUT). durable: on disk when this
 * returns. */
Status journal_append(Journal *journal, const char *record, bool durable);

/* Calls visit for each whole record in order, and stops at the first damaged line; that is no
 * error. A visit that returns another status than STATUS_OK ends the reading with it. identity:
 * NULL takes any. A file that does not exist has no records. */
typedef Status JournalVisit(void *context, const char *record);
Status journal_read(const char *path, const char *identity, JournalVisit *visit, void *context);
