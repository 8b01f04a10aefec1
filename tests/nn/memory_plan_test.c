#include "memory_plan.h"

#include <stdbool.h>

#include "base/random.h"
#include "support/check.h"

enum { UNIT = PIECE_ALIGNMENT_BYTES, PIECES_MOST = 400 };

static size_t rounded(size_t bytes)
{
  return (bytes + UNIT - 1) / UNIT * UNIT;
}

static size_t place(Piece *pieces, int32_t count)
{
  size_t total_bytes = SIZE_MAX;
  CHECK_OK(memory_plan_place(pieces, count, &total_bytes));
  return total_bytes;
}

static bool overlap_in_time(const Piece *a, const Piece *b)
{
  return a->first <= b->last && b->first <= a->last;
}

static bool overlap_in_space(const Piece *a, const Piece *b)
{
  return a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes;
}

/* Bytes that live at the same time, at the worst time: no plan can do with less. */
static size_t most_alive(const Piece *pieces, int32_t count, int32_t steps)
{
  size_t most = 0;
  for (int32_t t = 0; t < steps; ++t) {
    size_t alive = 0;
    for (int32_t i = 0; i < count; ++i)
      if (pieces[i].first <= t && t <= pieces[i].last) alive += rounded(pieces[i].bytes);
    if (alive > most) most = alive;
  }
  return most;
}

static void expect_sound(const Piece *pieces, int32_t count, size_t total_bytes)
{
  size_t sum = 0;
  for (int32_t i = 0; i < count; ++i) {
    assert_int_equal(pieces[i].offset % PIECE_ALIGNMENT_BYTES, 0);
    assert_true(pieces[i].offset + pieces[i].bytes <= total_bytes);
    sum += rounded(pieces[i].bytes);
    for (int32_t j = 0; j < i; ++j)
      if (overlap_in_time(&pieces[i], &pieces[j]) && overlap_in_space(&pieces[i], &pieces[j]))
        fail_msg("pieces %d and %d share memory while both live", j, i);
  }
  assert_true(total_bytes <= sum);
}

static void a_chain_of_equal_pieces_takes_two(void **state)
{
  Piece pieces[5];
  for (int32_t i = 0; i < 5; ++i)
    pieces[i] = (Piece){.bytes = 4 * UNIT, .first = i, .last = i + 1};
  const size_t total = place(pieces, 5);
  expect_sound(pieces, 5, total);
  assert_int_equal(total, 8 * UNIT);
}

static void lives_include_both_ends(void **state)
{
  Piece pieces[] = {{.bytes = UNIT, .first = 0, .last = 3}, {.bytes = UNIT, .first = 3, .last = 5}};
  assert_int_equal(place(pieces, 2), 2 * UNIT);
  pieces[1].first = 4;
  assert_int_equal(place(pieces, 2), UNIT);
  assert_int_equal(pieces[0].offset, pieces[1].offset);
}

static void a_small_piece_goes_into_the_gap(void **state)
{
  Piece pieces[] = {{.bytes = 10 * UNIT, .first = 0, .last = 1},
                    {.bytes = 8 * UNIT, .first = 1, .last = 9},
                    {.bytes = 6 * UNIT, .first = 2, .last = 3},
                    {.bytes = 4 * UNIT, .first = 2, .last = 3}};
  const size_t total = place(pieces, 4);
  expect_sound(pieces, 4, total);
  assert_int_equal(total, 18 * UNIT);
  assert_int_equal(pieces[2].offset, 0);
  assert_int_equal(pieces[3].offset, 6 * UNIT);
}

static void a_piece_that_ends_within_a_unit_takes_it_whole(void **state)
{
  Piece pieces[] = {{.bytes = UNIT + 1, .first = 0, .last = 0},
                    {.bytes = 1, .first = 0, .last = 0}};
  assert_int_equal(place(pieces, 2), 3 * UNIT);
  expect_sound(pieces, 2, 3 * UNIT);
}

static void no_pieces_take_no_memory(void **state)
{
  Piece none[1];
  assert_int_equal(place(none, 0), 0);
}

static void random_pieces_never_share_memory_while_both_live(void **state)
{
  enum { STEPS = 200 };
  static Piece pieces[PIECES_MOST];
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Random random = random_stream(seed, 1);
    const int32_t count = 1 + (int32_t)random_below(&random, PIECES_MOST);
    for (int32_t i = 0; i < count; ++i) {
      const int32_t first = (int32_t)random_below(&random, STEPS);
      const int32_t life = (int32_t)random_below(&random, i % 7 == 0 ? STEPS : 8);
      pieces[i] = (Piece){.bytes = 1 + random_below(&random, i % 5 == 0 ? 1000000 : 3000),
                          .first = first,
                          .last = first + life < STEPS ? first + life : STEPS - 1};
    }
    const size_t total = place(pieces, count);
    const size_t alive = most_alive(pieces, count, STEPS);
    expect_sound(pieces, count, total);
    assert_true(total >= alive);
    if ((double)total > 1.5 * (double)alive)
      fail_msg("%d pieces take %zu bytes, of which at most %zu live at a time", count, total,
               alive);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_chain_of_equal_pieces_takes_two),
      cmocka_unit_test(lives_include_both_ends),
      cmocka_unit_test(a_small_piece_goes_into_the_gap),
      cmocka_unit_test(a_piece_that_ends_within_a_unit_takes_it_whole),
      cmocka_unit_test(no_pieces_take_no_memory),
      cmocka_unit_test(random_pieces_never_share_memory_while_both_live),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
