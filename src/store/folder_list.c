#include "folder_list.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/path.h"

enum { DEPTH_MAX = 16, PATH_BYTES = 4096 };

typedef struct Listing {
  const char *folder;
  Arena *arena;
  const char **names;
  size_t count;
  size_t capacity;
  size_t name_max;
} Listing;

static Status add_name(Listing *listing, const char *name)
{
  char *copy;
  if (listing->count == listing->name_max)
    return status_set(STATUS_BAD_INPUT, "%s: more than %zu files lie in it", listing->folder,
                      listing->name_max);
  if (listing->count == listing->capacity) {
    const size_t capacity = listing->capacity == 0 ? 64 : 2 * listing->capacity;
    void *piece;
    TRY(arena_allocate(listing->arena, capacity * sizeof *listing->names, &piece));
    if (listing->count > 0) memcpy(piece, listing->names, listing->count * sizeof *listing->names);
    listing->names = piece;
    listing->capacity = capacity;
  }
  TRY(arena_copy_text(listing->arena, name, &copy));
  listing->names[listing->count++] = copy;
  return STATUS_OK;
}

static Status list_below(Listing *listing, const char *below, int depth);

static Status add_entry(Listing *listing, const char *below, const char *entry, int depth)
{
  char name[PATH_BYTES];
  char path[PATH_BYTES];
  struct stat found;
  TRY(path_join(below, entry, sizeof name, name));
  TRY(path_join(listing->folder, name, sizeof path, path));
  if (lstat(path, &found) != 0) return status_set(STATUS_IO, "%s: %s", path, strerror(errno));
  if (S_ISREG(found.st_mode)) return add_name(listing, name);
  if (!S_ISDIR(found.st_mode)) return STATUS_OK;
  if (depth == DEPTH_MAX)
    return status_set(STATUS_BAD_INPUT, "%s: folders lie deeper than %d levels", path, DEPTH_MAX);
  return list_below(listing, name, depth + 1);
}

static Status read_entries(Listing *listing, DIR *stream, const char *below, int depth)
{
  for (const struct dirent *entry = readdir(stream); entry != NULL; entry = readdir(stream))
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
      TRY(add_entry(listing, below, entry->d_name, depth));
  return STATUS_OK;
}

static Status list_below(Listing *listing, const char *below, int depth)
{
  char path[PATH_BYTES];
  TRY(path_join(listing->folder, below, sizeof path, path));
  DIR *stream = opendir(path);
  if (stream == NULL) return status_set(STATUS_IO, "cannot list %s: %s", path, strerror(errno));
  const Status status = read_entries(listing, stream, below, depth);
  (void)closedir(stream);
  return status;
}

static int by_text(const void *left, const void *right)
{
  return strcmp(*(const char *const *)left, *(const char *const *)right);
}

Status folder_list(const char *folder, size_t name_max, Arena *arena, const char ***names,
                   size_t *count)
{
  Listing listing = {.folder = folder, .arena = arena, .name_max = name_max};
  TRY(list_below(&listing, "", 0));
  if (listing.count > 0) qsort(listing.names, listing.count, sizeof *listing.names, by_text);
  *names = listing.names;
  *count = listing.count;
  return STATUS_OK;
}
