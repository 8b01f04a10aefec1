#include "sink.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/output.h"

Status sink_file(void *stream, const void *bytes, size_t byte_count)
{
  if (byte_count > 0 && fwrite(bytes, 1, byte_count, stream) != byte_count)
    return status_set(STATUS_IO, "cannot write: %s", strerror(errno));
  return STATUS_OK;
}

static Status fill_file(const char *aside, SinkFill *fill, const void *context)
{
  FILE *stream = fopen(aside, "wbe");
  if (stream == NULL) return status_set(STATUS_IO, "cannot create: %s", strerror(errno));
  Status status = fill(context, sink_file, stream);
  if (fclose(stream) != 0 && status == STATUS_OK)
    status = status_set(STATUS_IO, "cannot write: %s", strerror(errno));
  return status;
}

Status sink_write_file(const char *path, SinkFill *fill, const void *context)
{
  char aside[OUTPUT_PATH_BYTES];
  TRY(output_aside(path, aside));
  Status status = fill_file(aside, fill, context);
  status = status == STATUS_OK ? output_commit(path) : status_prefix(status, "%s", path);
  if (status != STATUS_OK) output_discard(path);
  return status;
}
