#include "work_desk.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "base/memory.h"

struct Desk {
  pthread_mutex_t lock;
  int64_t count;
  int64_t chunk;
  int64_t next; /* pieces before it are given out or were done */
  int64_t finished;
  uint8_t *done; /* count of them, or NULL */
};

static Status fill(Desk *desk, const uint8_t *done)
{
  if (pthread_mutex_init(&desk->lock, NULL) != 0)
    return status_set(STATUS_NO_MEMORY, "no lock for the work service");
  if (done == NULL) return STATUS_OK;
  void *memory;
  TRY(memory_allocate((size_t)desk->count, 1, "marks of finished work", &memory));
  desk->done = memory;
  memcpy(desk->done, done, (size_t)desk->count);
  return STATUS_OK;
}

Status desk_open(int64_t count, int64_t chunk, const uint8_t *done, Desk **desk)
{
  void *memory;
  *desk = NULL;
  Status status = memory_allocate(1, sizeof **desk, "work service", &memory);
  if (status != STATUS_OK) return status;
  Desk *opening = memory;
  opening->count = count;
  opening->chunk = chunk;
  status = fill(opening, done);
  if (status == STATUS_OK)
    *desk = opening;
  else
    desk_close(opening);
  return status;
}

void desk_close(Desk *desk)
{
  if (desk == NULL) return;
  (void)pthread_mutex_destroy(&desk->lock);
  memory_free(desk->done);
  memory_free(desk);
}

static bool is_done(const Desk *desk, int64_t piece)
{
  return desk->done != NULL && desk->done[piece] != 0;
}

Range desk_take(Desk *desk)
{
  (void)pthread_mutex_lock(&desk->lock);
  while (desk->next < desk->count && is_done(desk, desk->next))
    ++desk->next;
  Range range = {.first = desk->next, .end = desk->next};
  while (range.end < desk->count && range.end - range.first < desk->chunk &&
         !is_done(desk, range.end))
    ++range.end;
  desk->next = range.end;
  (void)pthread_mutex_unlock(&desk->lock);
  return range;
}

void desk_cancel(Desk *desk)
{
  (void)pthread_mutex_lock(&desk->lock);
  desk->next = desk->count;
  (void)pthread_mutex_unlock(&desk->lock);
}

void desk_add_finished(Desk *desk, int64_t finished)
{
  (void)pthread_mutex_lock(&desk->lock);
  desk->finished += finished;
  (void)pthread_mutex_unlock(&desk->lock);
}

int64_t desk_finished(Desk *desk)
{
  (void)pthread_mutex_lock(&desk->lock);
  const int64_t finished = desk->finished;
  (void)pthread_mutex_unlock(&desk->lock);
  return finished;
}
