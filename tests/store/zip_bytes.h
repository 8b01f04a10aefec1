#pragma once

#include <stddef.h>
#include <stdint.h>

/* Zip archives for tests, right or deliberately wrong: every field of a member may be set apart
 * from the truth. */
typedef struct ZipBytes {
  uint8_t bytes[16384];
  size_t count;
  uint8_t directory[8192];
  size_t directory_bytes;
  uint16_t member_count;
} ZipBytes;

typedef struct ZipLie {
  const char *local_name; /* in the local header; NULL: the same */
  uint32_t attributes;
  uint16_t flags;
  uint16_t method;      /* both headers */
  int64_t header_at;    /* -1: where it is */
  int64_t packed_bytes; /* of the directory; -1: the truth */
  int64_t bytes;        /* of the directory; -1: the truth */
} ZipLie;

#define ZIP_TRUTH ((ZipLie){.header_at = -1, .packed_bytes = -1, .bytes = -1})

void zip_bytes_add(ZipBytes *zip, const char *name, const void *data, size_t byte_count,
                   ZipLie lie);
void zip_bytes_end(ZipBytes *zip);
