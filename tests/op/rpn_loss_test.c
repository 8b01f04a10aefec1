#include <math.h>

#include "support/detection.h"

/* Numbers by anchor: images x anchors, and of deltas and their gradients 4 each. */
typedef struct Input {
  Rpn rpn;
  const float *logits, *deltas;
  int32_t capacity;
  const int32_t *counts;
  const float *boxes;
  const int32_t *matches;
  const uint8_t *sampled;
  float scale;
  int rank_count; /* above 1: the images are shared out, and the sums added */
} Input;

typedef struct Output {
  float sums[RPN_SUMS];
  double objectness, box;
  float *dlogits, *ddeltas;
} Output;

/* One rank's part on the device. */
typedef struct Part {
  Rpn rpn;
  Truth truth;
  int64_t anchors, first; /* of an image; of the part, among the whole batch's */
  TestImage logits[PYRAMID_MAPS_MOST], deltas[PYRAMID_MAPS_MOST];
  RpnMaps maps;
  const int32_t *matches;
  const uint8_t *sampled;
} Part;

static int64_t map_anchors(const Rpn *rpn, int32_t map)
{
  return (int64_t)rpn->maps[map].height * rpn->maps[map].width * rpn->anchor_count;
}

static Shape map_shape(const Rpn *rpn, int32_t map, int32_t per_anchor)
{
  return image_shape(rpn->images, rpn->maps[map].height, rpn->maps[map].width,
                     per_anchor * rpn->anchor_count, rpn->element);
}

/* A map's tensor from numbers by anchor; first: the map's anchor in an image. */
static TestImage upload_map(Room *room, const Part *part, int32_t map, int64_t first,
                            int32_t per_anchor, const float *by_anchor)
{
  const int64_t count = map_anchors(&part->rpn, map) * per_anchor;
  float *numbers = room_numbers(room, part->rpn.images * count);
  for (int32_t n = 0; n < part->rpn.images; ++n)
    memcpy(numbers + n * count, by_anchor + (part->first + n * part->anchors + first) * per_anchor,
           (size_t)count * sizeof *numbers);
  return room_image(room, map_shape(&part->rpn, map, per_anchor), numbers);
}

static void download_map(Room *room, const Part *part, TestImage image, int32_t map, int64_t first,
                         int32_t per_anchor, float *by_anchor)
{
  const int64_t count = map_anchors(&part->rpn, map) * per_anchor;
  const float *numbers = room_numbers_of(room, image);
  for (int32_t n = 0; n < part->rpn.images; ++n)
    memcpy(by_anchor + (part->first + n * part->anchors + first) * per_anchor, numbers + n * count,
           (size_t)count * sizeof *numbers);
}

static Part upload(Room *room, const Input *in, int rank, int rank_count)
{
  Part part = {.rpn = in->rpn, .anchors = rpn_anchor_count(&in->rpn)};
  const int32_t images = in->rpn.images / rank_count, first_image = rank * images;
  part.rpn.images = images;
  part.first = first_image * part.anchors;
  part.truth = room_truth(room, images, in->capacity, in->counts + first_image,
                          in->boxes + (int64_t)first_image * in->capacity * 4, NULL);
  int64_t first = 0;
  for (int32_t m = 0; m < part.rpn.map_count; ++m) {
    part.logits[m] = upload_map(room, &part, m, first, 1, in->logits);
    part.deltas[m] = upload_map(room, &part, m, first, 4, in->deltas);
    part.maps.logits[m] = part.logits[m].memory;
    part.maps.deltas[m] = part.deltas[m].memory;
    first += map_anchors(&part.rpn, m);
  }
  const size_t places = (size_t)(images * part.anchors);
  part.matches = room_upload(room, in->matches + part.first, places * sizeof *in->matches);
  part.sampled = room_upload(room, in->sampled + part.first, places);
  return part;
}

static void add_sums(Room *room, const TestBackend *on, const Part *part, float *sums)
{
  float *there = room_device(room, RPN_SUMS * sizeof *there);
  void *scratch = room_device(room, on->ops->rpn_loss_scratch_bytes(&part->rpn));
  on->ops->rpn_loss_sums(on->device, &part->rpn, &part->maps, &part->truth, part->matches,
                         part->sampled, there, scratch);
  const float *here = room_download_floats(room, there, RPN_SUMS);
  for (int i = 0; i < RPN_SUMS; ++i)
    sums[i] += here[i];
}

