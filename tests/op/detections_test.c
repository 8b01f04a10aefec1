#include <math.h>

#include "support/backends.h"

/* rows of regions, of which the first counts[0] are image 0's, and so on; rows behind have none. */
typedef struct Input {
  int32_t class_count;
  int32_t images;
  int32_t capacity;
  int32_t rows;
  const int32_t *counts;
  const float *regions;
  const float *logits; /* rows x class_count */
  const float *deltas; /* rows x 4 class_count */
  const float *image_sizes;
  DetectionLimits limits;
  Element element;
} Input;

typedef struct Output {
  const float *boxes;
  const float *scores;
  const int32_t *classes;
  const int32_t *counts;
  const int32_t *dropped;
} Output;

static Regions regions_of(Room *room, const Input *in)
{
  int32_t *images = room_host(room, in->rows, sizeof *images);
  int32_t row = 0;
  for (int32_t image = 0; image < in->images; ++image)
    for (int32_t i = 0; i < in->counts[image]; ++i)
      images[row++] = image;
  const int32_t count = row;
  for (; row < in->rows; ++row)
    images[row] = -1;
  return (Regions){.capacity = in->rows,
                   .boxes = room_upload_floats(room, in->regions, 4 * (int64_t)in->rows),
                   .images = room_upload(room, images, (size_t)in->rows * sizeof *images),
                   .count = room_upload(room, &count, sizeof count)};
}

static Detections detections_of(Room *room, int32_t images, int32_t capacity)
{
  const size_t places = (size_t)images * (size_t)capacity;
  return (Detections){.images = images,
                      .capacity = capacity,
                      .boxes = room_device(room, places * 4 * sizeof(float)),
                      .scores = room_device(room, places * sizeof(float)),
                      .classes = room_device(room, places * sizeof(int32_t)),
                      .counts = room_device(room, (size_t)images * sizeof(int32_t)),
                      .dropped = room_device(room, (size_t)images * sizeof(int32_t))};
}

static Output run(Room *room, const TestBackend *on, const Input *in)
{
  const TestImage logits =
      room_image(room, image_shape(in->rows, 1, 1, in->class_count, in->element), in->logits);
  const TestImage deltas =
      room_image(room, image_shape(in->rows, 1, 1, 4 * in->class_count, in->element), in->deltas);
  const Regions regions = regions_of(room, in);
  Detections found = detections_of(room, in->images, in->capacity);
  BoxHead head;
  CHECK_OK(box_head_plan(in->class_count, logits.shape, deltas.shape, &head));
  on->ops->detections(on->device, &head, &regions, logits.memory, deltas.memory, in->limits,
                      room_upload_floats(room, in->image_sizes, (int64_t)in->images * 2), &found,
                      room_device(room, on->ops->detections_scratch_bytes(&head, in->images)));
  const int64_t places = (int64_t)in->images * in->capacity;
  const size_t words = (size_t)in->images * sizeof(int32_t);
  return (Output){.boxes = room_download_floats(room, found.boxes, 4 * places),
                  .scores = room_download_floats(room, found.scores, places),
                  .classes = room_download(room, found.classes, (size_t)places * sizeof(int32_t)),
                  .counts = room_download(room, found.counts, words),
                  .dropped = room_download(room, found.dropped, words)};
}

static void expect_image(const TestBackend *on, const Input *in, const Output *got, int32_t image,
                         int32_t count, const float *boxes, const float *scores,
                         const int32_t *classes)
{
  const ptrdiff_t first = (ptrdiff_t)image * in->capacity;
  if (got->counts[image] != count)
    fail_msg("%s: image %d has %d detections, expected %d", on->name, image, got->counts[image],
             count);
  for (int32_t i = 0; i < count; ++i)
    assert_int_equal(got->classes[first + i], classes[i]);
  expect_floats((Expectation){on, in->element, "score", 1e-6}, count, got->scores + first, scores);
  expect_floats((Expectation){on, in->element, "box", 1e-4}, 4 * (int64_t)count,
                got->boxes + 4 * first, boxes);
  for (int32_t i = count; i < in->capacity; ++i) {
    assert_true(got->scores[first + i] == 0.0F && got->classes[first + i] == 0);
    for (int32_t k = 0; k < 4; ++k)
      assert_true(got->boxes[4 * (first + i) + k] == 0.0F);
  }
}

/* Two regions of 8 x 8 px in an image of 32 x 32 px, two classes and the background, all scores
 * 1/3 and all deltas 0: to be changed. */
