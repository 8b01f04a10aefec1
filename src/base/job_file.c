#include "job_file.h"

#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <string.h>

typedef struct Reader {
  const char *tool;
  Status (*set)(void *context, const char *name, const char *value);
  void *context;
  Status status;
} Reader;

static int read_key(void *user, const char *section, const char *name, const char *value)
{
  Reader *reader = user;
  if (reader->status != STATUS_OK) return 1;
  if (*section != '\0' && strcmp(section, reader->tool) != 0)
    return 1; /* another tool's part of the same file */
  reader->status = reader->set(reader->context, name, value);
  return reader->status == STATUS_OK;
}

Status job_file_read(const char *path, const char *tool,
                     Status (*set)(void *context, const char *name, const char *value),
                     void *context)
{
  FILE *file = fopen(path, "re");
  if (file == NULL)
    return status_set(STATUS_IO, "cannot read the job file %s: %s", path, strerror(errno));
  Reader reader = {.tool = tool, .set = set, .context = context};
  const int line = ini_parse_file(file, read_key, &reader);
  (void)fclose(file);
  if (reader.status != STATUS_OK) return status_prefix(reader.status, "%s, line %d", path, line);
  if (line != 0)
    return status_set(STATUS_BAD_INPUT,
                      "%s, line %d: neither [section], nor key = value, nor a comment", path, line);
  return STATUS_OK;
}
