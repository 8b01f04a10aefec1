#include <limits.h>
#include <zlib.h>

#include "base/memory.h"
#include "store/checksum.h"
#include "zip_reader.h"

enum { BLOCK_BYTES = 65536 };

static Status damaged(const Zip *zip, const ZipEntry *entry, const char *what)
{
  return status_set(STATUS_BAD_INPUT, "%s: the member “%.200s” is damaged: %s",
                    source_name(zip_source(zip)), entry->name, what);
}

/* The next block of packed bytes into a stream that ran dry. */
static Status feed(const Zip *zip, const ZipEntry *entry, int64_t *fed_bytes, uint8_t *block,
                   z_stream *stream)
{
  const int64_t left = entry->packed_bytes - *fed_bytes;
  const size_t count = left < BLOCK_BYTES ? (size_t)left : BLOCK_BYTES;
  if (count == 0) return damaged(zip, entry, "its packed bytes end too early");
  TRY(source_read(zip_source(zip), entry->data_at + *fed_bytes, block, count));
  stream->next_in = block;
  stream->avail_in = (uInt)count;
  *fed_bytes += (int64_t)count;
  return STATUS_OK;
}

/* Room is exactly what the directory promises; zlib's counts are 32-bit, so the room is given in
 * parts. */
static Status inflate_all(const Zip *zip, const ZipEntry *entry, z_stream *stream, uint8_t *bytes)
{
  uint8_t block[BLOCK_BYTES];
  int64_t fed_bytes = 0;
  int64_t given_bytes = 0;
  stream->next_out = bytes;
  for (int outcome = Z_OK; outcome != Z_STREAM_END;) {
    if (stream->avail_out == 0 && given_bytes < entry->bytes) {
      const int64_t left = entry->bytes - given_bytes;
      stream->avail_out = left < INT_MAX ? (uInt)left : (uInt)INT_MAX;
      given_bytes += (int64_t)stream->avail_out;
    }
    if (stream->avail_in == 0) TRY(feed(zip, entry, &fed_bytes, block, stream));
    outcome = inflate(stream, Z_NO_FLUSH);
    if (outcome == Z_BUF_ERROR && stream->avail_in > 0 && given_bytes == entry->bytes)
      return damaged(zip, entry, "it unpacks to more than the directory says");
    if (outcome != Z_OK && outcome != Z_STREAM_END && outcome != Z_BUF_ERROR)
      return damaged(zip, entry, "its packed bytes are corrupt");
  }
  if (stream->avail_out != 0 || given_bytes != entry->bytes)
    return damaged(zip, entry, "it unpacks to less than the directory says");
  if (stream->avail_in != 0 || fed_bytes != entry->packed_bytes)
    return damaged(zip, entry, "bytes follow its packed bytes");
  return STATUS_OK;
}

static Status inflate_entry(const Zip *zip, const ZipEntry *entry, uint8_t *bytes)
{
  z_stream stream = {0};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
    return status_set(STATUS_NO_MEMORY, "%s: no memory to unpack “%.200s”",
                      source_name(zip_source(zip)), entry->name);
  const Status status = inflate_all(zip, entry, &stream, bytes);
  (void)inflateEnd(&stream);
  return status;
}

static Status read_into(const Zip *zip, const ZipEntry *entry, uint8_t *bytes)
{
  if (entry->method == ZIP_DEFLATE)
    TRY(inflate_entry(zip, entry, bytes));
  else
    TRY(source_read(zip_source(zip), entry->data_at, bytes, (size_t)entry->bytes));
  bytes[entry->bytes] = 0;
  if (checksum_crc32(0, bytes, (size_t)entry->bytes) != entry->crc)
    return damaged(zip, entry, "its checksum is wrong");
  return STATUS_OK;
}

Status zip_read(const Zip *zip, const ZipEntry *entry, int64_t limit_bytes, void **bytes,
                size_t *byte_count)
{
  *bytes = NULL;
  *byte_count = 0;
  if (entry->method != ZIP_STORED && entry->method != ZIP_DEFLATE)
    return status_set(STATUS_UNSUPPORTED,
                      "%s: the member “%.200s” is packed by method %d; only stored and deflated "
                      "members are read",
                      source_name(zip_source(zip)), entry->name, entry->method);
  if (entry->bytes > limit_bytes)
    return status_set(
        STATUS_BAD_INPUT, "%s: the member “%.200s” has %lld bytes; at most %lld are read",
        source_name(zip_source(zip)), entry->name, (long long)entry->bytes, (long long)limit_bytes);
  void *memory;
  TRY(memory_allocate((size_t)entry->bytes + 1, 1, entry->name, &memory));
  const Status status = read_into(zip, entry, memory);
  if (status != STATUS_OK) {
    memory_free(memory);
    return status;
  }
  *bytes = memory;
  *byte_count = (size_t)entry->bytes;
  return STATUS_OK;
}

Status zip_open_source(const Zip *zip, const ZipEntry *entry, int64_t limit_bytes, Source **source)
{
  *source = NULL;
  if (entry->method == ZIP_STORED)
    return source_open_part(zip_source(zip), entry->data_at, entry->bytes,
                            source_name(zip_source(zip)), source);
  void *bytes;
  size_t byte_count;
  TRY(zip_read(zip, entry, limit_bytes, &bytes, &byte_count));
  return source_open_taken(bytes, byte_count, source_name(zip_source(zip)), source);
}

Status zip_check(const Zip *zip, const ZipEntry *entry)
{
  uint8_t block[BLOCK_BYTES];
  if (entry->method != ZIP_STORED) return STATUS_OK;
  uint32_t crc = 0;
  for (int64_t at = 0; at < entry->bytes; at += BLOCK_BYTES) {
    const int64_t left = entry->bytes - at;
    const size_t count = left < BLOCK_BYTES ? (size_t)left : BLOCK_BYTES;
    TRY(source_read(zip_source(zip), entry->data_at + at, block, count));
    crc = checksum_crc32(crc, block, count);
  }
  return crc == entry->crc ? STATUS_OK : damaged(zip, entry, "its checksum is wrong");
}