typedef struct Small {
  int32_t counts[1];
  float regions[8], logits[6], deltas[24], image_sizes[2];
} Small;

static Small small(void)
{
  return (Small){.counts = {2}, .regions = {0, 0, 8, 8, 16, 16, 24, 24}, .image_sizes = {32, 32}};
}

static Input small_input(const Small *values)
{
  return (Input){.class_count = 3,
                 .images = 1,
                 .capacity = 4,
                 .rows = 2,
                 .counts = values->counts,
                 .regions = values->regions,
                 .logits = values->logits,
                 .deltas = values->deltas,
                 .image_sizes = values->image_sizes,
                 .limits = {.score_least = 0.05F, .iou_most = 0.5F, .least_side_px = 0.01F}};
}

/* Scores 1/2 and 1/4 besides a background of 1/4; dx = 10 is one width, dw = 5 log 2 twice it. */
static void each_class_has_its_own_box_and_score(void **state)
{
  Small values = small();
  values.logits[1] = logf(2);
  values.deltas[4] = 10;
  values.deltas[8 + 2] = values.deltas[8 + 3] = 5 * logf(2);
  const float boxes[16] = {8, 0, 16, 8, 16, 16, 24, 24, 16, 16, 24, 24, 0, 0, 12, 12};
  const float scores[4] = {0.5F, 1.0F / 3, 1.0F / 3, 0.25F};
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    const Input in = small_input(&values);
    const Output out = run(room, on, &in);
    expect_image(on, &in, &out, 0, 4, boxes, scores, (int32_t[]){1, 1, 2, 2});
    assert_int_equal(out.dropped[0], 0);
    room_close(room);
  }
}

static void equal_scores_leave_the_lower_row_then_the_lower_class_first(void **state)
{
  const Small values = small();
  const float boxes[16] = {0, 0, 8, 8, 0, 0, 8, 8, 16, 16, 24, 24, 16, 16, 24, 24};
  const float scores[4] = {1.0F / 3, 1.0F / 3, 1.0F / 3, 1.0F / 3};
  FOR_EACH_BACKEND(on)
  FOR_EACH_ELEMENT(element)
  for (int32_t capacity = 1; capacity <= 5; ++capacity) {
    Room *room = room_open(on);
    Input in = small_input(&values);
    in.element = element;
    in.capacity = capacity;
    const Output out = run(room, on, &in);
    const int32_t count = capacity < 4 ? capacity : 4;
    expect_image(on, &in, &out, 0, count, boxes, scores, (int32_t[]){1, 2, 1, 2});
    assert_int_equal(out.dropped[0], 4 - count);
    room_close(room);
  }
}

/* Of two boxes with an IoU of exactly 1/2 both stay; a little more drops the one of the lower
 * score, but not that of the other class. */
static void classes_are_suppressed_apart_and_strictly(void **state)
{
  Small values = small();
  memcpy(values.regions, (float[8]){0, 0, 8, 8, 0, 0, 8, 4}, sizeof values.regions);
  values.logits[4] = 1; /* class 1 of row 1 */
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    Input in = small_input(&values);
    assert_int_equal(run(room, on, &in).counts[0], 4);
    in.limits.iou_most = nextafterf(0.5F, 0);
    const Output out = run(room, on, &in);
    assert_int_equal(out.counts[0], 2);
    assert_int_equal(out.classes[0], 1);
    assert_int_equal(out.classes[1], 2);
    expect_floats((Expectation){on, ELEMENT_F32, "box", 0}, 8, out.boxes,
                  (float[]){0, 0, 8, 4, 0, 0, 8, 8});
    assert_int_equal(out.dropped[0], 0); /* that counts the capacity's only */
    room_close(room);
  }
}

/* The last of 200 boxes, all apart but the last one, which shares exactly half with the first. */
static void the_last_candidate_is_held_against_the_first(void **state)
{
  enum { ROWS = 200 };
  const int32_t count = ROWS;
  float regions[4 * ROWS];
  for (int r = 0; r < ROWS; ++r)
    memcpy(regions + 4 * r, (float[4]){10.0F * (float)r, 0, 10.0F * (float)r + 8, 8},
           4 * sizeof(float));
  memcpy(regions + 4 * (ROWS - 1), (float[4]){0, 0, 8, 4}, 4 * sizeof(float));
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    Input in = {.class_count = 2,
                .images = 1,
                .capacity = ROWS,
                .rows = ROWS,
                .counts = &count,
                .regions = regions,
                .logits = room_numbers(room, 2 * ROWS),
                .deltas = room_numbers(room, 8 * ROWS),
                .image_sizes = (float[]){8, 2000},
                .limits = {.score_least = 0.25F, .iou_most = 0.5F}};
    assert_int_equal(run(room, on, &in).counts[0], ROWS);
    in.limits.iou_most = nextafterf(0.5F, 0);
    assert_int_equal(run(room, on, &in).counts[0], ROWS - 1);
    room_close(room);
  }
}

