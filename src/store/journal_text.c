#include "journal_text.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "store/checksum.h"

enum { CRC_CHARS = 8 };

const char journal_opening[] = "quadrat journal 1 ";

/* A line is the checksum of its record in eight digits, a blank, the record. */
static bool is_whole(const char *line, size_t length)
{
  if (length <= CRC_CHARS || line[CRC_CHARS] != ' ') return false;
  const char *record = line + CRC_CHARS + 1;
  const size_t record_bytes = length - CRC_CHARS - 1;
  char wanted[CRC_CHARS + 1];
  (void)snprintf(wanted, sizeof wanted, "%08x", checksum_crc32(0, record, record_bytes));
  return memcmp(line, wanted, CRC_CHARS) == 0 && memchr(record, '\0', record_bytes) == NULL;
}

/* Could the text be the beginning of a first line that was never finished? */
static bool is_cut_opening(const char *text, size_t byte_count)
{
  for (size_t i = 0; i < byte_count && i < CRC_CHARS; ++i)
    if (!isxdigit((unsigned char)text[i])) return false;
  if (byte_count > CRC_CHARS && text[CRC_CHARS] != ' ') return false;
  if (byte_count <= CRC_CHARS + 1) return true;
  const size_t left = byte_count - CRC_CHARS - 1;
  const size_t opening_bytes = strlen(journal_opening);
  return memcmp(text + CRC_CHARS + 1, journal_opening,
                left < opening_bytes ? left : opening_bytes) == 0;
}

static Status check_opening(const char *record, const char *path, const char *identity)
{
  const size_t opening_bytes = strlen(journal_opening);
  if (strncmp(record, journal_opening, opening_bytes) != 0)
    return status_set(STATUS_BAD_INPUT, "%s is not a journal of this program", path);
  if (identity != NULL && strcmp(record + opening_bytes, identity) != 0)
    return status_set(STATUS_MISMATCH,
                      "%s is the journal of another job (%.80s, this one is %.80s): inputs or "
                      "options have changed; remove it to start anew",
                      path, record + opening_bytes, identity);
  return STATUS_OK;
}

Status journal_walk(char *text, size_t byte_count, const char *path, const char *identity,
                    JournalVisit *visit, void *context, size_t *whole_bytes)
{
  *whole_bytes = 0;
  for (size_t at = 0; at < byte_count;) {
    char *line = text + at;
    char *end = memchr(line, '\n', byte_count - at);
    if (end == NULL && at == 0 && is_cut_opening(text, byte_count)) return STATUS_OK;
    const bool whole = end != NULL && is_whole(line, (size_t)(end - line));
    if (!whole && at == 0)
      return status_set(STATUS_BAD_INPUT,
                        "%s is not a journal of this program, or its first line is damaged", path);
    if (!whole) return STATUS_OK;
    *end = '\0';
    const char *record = line + CRC_CHARS + 1;
    if (at == 0)
      TRY(check_opening(record, path, identity));
    else if (visit != NULL)
      TRY(visit(context, record));
    at += (size_t)(end - line) + 1;
    *whole_bytes = at;
  }
  return STATUS_OK;
}
