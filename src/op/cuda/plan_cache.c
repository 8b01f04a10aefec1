#include "plan_cache.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/path.h"
#include "plan_list.h"

enum { FILE_BYTES_MOST = 8 << 20 };

/* How long a writer waits for another one. */
static const double save_wait_s = 2.0;

struct PlanCache {
  char identity[PLAN_IDENTITY_BYTES];
  char path[OUTPUT_PATH_BYTES]; /* empty: no file */
  PlanList known;
  PlanList unsaved;
  int lock; /* a file; -1: not held */
};

void plan_cache_folder(char folder[OUTPUT_PATH_BYTES])
{
  const char *own = getenv("QUADRAT_CACHE");
  const char *caches = getenv("XDG_CACHE_HOME");
  const char *home = getenv("HOME");
  int written = 0;
  if (own != NULL)
    written = snprintf(folder, OUTPUT_PATH_BYTES, "%s", own);
  else if (caches != NULL && caches[0] == '/') /* its specification: others are to be ignored */
    written = snprintf(folder, OUTPUT_PATH_BYTES, "%s/quadrat", caches);
  else if (home != NULL && home[0] == '/')
    written = snprintf(folder, OUTPUT_PATH_BYTES, "%s/.cache/quadrat", home);
  if (written <= 0 || written >= OUTPUT_PATH_BYTES) folder[0] = '\0';
}

/* A file that others may write to is none of ours: they would choose what runs here. */
static bool is_trusted(const struct stat *file)
{
  return S_ISREG(file->st_mode) && file->st_uid == geteuid() &&
         (file->st_mode & (S_IWGRP | S_IWOTH)) == 0 && file->st_size > 0 &&
         file->st_size <= FILE_BYTES_MOST;
}

static void take_up(void *context, const char *key, const PlanChoice *choice)
{
  (void)plan_list_put(context, key, choice); /* what finds no room is chosen anew */
}

static void read_open_file(int file, size_t byte_count, const char *identity, PlanList *list)
{
  void *memory = NULL;
  if (memory_allocate(byte_count, 1, "plans of an earlier run", &memory) != STATUS_OK) return;
  size_t read_count = 0;
  while (read_count < byte_count) {
    const ssize_t count = read(file, (char *)memory + read_count, byte_count - read_count);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    read_count += (size_t)count;
  }
  plan_text_walk(memory, read_count, identity, take_up, list);
  memory_free(memory);
}

