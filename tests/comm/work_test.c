#include <time.h>

#include "base/clock.h"
#include "comm/work.h"
#include "support/ranks.h"

enum { PIECES = 60 };

typedef struct Shift {
  int64_t given[PIECES]; /* how often each piece was given out: here, then on all ranks */
  int64_t ranges;        /* that this rank got */
  int64_t ask_at_most;   /* then this rank leaves */
  int64_t cancel_after;
  bool sleepy;
} Shift;

static void sleep_ms(long ms)
{
  const struct timespec pause = {.tv_nsec = ms * 1000000};
  (void)nanosleep(&pause, NULL);
}

/* What a rank does in a job. No assertion before the close: all ranks must come there. */
static Status work_a_shift(Work *work, int64_t count, int64_t chunk, Shift *shift)
{
  while (shift->ranges < shift->ask_at_most) {
    int64_t first, end;
    TRY(work_next(work, &first, &end));
    if (first == end) break;
    if (first < 0 || end > count || end < first || end - first > chunk)
      return status_set(STATUS_COMM, "a range of %lld to %lld", (long long)first, (long long)end);
    for (int64_t piece = first; piece < end; ++piece)
      ++shift->given[piece];
    ++shift->ranges;
    work_report(work, end - first);
    if (shift->sleepy) sleep_ms(2);
    if (shift->ranges == shift->cancel_after) work_cancel(work);
  }
  return STATUS_OK;
}

/* Collective. */
static void run_shift(int64_t count, int64_t chunk, const uint8_t *done, Shift *shift)
{
  Work *work;
  CHECK_OK(work_open(ranks_world, count, chunk, done, &work));
  const Status status = work_a_shift(work, count, chunk, shift);
  work_close(work);
  CHECK_OK(comm_agree(ranks_world, status));
  CHECK_OK(comm_reduce_int64(ranks_world, COMM_SUM, shift->given, PIECES));
  CHECK_OK(comm_reduce_int64(ranks_world, COMM_SUM, &shift->ranges, 1));
}

static const Shift whole_shift = {.ask_at_most = INT64_MAX, .cancel_after = -1};

static void every_piece_is_given_out_once(void **state)
{
  const int64_t counts[] = {0, 1, 7, PIECES};
  const int64_t chunks[] = {1, 2, 7, PIECES, 1000};
  for (size_t c = 0; c < 4; ++c)
    for (size_t k = 0; k < 5; ++k) {
      Shift shift = whole_shift;
      run_shift(counts[c], chunks[k], NULL, &shift);
      for (int64_t piece = 0; piece < PIECES; ++piece)
        assert_int_equal(shift.given[piece], piece < counts[c] ? 1 : 0);
      assert_int_equal(shift.ranges, (counts[c] + chunks[k] - 1) / chunks[k]);
    }
}

static void a_slow_rank_leaves_its_share_to_the_others(void **state)
{
  Shift shift = whole_shift;
  shift.sleepy = comm_rank(ranks_world) == comm_rank_count(ranks_world) - 1;
  run_shift(PIECES, 3, NULL, &shift);
  for (int64_t piece = 0; piece < PIECES; ++piece)
    assert_int_equal(shift.given[piece], 1);
}

static void finished_pieces_are_left_out(void **state)
{
  uint8_t done[PIECES] = {0};
  for (int piece = 0; piece < PIECES; ++piece)
    done[piece] = piece < 2 || piece % 5 == 0 || piece > PIECES - 4;
  for (int64_t chunk = 1; chunk < 8; chunk += 3) {
    Shift shift = whole_shift;
    run_shift(PIECES, chunk, comm_rank(ranks_world) == 0 ? done : NULL, &shift);
    for (int piece = 0; piece < PIECES; ++piece)
      assert_int_equal(shift.given[piece], done[piece] ? 0 : 1);
  }
}

static void nothing_is_given_out_when_all_was_done(void **state)
{
  uint8_t done[PIECES];
  memset(done, 1, sizeof done);
  Shift shift = whole_shift;
  run_shift(PIECES, 4, done, &shift);
  assert_int_equal(shift.ranges, 0);
}

