#include "base/path.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

bool path_exists(const char *path)
{
  struct stat found;
  return stat(path, &found) == 0;
}

bool path_is_folder(const char *path)
{
  struct stat found;
  return stat(path, &found) == 0 && S_ISDIR(found.st_mode);
}

bool path_has_ending(const char *path, const char *ending)
{
  const size_t path_length = strlen(path);
  const size_t ending_length = strlen(ending);
  return path_length >= ending_length &&
         strcasecmp(path + path_length - ending_length, ending) == 0;
}

const char *path_file_name(const char *path)
{
  const char *slash = strrchr(path, '/');
  return slash == NULL ? path : slash + 1;
}

Status path_join(const char *folder, const char *name, size_t bytes, char *joined)
{
  const size_t length = strlen(folder);
  const char *separator = length == 0 || folder[length - 1] == '/' ? "" : "/";
  const int written = snprintf(joined, bytes, "%s%s%s", folder, separator, name);
  if (written < 0 || (size_t)written >= bytes)
    return status_set(STATUS_BAD_OPTION, "the path %.80s…/%s is too long; give a shorter one",
                      folder, name);
  return STATUS_OK;
}

Status path_size_bytes(const char *path, int64_t *bytes)
{
  struct stat found;
  if (stat(path, &found) != 0) return status_set(STATUS_IO, "%s: %s", path, strerror(errno));
  *bytes = (int64_t)found.st_size;
  return STATUS_OK;
}

static Status remove_entry(const char *folder, const char *name)
{
  char path[4096];
  TRY(path_join(folder, name, sizeof path, path));
  struct stat found;
  if (lstat(path, &found) != 0) return status_set(STATUS_IO, "%s: %s", path, strerror(errno));
  if (S_ISDIR(found.st_mode)) return path_remove_tree(path);
  if (unlink(path) != 0)
    return status_set(STATUS_IO, "cannot remove %s: %s", path, strerror(errno));
  return STATUS_OK;
}

static Status remove_entries(DIR *listing, const char *folder)
{
  for (const struct dirent *entry = readdir(listing); entry != NULL; entry = readdir(listing))
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
      TRY(remove_entry(folder, entry->d_name));
  return STATUS_OK;
}

Status path_remove_tree(const char *path)
{
  struct stat found;
  if (lstat(path, &found) != 0)
    return errno == ENOENT ? STATUS_OK : status_set(STATUS_IO, "%s: %s", path, strerror(errno));
  if (!S_ISDIR(found.st_mode)) {
    if (unlink(path) != 0)
      return status_set(STATUS_IO, "cannot remove %s: %s", path, strerror(errno));
    return STATUS_OK;
  }
  DIR *listing = opendir(path);
  if (listing == NULL) return status_set(STATUS_IO, "cannot list %s: %s", path, strerror(errno));
  const Status status = remove_entries(listing, path);
  (void)closedir(listing);
  if (status != STATUS_OK) return status;
  if (rmdir(path) != 0) return status_set(STATUS_IO, "cannot remove %s: %s", path, strerror(errno));
  return STATUS_OK;
}