static void write_gradients(Room *room, const TestBackend *on, const Part *part, const float *sums,
                            float scale, Output *out)
{
  TestImage logits[PYRAMID_MAPS_MOST], deltas[PYRAMID_MAPS_MOST];
  void *dlogits[PYRAMID_MAPS_MOST], *ddeltas[PYRAMID_MAPS_MOST];
  for (int32_t m = 0; m < part->rpn.map_count; ++m) {
    logits[m] = room_image(room, map_shape(&part->rpn, m, 1), NULL);
    deltas[m] = room_image(room, map_shape(&part->rpn, m, 4), NULL);
    dlogits[m] = logits[m].memory;
    ddeltas[m] = deltas[m].memory;
  }
  on->ops->rpn_loss_backward(on->device, &part->rpn, &part->maps, &part->truth, part->matches,
                             part->sampled, room_upload_floats(room, sums, RPN_SUMS),
                             scale_on(room, scale), dlogits, ddeltas);
  int64_t first = 0;
  for (int32_t m = 0; m < part->rpn.map_count; ++m) {
    download_map(room, part, logits[m], m, first, 1, out->dlogits);
    download_map(room, part, deltas[m], m, first, 4, out->ddeltas);
    first += map_anchors(&part->rpn, m);
  }
}

static Output run(Room *room, const TestBackend *on, const Input *in)
{
  enum { RANKS_MOST = 4 };
  const int rank_count = in->rank_count == 0 ? 1 : in->rank_count;
  const int64_t places = in->rpn.images * rpn_anchor_count(&in->rpn);
  Output out = {.dlogits = room_numbers(room, places), .ddeltas = room_numbers(room, 4 * places)};
  Part parts[RANKS_MOST];
  for (int rank = 0; rank < rank_count; ++rank) {
    parts[rank] = upload(room, in, rank, rank_count);
    add_sums(room, on, &parts[rank], out.sums);
  }
  for (int rank = 0; rank < rank_count; ++rank)
    write_gradients(room, on, &parts[rank], out.sums, in->scale, &out);
  out.objectness = out.sums[2] > 0 ? (double)out.sums[0] / (double)out.sums[2] : 0;
  out.box = out.sums[2] > 0 ? (double)out.sums[1] / (double)out.sums[2] : 0;
  return out;
}

/* Five anchors of 10 x 10 px; anchor 0 is the object's own box, whose code is zeros. */
static const float own_box[4] = {0, 0, 10, 10};

static Input row_input(const TestBackend *on, Element element, const float logits[5],
                       const float deltas[20], const int32_t matches[5], const uint8_t sampled[5])
{
  static const int32_t one = 1;
  Input in = {.rpn = rpn_of_a_row(on, 1, 5),
              .logits = logits,
              .deltas = deltas,
              .capacity = 1,
              .counts = &one,
              .boxes = own_box,
              .matches = matches,
              .sampled = sampled,
              .scale = 1};
  in.rpn.element = element;
  return in;
}

/* Of four sampled anchors one has the object. Deltas of 1/16 and 3 lie on either side of beta. */
static void sums_and_gradients_of_a_few_anchors(void **state)
{
  const float logits[5] = {0};
  const float deltas[20] = {0.0625F, -0.0625F, 3, -3, 7, 7, 7, 7};
  const int32_t matches[5] = {0, -1, -1, -2, -1};
  const uint8_t sampled[5] = {1, 1, 0, 1, 1};
  const float dlogits[5] = {-0.25F, 0.25F, 0, 0.25F, 0.25F};
  const float ddeltas[20] = {0.5625F * 0.5F, -0.5625F * 0.5F, 0.5F, -0.5F};
  FOR_EACH_BACKEND(on)
  FOR_EACH_ELEMENT(element)
  {
    Room *room = room_open(on);
    Input in = row_input(on, element, logits, deltas, matches, sampled);
    in.scale = 2;
    const Output out = run(room, on, &in);
    const double box = 2 * 0.5 * 0.0625 * 0.0625 * 9 + 2 * (3 - 0.5 / 9);
    const double sums[3] = {4 * log(2.0), box, 4};
    expect_doubles((Expectation){on, element, "sums", 2e-6}, 3, out.sums, sums);
    expect_floats((Expectation){on, element, "dlogits", 0}, 5, out.dlogits, dlogits);
    expect_floats((Expectation){on, element, "ddeltas", element == ELEMENT_F32 ? 1e-7 : 0x1p-10},
                  20, out.ddeltas, ddeltas);
    room_close(room);
  }
}

