#include "store/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/path.h"
#include "journal_text.h"
#include "source.h"
#include "store/checksum.h"

struct Journal {
  char *path;
  int file;
  int64_t bytes; /* of whole lines */
};

static Status failed(const char *path, const char *what)
{
  return status_set(STATUS_IO, "cannot %s the journal %s: %s", what, path, strerror(errno));
}

static Status walk_source(const Source *source, const char *identity, JournalVisit *visit,
                          void *context, size_t *whole_bytes)
{
  const size_t byte_count = (size_t)source_bytes(source);
  void *text;
  TRY(memory_allocate(byte_count, 1, "journal", &text));
  Status status = source_read(source, 0, text, byte_count);
  if (status == STATUS_OK)
    status =
        journal_walk(text, byte_count, source_name(source), identity, visit, context, whole_bytes);
  memory_free(text);
  return status;
}

static Status walk_file(const char *path, const char *identity, JournalVisit *visit, void *context,
                        size_t *whole_bytes)
{
  *whole_bytes = 0;
  if (!path_exists(path)) return STATUS_OK;
  Source *source;
  TRY(source_open_file(path, &source));
  const Status status = walk_source(source, identity, visit, context, whole_bytes);
  source_close(source);
  return status;
}

Status journal_read(const char *path, const char *identity, JournalVisit *visit, void *context)
{
  size_t whole_bytes;
  return walk_file(path, identity, visit, context, &whole_bytes);
}

static Status write_all(const Journal *journal, const char *bytes, size_t byte_count)
{
  while (byte_count > 0) {
    const ssize_t count = write(journal->file, bytes, byte_count);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return failed(journal->path, "write to");
    bytes += count;
    byte_count -= (size_t)count;
  }
  return STATUS_OK;
}

/* A line that got onto the disk in part would hide all that follow it, so it is taken back. */
static Status write_line(Journal *journal, const char *line, size_t byte_count)
{
  const Status status = write_all(journal, line, byte_count);
  if (status == STATUS_OK)
    journal->bytes += (int64_t)byte_count;
  else if (ftruncate(journal->file, (off_t)journal->bytes) != 0)
    return status_prefix(status, "the last line of %s stays damaged", journal->path);
  return status;
}

static Status check_one_line(const char *record)
{
  if (strpbrk(record, "\r\n") != NULL)
    return status_set(STATUS_BAD_INPUT, "a record of a journal is one line: “%.80s”", record);
  return STATUS_OK;
}

static Status append(Journal *journal, const char *before, const char *record)
{
  TRY(check_one_line(record));
  const size_t record_bytes = strlen(before) + strlen(record);
  void *memory;
  TRY(memory_allocate(record_bytes + 16, 1, "journal line", &memory));
  char *line = memory;
  (void)snprintf(line + 9, record_bytes + 2, "%s%s\n", before, record);
  char crc[10];
  (void)snprintf(crc, sizeof crc, "%08x ", checksum_crc32(0, line + 9, record_bytes));
  memcpy(line, crc, 9);
  const Status status = write_line(journal, line, record_bytes + 10);
  memory_free(memory);
  return status;
}

Status journal_append(Journal *journal, const char *record, bool durable)
{
  TRY(append(journal, "", record));
  if (durable && fdatasync(journal->file) != 0) return failed(journal->path, "sync");
  return STATUS_OK;
}

static Status open_file(Journal *journal, const char *path, const char *identity)
{
  size_t whole_bytes;
  TRY(memory_copy_text(path, &journal->path));
  TRY(check_one_line(identity));
  TRY(walk_file(path, identity, NULL, NULL, &whole_bytes));
  journal->file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (journal->file < 0) return failed(path, "open");
  if (ftruncate(journal->file, (off_t)whole_bytes) != 0) return failed(path, "shorten");
  journal->bytes = (int64_t)whole_bytes;
  if (whole_bytes > 0) return STATUS_OK;
  TRY(append(journal, journal_opening, identity));
  return fsync(journal->file) == 0 ? STATUS_OK : failed(path, "sync");
}

Status journal_open(const char *path, const char *identity, Journal **journal)
{
  *journal = NULL;
  void *memory;
  TRY(memory_allocate(1, sizeof **journal, "journal", &memory));
  Journal *opening = memory;
  opening->file = -1;
  const Status status = open_file(opening, path, identity);
  if (status == STATUS_OK)
    *journal = opening;
  else
    journal_close(opening);
  return status;
}

void journal_close(Journal *journal)
{
  if (journal == NULL) return;
  if (journal->file >= 0) (void)close(journal->file);
  memory_free(journal->path);
  memory_free(journal);
}
