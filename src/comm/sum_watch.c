/* Finds sums over ranks that hang or failed, and says which. */
#include "sum_watch.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "roll_call.h"

enum {
  UNDER_WAY_MOST = 4096, /* by name; a host that runs further ahead costs a name only */
  RECORDED_MOST = 1024,
  REASON_BYTES = 512,
  SENTENCE_BYTES = 1000
};

static const double look_s = 0.05, words_s = 3, linger_s = 10;

typedef struct SumPlace {
  SumName name;
  int64_t step; /* counted from 1; 0: before the first */
  double since_s;
} SumPlace;

typedef enum Found { FOUND_NOTHING, FOUND_FAILURE, FOUND_AND_DESCRIBED } Found;

struct SumWatch {
  const Comm *comm;
  double deadline_s;
  char host[64];
  RollCall *roll;   /* the thread's */
  pthread_t thread; /* once started */
  bool started;
  pthread_mutex_t lock; /* of all below */
  pthread_cond_t changed;
  bool closing;

  const NcclDriver *driver;
  Nccl *nccl; /* NULL: nothing to ask */
  int64_t step;
  SumPlace under_way[UNDER_WAY_MOST]; /* sum number n at n % UNDER_WAY_MOST */
  int64_t issued, ended;
  double advanced_s; /* when ended was seen to grow */
  SumName recorded[RECORDED_MOST];
  int32_t recorded_count;
  bool recording;
  SumPlace call; /* what the host is in, or was in last */
  bool in_call;

  Found found;
  SumPlace place; /* of the failure */
  int64_t number; /* of its sum; 0: none */
  char reason[REASON_BYTES];
  char sentence[SENTENCE_BYTES];
};

Status sum_watch_deadline(double *deadline_s)
{
  const char *text = getenv("QUADRAT_NCCL_TIMEOUT_S");
  char *end = NULL;
  *deadline_s = 300;
  if (text == NULL || *text == '\0') return STATUS_OK;
  *deadline_s = strtod(text, &end);
  if (*end == '\0' && *deadline_s >= 1 && *deadline_s <= 86400) return STATUS_OK;
  return status_set(STATUS_BAD_OPTION,
                    "QUADRAT_NCCL_TIMEOUT_S=%.40s in the environment is no number of seconds "
                    "from 1 to 86400",
                    text);
}

/* Under the lock, as all that is called "look". */
static void look_at_progress(SumWatch *w, double now_s)
{
  const uint32_t counted = w->nccl == NULL ? (uint32_t)w->ended : w->driver->ended(w->nccl);
  const uint32_t more = counted - (uint32_t)w->ended;
  if (more == 0) return;
  w->ended += more;
  w->advanced_s = now_s;
}

/* The oldest sum under way; false if there is none. */
static bool look_at_oldest(const SumWatch *w, SumPlace *place)
{
  if (w->ended >= w->issued) return false;
  *place = w->under_way[(w->ended + 1) % UNDER_WAY_MOST];
  if (w->issued - w->ended > UNDER_WAY_MOST)
    *place = (SumPlace){.name = {.what = "a sum"}, .step = w->step, .since_s = w->advanced_s};
  if (place->since_s < w->advanced_s) place->since_s = w->advanced_s;
  return true;
}

static void find(SumWatch *w, SumPlace place, int64_t number, const char *reason)
{
  w->found = FOUND_FAILURE;
  w->place = place;
  w->number = number;
  (void)snprintf(w->reason, sizeof w->reason, "%s", reason);
}

static double linger(const SumWatch *w)
{
  return w->deadline_s < linger_s ? w->deadline_s : linger_s;
}

static void look(SumWatch *w)
{
  char reason[REASON_BYTES];
  SumPlace oldest = w->call;
  const double now_s = clock_seconds();
  look_at_progress(w, now_s);
  const bool waits = look_at_oldest(w, &oldest);
  const int64_t number = waits ? w->ended + 1 : 0;
  if (w->nccl != NULL && w->driver->check(w->nccl) != STATUS_OK) {
    find(w, oldest, number, status_message());
  } else if (waits && now_s - oldest.since_s > w->deadline_s) {
    (void)snprintf(reason, sizeof reason, "NCCL has not ended it after %.0f s", w->deadline_s);
    find(w, oldest, number, reason);
  } else if (w->in_call && now_s - w->call.since_s > w->deadline_s + linger(w)) {
    (void)snprintf(reason, sizeof reason, "NCCL has not come back from it after %.0f s",
                   now_s - w->call.since_s);
    find(w, w->call, 0, reason);
  }
}