static void low_scores_small_boxes_and_nans_are_no_detections(void **state)
{
  Small values = small();
  values.logits[3] = NAN; /* all of row 1 */
  values.deltas[4 + 1] = NAN;
  FOR_EACH_BACKEND(on)
  FOR_EACH_ELEMENT(element)
  {
    Room *room = room_open(on);
    Input in = small_input(&values);
    in.element = element;
    const Output out = run(room, on, &in);
    expect_image(on, &in, &out, 0, 1, (float[]){0, 0, 8, 8}, (float[]){1.0F / 3}, (int32_t[]){2});
    in.limits.least_side_px = 8;
    assert_int_equal(run(room, on, &in).counts[0], 1);
    in.limits.least_side_px = nextafterf(8, 9);
    assert_int_equal(run(room, on, &in).counts[0], 0);
    in.limits.least_side_px = 0;
    in.limits.score_least = 0.34F;
    const Output none = run(room, on, &in);
    expect_image(on, &in, &none, 0, 0, NULL, NULL, NULL);
    assert_int_equal(none.dropped[0], 0);
    room_close(room);
  }
}

static void a_score_at_the_least_is_no_detection(void **state)
{
  Small values = small();
  values.logits[0] = values.logits[3] = -INFINITY; /* two scores of exactly 1/2 in each row */
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    Input in = small_input(&values);
    in.limits.score_least = 0.5F;
    assert_int_equal(run(room, on, &in).counts[0], 0);
    in.limits.score_least = nextafterf(0.5F, 0);
    assert_int_equal(run(room, on, &in).counts[0], 4);
    room_close(room);
  }
}

/* Images 0 and 2 have a row, image 1 and image 3 none; a row behind the count takes no part. */
static void images_without_rows_have_no_detections(void **state)
{
  const float regions[12] = {0, 0, 8, 8, 0, 0, 8, 8, 0, 0, 0, 0};
  const float image_sizes[8] = {32, 32, 32, 32, 4, 6, 32, 32}, zeros[24] = {0};
  const int32_t counts[4] = {1, 0, 1, 0};
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    Input in = {.class_count = 2,
                .images = 4,
                .capacity = 2,
                .rows = 3,
                .counts = counts,
                .regions = regions,
                .logits = zeros,
                .deltas = zeros,
                .image_sizes = image_sizes,
                .limits = {.score_least = 0.05F, .iou_most = 0.5F}};
    Output out = run(room, on, &in);
    for (int32_t image = 0; image < 4; ++image)
      expect_image(on, &in, &out, image, counts[image],
                   image == 0 ? (float[]){0, 0, 8, 8} : (float[]){0, 0, 6, 4}, (float[]){0.5F},
                   (int32_t[]){1});
    in.counts = (int32_t[4]){0};
    out = run(room, on, &in);
    for (int32_t image = 0; image < 4; ++image)
      expect_image(on, &in, &out, image, 0, NULL, NULL, NULL);
    room_close(room);
  }
}

static const float *scaled(float *values, int64_t count, float scale)
{
  for (int64_t i = 0; i < count; ++i)
    values[i] *= scale;
  return values;
}

static float *floats_of(Room *room, const GoldenTensor *tensor)
{
  float *values = room_numbers(room, tensor->count);
  for (int64_t i = 0; i < tensor->count; ++i)
    values[i] = (float)tensor->values[i];
  return values;
}

