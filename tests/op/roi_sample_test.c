#include <math.h>

#include "support/detection.h"

/* Proposals images x capacity x 4, and what is to be found. */
typedef struct Input {
  RoiSampling sampling;
  int32_t images, capacity, truth_capacity;
  const float *proposals, *objects;
  const int32_t *proposal_counts, *object_counts, *object_classes;
  uint64_t seed;
  const uint64_t *streams;
} Input;

/* All rows, those behind the counts too. */
typedef struct Output {
  int32_t count, positive_count;
  const float *boxes, *targets, *positive_boxes;
  const int32_t *images, *classes, *matches;
  const int32_t *positive_images, *positive_classes, *positive_matches;
} Output;

/* Filled with what no op writes. */
static int32_t *ints_on_device(Room *room, int32_t count)
{
  int32_t *sevens = room_host(room, count + 1, sizeof *sevens);
  for (int32_t i = 0; i < count; ++i)
    sevens[i] = 77777;
  return room_upload(room, sevens, (size_t)(count + 1) * sizeof *sevens);
}

static Regions regions_of(Room *room, int32_t capacity)
{
  const size_t rows = (size_t)capacity;
  return (Regions){.capacity = capacity,
                   .boxes = room_device(room, rows * 4 * sizeof(float)),
                   .images = ints_on_device(room, capacity),
                   .count = ints_on_device(room, 1)};
}

static const int32_t *download_ints(Room *room, const int32_t *from, int32_t count)
{
  return room_download(room, from, (size_t)count * sizeof *from);
}

static Output download(Room *room, const SampledRois *rois)
{
  const int32_t rows = rois->regions.capacity, positives = rois->positives.capacity;
  return (Output){.count = *download_ints(room, rois->regions.count, 1),
                  .positive_count = *download_ints(room, rois->positives.count, 1),
                  .boxes = room_download_floats(room, rois->regions.boxes, 4 * rows),
                  .targets = room_download_floats(room, rois->targets, 4 * rows),
                  .positive_boxes =
                      room_download_floats(room, rois->positives.boxes, 4 * positives),
                  .images = download_ints(room, rois->regions.images, rows),
                  .classes = download_ints(room, rois->classes, rows),
                  .matches = download_ints(room, rois->matches, rows),
                  .positive_images = download_ints(room, rois->positives.images, positives),
                  .positive_classes = download_ints(room, rois->positive_classes, positives),
                  .positive_matches = download_ints(room, rois->positive_matches, positives)};
}

static Output run(Room *room, const TestBackend *on, const Input *in)
{
  const int32_t rows = in->images * in->sampling.count;
  const int32_t positives = in->images * in->sampling.positive_count;
  const Truth truth = room_truth(room, in->images, in->truth_capacity, in->object_counts,
                                 in->objects, in->object_classes);
  const size_t images = (size_t)in->images;
  const SampleKeys keys = {.seed = in->seed,
                           .streams = room_upload(room, in->streams, images * sizeof *in->streams)};
  const int32_t *counts =
      room_upload(room, in->proposal_counts, images * sizeof *in->proposal_counts);
  const float *proposals =
      room_upload_floats(room, in->proposals, (int64_t)in->images * in->capacity * 4);
  SampledRois rois = {
      .regions = regions_of(room, rows),
      .classes = ints_on_device(room, rows),
      .matches = ints_on_device(room, rows),
      .targets = room_device(room, (size_t)rows * 4 * sizeof(float)),
      .positives = regions_of(room, positives),
      .positive_classes = ints_on_device(room, positives),
      .positive_matches = ints_on_device(room, positives),
  };
  void *scratch =
      room_device(room, on->ops->roi_sample_scratch_bytes(in->sampling, in->capacity, in->images,
                                                          in->truth_capacity));
  CHECK_OK(roi_sample_plan(in->sampling, in->images));
  on->ops->roi_sample(on->device, in->sampling, keys, in->capacity, proposals, counts, &truth,
                      &rois, scratch);
  return download(room, &rois);
}

