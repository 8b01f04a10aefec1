#include "zip_writer.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/memory.h"
#include "base/require.h"
#include "sink.h"
#include "store/checksum.h"

enum {
  LOCAL_BYTES = 30,
  ALIGNMENT_BYTES = 64,
  NAME_BYTES_MAX = 4096,
  FLAG_UTF8 = 0x0800,
  DOS_DATE = 0x21 /* 1980-01-01, the first day that zip knows */
};
static const int64_t saturated = 0xFFFFFFFF;

typedef struct Member {
  struct Member *next;
  char *name;
  int64_t header_at;
  int64_t bytes;
  uint32_t crc;
} Member;

struct ZipWriter {
  FILE *stream;
  Arena *arena;
  Member *first;
  Member *last;
  int64_t count;
  int64_t at;    /* bytes written so far */
  int64_t added; /* to the last member */
};

/* A record under construction; little-endian. */
typedef struct Record {
  uint8_t bytes[128];
  size_t count;
} Record;

static void put(Record *record, uint64_t value, size_t bytes)
{
  require(record->count + bytes <= sizeof record->bytes);
  for (size_t i = 0; i < bytes; ++i)
    record->bytes[record->count++] = (uint8_t)(value >> (8 * i));
}

static uint64_t clip(int64_t value)
{
  return (uint64_t)(value < saturated ? value : saturated);
}

static Status emit(ZipWriter *writer, const void *bytes, size_t byte_count)
{
  TRY(sink_file(writer->stream, bytes, byte_count));
  writer->at += (int64_t)byte_count;
  return STATUS_OK;
}

Status zip_writer_open(const char *path, ZipWriter **writer)
{
  *writer = NULL;
  void *memory;
  TRY(memory_allocate(1, sizeof **writer, "zip writer", &memory));
  ZipWriter *opening = memory;
  Status status = arena_open(&opening->arena);
  if (status == STATUS_OK) {
    opening->stream = fopen(path, "w+be");
    if (opening->stream == NULL)
      status = status_set(STATUS_IO, "cannot create %s: %s", path, strerror(errno));
  }
  if (status == STATUS_OK)
    *writer = opening;
  else
    zip_writer_close(opening);
  return status;
}

void zip_writer_close(ZipWriter *writer)
{
  if (writer == NULL) return;
  if (writer->stream != NULL) (void)fclose(writer->stream);
  arena_close(writer->arena);
  memory_free(writer);
}

static Status add_member(ZipWriter *writer, const char *name, int64_t byte_count)
{
  void *piece;
  TRY(arena_allocate(writer->arena, sizeof(Member), &piece));
  Member *member = piece;
  TRY(arena_copy_text(writer->arena, name, &member->name));
  member->header_at = writer->at;
  member->bytes = byte_count;
  if (writer->last == NULL)
    writer->first = member;
  else
    writer->last->next = member;
  writer->last = member;
  ++writer->count;
  writer->added = 0;
  return STATUS_OK;
}

/* The extra field FB holds the bytes that bring the data to a multiple of 64, as PyTorch's writer
 * does. */
static Status emit_local(ZipWriter *writer, const Member *member)
{
  static const uint8_t padding[ALIGNMENT_BYTES + 4] = {0};
  const size_t name_bytes = strlen(member->name);
  const bool wide = member->bytes >= saturated;
  const size_t wide_bytes = wide ? 20 : 0;
  const size_t unpadded = (size_t)writer->at + LOCAL_BYTES + name_bytes + wide_bytes + 4;
  const size_t pad_bytes = (ALIGNMENT_BYTES - unpadded % ALIGNMENT_BYTES) % ALIGNMENT_BYTES;
  Record local = {.count = 0};
  put(&local, 0x04034b50, 4);
  put(&local, wide ? 45 : 20, 2); /* version needed */
  put(&local, FLAG_UTF8, 2);
  put(&local, 0, 2); /* stored */
  put(&local, 0, 2); /* time */
  put(&local, DOS_DATE, 2);
  put(&local, 0, 4); /* checksum: patched when it is known */
  put(&local, clip(member->bytes), 4);
  put(&local, clip(member->bytes), 4);
  put(&local, name_bytes, 2);
  put(&local, wide_bytes + 4 + pad_bytes, 2);
  TRY(emit(writer, local.bytes, local.count));
  TRY(emit(writer, member->name, name_bytes));
  Record extra = {.count = 0};
  if (wide) {
    put(&extra, 1, 2);
    put(&extra, 16, 2);
    put(&extra, (uint64_t)member->bytes, 8);
    put(&extra, (uint64_t)member->bytes, 8);
  }
  put(&extra, 0x4246, 2); /* "FB" */
  put(&extra, pad_bytes, 2);
  TRY(emit(writer, extra.bytes, extra.count));
  return emit(writer, padding, pad_bytes);
}