static void without_a_sample_loss_and_gradients_are_zero(void **state)
{
  const float logits[5] = {1, NAN, 3, 4, 5}, zeros[20] = {0};
  const int32_t matches[5] = {0, 0, 0, -1, -1};
  const uint8_t sampled[5] = {0};
  FOR_EACH_BACKEND(on)
  FOR_EACH_ELEMENT(element)
  {
    Room *room = room_open(on);
    const Input in = row_input(on, element, logits, zeros, matches, sampled);
    const Output out = run(room, on, &in);
    expect_floats((Expectation){on, element, "sums", 0}, 3, out.sums, zeros);
    expect_floats((Expectation){on, element, "dlogits", 0}, 5, out.dlogits, zeros);
    expect_floats((Expectation){on, element, "ddeltas", 0}, 20, out.ddeltas, zeros);
    room_close(room);
  }
}

static void a_nan_reaches_the_loss_where_it_is_sampled(void **state)
{
  const float logits[5] = {NAN, 0, NAN, 0, 0}, deltas[20] = {0, 0, 0, NAN};
  const int32_t matches[5] = {0, -1, -1, -1, -1};
  const uint8_t in_both[5] = {1, 1}, in_none[5] = {0, 1};
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    const Input nan = row_input(on, ELEMENT_F32, logits, deltas, matches, in_both);
    const Output bad = run(room, on, &nan);
    assert_true(isnan(bad.objectness) && isnan(bad.box));
    assert_true(isnan(bad.dlogits[0]) && isnan(bad.ddeltas[3]) && !isnan(bad.ddeltas[2]));
    const Input clean = row_input(on, ELEMENT_F32, logits, deltas, matches, in_none);
    const Output good = run(room, on, &clean);
    assert_true(good.objectness > 0.69 && good.objectness < 0.7);
    assert_true(good.box == 0.0 && good.dlogits[0] == 0.0F);
    room_close(room);
  }
}

static void large_logits_stay_finite(void **state)
{
  const float logits[5] = {1000, -1000, 1000, -1000, 0}, zeros[20] = {0};
  const int32_t matches[5] = {0, 0, -1, -1, -1};
  const uint8_t sampled[5] = {1, 1, 1, 1, 0};
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    const Input in = row_input(on, ELEMENT_F32, logits, zeros, matches, sampled);
    const Output out = run(room, on, &in);
    assert_true(out.sums[0] == 2000.0F);
    expect_floats((Expectation){on, ELEMENT_F32, "dlogits", 0}, 5, out.dlogits,
                  (float[]){0, -0.25F, 0.25F, 0, 0});
    room_close(room);
  }
}

typedef struct Case {
  Pyramid pyramid;
  int32_t capacity;
  int32_t counts[4];
  uint32_t sampled_every;
} Case;

static const Case cases[] = {
    {{1, 16, 16, 8, 1, 1, 8}, 1, {1}, 1},
    {{4, 50, 75, 4, 3, 3, 16}, 9, {9, 0, 4, 1}, 7},
    {{2, 64, 64, 4, 5, 3, 32}, 30, {30, 30}, 50},
    {{2, 40, 48, 8, 2, 2, 16}, 3, {0, 0}, 3},
};
enum { CASE_COUNT = sizeof cases / sizeof cases[0] };

static Input case_input(Room *room, const TestBackend *on, int i, Element element)
{
  const Case c = cases[i];
  Input in = {.rpn = rpn_of(on, c.pyramid, element), .capacity = c.capacity, .scale = 0.5F};
  const int64_t anchors = rpn_anchor_count(&in.rpn), places = c.pyramid.images * anchors;
  float *logits = room_formula(room, room_name(room, "rpn%d.logits", i), places);
  for (int64_t k = 0; k < places; ++k)
    logits[k] *= 4.0F;
  int32_t *counts = room_host(room, 4, sizeof *counts);
  memcpy(counts, c.counts, sizeof c.counts);
  int32_t *matches = room_host(room, places, sizeof *matches);
  uint8_t *sampled = room_host(room, places, 1);
  const uint32_t seed = formula_seed(room_name(room, "rpn%d.matches", i));
  for (int64_t k = 0; k < places; ++k) {
    const uint32_t bits = formula_bits(seed, (uint32_t)k);
    const int32_t count = counts[k / anchors];
    matches[k] = count > 0 && bits % 3 == 0 ? (int32_t)(bits / 3 % (uint32_t)count) : -1;
    sampled[k] = bits / 7 % c.sampled_every == 0;
  }
  in.logits = logits;
  in.deltas = room_formula(room, room_name(room, "rpn%d.deltas", i), 4 * places);
  in.counts = counts;
  in.boxes =
      room_boxes(room, room_name(room, "rpn%d.boxes", i), (int64_t)c.pyramid.images * c.capacity,
                 c.pyramid.height_px, c.pyramid.width_px, 2, 40);
  in.matches = matches;
  in.sampled = sampled;
  return in;
}