static void expect_ints(const TestBackend *on, const char *what, int64_t count, const int32_t *got,
                        const int32_t *expected)
{
  for (int64_t i = 0; i < count; ++i)
    if (got[i] != expected[i])
      fail_msg("%s: %s [%d] is %d, expected %d", on->name, what, (int)i, got[i], expected[i]);
}

static void expect_exact(const TestBackend *on, const char *what, int64_t count, const float *got,
                         const float *expected)
{
  expect_floats((Expectation){on, ELEMENT_F32, what, 0}, count, got, expected);
}

static const uint64_t streams[] = {3, 1, UINT64_C(1) << 63, 4, 0};

static void plan_refuses_what_makes_no_sense(void **state)
{
  const RoiSampling bad[] = {{0, 0, 0.5F}, {4, 5, 0.5F}, {4, -1, 0.5F},
                             {4, 1, 0},    {4, 1, 1.5F}, {4, 1, NAN}};
  CHECK_OK(roi_sample_plan((RoiSampling){512, 128, 0.5F}, 8));
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; ++i)
    assert_int_equal(roi_sample_plan(bad[i], 8), STATUS_BAD_OPTION);
  CHECK_FAILS(STATUS_BAD_SHAPE, "too many", roi_sample_plan((RoiSampling){1 << 20, 0, 0.5F}, 4096));
}

/* Two objects in image 0, none in image 1. Proposals of image 0: IoU 1/2 with object 0, less with
 * it, 1 with both objects' twin (the first counts). Everything is taken; the objects' own boxes are
 * candidates behind the proposals. */
static void candidates_become_rows_in_their_order(void **state)
{
  const float proposals[24] = {0,  0,  10, 5,  0,   0,   10,  4.875F, 20,  20,  30,  40,
                               50, 50, 60, 60, NAN, NAN, NAN, NAN,    NAN, NAN, NAN, NAN};
  const float objects[24] = {0,   0,   10,  10,  20,  20,  30,  40,  20,  20,  30,  40,
                             NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};
  const int32_t proposal_counts[2] = {3, 1}, object_counts[2] = {3, 0};
  const int32_t object_classes[6] = {4, 7, 9, -5, -5, -5};
  const int32_t images[16] = {0, 0, 0, 0, 0, 0, 1, -1, -1, -1, -1, -1, -1, -1, -1, -1};
  const int32_t classes[16] = {4, 0, 7, 4, 7, 7, 0, -1, -1, -1, -1, -1, -1, -1, -1, -1};
  const int32_t matches[16] = {0, 0, 1, 0, 1, 1};
  const int32_t positive_classes[16] = {4, 7, 4, 7, 7, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};
  const int32_t positive_images[16] = {0, 0, 0, 0, 0, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};
  const int32_t positive_matches[16] = {0, 1, 0, 1, 1};
  const float boxes[64] = {0,  0,  10, 5,  0,  0,  10, 4.875F, 20, 20, 30, 40, 0,  0,
                           10, 10, 20, 20, 30, 40, 20, 20,     30, 40, 50, 50, 60, 60};
  const float positive_boxes[64] = {0,  0,  10, 5,  20, 20, 30, 40, 0,  0,
                                    10, 10, 20, 20, 30, 40, 20, 20, 30, 40};
  float targets[64] = {0};
  targets[1] = 5; /* 10 * 2.5 / 5 */
  targets[3] = 5 * logf(2);
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    const Input in = {
        {8, 8, 0.5F},   2, 3,      3, proposals, objects, proposal_counts, object_counts,
        object_classes, 1, streams};
    const Output out = run(room, on, &in);
    assert_int_equal(out.count, 7);
    assert_int_equal(out.positive_count, 5);
    expect_ints(on, "images", 16, out.images, images);
    expect_ints(on, "classes", 16, out.classes, classes);
    expect_ints(on, "matches", 16, out.matches, matches);
    expect_ints(on, "positives' images", 16, out.positive_images, positive_images);
    expect_ints(on, "positives' classes", 16, out.positive_classes, positive_classes);
    expect_ints(on, "positives' matches", 16, out.positive_matches, positive_matches);
    expect_exact(on, "boxes", 64, out.boxes, boxes);
    expect_exact(on, "positives' boxes", 64, out.positive_boxes, positive_boxes);
    expect_floats((Expectation){on, ELEMENT_F32, "targets", 1e-6}, 64, out.targets, targets);
    room_close(room);
  }
}

