/* Words between the watchdogs of all ranks. */
#include "roll_call.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/memory.h"
#include "mpi_door.h"

enum { TAG = 1, NAMED_MOST = 4 };

struct RollCall {
  Comm *comm; /* of its own */
  RollWord *words;
  bool *heard;
  bool said;
  RollWord mine;
  MPI_Request *sent;
};

static Status fill(const Comm *comm, RollCall *roll)
{
  const size_t ranks = (size_t)comm_rank_count(comm);
  void *words, *heard = NULL, *sent = NULL;
  Status status = memory_allocate(ranks, sizeof *roll->words, "words of ranks", &words);
  if (status == STATUS_OK)
    status = memory_allocate(ranks, sizeof *roll->heard, "words of ranks", &heard);
  if (status == STATUS_OK)
    status = memory_allocate(ranks, sizeof *roll->sent, "words of ranks", &sent);
  roll->words = words;
  roll->heard = heard;
  roll->sent = sent;
  TRY(comm_agree(comm, status));
  return comm_duplicate(comm, &roll->comm);
}

Status roll_call_open(const Comm *comm, RollCall **roll)
{
  void *memory;
  *roll = NULL;
  Status status = comm_agree(comm, memory_allocate(1, sizeof **roll, "a roll call", &memory));
  RollCall *opening = memory;
  if (status == STATUS_OK) status = fill(comm, opening);
  if (status == STATUS_OK)
    *roll = opening;
  else
    roll_call_drop(opening);
  return status;
}

void roll_call_drop(RollCall *roll)
{
  if (roll == NULL) return;
  memory_free(roll->sent);
  memory_free(roll->heard);
  memory_free(roll->words);
  memory_free(roll);
}

void roll_call_close(RollCall *roll)
{
  if (roll == NULL) return;
  if (!roll->said) comm_close(roll->comm);
  roll_call_drop(roll);
}

/* Errors of MPI are silence: the job is ending, or the next look tells more. */
bool roll_call_listen(RollCall *roll)
{
  bool called = false;
  int waiting = 0;
  MPI_Status envelope;
  const MPI_Comm mpi = roll->comm->mpi;
  while (MPI_Iprobe(MPI_ANY_SOURCE, TAG, mpi, &waiting, &envelope) == MPI_SUCCESS && waiting) {
    RollWord word;
    const int from = envelope.MPI_SOURCE;
    if (MPI_Recv(&word, sizeof word, MPI_BYTE, from, TAG, mpi, MPI_STATUS_IGNORE) != MPI_SUCCESS)
      break;
    roll->words[from] = word;
    roll->heard[from] = true;
    called = true;
  }
  return called;
}

void roll_call_say(RollCall *roll, const RollWord *word)
{
  if (roll->said) return;
  roll->said = true;
  roll->mine = *word;
  for (int rank = 0; rank < roll->comm->rank_count; ++rank)
    if (rank != roll->comm->rank)
      (void)MPI_Isend(&roll->mine, sizeof roll->mine, MPI_BYTE, rank, TAG, roll->comm->mpi,
                      &roll->sent[rank]);
}

const RollWord *roll_call_word(const RollCall *roll, int rank)
{
  return roll->heard[rank] ? &roll->words[rank] : NULL;
}

bool roll_call_is_complete(const RollCall *roll)
{
  for (int rank = 0; rank < roll->comm->rank_count; ++rank)
    if (rank != roll->comm->rank && !roll->heard[rank]) return false;
  return true;
}

typedef struct Text {
  char *at;
  size_t left;
} Text;

__attribute__((format(printf, 2, 3))) static void add(Text *text, const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  const int written = vsnprintf(text->at, text->left, format, arguments);
  va_end(arguments);
  const size_t used = written < 0 ? 0 : (size_t)written;
  const size_t kept = used < text->left ? used : text->left - 1;
  text->at += kept;
  text->left -= kept;
}

/* False where the rank waits like this one. */
static bool describe_rank(const RollCall *roll, int rank, int64_t waited, Text *text)
{
  const RollWord *word = roll_call_word(roll, rank);
  if (word != NULL && word->issued >= waited && word->ended + 1 >= waited) return false;
  if (text == NULL) return true;
  if (word == NULL) {
    add(text, "; no word from rank %d", rank);
    return true;
  }
  add(text, "; rank %d on %s has not come to it: its %s is ", rank, word->host,
      word->issued < waited ? "host" : "GPU");
  if (word->issued >= waited)
    add(text, "before sum %lld", (long long)word->ended + 1);
  else if (word->issued == 0)
    add(text, "before the first sum");
  else
    add(text, "behind sum %lld, %s of step %lld", (long long)word->issued, word->what,
        (long long)word->step);
  return true;
}

void roll_call_describe(const RollCall *roll, int64_t waited, char *bytes, size_t count)
{
  Text text = {bytes, count};
  int missing = 0;
  *bytes = '\0';
  for (int rank = 0; rank < roll->comm->rank_count; ++rank)
    if (rank != roll->comm->rank)
      missing += describe_rank(roll, rank, waited, missing < NAMED_MOST ? &text : NULL);
  if (missing > NAMED_MOST) add(&text, "; and %d more", missing - NAMED_MOST);
  if (missing == 0 && waited > 0) add(&text, "; all ranks came to it");
}