/* Float32: codes are taken in float32. bfloat16: a gradient is rounded to 2^-8 of itself. */
static void expect_same(const TestBackend *on, const Input *in, const Output *got,
                        const Output *expected)
{
  const Element element = in->rpn.element;
  const int64_t places = in->rpn.images * rpn_anchor_count(&in->rpn);
  const double share = element == ELEMENT_F32 ? 1e-5 : 0x1p-7;
  for (int i = 0; i < RPN_SUMS; ++i)
    expect_floats((Expectation){on, element, "sums", 2e-6 * (double)expected->sums[i]}, 1,
                  got->sums + i, expected->sums + i);
  Expectation e = {on, element, "dlogits", share * largest_float(places, expected->dlogits)};
  expect_floats(e, places, got->dlogits, expected->dlogits);
  e = (Expectation){on, element, "ddeltas", share * largest_float(4 * places, expected->ddeltas)};
  expect_floats(e, 4 * places, got->ddeltas, expected->ddeltas);
}

static void expect_plain_loops(int rank_count)
{
  FOR_EACH_TWIN(on)
  FOR_EACH_ELEMENT(element)
  for (int i = 0; i < CASE_COUNT; ++i) {
    if (cases[i].pyramid.images % rank_count != 0) continue;
    Room *truth = room_open(backends_naive());
    Room *room = room_open(on);
    const Input plain = case_input(truth, backends_naive(), i, element);
    Input in = case_input(room, on, i, element);
    in.rank_count = rank_count;
    const Output expected = run(truth, backends_naive(), &plain);
    const Output got = run(room, on, &in);
    expect_same(on, &in, &got, &expected);
    room_close(room);
    room_close(truth);
  }
}

static void values_are_those_of_plain_loops(void **state)
{
  expect_plain_loops(1);
}

static void ranks_that_add_their_sums_compute_what_one_does(void **state)
{
  expect_plain_loops(2);
}

static void sums_are_the_same_bits_each_time(void **state)
{
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    const Input in = case_input(room, on, 1, ELEMENT_F32);
    const Output first = run(room, on, &in), second = run(room, on, &in);
    assert_memory_equal(first.sums, second.sums, sizeof first.sums);
    room_close(room);
  }
}

static double loss_at(const TestBackend *on, const Input *in, float *value, float at)
{
  Room *room = room_open(on);
  const float centre = *value;
  *value = at;
  const Output out = run(room, on, in);
  *value = centre;
  room_close(room);
  return (double)in->scale * (out.objectness + out.box);
}

/* Within a step of a corner of smooth L1 the slope changes by up to 9 times the step. */
static void gradients_are_the_slopes_of_the_loss(void **state)
{
  const float step = 0x1p-8F;
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    const Input in = case_input(room, on, 0, ELEMENT_F32);
    const Output out = run(room, on, &in);
    const int64_t places = rpn_anchor_count(&in.rpn);
    for (int64_t k = 0; k < 5 * places; ++k) {
      float *value = k < places ? (float *)in.logits + k : (float *)in.deltas + (k - places);
      const float *slope = k < places ? out.dlogits + k : out.ddeltas + (k - places);
      const double above = loss_at(on, &in, value, *value + step);
      const double below = loss_at(on, &in, value, *value - step);
      expect_doubles((Expectation){on, ELEMENT_F32, "slope", 0.02 / (double)out.sums[2]}, 1, slope,
                     &(double){(above - below) / (2.0 * (double)step)});
    }
    room_close(room);
  }
}

enum { GOLDEN_IMAGES = 3, GOLDEN_CAPACITY = 4 };