static void without_candidates_there_are_no_rows(void **state)
{
  const float none[8] = {NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};
  const int32_t zeros[2] = {0, 0}, minus[4] = {-1, -1, -1, -1};
  const float zero_boxes[16] = {0};
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    const Input in = {{2, 1, 0.5F}, 2, 1, 1, none, none, zeros, zeros, minus, 1, streams};
    const Output out = run(room, on, &in);
    assert_int_equal(out.count, 0);
    assert_int_equal(out.positive_count, 0);
    expect_ints(on, "images", 4, out.images, minus);
    expect_ints(on, "classes", 4, out.classes, minus);
    expect_exact(on, "boxes", 16, out.boxes, zero_boxes);
    expect_exact(on, "targets", 16, out.targets, zero_boxes);
    expect_ints(on, "positives' images", 2, out.positive_images, minus);
    room_close(room);
  }
}

typedef struct Case {
  RoiSampling sampling;
  int32_t images, capacity, truth_capacity;
  int32_t proposal_counts[4], object_counts[4];
} Case;

static const Case cases[] = {
    {{16, 4, 0.5F}, 3, 70, 9, {70, 20, 0}, {9, 0, 5}},
    {{64, 16, 0.5F}, 4, 600, 40, {600, 599, 1, 300}, {40, 1, 40, 0}},
    {{512, 128, 0.25F}, 2, 100, 5, {100, 30}, {5, 5}},
    {{8, 8, 0.1F}, 1, 130, 20, {130}, {20}},
    {{8, 0, 0.5F}, 1, 30, 2, {30}, {2}},
};
enum { CASE_COUNT = sizeof cases / sizeof cases[0] };

static Input case_input(Room *room, int i)
{
  const Case *c = &cases[i];
  const int64_t objects = (int64_t)c->images * c->truth_capacity;
  int32_t *classes = room_host(room, objects, sizeof *classes);
  for (int64_t k = 0; k < objects; ++k)
    classes[k] = 1 + (int32_t)(k % 5);
  return (Input){.sampling = c->sampling,
                 .images = c->images,
                 .capacity = c->capacity,
                 .truth_capacity = c->truth_capacity,
                 .proposals = room_boxes(room, room_name(room, "proposals%d", i),
                                         (int64_t)c->images * c->capacity, 60, 80, 4, 40),
                 .objects =
                     room_boxes(room, room_name(room, "objects%d", i), objects, 60, 80, 8, 40),
                 .proposal_counts = c->proposal_counts,
                 .object_counts = c->object_counts,
                 .object_classes = classes,
                 .seed = 12,
                 .streams = streams};
}

static void rows_are_those_of_plain_loops(void **state)
{
  FOR_EACH_TWIN(on)
  for (int i = 0; i < CASE_COUNT; ++i) {
    Room *truth = room_open(backends_naive());
    Room *room = room_open(on);
    const Input in = case_input(room, i);
    const int64_t rows = (int64_t)in.images * in.sampling.count;
    const int64_t positives = (int64_t)in.images * in.sampling.positive_count;
    const Output expected = run(truth, backends_naive(), &in), got = run(room, on, &in);
    assert_int_equal(got.count, expected.count);
    assert_int_equal(got.positive_count, expected.positive_count);
    expect_ints(on, "images", rows, got.images, expected.images);
    expect_ints(on, "classes", rows, got.classes, expected.classes);
    expect_ints(on, "matches", rows, got.matches, expected.matches);
    expect_exact(on, "boxes", 4 * rows, got.boxes, expected.boxes);
    expect_floats((Expectation){on, ELEMENT_F32, "targets", 1e-5}, 4 * rows, got.targets,
                  expected.targets);
    expect_ints(on, "positives' images", positives, got.positive_images, expected.positive_images);
    expect_ints(on, "positives' classes", positives, got.positive_classes,
                expected.positive_classes);
    expect_ints(on, "positives' matches", positives, got.positive_matches,
                expected.positive_matches);
    expect_exact(on, "positives' boxes", 4 * positives, got.positive_boxes,
                 expected.positive_boxes);
    room_close(room);
    room_close(truth);
  }
}

