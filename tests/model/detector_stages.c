#include "detector_stages.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MASK_PX = 2 * MASK_RCNN_MASK_PX, BOX_HEAD = 1, MASK_HEAD = 2 };

static const double value_tolerance = 1e-4;
static const double gradient_tolerance = 1e-3;
/* A gradient that is smaller than this share of the network's largest is 0 but for rounding. */
static const double gradient_floor = 1e-5;
/* Boxes that lie this share of the image apart are not the same one. */
static const double other_box = 1e-2;
/* Scores this near have no order: float32's rounding of the logits behind them decides. */
static const double tied_scores = 2.5e-7;

/* One run over the stages. */
typedef struct Run {
  DetectorTrial *trial;
  const Stages *stages;
  const char *prefix; /* "" or "train." */
} Run;

typedef struct StageName {
  char text[STAGE_NAME_BYTES];
} StageName;

static StageName named(const Run *run, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static StageName named(const Run *run, const char *format, ...)
{
  StageName name;
  va_list arguments;
  const int used = snprintf(name.text, sizeof name.text, "%s", run->prefix);
  va_start(arguments, format);
  vsnprintf(name.text + used, sizeof name.text - (size_t)used, format, arguments);
  va_end(arguments);
  return name;
}

static void compare(const Run *run, StageName name, int64_t count, const float *values)
{
  stages_compare(run->stages, name.text, count, values, value_tolerance);
}

/* The same things in the same order, or all wrong. */
static void compare_list(const Run *run, StageName name, int64_t count, const float *values)
{
  if (!reference_has(run->stages->reference, name.text)) return;
  const double error = reference_error(run->stages->reference, name.text, count, values, 0);
  run->stages->tell(run->stages->context, name.text, error <= other_box || isnan(error) ? error : 1,
                    value_tolerance);
}

static void compare_integers(const Run *run, StageName name, int64_t count, const int32_t *values)
{
  float *numbers = room_numbers(run->trial->room, count + 1);
  for (int64_t i = 0; i < count; ++i)
    numbers[i] = (float)values[i];
  compare_list(run, name, count, numbers);
}

static const float *expected(const Run *run, StageName name, int64_t *count)
{
  *count = 0;
  return reference_values(run->stages->reference, run->trial->room, name.text, count);
}

/* --- the trunk --- */

static Network *trunk_of(const Run *run)
{
  return detector_network(run->trial->detector, 0);
}

static int32_t output_channels(int32_t output)
{
  if (output < MASK_RCNN_FEATURES) return MASK_RCNN_CHANNELS;
  return (output - MASK_RCNN_FEATURES) % 2 == 0 ? MASK_RCNN_ANCHORS : 4 * MASK_RCNN_ANCHORS;
}

static StageName output_name(const Run *run, int32_t output)
{
  if (output < MASK_RCNN_FEATURES) return named(run, "features.%d", output);
  const int32_t map = (output - MASK_RCNN_FEATURES) / 2;
  return output_channels(output) == MASK_RCNN_ANCHORS ? named(run, "rpn.logits.%d", map)
                                                      : named(run, "rpn.deltas.%d", map);
}

/* The fifth map, every second pixel of the fourth, is no output of its own. */
static void compare_coarsest(const Run *run, const float *finer, Shape shape)
{
  const int32_t height = (shape.height + 1) / 2;
  const int32_t width = (shape.width + 1) / 2;
  const int64_t planes = (int64_t)shape.images * MASK_RCNN_CHANNELS;
  float *coarse = room_numbers(run->trial->room, planes * height * width);
  for (int64_t p = 0; p < planes; ++p)
    for (int32_t y = 0; y < height; ++y)
      for (int32_t x = 0; x < width; ++x)
        coarse[(p * height + y) * width + x] =
            finer[(p * shape.height + 2 * y) * shape.width + 2 * x];
  compare(run, named(run, "features.%d", MASK_RCNN_FEATURES), planes * height * width, coarse);
}

static void compare_trunk(const Run *run)
{
  Network *trunk = trunk_of(run);
  for (int32_t o = 0; o < MASK_RCNN_FEATURES + 2 * MASK_RCNN_MAPS; ++o) {
    const Shape shape = network_output_shape(trunk, o);
    const int32_t channels = output_channels(o);
    const float *values = detector_trial_get(run->trial, network_output(trunk, o), shape, channels);
    compare(run, output_name(run, o), shape_pixels(shape) * channels, values);
    if (o == MASK_RCNN_FEATURES - 1) compare_coarsest(run, values, shape);
  }
}

/* Puts the reference's outputs of the trunk in place of ours: first … past - 1. */
static void put_trunk(const Run *run, int32_t first, int32_t past)
{
  Network *trunk = trunk_of(run);
  for (int32_t o = first; o < past; ++o) {
    const Shape shape = network_output_shape(trunk, o);
    int64_t count;
    const float *values = expected(run, output_name(run, o), &count);
    if (values == NULL) continue; /* left out for its size: ours is near */
    assert_int_equal(count, shape_pixels(shape) * output_channels(o));
    detector_trial_put(run->trial, (void *)network_output(trunk, o), shape, output_channels(o),
                       values);
  }
}

static void compare_input(const Run *run)
{
  DetectorTrial *t = run->trial;
  const Shape shape = detector_input_shape(t->detector);
  const int32_t bands = t->parts.model.bands;
  int64_t count;
  compare(run, named(run, "batch"), shape_pixels(shape) * bands,
          detector_trial_get(t, detector_input(t->detector), shape, bands));
  compare(run, named(run, "sizes"), 2 * (int64_t)shape.images,
          detector_trial_download(t, detector_buffers(t->detector)->image_sizes,
                                  2 * (size_t)shape.images * sizeof(float)));
  const float *batch = run->stages->fed ? expected(run, named(run, "batch"), &count) : NULL;
  if (batch == NULL) return;
  assert_int_equal(count, shape_pixels(shape) * bands);
  detector_trial_put(t, detector_input(t->detector), shape, bands, batch);
}

/* --- proposals --- */

static double box_distance(const float *a, const float *b)
{
  double most = 0;
  for (int k = 0; k < 4; ++k)
    most = fmax(most, fabs((double)a[k] - (double)b[k]));
  return most;
}

/* Scores that float32 cannot tell apart have no order: such neighbours are put as the reference has
 * them. */
static void order_ties(const Run *run, int32_t image, int64_t count, float *boxes, float *scores)
{
  int64_t box_values, score_values;
  const float *box = expected(run, named(run, "proposals.%d.boxes", image), &box_values);
  const float *score = expected(run, named(run, "proposals.%d.scores", image), &score_values);
  if (box_values != 4 * count || score_values != count) return;
  for (int64_t i = 0; i + 1 < count; ++i) {
    float *here = boxes + 4 * i, *next = here + 4;
    if (fabs((double)score[i] - (double)score[i + 1]) > tied_scores) continue;
    if (box_distance(here, box + 4 * i) <= box_distance(next, box + 4 * i)) continue;
    float kept[4];
    memcpy(kept, here, sizeof kept);
    memcpy(here, next, sizeof kept);
    memcpy(next, kept, sizeof kept);
    const float kept_score = scores[i];
    scores[i] = scores[i + 1];
    scores[i + 1] = kept_score;
  }
}

static void compare_proposals(const Run *run)
{
  DetectorTrial *t = run->trial;
  const DetectorBuffers *b = detector_buffers(t->detector);
  const size_t images = (size_t)t->options.images;
  const size_t post = (size_t)t->options.proposals.post_count;
  const int32_t *counts = detector_trial_download(t, b->proposal_counts, images * sizeof *counts);
  float *boxes = detector_trial_download(t, b->proposals, 4 * images * post * sizeof *boxes);
  float *scores = detector_trial_download(t, b->proposal_scores, images * post * sizeof *scores);
  for (int32_t i = 0; i < t->options.images; ++i) {
    const size_t first = (size_t)i * post;
    order_ties(run, i, counts[i], boxes + 4 * first, scores + first);
    compare_list(run, named(run, "proposals.%d.boxes", i), 4 * (int64_t)counts[i],
                 boxes + 4 * first);
    compare_list(run, named(run, "proposals.%d.scores", i), counts[i], scores + first);
  }
}

static void put_proposals(const Run *run)
{
  DetectorTrial *t = run->trial;
  const DetectorBuffers *b = detector_buffers(t->detector);
  const size_t post = (size_t)t->options.proposals.post_count;
  int32_t *counts = room_host(t->room, t->options.images, sizeof *counts);
  float *boxes = room_numbers(t->room, 4 * (int64_t)post * t->options.images);
  float *scores = room_numbers(t->room, (int64_t)post * t->options.images);
  for (int32_t i = 0; i < t->options.images; ++i) {
    int64_t count, values;
    const float *box = expected(run, named(run, "proposals.%d.boxes", i), &values);
    const float *score = expected(run, named(run, "proposals.%d.scores", i), &count);
    assert_true(box != NULL && score != NULL && values == 4 * count && count <= (int64_t)post);
    counts[i] = (int32_t)count;
    memcpy(boxes + 4 * (size_t)i * post, box, 4 * (size_t)count * sizeof *box);
    memcpy(scores + (size_t)i * post, score, (size_t)count * sizeof *score);
  }
  const size_t images = (size_t)t->options.images;
  detector_trial_upload(t, b->proposal_counts, counts, images * sizeof *counts);
  detector_trial_upload(t, b->proposals, boxes, 4 * images * post * sizeof *boxes);
  detector_trial_upload(t, b->proposal_scores, scores, images * post * sizeof *scores);
}

/* --- the box head and detections --- */

static void compare_head(const Run *run, int32_t graph, HeadRun head, const char *pooled,
                         const char *first, const char *second)
{
  const int64_t features = (int64_t)MASK_RCNN_CHANNELS * head.pooled_px * head.pooled_px;
  compare(run, named(run, "%s", pooled), head.rows * features, head.pooled);
  compare(run, named(run, "%s", first), head.rows * head.per_row[0], head.outputs[0]);
  if (graph == BOX_HEAD)
    compare(run, named(run, "%s", second), head.rows * head.per_row[1], head.outputs[1]);
}

/* What the detector kept of all regions. */
static void compare_box_outputs(const Run *run)
{
  DetectorTrial *t = run->trial;
  const DetectorBuffers *b = detector_buffers(t->detector);
  const int32_t rows =
      *(const int32_t *)detector_trial_download(t, b->regions.count, sizeof(int32_t));
  const HeadRun head = detector_trial_head(t, BOX_HEAD, &b->regions, rows);
  compare(run, named(run, "box.pooled"),
          (int64_t)rows * MASK_RCNN_CHANNELS * head.pooled_px * head.pooled_px, head.pooled);
  for (int32_t o = 0; o < 2; ++o) {
    Shape shape = network_output_shape(detector_network(t->detector, BOX_HEAD), o);
    shape.images = rows;
    if (rows == 0) continue;
    compare(run, named(run, o == 0 ? "box.logits" : "box.deltas"), rows * head.per_row[o],
            detector_trial_get(t, o == 0 ? b->box_logits : b->box_deltas, shape,
                               (int32_t)head.per_row[o]));
  }
}

/* Detections from the reference's outputs of the head, over the regions that are there. */
static void detect_again(const Run *run)
{
  DetectorTrial *t = run->trial;
  DetectorBuffers *b = detector_buffers(t->detector);
  BoxHead head;
  Shape shapes[2];
  for (int32_t o = 0; o < 2; ++o) {
    int64_t count;
    shapes[o] = network_output_shape(detector_network(t->detector, BOX_HEAD), o);
    const int32_t channels = (o == 0 ? 1 : 4) * t->parts.model.classes;
    const float *values = expected(run, named(run, o == 0 ? "box.logits" : "box.deltas"), &count);
    if (values == NULL) return;
    shapes[o].images = (int32_t)(count / channels);
    if (count > 0)
      detector_trial_put(t, o == 0 ? b->box_logits : b->box_deltas, shapes[o], channels, values);
    shapes[o].images = b->regions.capacity;
  }
  CHECK_OK(box_head_plan(t->parts.model.classes, shapes[0], shapes[1], &head));
  void *scratch =
      room_device(t->room, t->on->ops->detections_scratch_bytes(&head, t->options.images));
  t->on->ops->detections(t->on->device, &head, &b->regions, b->box_logits, b->box_deltas,
                         t->options.limits, b->image_sizes, &b->detections, scratch);
  CHECK_OK(device_synchronize(t->on->device));
}

static void compare_detections(const Run *run)
{
  DetectorTrial *t = run->trial;
  const FoundByTrial found = detector_trial_found(t);
  for (int32_t i = 0; i < t->options.images; ++i) {
    const int64_t first = (int64_t)i * t->options.detection_count;
    const int32_t count = found.counts[i];
    compare_list(run, named(run, "detections.%d.boxes", i), 4 * (int64_t)count,
                 found.boxes + 4 * first);
    compare_list(run, named(run, "detections.%d.scores", i), count, found.scores + first);
    compare_integers(run, named(run, "detections.%d.labels", i), count, found.classes + first);
  }
}

static void put_detections(const Run *run)
{
  DetectorTrial *t = run->trial;
  const Detections *d = &detector_buffers(t->detector)->detections;
  const size_t images = (size_t)d->images;
  const size_t capacity = (size_t)d->capacity;
  int32_t *counts = room_host(t->room, d->images, sizeof *counts);
  int32_t *classes = room_host(t->room, (int64_t)(images * capacity), sizeof *classes);
  float *boxes = room_numbers(t->room, (int64_t)(4 * images * capacity));
  for (int32_t i = 0; i < d->images; ++i) {
    int64_t values, count;
    const size_t first = (size_t)i * capacity;
    const float *box = expected(run, named(run, "detections.%d.boxes", i), &values);
    const float *label = expected(run, named(run, "detections.%d.labels", i), &count);
    assert_true(box != NULL && label != NULL && values == 4 * count && count <= d->capacity);
    counts[i] = (int32_t)count;
    memcpy(boxes + 4 * first, box, 4 * (size_t)count * sizeof *box);
    for (size_t k = 0; k < (size_t)count; ++k)
      classes[first + k] = (int32_t)label[k];
  }
  detector_trial_upload(t, d->counts, counts, images * sizeof *counts);
  detector_trial_upload(t, d->classes, classes, images * capacity * sizeof *classes);
  detector_trial_upload(t, d->boxes, boxes, 4 * images * capacity * sizeof *boxes);
}

/* --- masks --- */

/* What was found, as regions of the batch: before it is brought back to the images' own pixels. */
static Regions regions_of(DetectorTrial *t, const FoundByTrial *found)
{
  float *boxes = room_numbers(t->room, 4 * (int64_t)found->rows + 1);
  int32_t *images = room_host(t->room, found->rows + 1, sizeof *images);
  int64_t row = 0;
  for (int32_t i = 0; i < t->options.images; ++i)
    for (int64_t k = 0; k < found->counts[i]; ++k, ++row) {
      memcpy(boxes + 4 * row, found->boxes + 4 * ((int64_t)i * t->options.detection_count + k),
             4 * sizeof *boxes);
      images[row] = i;
    }
  return detector_trial_regions(t, MASK_HEAD, found->rows, boxes, images);
}

static void compare_mask_head(const Run *run)
{
  DetectorTrial *t = run->trial;
  if (!t->parts.model.masks) return;
  const FoundByTrial before = detector_trial_found(t);
  const Regions regions = regions_of(t, &before);
  compare_head(run, MASK_HEAD, detector_trial_head(t, MASK_HEAD, &regions, before.rows),
               "mask.pooled", "mask.logits", "");
}

static void compare_masks(const Run *run)
{
  const FoundByTrial found = detector_trial_found(run->trial);
  if (found.masks == NULL) return;
  compare(run, named(run, "mask.probabilities"), (int64_t)found.rows * MASK_PX * MASK_PX,
          found.masks);
}

static void put_masks(const Run *run)
{
  DetectorTrial *t = run->trial;
  int64_t count;
  const float *masks = expected(run, named(run, "mask.probabilities"), &count);
  if (masks == NULL || count == 0) return;
  detector_trial_upload(t, detector_buffers(t->detector)->masks, masks,
                        (size_t)count * sizeof *masks);
}

static void compare_pasted(const Run *run)
{
  DetectorTrial *t = run->trial;
  const FoundByTrial found = detector_trial_found(t);
  if (found.masks == NULL) return;
  for (int32_t i = 0; i < t->options.images; ++i)
    compare(run, named(run, "mask.%d.pasted", i),
            (int64_t)found.counts[i] * t->scene.sizes[2 * i] * t->scene.sizes[2 * i + 1],
            detector_trial_pasted(t, &found, i));
}

static void compare_results(const Run *run)
{
  DetectorTrial *t = run->trial;
  const FoundByTrial found = detector_trial_found(t);
  for (int32_t i = 0; i < t->options.images; ++i)
    compare_list(run, named(run, "result.%d.boxes", i), 4 * (int64_t)found.counts[i],
                 found.boxes + 4 * (int64_t)i * t->options.detection_count);
}

void detector_stages_inference(DetectorTrial *trial, const Stages *stages)
{
  const Run run = {trial, stages, ""};
  compare_input(&run);
  detector_forward_trunk(trial->detector);
  compare_trunk(&run);
  if (stages->fed) put_trunk(&run, 0, MASK_RCNN_FEATURES + 2 * MASK_RCNN_MAPS);
  detector_propose(trial->detector);
  compare_proposals(&run);
  if (stages->fed) put_proposals(&run);
  detector_find_boxes(trial->detector);
  compare_box_outputs(&run);
  if (stages->fed) detect_again(&run);
  compare_detections(&run);
  if (stages->fed) put_detections(&run);
  compare_mask_head(&run);
  detector_find_masks(trial->detector);
  compare_masks(&run);
  if (stages->fed) put_masks(&run);
  compare_results(&run);
  compare_pasted(&run);
}

/* --- training --- */

/* 1 object, 0 background, -1 ignored. */
static void compare_anchor_labels(const Run *run)
{
  DetectorTrial *t = run->trial;
  const int64_t anchors = rpn_anchor_count(detector_rpn(t->detector));
  const size_t all = (size_t)anchors * (size_t)t->options.images;
  const int32_t *matches =
      detector_trial_download(t, detector_buffers(t->detector)->matches, all * sizeof *matches);
  int32_t *labels = room_host(t->room, anchors, sizeof *labels);
  for (int32_t i = 0; i < t->options.images; ++i) {
    for (int64_t a = 0; a < anchors; ++a) {
      const int32_t match = matches[i * anchors + a];
      labels[a] = match >= 0 ? 1 : match == -1 ? 0 : -1;
    }
    compare_integers(run, named(run, "rpn.labels.%d", i), anchors, labels);
  }
}

typedef struct RoiLists {
  int32_t rows;
  float *boxes, *targets;
  int32_t *images, *classes, *matches;
} RoiLists;

static RoiLists download_rois(DetectorTrial *t)
{
  const SampledRois *r = &detector_buffers(t->detector)->rois;
  const size_t rows = (size_t)r->regions.capacity;
  return (RoiLists){
      .rows = *(const int32_t *)detector_trial_download(t, r->regions.count, sizeof(int32_t)),
      .boxes = detector_trial_download(t, r->regions.boxes, 4 * rows * sizeof(float)),
      .images = detector_trial_download(t, r->regions.images, rows * sizeof(int32_t)),
      .classes = detector_trial_download(t, r->classes, rows * sizeof(int32_t)),
      .matches = detector_trial_download(t, r->matches, rows * sizeof(int32_t)),
      .targets = detector_trial_download(t, r->targets, 4 * rows * sizeof(float))};
}

static void compare_rois(const Run *run)
{
  const RoiLists r = download_rois(run->trial);
  for (int32_t i = 0, first = 0; i < run->trial->options.images; ++i) {
    int32_t past = first;
    while (past < r.rows && r.images[past] == i)
      ++past;
    compare_list(run, named(run, "rois.%d.boxes", i), 4 * (int64_t)(past - first),
                 r.boxes + 4 * (int64_t)first);
    compare_list(run, named(run, "rois.%d.targets", i), 4 * (int64_t)(past - first),
                 r.targets + 4 * (int64_t)first);
    compare_integers(run, named(run, "rois.%d.labels", i), past - first, r.classes + first);
    compare_integers(run, named(run, "rois.%d.matches", i), past - first, r.matches + first);
    first = past;
  }
}

static void put_anchors(const Run *run)
{
  DetectorTrial *t = run->trial;
  const int64_t anchors = rpn_anchor_count(detector_rpn(t->detector));
  const int64_t all = anchors * t->options.images;
  uint8_t *sampled = room_host(t->room, all, 1);
  for (int32_t i = 0; i < t->options.images; ++i)
    for (int kind = 0; kind < 2; ++kind) {
      int64_t count;
      const float *places =
          expected(run, named(run, "rpn.%d.%s", i, kind == 0 ? "positives" : "negatives"), &count);
      if (places == NULL) return;
      for (int64_t k = 0; k < count; ++k)
        sampled[i * anchors + (int64_t)places[k]] = 1;
    }
  detector_trial_upload(t, detector_buffers(t->detector)->sampled, sampled, (size_t)all);
}

static bool read_rois_of(const Run *run, int32_t image, RoiLists *r)
{
  int64_t values, rows, matched, coded;
  const float *boxes = expected(run, named(run, "rois.%d.boxes", image), &values);
  const float *labels = expected(run, named(run, "rois.%d.labels", image), &rows);
  const float *matches = expected(run, named(run, "rois.%d.matches", image), &matched);
  const float *targets = expected(run, named(run, "rois.%d.targets", image), &coded);
  if (boxes == NULL || labels == NULL || matches == NULL || targets == NULL) return false;
  assert_true(values == 4 * rows && matched == rows && coded == 4 * rows);
  const int64_t first = r->rows;
  assert_true(first + rows <= detector_buffers(run->trial->detector)->rois.regions.capacity);
  memcpy(r->boxes + 4 * first, boxes, (size_t)values * sizeof *boxes);
  memcpy(r->targets + 4 * first, targets, (size_t)coded * sizeof *targets);
  for (int64_t k = 0; k < rows; ++k) {
    r->images[first + k] = image;
    r->classes[first + k] = (int32_t)labels[k];
    r->matches[first + k] = (int32_t)matches[k];
  }
  r->rows += (int32_t)rows;
  return true;
}

static RoiLists room_for_rois(Room *room, int32_t capacity)
{
  RoiLists r = {.boxes = room_numbers(room, 4 * (int64_t)capacity),
                .targets = room_numbers(room, 4 * (int64_t)capacity),
                .images = room_host(room, capacity, sizeof(int32_t)),
                .classes = room_host(room, capacity, sizeof(int32_t)),
                .matches = room_host(room, capacity, sizeof(int32_t))};
  for (int32_t i = 0; i < capacity; ++i)
    r.images[i] = r.classes[i] = -1;
  return r;
}

static RoiLists positives_of(Room *room, const RoiLists *all, int32_t capacity)
{
  RoiLists r = room_for_rois(room, capacity);
  for (int32_t i = 0; i < all->rows; ++i) {
    if (all->classes[i] <= 0) continue;
    assert_true(r.rows < capacity);
    memcpy(r.boxes + 4 * (int64_t)r.rows, all->boxes + 4 * (int64_t)i, 4 * sizeof *r.boxes);
    r.images[r.rows] = all->images[i];
    r.classes[r.rows] = all->classes[i];
    r.matches[r.rows++] = all->matches[i];
  }
  return r;
}

static void upload_list(DetectorTrial *t, const RoiLists *r, const Regions *to, int32_t *classes,
                        int32_t *matches)
{
  const size_t rows = (size_t)to->capacity;
  detector_trial_upload(t, to->boxes, r->boxes, 4 * rows * sizeof *r->boxes);
  detector_trial_upload(t, to->images, r->images, rows * sizeof *r->images);
  detector_trial_upload(t, to->count, &r->rows, sizeof r->rows);
  detector_trial_upload(t, classes, r->classes, rows * sizeof *classes);
  detector_trial_upload(t, matches, r->matches, rows * sizeof *matches);
}

static void put_rois(const Run *run)
{
  DetectorTrial *t = run->trial;
  const SampledRois *to = &detector_buffers(t->detector)->rois;
  RoiLists all = room_for_rois(t->room, to->regions.capacity);
  for (int32_t i = 0; i < t->options.images; ++i)
    if (!read_rois_of(run, i, &all)) return;
  const RoiLists positives = positives_of(t->room, &all, to->positives.capacity);
  upload_list(t, &all, &to->regions, to->classes, to->matches);
  upload_list(t, &positives, &to->positives, to->positive_classes, to->positive_matches);
  detector_trial_upload(t, to->targets, all.targets,
                        4 * (size_t)to->regions.capacity * sizeof(float));
}

/* Choices from the reference's outputs of the RPN; then ours stand there again. */
static void compare_choices(const Run *run, bool everything)
{
  DetectorTrial *t = run->trial;
  Network *trunk = trunk_of(run);
  enum { FIRST = MASK_RCNN_FEATURES, PAST = MASK_RCNN_FEATURES + 2 * MASK_RCNN_MAPS };
  const float *own[PAST];
  for (int32_t o = FIRST; o < PAST; ++o)
    own[o] = detector_trial_get(t, network_output(trunk, o), network_output_shape(trunk, o),
                                output_channels(o));
  if (run->stages->fed) put_trunk(run, FIRST, PAST);
  detector_propose(t->detector);
  compare_proposals(run);
  if (run->stages->fed) put_proposals(run);
  detector_sample(t->detector);
  compare_anchor_labels(run);
  if (everything) compare_rois(run);
  for (int32_t o = FIRST; run->stages->fed && o < PAST; ++o)
    detector_trial_put(t, (void *)network_output(trunk, o), network_output_shape(trunk, o),
                       output_channels(o), own[o]);
  put_anchors(run);
  put_rois(run);
}

/* Heads have no statistics, so that a forward pass more changes nothing. */
static void compare_heads(const Run *run)
{
  DetectorTrial *t = run->trial;
  const SampledRois *r = &detector_buffers(t->detector)->rois;
  const int32_t rows =
      *(const int32_t *)detector_trial_download(t, r->regions.count, sizeof(int32_t));
  compare_head(run, BOX_HEAD, detector_trial_head(t, BOX_HEAD, &r->regions, rows), "box.pooled",
               "box.logits", "box.deltas");
  if (!t->parts.model.masks) return;
  const int32_t positives =
      *(const int32_t *)detector_trial_download(t, r->positives.count, sizeof(int32_t));
  compare_head(run, MASK_HEAD, detector_trial_head(t, MASK_HEAD, &r->positives, positives),
               "mask.pooled", "mask.logits", "");
}

static void compare_losses(const Run *run)
{
  double losses[DETECTOR_LOSSES];
  detector_trial_losses(run->trial, losses);
  for (int32_t i = 0; i < DETECTOR_LOSSES; ++i) {
    const float loss = (float)losses[i];
    compare(run, named(run, "loss.%s", detector_loss_name((DetectorLoss)i) + strlen("loss_")), 1,
            &loss);
  }
}

static double largest_gradient(const Run *run)
{
  const Reference *reference = run->stages->reference;
  const ParameterList *list = &run->trial->parts.parameters;
  double largest = 0;
  for (int32_t i = 0; i < list->count; ++i) {
    const StageName name = named(run, "grad.%s", list->items[i].name);
    if (list->items[i].trained && reference_has(reference, name.text))
      largest = fmax(largest, reference_most(reference, name.text));
  }
  return largest;
}

void detector_stages_training(DetectorTrial *trial, const Stages *stages, bool everything)
{
  const Run run = {trial, stages, "train."};
  const ParameterList *list = &trial->parts.parameters;
  compare_input(&run);
  detector_forward_trunk(trial->detector);
  compare_trunk(&run);
  compare_choices(&run, everything);
  compare_heads(&run);
  detector_trial_learn(trial);
  compare_losses(&run);
  stages_compare_parameters(stages, "train.stat.", list, false, detector_trial_statistics(trial), 0,
                            value_tolerance);
  stages_compare_parameters(stages, "train.grad.", list, true, detector_trial_gradients(trial),
                            gradient_floor * largest_gradient(&run), gradient_tolerance);
}
