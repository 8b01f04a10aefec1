#pragma once

#include <stddef.h>

#include "base/status.h"

/* Where a writer's bytes go: a file of their own, or a member of an archive. */
typedef Status WriteSink(void *context, const void *bytes, size_t byte_count);

/* A sink into a FILE *. */
Status sink_file(void *stream, const void *bytes, size_t byte_count);

/* Opens the file aside of path, lets fill write to it, closes, syncs and renames it; on failure
 * nothing is left. */
typedef Status SinkFill(const void *context, WriteSink *sink, void *sink_context);
Status sink_write_file(const char *path, SinkFill *fill, const void *context);