/* Image 1 of case 1 in its batch and alone, with other capacities around it. */
static void a_sample_depends_on_its_stream_alone(void **state)
{
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    const Input batch = case_input(room, 1);
    Input alone = batch;
    alone.images = 1;
    alone.proposals = batch.proposals + 4 * batch.capacity;
    alone.objects = batch.objects + 4 * batch.truth_capacity;
    alone.object_classes = batch.object_classes + batch.truth_capacity;
    alone.proposal_counts = batch.proposal_counts + 1;
    alone.object_counts = batch.object_counts + 1;
    alone.streams = batch.streams + 1;
    alone.truth_capacity = 2;
    const Output all = run(room, on, &batch), one = run(room, on, &alone);
    int32_t first = 0;
    while (all.images[first] < 1)
      ++first;
    assert_int_equal(one.count, 64);
    expect_ints(on, "classes", one.count, one.classes, all.classes + first);
    expect_exact(on, "boxes", 4 * one.count, one.boxes, all.boxes + 4 * first);
    alone.streams = batch.streams + 2;
    const Output other = run(room, on, &alone);
    assert_memory_not_equal(other.boxes, one.boxes, 64 * 4 * sizeof(float));
    room_close(room);
  }
}

/* 40 proposals without an object, 5 drawn by each of 200 streams in turn: 25 of each are expected.
 * chi^2 of 39 degrees of freedom is below 85 but once in 10^5. */
static void every_candidate_is_drawn_as_often_as_another(void **state)
{
  enum { CANDIDATES = 40, DRAWN = 5, IMAGES = 200 };
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    float *proposals = room_numbers(room, IMAGES * CANDIDATES * 4);
    for (int i = 0; i < IMAGES * CANDIDATES; ++i) { /* its left side is its number */
      proposals[4 * i] = (float)(i % CANDIDATES);
      proposals[4 * i + 2] = (float)(i % CANDIDATES) + 1;
      proposals[4 * i + 3] = 1;
    }
    int32_t *counts = room_host(room, IMAGES, sizeof *counts);
    int32_t *none = room_host(room, IMAGES, sizeof *none);
    uint64_t *of_images = room_host(room, IMAGES, sizeof *of_images);
    for (int n = 0; n < IMAGES; ++n) {
      counts[n] = CANDIDATES;
      of_images[n] = (uint64_t)n;
    }
    const Input in = {
        {DRAWN, 1, 0.5F}, IMAGES, CANDIDATES, 1, proposals, room_numbers(room, IMAGES * 4),
        counts,           none,   none,       8, of_images};
    const Output out = run(room, on, &in);
    assert_int_equal(out.count, IMAGES * DRAWN);
    int drawn[CANDIDATES] = {0};
    for (int row = 0; row < IMAGES * DRAWN; ++row)
      ++drawn[(int)out.boxes[4 * row]];
    double chi = 0;
    for (int i = 0; i < CANDIDATES; ++i)
      chi += (drawn[i] - 25.0) * (drawn[i] - 25.0) / 25;
    if (chi > 85 || chi < 8) fail_msg("%s: chi^2 is %g", on->name, chi);
    room_close(room);
  }
}

typedef struct GoldenCase {
  Input in;
  int32_t candidates; /* of all images */
} GoldenCase;

enum { GOLDEN_IMAGES = 3, GOLDEN_PROPOSALS = 60, GOLDEN_OBJECTS = 5 };

