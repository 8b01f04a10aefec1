#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* Writes a zip archive of stored members, in the order given, with fixed times: the same input
 * gives the same bytes. Member data begins at multiples of 64 bytes, so that a reader may map it.
 * zip64 where it is needed. */
typedef struct ZipWriter ZipWriter;

/* path: written directly; the caller goes through output_aside. */
Status zip_writer_open(const char *path, ZipWriter **writer);
/* Closes the file, whole or not; accepts NULL. */
void zip_writer_close(ZipWriter *writer);

/* A member of byte_count bytes, which follow by zip_writer_add. */
Status zip_writer_begin(ZipWriter *writer, const char *name, int64_t byte_count);
Status zip_writer_add(void *writer, const void *bytes, size_t byte_count); /* fits WriteSink */
Status zip_writer_end(ZipWriter *writer);
Status zip_writer_member(ZipWriter *writer, const char *name, const void *bytes, size_t byte_count);
/* The directory. Nothing may follow but close. */
Status zip_writer_finish(ZipWriter *writer);
