#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "source.h"

/* A strict reader of zip archives. What two programs could read in two ways is refused: names that
 * stand twice, members that overlap, a directory and local headers or two end records that
 * disagree. Also refused: names that leave the folder (absolute, "..", a drive), links, encryption,
 * archives in parts, deflated members that claim more than deflate can pack. Layout: PKWARE
 * APPNOTE 6.3, with zip64. */
typedef struct Zip Zip;

typedef struct ZipEntry {
  const char *name; /* "/" between folders; folders end with it */
  int64_t header_at;
  int64_t data_at;
  int64_t packed_bytes;
  int64_t bytes;
  uint32_t crc;
  uint16_t method; /* 0 stored, 8 deflate; others can be listed, not read */
  uint16_t flags;
} ZipEntry;

enum {
  ZIP_STORED = 0,
  ZIP_DEFLATE = 8,
  ZIP_ENTRIES_MAX = 100000,
  ZIP_DIRECTORY_BYTES_MAX = 64 << 20
};
#define ZIP_BYTES_MAX (INT64_C(1) << 36) /* all members together, unpacked */

/* The source is borrowed until zip_close. */
Status zip_open(const Source *source, Zip **zip);
void zip_close(Zip *zip); /* accepts NULL */

const Source *zip_source(const Zip *zip);
size_t zip_count(const Zip *zip);
const ZipEntry *zip_at(const Zip *zip, size_t index);       /* in the directory's order */
const ZipEntry *zip_find(const Zip *zip, const char *name); /* NULL if there is none */
/* Relative, without ".", "..", empty parts or a drive. */
bool zip_is_safe_name(const char *name);
bool zip_is_folder(const ZipEntry *entry);

/* A whole member, checksum compared; *bytes is freed by memory_free and has a 0 behind it.
 * STATUS_BAD_INPUT beyond limit_bytes. */
Status zip_read(const Zip *zip, const ZipEntry *entry, int64_t limit_bytes, void **bytes,
                size_t *byte_count);
/* A stored member as a part of the archive, checksum not compared; a deflated one unpacked into
 * memory. */
Status zip_open_source(const Zip *zip, const ZipEntry *entry, int64_t limit_bytes, Source **source);
/* Reads a stored member through once and compares its checksum. Deflated: nothing to do. */
Status zip_check(const Zip *zip, const ZipEntry *entry);