/* Adds what the file holds to the list; a later line counts. */
static void read_file(const PlanCache *cache, PlanList *list)
{
  struct stat facts;
  if (cache->path[0] == '\0') return;
  const int file = open(cache->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (file < 0) return;
  if (fstat(file, &facts) == 0 && is_trusted(&facts))
    read_open_file(file, (size_t)facts.st_size, cache->identity, list);
  (void)close(file);
}

/* "cuDNN 91900; NVIDIA H200; …" as "cuDNN_91900_NVIDIA_H200_….plans". */
static Status make_path(const char *folder, PlanCache *cache)
{
  char name[PLAN_IDENTITY_BYTES + 8];
  size_t length = 0;
  if (folder[0] == '\0') return STATUS_OK;
  for (const char *c = cache->identity; *c != '\0' && length < 200; ++c)
    if (isalnum((unsigned char)*c) || (*c == '.' && length > 0))
      name[length++] = *c;
    else if (length > 0 && name[length - 1] != '_')
      name[length++] = '_';
  (void)snprintf(name + length, sizeof name - length, ".plans");
  return path_join(folder, name, sizeof cache->path, cache->path);
}

Status plan_cache_open(const char *folder, const char *identity, PlanCache **cache)
{
  void *memory = NULL;
  *cache = NULL;
  TRY(memory_allocate(1, sizeof **cache, "choices of engines", &memory));
  PlanCache *opening = memory;
  opening->lock = -1;
  (void)snprintf(opening->identity, sizeof opening->identity, "%s", identity);
  if (make_path(folder, opening) != STATUS_OK) opening->path[0] = '\0';
  read_file(opening, &opening->known);
  *cache = opening;
  return STATUS_OK;
}

void plan_cache_close(PlanCache *cache)
{
  if (cache == NULL) return;
  plan_cache_leave(cache);
  plan_list_empty(&cache->known);
  plan_list_empty(&cache->unsaved);
  memory_free(cache);
}

bool plan_cache_find(const PlanCache *cache, const char *key, PlanChoice *choice)
{
  return plan_list_find(&cache->known, key, choice);
}

Status plan_cache_keep(PlanCache *cache, const char *key, const PlanChoice *choice)
{
  TRY(plan_list_put(&cache->known, key, choice));
  return cache->path[0] == '\0' ? STATUS_OK : plan_list_put(&cache->unsaved, key, choice);
}

static void add_unsaved(const PlanCache *cache, PlanList *list)
{
  for (size_t i = 0; i < cache->unsaved.count; ++i)
    take_up(list, cache->unsaved.items[i].key, &cache->unsaved.items[i].choice);
}

static bool write_lines(const PlanCache *cache, const PlanList *list, FILE *stream)
{
  char line[PLAN_LINE_BYTES];
  (void)plan_text_opening(cache->identity, line);
  bool written = fprintf(stream, "%s\n", line) > 0;
  for (size_t i = 0; i < list->count && written; ++i) {
    (void)plan_text_line(cache->identity, list->items[i].key, &list->items[i].choice, line);
    written = fprintf(stream, "%s\n", line) > 0;
  }
  return written;
}

/* Each writer has a name of its own aside. Not synced to disk: a file that a crash tears is one
 * that the reader passes over. */
static Status write_file(const PlanCache *cache, const PlanList *list)
{
  char aside[OUTPUT_PATH_BYTES + 8];
  (void)snprintf(aside, sizeof aside, "%s.XXXXXX", cache->path);
  const int file = mkostemp(aside, O_CLOEXEC); /* for its owner alone */
  FILE *stream = file < 0 ? NULL : fdopen(file, "w");
  if (stream == NULL) {
    const Status status = status_set(STATUS_IO, "cannot write %s: %s", aside, strerror(errno));
    if (file >= 0) (void)close(file);
    return status;
  }
  const bool written = write_lines(cache, list, stream);
  if (fclose(stream) == 0 && written && rename(aside, cache->path) == 0) return STATUS_OK;
  const Status status = status_set(STATUS_IO, "cannot write %s: %s", cache->path, strerror(errno));
  (void)unlink(aside);
  return status;
}

static Status make_folder(const PlanCache *cache)
{
  char folder[OUTPUT_PATH_BYTES];
  const size_t length = (size_t)(path_file_name(cache->path) - cache->path) - 1;
  memcpy(folder, cache->path, length);
  folder[length] = '\0';
  return path_is_folder(folder) ? STATUS_OK : output_make_folder(folder);
}

/* Unlocked if the wait is in vain. */
static void lock_file(PlanCache *cache, double most_s)
{
  enum { NAP_NS = 2000000 };
  char path[OUTPUT_PATH_BYTES + 8];
  (void)snprintf(path, sizeof path, "%s.lock", cache->path);
  const int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file < 0) return;
  const double start_s = clock_seconds();
  while (flock(file, LOCK_EX | LOCK_NB) != 0) {
    if ((errno != EWOULDBLOCK && errno != EINTR) || clock_seconds() - start_s >= most_s) {
      (void)close(file);
      return;
    }
    (void)nanosleep(&(struct timespec){.tv_nsec = NAP_NS}, NULL);
  }
  cache->lock = file;
}

Status plan_cache_save(PlanCache *cache)
{
  if (cache->unsaved.count == 0) return STATUS_OK;
  const bool alone = cache->lock >= 0;
  PlanList list = {.count = 0};
  Status status = make_folder(cache);
  if (status == STATUS_OK) {
    if (!alone) lock_file(cache, save_wait_s);
    read_file(cache, &list);
    add_unsaved(cache, &list);
    status = write_file(cache, &list);
    if (!alone) plan_cache_leave(cache);
  }
  plan_list_empty(&list);
  plan_list_empty(&cache->unsaved);
  return status;
}

void plan_cache_enter(PlanCache *cache, double most_s)
{
  if (cache->path[0] == '\0' || make_folder(cache) != STATUS_OK) return;
  lock_file(cache, most_s);
  read_file(cache, &cache->known);
  add_unsaved(cache, &cache->known); /* what this run chose and runs stands */
}

void plan_cache_leave(PlanCache *cache)
{
  if (cache->lock < 0) return;
  (void)flock(cache->lock, LOCK_UN); /* not by close alone: a forked child has the file, too */
  (void)close(cache->lock);
  cache->lock = -1;
}

const char *plan_cache_path(const PlanCache *cache)
{
  return cache->path;
}
