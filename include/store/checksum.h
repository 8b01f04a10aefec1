#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* Digests that find damage and tell jobs apart. They are no defence against someone who wants a
 * collision. */

/* CRC-32 of zip and PNG (polynomial 0xEDB88320). Start with crc 0; feed the result back to go on.
 */
uint32_t checksum_crc32(uint32_t crc, const void *bytes, size_t byte_count);

/* XXH64 (Yann Collet's xxHash, 64 bits) of what was added so far. Start with checksum_start. */
typedef struct Checksum {
  uint64_t lanes[4];
  uint64_t total_bytes;
  uint8_t pending[32];
  size_t pending_bytes;
  uint64_t seed;
} Checksum;

Checksum checksum_start(uint64_t seed);
void checksum_add(Checksum *checksum, const void *bytes, size_t byte_count);
/* Text with its length, so that "ab" + "c" and "a" + "bc" differ. */
void checksum_add_text(Checksum *checksum, const char *text);
uint64_t checksum_value(const Checksum *checksum);

/* The digest (seed 0) of a whole file. Errors: STATUS_IO. */
Status checksum_file(const char *path, uint64_t *value);
/* Sixteen hexadecimal digits, in lower case. */
void checksum_text(uint64_t value, char text[17]);