static Input golden_input(Room *room, const Golden *golden, int i)
{
  const double *row = golden_find(golden, "det%d.case", i)->values;
  const int attempt = (int)golden_value(golden_find(golden, "det%d.attempt", i), 0);
  const GoldenTensor *counts = golden_find(golden, "det%d.counts", i);
  const GoldenTensor *proposals = golden_find(golden, "det%d.proposals", i);
  Input in = {.class_count = (int32_t)row[0],
              .images = (int32_t)row[5],
              .capacity = (int32_t)row[3],
              .rows = (int32_t)(proposals->count / 4),
              .limits = {(float)row[1], (float)row[2], 0.01F},
              .regions = floats_of(room, proposals),
              .image_sizes = floats_of(room, golden_find(golden, "det%d.sizes", i))};
  int32_t *rows = room_host(room, counts->count, sizeof *rows);
  for (int64_t n = 0; n < counts->count; ++n)
    rows[n] = (int32_t)counts->values[n];
  in.counts = rows;
  const int64_t cells = (int64_t)in.rows * in.class_count;
  in.logits =
      scaled(room_formula(room, room_name(room, "det%d.%d.logits", i, attempt), cells), cells, 4);
  in.deltas = scaled(room_formula(room, room_name(room, "det%d.%d.deltas", i, attempt), 4 * cells),
                     4 * cells, (float)row[4]);
  return in;
}

static void detections_are_those_of_torchvision(void **state)
{
  FOR_EACH_BACKEND(on)
  {
    Golden *golden = golden_open("op_detections.txt");
    for (int i = 0; i < 5; ++i) {
      Room *room = room_open(on);
      const Input in = golden_input(room, golden, i);
      const Output out = run(room, on, &in);
      for (int32_t n = 0; n < in.images; ++n) {
        const GoldenTensor *labels = golden_find(golden, "det%d.labels%d", i, n);
        int32_t *classes = room_host(room, labels->count + 1, sizeof *classes);
        for (int64_t k = 0; k < labels->count; ++k)
          classes[k] = (int32_t)labels->values[k];
        expect_image(on, &in, &out, n, (int32_t)labels->count,
                     floats_of(room, golden_find(golden, "det%d.boxes%d", i, n)),
                     floats_of(room, golden_find(golden, "det%d.scores%d", i, n)), classes);
      }
      room_close(room);
    }
    golden_close(golden);
  }
}

/* The suppression's own golden cases as detections: group g is class g + 1, whose score rises with
 * the given one while all other classes but the background have none. Shifted inside the image. */
static void suppression_is_that_of_torchvision(void **state)
{
  enum { SHIFT = 32, CASES = 5, DISTINCT = 2 /* in this one a softmax may make scores equal */ };
  FOR_EACH_BACKEND(on)
  {
    Golden *golden = golden_open("op_proposals.txt");
    for (int i = 0; i < CASES; ++i) {
      const double *row = golden_find(golden, "nms%d.case", i)->values;
      const GoldenTensor *boxes = golden_find(golden, "nms%d.boxes", i);
      const int32_t count = (int32_t)row[0], classes = (int32_t)row[1] + 1;
      const int32_t rows = count > 0 ? count : 1;
      Room *room = room_open(on);
      float *regions = room_numbers(room, 4 * (int64_t)rows);
      float *logits = room_equal(room, (int64_t)rows * classes, -INFINITY);
      for (int32_t k = 0; k < 4 * count; ++k)
        regions[k] = (float)boxes->values[k] + SHIFT;
      for (int32_t r = 0; r < count; ++r) {
        const int32_t group = (int32_t)golden_find(golden, "nms%d.groups", i)->values[r];
        logits[r * classes] = 0;
        logits[r * classes + 1 + group] = (float)golden_find(golden, "nms%d.scores", i)->values[r];
      }
      const Input in = {.class_count = classes,
                        .images = 1,
                        .capacity = rows,
                        .rows = rows,
                        .counts = &count,
                        .regions = regions,
                        .logits = logits,
                        .deltas = room_numbers(room, 4 * (int64_t)rows * classes),
                        .image_sizes = (float[]){500, 500},
                        .limits = {.score_least = 0.25F, .iou_most = (float)row[2]}};
      const Output out = run(room, on, &in);
      const GoldenTensor *kept = golden_find(golden, "nms%d.kept", i);
      assert_int_equal(out.counts[0], kept->count);
      for (int64_t k = 0; k < kept->count; ++k) {
        const int64_t from = (int64_t)kept->values[k];
        double nearest = HUGE_VAL; /* of all found boxes, or of the one at this place */
        for (int64_t f = i == DISTINCT ? 0 : k; f < (i == DISTINCT ? kept->count : k + 1); ++f) {
          double furthest = 0;
          for (int c = 0; c < 4; ++c)
            furthest = fmax(furthest, fabs((double)(out.boxes[4 * f + c] - regions[4 * from + c])));
          nearest = fmin(nearest, furthest);
        }
        if (nearest > 1e-4)
          fail_msg("%s: case %d: the kept box %d is not row %d", on->name, i, (int)k, (int)from);
      }
      room_close(room);
    }
    golden_close(golden);
  }
}