static void read_sampled(const Golden *golden, const char *name, uint8_t *sampled)
{
  const GoldenTensor *places = golden_find(golden, "%s", name);
  for (int64_t i = 0; i < places->count; ++i)
    sampled[(int64_t)places->values[i]] = 1;
}

static Input golden_input(Room *room, const TestBackend *on, const Golden *golden)
{
  Input in = {.capacity = GOLDEN_CAPACITY, .scale = 1};
  in.rpn = rpn_of(on, (Pyramid){GOLDEN_IMAGES, 64, 64, 4, 5, 3, 32}, ELEMENT_F32);
  const int64_t places = GOLDEN_IMAGES * rpn_anchor_count(&in.rpn);
  int32_t *counts = room_host(room, GOLDEN_IMAGES, sizeof *counts);
  float *boxes = room_numbers(room, (int64_t)GOLDEN_IMAGES * GOLDEN_CAPACITY * 4);
  int64_t from = 0;
  for (int n = 0; n < GOLDEN_IMAGES; ++n) {
    counts[n] = (int32_t)golden_value(golden_find(golden, "rpn.truth_counts"), n);
    for (int k = 0; k < 4 * counts[n]; ++k)
      boxes[n * GOLDEN_CAPACITY * 4 + k] =
          (float)golden_value(golden_find(golden, "rpn.truths"), from++);
  }
  int32_t *matches = room_host(room, places, sizeof *matches);
  uint8_t *sampled = room_host(room, places, 1);
  float *logits = room_formula(room, "rpn.logits", places);
  for (int64_t i = 0; i < places; ++i) {
    matches[i] = (int32_t)golden_value(golden_find(golden, "rpn.matches"), i);
    logits[i] *= 2.0F;
  }
  read_sampled(golden, "rpn.positives", sampled);
  read_sampled(golden, "rpn.negatives", sampled);
  in.logits = logits;
  in.deltas = room_formula(room, "rpn.deltas", 4 * places);
  in.counts = counts;
  in.boxes = boxes;
  in.matches = matches;
  in.sampled = sampled;
  return in;
}

static void values_are_those_of_torchvision(void **state)
{
  FOR_EACH_BACKEND(on)
  {
    Golden *golden = golden_open("op_rpn_loss.txt");
    Room *room = room_open(on);
    const Input in = golden_input(room, on, golden);
    const Output out = run(room, on, &in);
    const int64_t places = GOLDEN_IMAGES * rpn_anchor_count(&in.rpn);
    const double objectness = golden_value(golden_find(golden, "rpn.objectness_loss"), 0);
    const double box = golden_value(golden_find(golden, "rpn.box_loss"), 0);
    if (fabs(out.objectness - objectness) > 1e-6 * objectness || fabs(out.box - box) > 1e-6 * box)
      fail_msg("%s: losses are %.9g and %.9g, expected %.9g and %.9g", on->name, out.objectness,
               out.box, objectness, box);
    const Expectation e = {.on = on, .element = ELEMENT_F32, .tolerance = 2e-6};
    expect_golden(e, golden_find(golden, "rpn.dlogits"), out.dlogits, 0);
    const GoldenTensor *positives = golden_find(golden, "rpn.positives");
    float *expected = room_numbers(room, 4 * places);
    for (int64_t i = 0; i < 4 * positives->count; ++i)
      expected[4 * (int64_t)positives->values[i / 4] + i % 4] =
          (float)golden_value(golden_find(golden, "rpn.ddeltas"), i);
    expect_floats((Expectation){on, ELEMENT_F32, "ddeltas", 1e-6}, 4 * places, out.ddeltas,
                  expected);
    room_close(room);
    golden_close(golden);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sums_and_gradients_of_a_few_anchors),
      cmocka_unit_test(without_a_sample_loss_and_gradients_are_zero),
      cmocka_unit_test(a_nan_reaches_the_loss_where_it_is_sampled),
      cmocka_unit_test(large_logits_stay_finite),
      cmocka_unit_test(values_are_those_of_torchvision),
      cmocka_unit_test(values_are_those_of_plain_loops),
      cmocka_unit_test(ranks_that_add_their_sums_compute_what_one_does),
      cmocka_unit_test(sums_are_the_same_bits_each_time),
      cmocka_unit_test(gradients_are_the_slopes_of_the_loss),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
