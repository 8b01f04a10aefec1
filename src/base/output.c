#include "base/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"

/* "map.tif" is written as ".map.part.tif": drivers that choose a format by its ending still see the
 * ending. */
Status output_aside(const char *path, char aside[OUTPUT_PATH_BYTES])
{
  const char *name = path_file_name(path);
  const char *dot = strrchr(name, '.');
  const char *ending = dot == NULL || dot == name ? "" : dot;
  const int stem_length = (int)(strlen(name) - strlen(ending));
  const int written = snprintf(aside, OUTPUT_PATH_BYTES, "%.*s.%.*s.part%s", (int)(name - path),
                               path, stem_length, name, ending);
  if (written < 0 || written >= OUTPUT_PATH_BYTES)
    return status_set(STATUS_BAD_OPTION, "the path %.80s… is too long; give a shorter one", path);
  return STATUS_OK;
}

static Status sync_file(const char *path)
{
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return status_set(STATUS_IO, "%s: %s", path, strerror(errno));
  const int failed = fsync(file);
  const int reason = errno;
  (void)close(file);
  if (failed != 0)
    return status_set(STATUS_IO, "cannot write %s to disk: %s", path, strerror(reason));
  return STATUS_OK;
}

Status output_commit(const char *path)
{
  char aside[OUTPUT_PATH_BYTES];
  TRY(output_aside(path, aside));
  TRY(sync_file(aside));
  if (rename(aside, path) != 0)
    return status_set(STATUS_IO, "cannot rename %s to %s: %s", aside, path, strerror(errno));
  return STATUS_OK;
}

void output_discard(const char *path)
{
  char aside[OUTPUT_PATH_BYTES];
  if (output_aside(path, aside) == STATUS_OK) (void)unlink(aside);
}

static Status folder_of(const char *path, char folder[OUTPUT_PATH_BYTES])
{
  const size_t length = (size_t)(path_file_name(path) - path);
  if (length >= OUTPUT_PATH_BYTES)
    return status_set(STATUS_BAD_OPTION, "the path %.80s… is too long", path);
  memcpy(folder, length == 0 ? "." : path, length == 0 ? 1 : length);
  folder[length == 0 ? 1 : length] = '\0';
  return STATUS_OK;
}

Status output_check_writable(const char *path)
{
  char folder[OUTPUT_PATH_BYTES];
  TRY(folder_of(path, folder));
  if (*path_file_name(path) == '\0' || path_is_folder(path))
    return status_set(STATUS_IO, "cannot write %s: it is a folder; give the name of a file", path);
  if (!path_exists(folder))
    return status_set(STATUS_IO, "cannot write %s: the folder %s does not exist; make it first",
                      path, folder);
  if (!path_is_folder(folder))
    return status_set(STATUS_IO, "cannot write %s: %s is not a folder", path, folder);
  if (access(folder, W_OK) != 0)
    return status_set(STATUS_IO, "cannot write %s: the folder %s is not writable (%s)", path,
                      folder, strerror(errno));
  return STATUS_OK;
}

static Status make_one(const char *path)
{
  if (mkdir(path, 0777) == 0 || (errno == EEXIST && path_is_folder(path))) return STATUS_OK;
  return status_set(STATUS_IO, "cannot make the folder %s: %s", path, strerror(errno));
}

Status output_make_folder(const char *path)
{
  char prefix[OUTPUT_PATH_BYTES];
  const size_t length = strlen(path);
  if (length == 0 || length >= sizeof prefix)
    return status_set(STATUS_BAD_OPTION, "“%.80s” is no name for a folder", path);
  memcpy(prefix, path, length + 1);
  for (size_t i = 1; i < length; ++i) {
    if (prefix[i] != '/') continue;
    prefix[i] = '\0';
    TRY(make_one(prefix));
    prefix[i] = '/';
  }
  return make_one(prefix);
}