typedef struct Case {
  int32_t class_count, rows, capacity;
  int32_t counts[3];
  float score_least, iou_most;
  bool ties;
} Case;

static const Case cases[] = {
    {2, 300, 100, {300, 0, 0}, 0.05F, 0.5F, false}, {5, 120, 500, {50, 40, 30}, 0.05F, 0.5F, false},
    {3, 200, 60, {0, 90, 70}, 0.2F, 0.3F, true},    {17, 40, 30, {10, 11, 12}, 0, 0.7F, false},
    {254, 9, 40, {4, 5, 0}, 0.004F, 0.5F, false},   {2, 700, 700, {700, 0, 0}, 0, 0.6F, true},
};

static Input case_input(Room *room, const Case *row, Element element)
{
  static const float image_sizes[6] = {96, 128, 80, 90, 70, 128};
  const int64_t cells = (int64_t)row->rows * row->class_count;
  float *regions = room_formula(room, "regions", 4 * (int64_t)row->rows);
  for (int64_t r = 0; r < row->rows; ++r) {
    float *box = regions + 4 * r;
    box[0] = 50 + 50 * box[0];
    box[1] = 40 + 40 * box[1];
    box[2] = box[0] + 20 + 12 * box[2];
    box[3] = box[1] + 20 + 12 * box[3];
  }
  return (Input){.class_count = row->class_count,
                 .images = 3,
                 .capacity = row->capacity,
                 .rows = row->rows,
                 .counts = row->counts,
                 .regions = regions,
                 .logits = row->ties ? room_eighths(room, "logits", cells)
                                     : scaled(room_formula(room, "logits", cells), cells, 3),
                 .deltas = room_formula(room, "deltas", 4 * cells),
                 .image_sizes = image_sizes,
                 .limits = {row->score_least, row->iou_most, 0.01F},
                 .element = element};
}

static void values_are_those_of_plain_loops(void **state)
{
  FOR_EACH_TWIN(on)
  FOR_EACH_ELEMENT(element)
  for (int i = 0; i < (int)(sizeof cases / sizeof cases[0]); ++i) {
    if (element == ELEMENT_BF16 && !cases[i].ties && cases[i].class_count > 2)
      continue; /* equal sums that are rounded apart */
    Room *truth = room_open(backends_naive());
    Room *room = room_open(on);
    const Input in = case_input(room, &cases[i], element);
    const Output expected = run(truth, backends_naive(), &in);
    const Output got = run(room, on, &in);
    for (int32_t n = 0; n < 3; ++n) {
      expect_image(on, &in, &got, n, expected.counts[n],
                   expected.boxes + 4 * (ptrdiff_t)n * in.capacity,
                   expected.scores + (ptrdiff_t)n * in.capacity,
                   expected.classes + (ptrdiff_t)n * in.capacity);
      assert_int_equal(got.dropped[n], expected.dropped[n]);
    }
    room_close(room);
    room_close(truth);
  }
}

static void a_call_gives_the_same_bits_again(void **state)
{
  FOR_EACH_TWIN(on)
  {
    Room *room = room_open(on);
    const Input in = case_input(room, &cases[1], ELEMENT_BF16);
    const Output first = run(room, on, &in), second = run(room, on, &in);
    const size_t places = 3 * (size_t)in.capacity;
    assert_memory_equal(first.boxes, second.boxes, places * 4 * sizeof(float));
    assert_memory_equal(first.scores, second.scores, places * sizeof(float));
    assert_memory_equal(first.classes, second.classes, places * sizeof(int32_t));
    room_close(room);
  }
}