Status zip_writer_begin(ZipWriter *writer, const char *name, int64_t byte_count)
{
  if (strlen(name) > NAME_BYTES_MAX)
    return status_set(STATUS_BAD_OPTION, "the name %.80s… is too long for a zip archive", name);
  TRY(add_member(writer, name, byte_count));
  return emit_local(writer, writer->last);
}

Status zip_writer_add(void *context, const void *bytes, size_t byte_count)
{
  ZipWriter *writer = context;
  writer->last->crc = checksum_crc32(writer->last->crc, bytes, byte_count);
  writer->added += (int64_t)byte_count;
  return emit(writer, bytes, byte_count);
}

static Status seek(ZipWriter *writer, int64_t at)
{
  if (fseeko(writer->stream, (off_t)at, SEEK_SET) != 0)
    return status_set(STATUS_IO, "cannot write: %s", strerror(errno));
  return STATUS_OK;
}

Status zip_writer_end(ZipWriter *writer)
{
  require(writer->added == writer->last->bytes);
  Record crc = {.count = 0};
  put(&crc, writer->last->crc, 4);
  TRY(seek(writer, writer->last->header_at + 14));
  TRY(sink_file(writer->stream, crc.bytes, crc.count));
  return seek(writer, writer->at);
}

Status zip_writer_member(ZipWriter *writer, const char *name, const void *bytes, size_t byte_count)
{
  TRY(zip_writer_begin(writer, name, (int64_t)byte_count));
  TRY(zip_writer_add(writer, bytes, byte_count));
  return zip_writer_end(writer);
}

static Status emit_entry(ZipWriter *writer, const Member *member)
{
  const bool wide = member->bytes >= saturated || member->header_at >= saturated;
  const size_t name_bytes = strlen(member->name);
  Record extra = {.count = 0};
  if (wide) { /* only what is saturated, in this order */
    put(&extra, 1, 2);
    put(&extra,
        (member->bytes >= saturated ? 16U : 0U) + (member->header_at >= saturated ? 8U : 0U), 2);
    if (member->bytes >= saturated) {
      put(&extra, (uint64_t)member->bytes, 8);
      put(&extra, (uint64_t)member->bytes, 8);
    }
    if (member->header_at >= saturated) put(&extra, (uint64_t)member->header_at, 8);
  }
  Record entry = {.count = 0};
  put(&entry, 0x02014b50, 4);
  put(&entry, wide ? 45 : 20, 2); /* made by: MS-DOS, so that no modes are implied */
  put(&entry, wide ? 45 : 20, 2);
  put(&entry, FLAG_UTF8, 2);
  put(&entry, 0, 2);
  put(&entry, 0, 2);
  put(&entry, DOS_DATE, 2);
  put(&entry, member->crc, 4);
  put(&entry, clip(member->bytes), 4);
  put(&entry, clip(member->bytes), 4);
  put(&entry, name_bytes, 2);
  put(&entry, extra.count, 2);
  put(&entry, 0, 2); /* comment */
  put(&entry, 0, 2); /* disk */
  put(&entry, 0, 2);
  put(&entry, 0, 4); /* attributes */
  put(&entry, clip(member->header_at), 4);
  TRY(emit(writer, entry.bytes, entry.count));
  TRY(emit(writer, member->name, name_bytes));
  return emit(writer, extra.bytes, extra.count);
}

static void put_end64(Record *end, int64_t count, int64_t at, int64_t bytes)
{
  put(end, 0x06064b50, 4);
  put(end, 44, 8);
  put(end, 45, 2);
  put(end, 45, 2);
  put(end, 0, 8); /* disks */
  put(end, (uint64_t)count, 8);
  put(end, (uint64_t)count, 8);
  put(end, (uint64_t)bytes, 8);
  put(end, (uint64_t)at, 8);
  put(end, 0x07064b50, 4);
  put(end, 0, 4);
  put(end, (uint64_t)(at + bytes), 8);
  put(end, 1, 4);
}

Status zip_writer_finish(ZipWriter *writer)
{
  const int64_t at = writer->at;
  for (const Member *member = writer->first; member != NULL; member = member->next)
    TRY(emit_entry(writer, member));
  const int64_t bytes = writer->at - at;
  Record end = {.count = 0};
  if (writer->count >= 0xFFFF || at >= saturated || bytes >= saturated)
    put_end64(&end, writer->count, at, bytes);
  put(&end, 0x06054b50, 4);
  put(&end, 0, 4); /* disks */
  put(&end, writer->count < 0xFFFF ? (uint64_t)writer->count : 0xFFFF, 2);
  put(&end, writer->count < 0xFFFF ? (uint64_t)writer->count : 0xFFFF, 2);
  put(&end, clip(bytes), 4);
  put(&end, clip(at), 4);
  put(&end, 0, 2);
  TRY(emit(writer, end.bytes, end.count));
  if (fflush(writer->stream) != 0)
    return status_set(STATUS_IO, "cannot write: %s", strerror(errno));
  return STATUS_OK;
}