/* Everything is sampled: torchvision draws others. */
static GoldenCase golden_case(Room *room, const Golden *golden)
{
  const GoldenTensor *truths = golden_find(golden, "sample.truths");
  const GoldenTensor *labels = golden_find(golden, "sample.truth_labels");
  const GoldenTensor *listed = golden_find(golden, "sample.proposals");
  float *proposals = room_numbers(room, GOLDEN_IMAGES * GOLDEN_PROPOSALS * 4);
  float *objects = room_numbers(room, GOLDEN_IMAGES * GOLDEN_OBJECTS * 4);
  int32_t *classes = room_host(room, GOLDEN_IMAGES * GOLDEN_OBJECTS, sizeof *classes);
  int32_t *counts = room_host(room, 2 * GOLDEN_IMAGES, sizeof *counts);
  int64_t object = 0, proposal = 0;
  for (int n = 0; n < GOLDEN_IMAGES; ++n) {
    counts[n] = (int32_t)golden_value(golden_find(golden, "sample.proposal_counts"), n);
    counts[GOLDEN_IMAGES + n] =
        (int32_t)golden_value(golden_find(golden, "sample.truth_counts"), n);
    for (int i = 0; i < counts[n]; ++i, ++proposal)
      for (int k = 0; k < 4; ++k)
        proposals[4 * (n * GOLDEN_PROPOSALS + i) + k] =
            (float)golden_value(listed, 4 * proposal + k);
    for (int i = 0; i < counts[GOLDEN_IMAGES + n]; ++i, ++object) {
      classes[n * GOLDEN_OBJECTS + i] = (int32_t)golden_value(labels, object);
      for (int k = 0; k < 4; ++k)
        objects[4 * (n * GOLDEN_OBJECTS + i) + k] = (float)golden_value(truths, 4 * object + k);
    }
  }
  return (GoldenCase){.in = {{65, 65, 0.5F},
                             GOLDEN_IMAGES,
                             GOLDEN_PROPOSALS,
                             GOLDEN_OBJECTS,
                             proposals,
                             objects,
                             counts,
                             counts + GOLDEN_IMAGES,
                             classes,
                             1,
                             streams},
                      .candidates = (int32_t)(object + proposal)};
}

static void rows_are_those_of_torchvision(void **state)
{
  Golden *golden = golden_open("op_roi_sample.txt");
  const GoldenTensor *labels = golden_find(golden, "sample.labels");
  const GoldenTensor *matches = golden_find(golden, "sample.matches");
  const GoldenTensor *chosen_counts = golden_find(golden, "sample.chosen_counts");
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    const GoldenCase c = golden_case(room, golden);
    const Output out = run(room, on, &c.in);
    assert_int_equal(out.count, c.candidates);
    for (int32_t row = 0; row < out.count; ++row) {
      assert_int_equal(out.classes[row], (int)golden_value(labels, row));
      if (out.classes[row] > 0) assert_int_equal(out.matches[row], (int)golden_value(matches, row));
    }
    int64_t chosen = 0;
    int32_t first = 0; /* candidate of the image */
    for (int n = 0; n < GOLDEN_IMAGES; ++n) {
      for (int i = 0; i < (int)golden_value(chosen_counts, n); ++i, ++chosen) {
        const int64_t row =
            first + (int64_t)golden_value(golden_find(golden, "sample.chosen"), chosen);
        for (int64_t k = 0; k < 4; ++k) {
          const double box = golden_value(golden_find(golden, "sample.boxes"), 4 * chosen + k);
          const double target = golden_value(golden_find(golden, "sample.targets"), 4 * chosen + k);
          expect_doubles((Expectation){on, ELEMENT_F32, "box", 1e-5}, 1, out.boxes + 4 * row + k,
                         &box);
          expect_doubles((Expectation){on, ELEMENT_F32, "target", 1e-5}, 1,
                         out.targets + 4 * row + k, &target);
        }
      }
      first += c.in.proposal_counts[n] + c.in.object_counts[n];
    }
    room_close(room);
  }
  golden_close(golden);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(plan_refuses_what_makes_no_sense),
      cmocka_unit_test(candidates_become_rows_in_their_order),
      cmocka_unit_test(without_candidates_there_are_no_rows),
      cmocka_unit_test(rows_are_those_of_plain_loops),
      cmocka_unit_test(a_sample_depends_on_its_stream_alone),
      cmocka_unit_test(every_candidate_is_drawn_as_often_as_another),
      cmocka_unit_test(rows_are_those_of_torchvision),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
