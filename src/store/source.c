#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"

struct Source {
  char *name;
  const uint8_t *memory; /* NULL: a file */
  void *taken;           /* memory to free */
  int file;
  bool owns_file;
  int64_t first; /* where the part begins in the file */
  int64_t bytes;
};

static Status make(const char *name, Source **source)
{
  void *made;
  TRY(memory_allocate(1, sizeof **source, name, &made));
  *source = made;
  (*source)->file = -1;
  return memory_copy_text(name, &(*source)->name);
}

static Status open_file(Source *source, const char *path)
{
  source->file = open(path, O_RDONLY | O_CLOEXEC);
  if (source->file < 0) return status_set(STATUS_IO, "cannot open %s: %s", path, strerror(errno));
  source->owns_file = true;
  struct stat found;
  if (fstat(source->file, &found) != 0)
    return status_set(STATUS_IO, "cannot read %s: %s", path, strerror(errno));
  if (!S_ISREG(found.st_mode)) return status_set(STATUS_IO, "%s is not a regular file", path);
  source->bytes = (int64_t)found.st_size;
  return STATUS_OK;
}

Status source_open_file(const char *path, Source **source)
{
  *source = NULL;
  Source *opening = NULL;
  Status status = make(path, &opening);
  if (status == STATUS_OK) status = open_file(opening, path);
  if (status == STATUS_OK)
    *source = opening;
  else
    source_close(opening);
  return status;
}

Status source_open_memory(const void *bytes, size_t byte_count, const char *name, Source **source)
{
  *source = NULL;
  Source *opening = NULL;
  const Status status = make(name, &opening);
  if (status != STATUS_OK) {
    source_close(opening);
    return status;
  }
  opening->memory = bytes;
  opening->bytes = (int64_t)byte_count;
  *source = opening;
  return STATUS_OK;
}

Status source_open_taken(void *bytes, size_t byte_count, const char *name, Source **source)
{
  const Status status = source_open_memory(bytes, byte_count, name, source);
  if (status == STATUS_OK)
    (*source)->taken = bytes;
  else
    memory_free(bytes);
  return status;
}

Status source_open_part(const Source *whole, int64_t at, int64_t byte_count, const char *name,
                        Source **source)
{
  *source = NULL;
  if (at < 0 || byte_count < 0 || at > whole->bytes || byte_count > whole->bytes - at)
    return status_set(STATUS_BAD_INPUT, "%s: %s lies behind the end of the file", whole->name,
                      name);
  TRY(source_open_memory(whole->memory == NULL ? NULL : whole->memory + at, (size_t)byte_count,
                         name, source));
  (*source)->file = whole->file;
  (*source)->first = whole->first + at;
  return STATUS_OK;
}

void source_close(Source *source)
{
  if (source == NULL) return;
  if (source->owns_file) (void)close(source->file);
  memory_free(source->taken);
  memory_free(source->name);
  memory_free(source);
}

const char *source_name(const Source *source)
{
  return source->name;
}

int64_t source_bytes(const Source *source)
{
  return source->bytes;
}

static Status read_file(const Source *source, int64_t at, uint8_t *bytes, size_t byte_count)
{
  while (byte_count > 0) {
    const ssize_t count = pread(source->file, bytes, byte_count, (off_t)(source->first + at));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0)
      return status_set(STATUS_IO, "cannot read %s: %s", source->name, strerror(errno));
    if (count == 0)
      return status_set(STATUS_IO, "%s: the file became shorter while it was read", source->name);
    bytes += count;
    at += count;
    byte_count -= (size_t)count;
  }
  return STATUS_OK;
}

Status source_read(const Source *source, int64_t at, void *bytes, size_t byte_count)
{
  if (at < 0 || at > source->bytes || (uint64_t)(source->bytes - at) < byte_count)
    return status_set(STATUS_BAD_INPUT,
                      "%s: truncated: %zu bytes wanted at %lld, the file has %lld", source->name,
                      byte_count, (long long)at, (long long)source->bytes);
  if (byte_count == 0) return STATUS_OK;
  if (source->file >= 0) return read_file(source, at, bytes, byte_count);
  memcpy(bytes, source->memory + at, byte_count);
  return STATUS_OK;
}

uint16_t le16(const uint8_t *bytes)
{
  return (uint16_t)(bytes[0] | bytes[1] << 8);
}

uint32_t le32(const uint8_t *bytes)
{
  return (uint32_t)le16(bytes) | (uint32_t)le16(bytes + 2) << 16;
}

uint64_t le64(const uint8_t *bytes)
{
  return (uint64_t)le32(bytes) | (uint64_t)le32(bytes + 4) << 32;
}
