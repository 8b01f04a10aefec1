#include "base/bundle.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/path.h"

enum { LINE_BYTES = 1024 };

Status bundle_root(char root[BUNDLE_PATH_BYTES])
{
  const ssize_t length = readlink("/proc/self/exe", root, BUNDLE_PATH_BYTES);
  if (length < 0)
    return status_set(STATUS_IO, "cannot tell where the program lies (/proc/self/exe: %s)",
                      strerror(errno));
  if (length == BUNDLE_PATH_BYTES)
    return status_set(STATUS_BAD_OPTION, "the program's path %.80s… is too long", root);
  root[length] = '\0';
  for (int i = 0; i < 2; ++i) {
    char *slash = strrchr(root, '/');
    if (slash != NULL) *slash = '\0';
  }
  if (root[0] == '\0') (void)strncpy(root, "/", BUNDLE_PATH_BYTES);
  return STATUS_OK;
}

static Status set_variable(const char *name, const char *value)
{
  const int failed = *value == '\0' ? unsetenv(name) : setenv(name, value, 1);
  if (failed != 0)
    return status_set(STATUS_BAD_INPUT, "%s cannot be set: %s", name, strerror(errno));
  return STATUS_OK;
}

static Status obey_line(char *line, const char *root)
{
  char path[BUNDLE_PATH_BYTES];
  const size_t length = strlen(line);
  if (length == LINE_BYTES - 1) return status_set(STATUS_BAD_INPUT, "the line is too long");
  line[strcspn(line, "\n")] = '\0';
  if (line[0] == '\0' || line[0] == '#') return STATUS_OK;
  char *value = strchr(line, '=');
  if (value == NULL || value == line)
    return status_set(STATUS_BAD_INPUT, "neither NAME=value nor a comment");
  *value++ = '\0';
  if (strncmp(value, "./", 2) != 0) return set_variable(line, value);
  TRY(path_join(root, value + 2, sizeof path, path));
  return set_variable(line, path);
}

static Status obey_lines(FILE *file, const char *path, const char *root)
{
  char line[LINE_BYTES];
  for (int number = 1; fgets(line, sizeof line, file) != NULL; ++number) {
    const Status status = obey_line(line, root);
    if (status != STATUS_OK) return status_prefix(status, "%s, line %d", path, number);
  }
  if (ferror(file)) return status_set(STATUS_IO, "%s: cannot be read", path);
  return STATUS_OK;
}

/* found: whether there is such a file. */
static Status obey_file(const char *root, const char *name, bool *found)
{
  char path[BUNDLE_PATH_BYTES];
  TRY(path_join(root, name, sizeof path, path));
  *found = path_exists(path);
  if (!*found) return STATUS_OK;
  FILE *file = fopen(path, "re");
  if (file == NULL) return status_set(STATUS_IO, "%s: %s", path, strerror(errno));
  const Status status = obey_lines(file, path, root);
  (void)fclose(file);
  return status;
}

Status bundle_enter_at(const char *root)
{
  bool is_bundle, has_open_mpi;
  TRY(obey_file(root, "share/quadrat/bundle.environment", &is_bundle));
  if (!is_bundle) return STATUS_OK;
  return obey_file(root, "openmpi/bundle.environment", &has_open_mpi);
}

Status bundle_enter(void)
{
  char root[BUNDLE_PATH_BYTES];
  TRY(bundle_root(root));
  return bundle_enter_at(root);
}
