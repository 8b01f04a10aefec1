#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* Bytes to be read: a file, memory, or a part of either. Readers stand on this alone, so a test or
 * a fuzzer can hand them memory. Reading is stateless: several threads may read one source. */
typedef struct Source Source;

Status source_open_file(const char *path, Source **source);
/* Borrows the bytes. */
Status source_open_memory(const void *bytes, size_t byte_count, const char *name, Source **source);
/* Takes the bytes, which memory_free frees in source_close; also where this fails. */
Status source_open_taken(void *bytes, size_t byte_count, const char *name, Source **source);
/* A part of a source that outlives it. STATUS_BAD_INPUT if it is not inside. */
Status source_open_part(const Source *whole, int64_t at, int64_t byte_count, const char *name,
                        Source **source);
void source_close(Source *source); /* accepts NULL */

const char *source_name(const Source *source);
int64_t source_bytes(const Source *source);
/* All or nothing: STATUS_BAD_INPUT if at + byte_count lies behind the end, STATUS_IO. */
Status source_read(const Source *source, int64_t at, void *bytes, size_t byte_count);

/* Little-endian numbers, unaligned. */
uint16_t le16(const uint8_t *bytes);
uint32_t le32(const uint8_t *bytes);
uint64_t le64(const uint8_t *bytes);