static RollWord look_at_word(const SumWatch *w)
{
  RollWord word;
  const SumPlace *last = &w->under_way[w->issued % UNDER_WAY_MOST];
  memset(&word, 0, sizeof word);
  word.issued = w->issued;
  word.ended = w->ended;
  memcpy(word.host, w->host, sizeof word.host);
  if (w->issued == 0) return word;
  word.step = last->step;
  if (last->name.bucket > 0)
    (void)snprintf(word.what, sizeof word.what, "%s, bucket %d,", last->name.what,
                   last->name.bucket);
  else
    (void)snprintf(word.what, sizeof word.what, "%s", last->name.what);
  return word;
}

static void nap(double seconds)
{
  (void)nanosleep(&(struct timespec){.tv_nsec = (long)(seconds * 1e9)}, NULL);
}

/* Says where this rank is, and listens until all have, or for a while. */
static void call_the_roll(SumWatch *w)
{
  const double start_s = clock_seconds();
  (void)pthread_mutex_lock(&w->lock);
  const RollWord word = look_at_word(w);
  (void)pthread_mutex_unlock(&w->lock);
  roll_call_say(w->roll, &word);
  while (!roll_call_is_complete(w->roll) && clock_seconds() - start_s < words_s) {
    (void)roll_call_listen(w->roll);
    nap(0.01);
  }
}

/* "step 18, sum of gradients, bucket 3 (sum 4711 of this run): …" */
static void describe(SumWatch *w)
{
  char step[32] = "", bucket[32] = "", number[48] = "", others[400] = "";
  if (w->place.step > 0) (void)snprintf(step, sizeof step, "step %lld, ", (long long)w->place.step);
  if (w->place.name.bucket > 0)
    (void)snprintf(bucket, sizeof bucket, ", bucket %d", w->place.name.bucket);
  if (w->number > 0)
    (void)snprintf(number, sizeof number, " (sum %lld of this run)", (long long)w->number);
  roll_call_describe(w->roll, w->number, others, sizeof others);
  (void)snprintf(w->sentence, sizeof w->sentence, "%s%s%s%s: %s%s", step, w->place.name.what,
                 bucket, number, w->reason, others);
}

/* Under the lock; whether the host closes within the time. */
static bool closes_within(SumWatch *w, double seconds)
{
  struct timespec until;
  int code = 0;
  (void)clock_gettime(CLOCK_MONOTONIC, &until);
  const double end_s = (double)until.tv_sec + (double)until.tv_nsec * 1e-9 + seconds;
  until.tv_sec = (time_t)end_s;
  until.tv_nsec = (long)((end_s - (double)until.tv_sec) * 1e9);
  while (!w->closing && code != ETIMEDOUT)
    code = pthread_cond_timedwait(&w->changed, &w->lock, &until);
  return w->closing;
}

/* Under the lock, which it gives up meanwhile. */
static void tell(SumWatch *w)
{
  (void)pthread_mutex_unlock(&w->lock);
  call_the_roll(w);
  (void)pthread_mutex_lock(&w->lock);
  describe(w);
  w->found = FOUND_AND_DESCRIBED;
  (void)pthread_cond_broadcast(&w->changed);
  if (closes_within(w, linger(w))) return;
  (void)fprintf(stderr, "quadrat: rank %d on %s: %s\n", comm_rank(w->comm), w->host, w->sentence);
  (void)fflush(stderr);
  comm_abort_after_words(w->comm, status_exit_code(STATUS_COMM));
}

static void answer(SumWatch *w)
{
  (void)pthread_mutex_lock(&w->lock);
  const RollWord word = look_at_word(w);
  (void)pthread_mutex_unlock(&w->lock);
  roll_call_say(w->roll, &word);
}

static void *watch_sums(void *watch)
{
  SumWatch *w = watch;
  (void)pthread_mutex_lock(&w->lock);
  while (!closes_within(w, look_s)) {
    (void)pthread_mutex_unlock(&w->lock);
    if (roll_call_listen(w->roll)) answer(w);
    (void)pthread_mutex_lock(&w->lock);
    if (w->found == FOUND_NOTHING) look(w);
    if (w->found == FOUND_FAILURE) tell(w);
  }
  (void)pthread_mutex_unlock(&w->lock);
  return NULL;
}