/* Images of 2, 0 and 1 detections; room for more rows, for exactly as many, and for fewer. */
static void detections_become_regions_one_after_another(void **state)
{
  const float boxes[24] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 9, 9, 9, 9, 9, 10, 11, 12, 13};
  const int32_t classes[6] = {3, 1, 9, 9, 2, 9}, counts[3] = {2, 0, 1};
  const float expected[20] = {1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13};
  const int32_t images[5] = {0, 0, 2, -1, -1}, expected_classes[5] = {3, 1, 2, 0, 0};
  FOR_EACH_BACKEND(on)
  for (int32_t capacity = 1; capacity <= 5; ++capacity) {
    Room *room = room_open(on);
    const size_t words = (size_t)capacity * sizeof(int32_t);
    const Detections found = {.images = 3,
                              .capacity = 2,
                              .boxes = room_upload(room, boxes, sizeof boxes),
                              .classes = room_upload(room, classes, sizeof classes),
                              .counts = room_upload(room, counts, sizeof counts)};
    Regions regions = {.capacity = capacity,
                       .boxes = room_device(room, 4 * words),
                       .images = room_device(room, words),
                       .count = room_device(room, sizeof(int32_t))};
    int32_t *region_classes = room_device(room, words);
    on->ops->detection_regions(on->device, &found, &regions, region_classes);
    const int32_t *count = room_download(room, regions.count, sizeof *count);
    assert_int_equal(*count, capacity < 3 ? capacity : 3);
    assert_memory_equal(room_download(room, regions.images, words), images, words);
    assert_memory_equal(room_download(room, region_classes, words), expected_classes, words);
    expect_floats((Expectation){on, ELEMENT_F32, "region", 0}, 4 * (int64_t)capacity,
                  room_download_floats(room, regions.boxes, 4 * (int64_t)capacity), expected);
    room_close(room);
  }
}

static void proposals_become_regions_without_classes(void **state)
{
  const float boxes[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  const int32_t counts[2] = {0, 1};
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    const Detections proposals = {.images = 2,
                                  .capacity = 1,
                                  .boxes = room_upload(room, boxes, sizeof boxes),
                                  .counts = room_upload(room, counts, sizeof counts)};
    Regions regions = {.capacity = 2,
                       .boxes = room_device(room, 8 * sizeof(float)),
                       .images = room_device(room, 2 * sizeof(int32_t)),
                       .count = room_device(room, sizeof(int32_t))};
    on->ops->detection_regions(on->device, &proposals, &regions, NULL);
    expect_floats((Expectation){on, ELEMENT_F32, "region", 0}, 8,
                  room_download_floats(room, regions.boxes, 8), (float[]){5, 6, 7, 8, 0, 0, 0, 0});
    assert_memory_equal(room_download(room, regions.images, 8), ((int32_t[]){1, -1}), 8);
    room_close(room);
  }
}

static void plan_refuses_what_does_not_fit(void **state)
{
  const Shape logits = image_shape(10, 1, 1, 8, ELEMENT_BF16);
  const Shape deltas = image_shape(10, 1, 1, 24, ELEMENT_BF16);
  BoxHead head;
  CHECK_OK(box_head_plan(6, logits, deltas, &head));
  assert_int_equal(head.class_count, 6);
  CHECK_FAILS(STATUS_BAD_SHAPE, "7 classes", box_head_plan(7, logits, deltas, &head));
  CHECK_FAILS(STATUS_BAD_SHAPE, "1 classes", box_head_plan(1, logits, deltas, &head));
  Shape bad = deltas;
  bad.images = 11;
  CHECK_FAILS(STATUS_BAD_SHAPE, "11 x 1 x 1", box_head_plan(6, logits, bad, &head));
  bad = deltas;
  bad.element = ELEMENT_F32;
  CHECK_FAILS(STATUS_BAD_SHAPE, "float32", box_head_plan(6, logits, bad, &head));
  bad = logits;
  bad.width = 2;
  CHECK_FAILS(STATUS_BAD_SHAPE, "10 x 1 x 2", box_head_plan(6, bad, deltas, &head));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(plan_refuses_what_does_not_fit),
      cmocka_unit_test(each_class_has_its_own_box_and_score),
      cmocka_unit_test(equal_scores_leave_the_lower_row_then_the_lower_class_first),
      cmocka_unit_test(classes_are_suppressed_apart_and_strictly),
      cmocka_unit_test(the_last_candidate_is_held_against_the_first),
      cmocka_unit_test(low_scores_small_boxes_and_nans_are_no_detections),
      cmocka_unit_test(a_score_at_the_least_is_no_detection),
      cmocka_unit_test(images_without_rows_have_no_detections),
      cmocka_unit_test(detections_are_those_of_torchvision),
      cmocka_unit_test(suppression_is_that_of_torchvision),
      cmocka_unit_test(values_are_those_of_plain_loops),
      cmocka_unit_test(a_call_gives_the_same_bits_again),
      cmocka_unit_test(detections_become_regions_one_after_another),
      cmocka_unit_test(proposals_become_regions_without_classes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
