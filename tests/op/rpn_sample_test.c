#include <math.h>

#include "support/detection.h"

/* Samples of images of anchors in a row, on the host: images x width, 0 or 1. */
static const uint8_t *sample(Room *room, const TestBackend *on, int32_t images, int32_t width,
                             RpnSampling sampling, uint64_t seed, const uint64_t *streams,
                             const int32_t *matches)
{
  const Rpn rpn = rpn_of_a_row(on, images, width);
  const size_t places = (size_t)images * (size_t)width;
  const SampleKeys keys = {.seed = seed,
                           .streams = room_upload(room, streams, (size_t)images * sizeof *streams)};
  uint8_t *sampled = room_device(room, places);
  void *scratch = room_device(room, on->ops->rpn_sample_scratch_bytes(&rpn));
  const int32_t *there = room_upload(room, matches, places * sizeof *matches);
  on->ops->rpn_sample(on->device, &rpn, sampling, keys, there, sampled, scratch);
  return room_download(room, sampled, places);
}

/* Every positives-th one has an object, and every ignored-th of the others is ignored. */
static int32_t *some_matches(Room *room, int64_t count, int64_t positives, int64_t ignored)
{
  int32_t *matches = room_host(room, count, sizeof *matches);
  for (int64_t i = 0; i < count; ++i)
    matches[i] = i % positives == 0 ? (int32_t)(i % 7) : i % ignored == 0 ? -2 : -1;
  return matches;
}

static const uint64_t streams[] = {5, 0, UINT64_C(0x8000000000000000), 6, 7};

/* 10 with an object, 10 ignored, 20 background. */
static void samples_are_filled_up_with_background(void **state)
{
  static const struct {
    int32_t count, most, positives, backgrounds;
  } cases[] = {{16, 8, 8, 8},   {16, 12, 10, 6}, {100, 50, 10, 20}, {25, 0, 0, 20},
               {12, 12, 10, 2}, {8, 8, 8, 0},    {0, 0, 0, 0}};
  FOR_EACH_BACKEND(on)
  for (size_t c = 0; c < sizeof cases / sizeof cases[0]; ++c) {
    Room *room = room_open(on);
    const int32_t *matches = some_matches(room, 40, 4, 3);
    const uint8_t *sampled =
        sample(room, on, 1, 40, (RpnSampling){cases[c].count, cases[c].most}, 1, streams, matches);
    int32_t counts[3] = {0};
    for (int i = 0; i < 40; ++i)
      counts[matches[i] >= 0 ? 0 : -matches[i]] += sampled[i];
    assert_int_equal(counts[0], cases[c].positives);
    assert_int_equal(counts[1], cases[c].backgrounds);
    assert_int_equal(counts[2], 0);
    room_close(room);
  }
}

static void those_with_the_least_keys_are_taken(void **state)
{
  static const struct {
    int32_t images, width, positives, ignored;
    RpnSampling sampling;
  } cases[] = {{1, 1, 2, 2, {1, 1}},
               {2, 300, 3, 5, {64, 32}},
               {5, 1100, 400, 900, {256, 128}},
               {1, 700, 1, 1, {600, 599}},
               {3, 90, 200, 200, {89, 1}}};
  FOR_EACH_TWIN(on)
  for (size_t c = 0; c < sizeof cases / sizeof cases[0]; ++c) {
    Room *room = room_open(on);
    Room *truth = room_open(backends_naive());
    const int64_t places = (int64_t)cases[c].images * cases[c].width;
    const int32_t *matches = some_matches(room, places, cases[c].positives, cases[c].ignored);
    const uint8_t *got =
        sample(room, on, cases[c].images, cases[c].width, cases[c].sampling, 9, streams, matches);
    const uint8_t *expected = sample(truth, backends_naive(), cases[c].images, cases[c].width,
                                     cases[c].sampling, 9, streams, matches);
    for (int64_t i = 0; i < places; ++i)
      if (got[i] != expected[i])
        fail_msg("%s: case %d: anchor %d: %d", on->name, (int)c, (int)i, got[i]);
    room_close(truth);
    room_close(room);
  }
}

static void a_sample_depends_on_its_stream_alone(void **state)
{
  enum { WIDTH = 500 };
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    const int32_t *matches = some_matches(room, 3 * WIDTH, 9, 11);
    const RpnSampling sampling = {64, 24};
    const uint8_t *batch = sample(room, on, 3, WIDTH, sampling, 4, streams, matches);
    const uint8_t *alone =
        sample(room, on, 1, WIDTH, sampling, 4, streams + 2, matches + 2 * WIDTH);
    const uint8_t *other =
        sample(room, on, 1, WIDTH, sampling, 4, streams + 1, matches + 2 * WIDTH);
    const uint8_t *seed = sample(room, on, 1, WIDTH, sampling, 5, streams + 2, matches + 2 * WIDTH);
    assert_memory_equal(batch + 2 * WIDTH, alone, WIDTH);
    assert_memory_not_equal(other, alone, WIDTH);
    assert_memory_not_equal(seed, alone, WIDTH);
    room_close(room);
  }
}

/* Of 64 anchors 8 in each of 256 images, whose streams follow each other: 32 of each anchor are
 * expected, and of all pairs of neighbours 256 * 64 * (8 * 7) / (64 * 63). chi^2 of 63 degrees of
 * freedom is below 120 but once in 10^5; drawing without replacement makes it smaller still. */
static void every_anchor_is_drawn_as_often_as_another(void **state)
{
  enum { IMAGES = 256, WIDTH = 64, DRAWN = 8 };
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    uint64_t *of_images = room_host(room, IMAGES, sizeof *of_images);
    int32_t *matches = room_host(room, IMAGES * WIDTH, sizeof *matches);
    for (int i = 0; i < IMAGES * WIDTH; ++i)
      matches[i] = -1;
    for (uint64_t i = 0; i < IMAGES; ++i)
      of_images[i] = i;
    const uint8_t *sampled =
        sample(room, on, IMAGES, WIDTH, (RpnSampling){DRAWN, 0}, 3, of_images, matches);
    double chi = 0, pairs = 0;
    for (int a = 0; a < WIDTH; ++a) {
      double drawn = 0;
      for (int n = 0; n < IMAGES; ++n) {
        drawn += sampled[n * WIDTH + a];
        pairs += sampled[n * WIDTH + a] * sampled[n * WIDTH + (a + 1) % WIDTH];
      }
      chi += (drawn - 32) * (drawn - 32) / 32;
    }
    const double expected = 256 * 8.0 * 7.0 / 63.0;
    if (chi > 120 || chi < 20 || fabs(pairs - expected) > 5 * sqrt(expected))
      fail_msg("%s: chi^2 is %g, neighbours are drawn together %g times, not %g", on->name, chi,
               pairs, expected);
    room_close(room);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(samples_are_filled_up_with_background),
      cmocka_unit_test(those_with_the_least_keys_are_taken),
      cmocka_unit_test(a_sample_depends_on_its_stream_alone),
      cmocka_unit_test(every_anchor_is_drawn_as_often_as_another),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