static void start_locks(SumWatch *w)
{
  pthread_condattr_t attributes;
  (void)pthread_condattr_init(&attributes);
  (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  (void)pthread_mutex_init(&w->lock, NULL);
  (void)pthread_cond_init(&w->changed, &attributes);
  (void)pthread_condattr_destroy(&attributes);
}

static Status start(SumWatch *w)
{
  w->started = pthread_create(&w->thread, NULL, watch_sums, w) == 0;
  return w->started ? STATUS_OK
                    : status_set(STATUS_NO_MEMORY, "no thread can be started to watch NCCL: %s",
                                 strerror(errno));
}

Status sum_watch_open(const Comm *comm, double deadline_s, SumWatch **watch)
{
  void *memory;
  *watch = NULL;
  Status status = comm_agree(comm, memory_allocate(1, sizeof **watch, "a watch on sums", &memory));
  if (status != STATUS_OK) {
    memory_free(memory);
    return status;
  }
  SumWatch *opening = memory;
  opening->comm = comm;
  opening->deadline_s = deadline_s;
  (void)gethostname(opening->host, sizeof opening->host - 1);
  start_locks(opening);
  status = roll_call_open(comm, &opening->roll);
  if (status == STATUS_OK) status = comm_agree(comm, start(opening));
  if (status == STATUS_OK)
    *watch = opening;
  else
    sum_watch_close(opening, false);
  return status;
}

void sum_watch_close(SumWatch *w, bool together)
{
  if (w == NULL) return;
  (void)pthread_mutex_lock(&w->lock);
  w->closing = true;
  (void)pthread_cond_broadcast(&w->changed);
  (void)pthread_mutex_unlock(&w->lock);
  if (w->started) (void)pthread_join(w->thread, NULL);
  /* Words may be on their way, and the other ranks somewhere else: then the job is ending. */
  if (together && w->found == FOUND_NOTHING)
    roll_call_close(w->roll);
  else
    roll_call_drop(w->roll);
  (void)pthread_cond_destroy(&w->changed);
  (void)pthread_mutex_destroy(&w->lock);
  memory_free(w);
}

void sum_watch_follow(SumWatch *w, const NcclDriver *driver, Nccl *nccl)
{
  (void)pthread_mutex_lock(&w->lock);
  w->driver = driver;
  w->nccl = nccl;
  (void)pthread_mutex_unlock(&w->lock);
}

void sum_watch_step(SumWatch *w, int64_t step)
{
  (void)pthread_mutex_lock(&w->lock);
  w->step = step + 1;
  (void)pthread_mutex_unlock(&w->lock);
}

void sum_watch_enter(SumWatch *w, SumName name)
{
  (void)pthread_mutex_lock(&w->lock);
  w->call = (SumPlace){.name = name, .step = w->step, .since_s = clock_seconds()};
  w->in_call = true;
  (void)pthread_mutex_unlock(&w->lock);
}

/* Under the lock. */
static void put_under_way(SumWatch *w, SumName name)
{
  look_at_progress(w, clock_seconds()); /* so that an empty list does not count as one that waits */
  ++w->issued;
  w->under_way[w->issued % UNDER_WAY_MOST] =
      (SumPlace){.name = name, .step = w->step, .since_s = clock_seconds()};
}

void sum_watch_leave(SumWatch *w, SumOutcome outcome)
{
  (void)pthread_mutex_lock(&w->lock);
  w->in_call = false;
  if (outcome == SUM_ISSUED) {
    put_under_way(w, w->call.name);
    w->recording = false;
  }
  if (outcome == SUM_RECORDED) {
    if (!w->recording) w->recorded_count = 0;
    w->recording = true;
    if (w->recorded_count < RECORDED_MOST) w->recorded[w->recorded_count] = w->call.name;
    ++w->recorded_count;
  }
  (void)pthread_mutex_unlock(&w->lock);
}

void sum_watch_replayed(SumWatch *w)
{
  (void)pthread_mutex_lock(&w->lock);
  w->recording = false;
  for (int32_t i = 0; i < w->recorded_count; ++i)
    put_under_way(w, i < RECORDED_MOST ? w->recorded[i] : (SumName){.what = "a sum"});
  (void)pthread_mutex_unlock(&w->lock);
}

Status sum_watch_check(SumWatch *w)
{
  (void)pthread_mutex_lock(&w->lock);
  const bool described = w->found == FOUND_AND_DESCRIBED;
  if (described) (void)status_set(STATUS_COMM, "%s", w->sentence);
  (void)pthread_mutex_unlock(&w->lock);
  return described ? STATUS_COMM : STATUS_OK;
}

Status sum_watch_fail(SumWatch *w, Status status)
{
  (void)pthread_mutex_lock(&w->lock);
  SumPlace place = w->call;
  look_at_progress(w, clock_seconds());
  const bool waits = look_at_oldest(w, &place); /* then NCCL more likely speaks of that one */
  if (w->found == FOUND_NOTHING)
    find(w, place, waits ? w->ended + 1 : w->issued + 1, status_message());
  (void)pthread_cond_broadcast(&w->changed);
  while (w->found != FOUND_AND_DESCRIBED)
    (void)pthread_cond_wait(&w->changed, &w->lock);
  (void)status_set(status, "%s", w->sentence);
  (void)pthread_mutex_unlock(&w->lock);
  return status;
}