static void check_stopped_early(const Shift *shift)
{
  for (int64_t piece = 0; piece < PIECES; ++piece)
    assert_in_range(shift->given[piece], 0, 1);
  assert_in_range(shift->ranges, 1, PIECES - 1);
}

/* The others sleep, so there is work left when the cancel comes. */
static void a_cancel_of_any_rank_stops_all(void **state)
{
  for (int rank = 0; rank < comm_rank_count(ranks_world); ++rank) {
    Shift shift = whole_shift;
    shift.sleepy = true;
    if (comm_rank(ranks_world) == rank) shift.cancel_after = 2;
    run_shift(PIECES, 1, NULL, &shift);
    check_stopped_early(&shift);
  }
}

static void a_rank_that_leaves_early_lets_all_leave(void **state)
{
  for (int rank = 0; rank < comm_rank_count(ranks_world); ++rank)
    for (int64_t ranges = 0; ranges < 2; ++ranges) {
      Shift shift = whole_shift;
      shift.sleepy = true;
      if (comm_rank(ranks_world) == rank) shift.ask_at_most = ranges;
      run_shift(PIECES, 1, NULL, &shift);
      for (int64_t piece = 0; piece < PIECES; ++piece)
        assert_in_range(shift.given[piece], 0, 1);
      assert_in_range(shift.ranges, 0, PIECES - 1);
    }
}

static void a_service_that_nobody_asked_closes(void **state)
{
  for (int i = 0; i < 3; ++i) {
    Work *work;
    CHECK_OK(work_open(ranks_world, PIECES, 1, NULL, &work));
    work_close(work);
  }
  work_close(NULL);
}

static void rank_0_hears_of_all_that_is_finished(void **state)
{
  Work *work;
  CHECK_OK(work_open(ranks_world, PIECES, 4, NULL, &work));
  Shift shift = whole_shift;
  shift.sleepy = comm_rank(ranks_world) == 0; /* so that the others get some */
  const Status status = work_a_shift(work, PIECES, 4, &shift);
  /* Each rank was told that nothing is left, and told what it had finished when it asked. */
  CHECK_OK(comm_agree(ranks_world, status));
  const int64_t finished = work_finished(work);
  int64_t mine = 0;
  for (int64_t piece = 0; piece < PIECES; ++piece)
    mine += shift.given[piece];
  work_close(work);
  assert_int_equal(finished, comm_rank(ranks_world) == 0 ? PIECES : mine);
}

/* The service must answer while rank 0's main thread stands in a collective or computes. */
static void ranks_get_work_while_rank_0_is_busy(void **state)
{
  Work *work;
  CHECK_OK(work_open(ranks_world, PIECES, 1, NULL, &work));
  Shift shift = whole_shift;
  Status status = STATUS_OK;
  if (comm_rank(ranks_world) != 0) status = work_a_shift(work, PIECES, 1, &shift);
  if (comm_rank_count(ranks_world) > 1) status = comm_agree(ranks_world, status);
  if (comm_rank(ranks_world) == 0 && comm_rank_count(ranks_world) == 1)
    status = work_a_shift(work, PIECES, 1, &shift);
  work_close(work);
  CHECK_OK(status);
  CHECK_OK(comm_reduce_int64(ranks_world, COMM_SUM, shift.given, PIECES));
  for (int64_t piece = 0; piece < PIECES; ++piece)
    assert_int_equal(shift.given[piece], 1);
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_piece_is_given_out_once),
      cmocka_unit_test(a_slow_rank_leaves_its_share_to_the_others),
      cmocka_unit_test(finished_pieces_are_left_out),
      cmocka_unit_test(nothing_is_given_out_when_all_was_done),
      cmocka_unit_test(a_cancel_of_any_rank_stops_all),
      cmocka_unit_test(a_rank_that_leaves_early_lets_all_leave),
      cmocka_unit_test(a_service_that_nobody_asked_closes),
      cmocka_unit_test(rank_0_hears_of_all_that_is_finished),
      cmocka_unit_test(ranks_get_work_while_rank_0_is_busy),
  };
  return RANKS_RUN_TESTS(argc, argv, tests);
}
