/* Boxes and masks: what stands between a detector's convolutions. Numbers are drawn one statement
 * after another (self_test_layers.c). */
#include "self_test_cases.h"

enum { IMAGES = 2, SIDE_PX = 64, MAPS = 2, RATIOS = 3, OBJECTS = 3 };

/* Two images, of 3 objects and of 1. Masks fill their boxes but for every third pixel. */
static const int32_t truth_counts[IMAGES] = {3, 1};
static const float truth_boxes[IMAGES * OBJECTS * 4] = {
    4, 6, 24, 30, 30, 8, 58, 24, 10, 36, 44, 60, 16, 20, 48, 52, 0, 0, 1, 1, 0, 0, 1, 1};
static const int32_t truth_classes[IMAGES * OBJECTS] = {1, 2, 1, 2, 1, 1};

static Truth truth_of(Bench *b)
{
  enum { ALL = IMAGES * OBJECTS };
  int32_t *windows = bench_host(b, ALL * 4, sizeof *windows);
  int64_t *offsets = bench_host(b, ALL, sizeof *offsets);
  int64_t bytes = 0;
  for (int i = 0; i < ALL; ++i) {
    const float *box = truth_boxes + (ptrdiff_t)4 * i;
    const int32_t window[4] = {(int32_t)box[0], (int32_t)box[1], (int32_t)(box[2] - box[0]),
                               (int32_t)(box[3] - box[1])};
    for (int k = 0; k < 4; ++k)
      windows[4 * i + k] = window[k];
    offsets[i] = bytes;
    bytes += (int64_t)window[2] * window[3];
  }
  uint8_t *mask = bench_host(b, bytes, 1);
  for (int64_t i = 0; i < bytes; ++i)
    mask[i] = i % 3 != 0;
  return (Truth){.images = IMAGES,
                 .capacity = OBJECTS,
                 .counts = bench_upload(b, truth_counts, IMAGES, sizeof *truth_counts),
                 .boxes = bench_floats(b, truth_boxes, ALL * 4),
                 .classes = bench_upload(b, truth_classes, ALL, sizeof *truth_classes),
                 .mask_windows = bench_upload(b, windows, ALL * 4, sizeof *windows),
                 .mask_offsets = bench_upload(b, offsets, ALL, sizeof *offsets),
                 .mask_bytes = bench_upload(b, mask, bytes, 1)};
}

static Regions upload_regions(Bench *b, int32_t rows, const float *boxes, const int32_t *images)
{
  int32_t count = 0;
  while (count < rows && images[count] >= 0)
    ++count;
  return (Regions){.capacity = rows,
                   .boxes = bench_floats(b, boxes, 4 * (int64_t)rows),
                   .images = bench_upload(b, images, rows, sizeof *images),
                   .count = bench_upload(b, &count, 1, sizeof count)};
}

static Regions blank_regions(Bench *b, int32_t rows)
{
  return (Regions){.capacity = rows,
                   .boxes = bench_blank(b, 4 * (int64_t)rows, sizeof(float)),
                   .images = bench_blank(b, rows, sizeof(int32_t)),
                   .count = bench_blank(b, 1, sizeof(int32_t))};
}

static void take_regions(Bench *b, const char *op, const Regions *regions)
{
  bench_take(b, op, ELEMENT_F32, regions->boxes, 4 * (int64_t)regions->capacity);
  bench_take(b, op, ELEMENT_I32, regions->images, regions->capacity);
  bench_take(b, op, ELEMENT_I32, regions->count, 1);
}

/* Sizes of the two images inside of the batch. */
static float *image_sizes(Bench *b)
{
  const float sizes[2 * IMAGES] = {SIDE_PX, SIDE_PX, 60, 50};
  return bench_floats(b, sizes, 2 * IMAGES);
}

/* Anchors of 16 and 32 px over two maps, and what the network says of them. */
typedef struct Pyramid {
  Rpn rpn;
  BenchImage logits[MAPS], deltas[MAPS];
  RpnMaps maps;
} Pyramid;

static Status pyramid_of(Bench *b, Pyramid *p)
{
  const RpnOptions options = {.height_px = SIDE_PX,
                              .width_px = SIDE_PX,
                              .sizes_px = {16, 32},
                              .ratios = {0.5F, 1, 2},
                              .ratio_count = RATIOS};
  Shape logits[MAPS], deltas[MAPS];
  for (int m = 0; m < MAPS; ++m) {
    const int32_t side = 8 >> m;
    const int64_t anchors = (int64_t)IMAGES * side * side * RATIOS;
    const float *of_logits = bench_between(b, anchors, -3, 3);
    const float *of_deltas = bench_between(b, 4 * anchors, -0.5, 0.5);
    p->logits[m] = bench_image(b, IMAGES, side, side, RATIOS, of_logits);
    p->deltas[m] = bench_image(b, IMAGES, side, side, 4 * RATIOS, of_deltas);
    p->maps.logits[m] = p->logits[m].memory;
    p->maps.deltas[m] = p->deltas[m].memory;
    logits[m] = p->logits[m].shape;
    deltas[m] = p->deltas[m].shape;
  }
  return rpn_plan(options, MAPS, logits, deltas, &p->rpn);
}

Status case_rpn_proposals(Bench *b)
{
  const ProposalLimits limits = {
      .pre_count = 50, .post_count = 20, .iou_most = 0.7F, .least_side_px = 1e-3F};
  const int32_t places = IMAGES * 20;
  Pyramid p;
  void *scratch;
  TRY(pyramid_of(b, &p));
  TRY(bench_scratch(b, b->ops->rpn_proposals_scratch_bytes(&p.rpn, limits), &scratch));
  float *boxes = bench_blank(b, 4 * places, sizeof *boxes);
  float *scores = bench_blank(b, places, sizeof *scores);
  int32_t *counts = bench_blank(b, IMAGES, sizeof *counts);
  b->ops->rpn_proposals(b->device, &p.rpn, &p.maps, limits, image_sizes(b), boxes, scores, counts,
                        scratch);
  bench_take(b, "rpn_proposals", ELEMENT_F32, boxes, 4 * places);
  bench_take(b, "rpn_proposals", ELEMENT_F32, scores, places);
  bench_take(b, "rpn_proposals", ELEMENT_I32, counts, IMAGES);
  return STATUS_OK;
}

/* What rpn_match may say: objects that there are, background, ignored. */
static int32_t *random_matches(Bench *b, int64_t anchors)
{
  int32_t *matches = bench_host(b, IMAGES * anchors, sizeof *matches);
  for (int64_t i = 0; i < IMAGES * anchors; ++i)
    matches[i] = (int32_t)random_below(&b->random, 2 + (uint32_t)truth_counts[i / anchors]) - 2;
  return bench_upload(b, matches, IMAGES * anchors, sizeof *matches);
}

Status case_rpn_match(Bench *b)
{
  const RpnMatching matching = {.high = 0.5F, .low = 0.3F};
  const RpnSampling sampling = {.count = 32, .positive_count = 12};
  const uint64_t streams[IMAGES] = {3, 7};
  Pyramid p;
  void *for_match, *for_sample;
  TRY(pyramid_of(b, &p));
  TRY(rpn_training_plan(matching, sampling));
  TRY(bench_scratch(b, b->ops->rpn_match_scratch_bytes(&p.rpn, OBJECTS), &for_match));
  TRY(bench_scratch(b, b->ops->rpn_sample_scratch_bytes(&p.rpn), &for_sample));
  const int64_t anchors = rpn_anchor_count(&p.rpn);
  const Truth truth = truth_of(b);
  const int32_t *given = random_matches(b, anchors);
  const SampleKeys keys = {.seed = 5, .streams = bench_upload(b, streams, IMAGES, sizeof *streams)};
  int32_t *matches = bench_blank(b, IMAGES * anchors, sizeof *matches);
  uint8_t *sampled = bench_blank(b, IMAGES * anchors, 1);
  b->ops->rpn_match(b->device, &p.rpn, matching, &truth, matches, for_match);
  b->ops->rpn_sample(b->device, &p.rpn, sampling, keys, given, sampled, for_sample);
  bench_take(b, "rpn_match", ELEMENT_I32, matches, IMAGES * anchors);
  bench_take(b, "rpn_sample", ELEMENT_U8, sampled, IMAGES * anchors);
  return STATUS_OK;
}

Status case_rpn_loss(Bench *b)
{
  Pyramid p;
  BenchImage dlogits[MAPS], ddeltas[MAPS];
  void *logit_memory[MAPS], *delta_memory[MAPS], *scratch;
  TRY(pyramid_of(b, &p));
  TRY(bench_scratch(b, b->ops->rpn_loss_scratch_bytes(&p.rpn), &scratch));
  const int64_t anchors = rpn_anchor_count(&p.rpn);
  const Truth truth = truth_of(b);
  const int32_t *matches = random_matches(b, anchors);
  const uint8_t *sampled =
      bench_upload(b, bench_bytes(b, IMAGES * anchors, 2), IMAGES * anchors, 1);
  float *sums = bench_blank(b, RPN_SUMS, sizeof *sums);
  for (int m = 0; m < MAPS; ++m) {
    dlogits[m] = bench_gradient(b, p.logits[m], WRITE_SET);
    ddeltas[m] = bench_gradient(b, p.deltas[m], WRITE_SET);
    logit_memory[m] = dlogits[m].memory;
    delta_memory[m] = ddeltas[m].memory;
  }
  b->ops->rpn_loss_sums(b->device, &p.rpn, &p.maps, &truth, matches, sampled, sums, scratch);
  b->ops->rpn_loss_backward(b->device, &p.rpn, &p.maps, &truth, matches, sampled, sums,
                            bench_equal(b, 1, 64), logit_memory, delta_memory);
  bench_take(b, "rpn_loss_sums", ELEMENT_F32, sums, RPN_SUMS);
  for (int m = 0; m < MAPS; ++m) {
    bench_take_image(b, "rpn_loss_backward", dlogits[m]);
    bench_take_image(b, "rpn_loss_backward", ddeltas[m]);
  }
  return STATUS_OK;
}

enum { ROWS = 6 };

/* One row hangs out over the image, one is of the pyramid's second level, the last has no image. */
static const float row_boxes[4 * ROWS] = {4, 6, 24,  30,  30.5F, 8,  58, 24.25F, -4, 36, 44, 70,
                                          0, 0, 120, 130, 16,    20, 48, 52,     0,  0,  0,  0};
static const int32_t row_images[ROWS] = {0, 0, 0, 1, 1, -1};

Status case_roi_align(Bench *b)
{
  enum { POOLED = 3, SAMPLING = 2, CHANNELS = 5 };
  BenchImage maps[MAPS], set[MAPS], added[MAPS];
  Shape shapes[MAPS], y_shape;
  const void *memory[MAPS];
  void *set_memory[MAPS], *added_memory[MAPS], *scratch;
  for (int m = 0; m < MAPS; ++m) {
    const int32_t side = 16 >> m;
    const float *numbers = bench_eighths(b, (int64_t)IMAGES * side * side * CHANNELS);
    maps[m] = bench_image(b, IMAGES, side, side, CHANNELS, numbers);
    set[m] = bench_gradient(b, maps[m], WRITE_SET);
    added[m] = bench_gradient(b, maps[m], WRITE_ADD);
    shapes[m] = maps[m].shape;
    memory[m] = maps[m].memory;
    set_memory[m] = set[m].memory;
    added_memory[m] = added[m].memory;
  }
  RoiAlign align;
  TRY(roi_align_plan(MAPS, shapes, SIDE_PX, POOLED, SAMPLING, ROWS, &align, &y_shape));
  TRY(bench_scratch(b, b->ops->roi_align_backward_scratch_bytes(&align, ROWS), &scratch));
  const Regions regions = upload_regions(b, ROWS, row_boxes, row_images);
  const BenchImage y = bench_image(b, ROWS, POOLED, POOLED, CHANNELS, NULL);
  const float *numbers = bench_eighths(b, (int64_t)ROWS * POOLED * POOLED * CHANNELS);
  const BenchImage dy = bench_image(b, ROWS, POOLED, POOLED, CHANNELS, numbers);
  b->ops->roi_align_forward(b->device, &align, memory, &regions, y.shape, y.memory);
  b->ops->roi_align_backward(b->device, &align, &regions, y.shape, dy.memory, set_memory, WRITE_SET,
                             scratch);
  b->ops->roi_align_backward(b->device, &align, &regions, y.shape, dy.memory, added_memory,
                             WRITE_ADD, scratch);
  bench_take_image(b, "roi_align_forward", y);
  for (int m = 0; m < MAPS; ++m) {
    bench_take_image(b, "roi_align_backward", set[m]);
    bench_take_image(b, "roi_align_backward", added[m]);
  }
  return STATUS_OK;
}

Status case_roi_sample(Bench *b)
{
  enum { PROPOSALS = 6, OF_ALL = 8, POSITIVES = 3 };
  const char *const op = "roi_sample";
  const RoiSampling sampling = {.count = OF_ALL, .positive_count = POSITIVES, .iou_least = 0.5F};
  const uint64_t streams[IMAGES] = {3, 7};
  const int32_t counts[IMAGES] = {6, 4};
  const float proposals[IMAGES * PROPOSALS * 4] = {
      4,  6,  24, 28, 32, 8, 58, 24, 12, 36, 44, 58, 0,  0, 8,  8,  40, 40, 60, 60, 2, 20, 30, 50,
      16, 22, 48, 52, 0,  0, 30, 30, 14, 18, 46, 50, 50, 2, 62, 20, 0,  0,  0,  0,  0, 0,  0,  0};
  const int32_t rows = IMAGES * OF_ALL;
  void *scratch;
  TRY(roi_sample_plan(sampling, IMAGES));
  TRY(bench_scratch(b, b->ops->roi_sample_scratch_bytes(sampling, PROPOSALS, IMAGES, OBJECTS),
                    &scratch));
  const Truth truth = truth_of(b);
  const SampleKeys keys = {.seed = 5, .streams = bench_upload(b, streams, IMAGES, sizeof *streams)};
  SampledRois rois = {.regions = blank_regions(b, rows),
                      .classes = bench_blank(b, rows, sizeof(int32_t)),
                      .matches = bench_blank(b, rows, sizeof(int32_t)),
                      .targets = bench_blank(b, 4 * rows, sizeof(float)),
                      .positives = blank_regions(b, IMAGES * POSITIVES),
                      .positive_classes = bench_blank(b, IMAGES * POSITIVES, sizeof(int32_t)),
                      .positive_matches = bench_blank(b, IMAGES * POSITIVES, sizeof(int32_t))};
  b->ops->roi_sample(b->device, sampling, keys, PROPOSALS,
                     bench_floats(b, proposals, IMAGES * PROPOSALS * 4),
                     bench_upload(b, counts, IMAGES, sizeof *counts), &truth, &rois, scratch);
  take_regions(b, op, &rois.regions);
  bench_take(b, op, ELEMENT_I32, rois.classes, rows);
  bench_take(b, op, ELEMENT_I32, rois.matches, rows);
  bench_take(b, op, ELEMENT_F32, rois.targets, 4 * rows);
  take_regions(b, op, &rois.positives);
  bench_take(b, op, ELEMENT_I32, rois.positive_classes, IMAGES * POSITIVES);
  bench_take(b, op, ELEMENT_I32, rois.positive_matches, IMAGES * POSITIVES);
  return STATUS_OK;
}

enum { HEAD_CLASSES = 3 };

/* The box head's two outputs. */
typedef struct Head {
  BoxHead head;
  BenchImage logits, deltas;
} Head;

static Status head_of(Bench *b, Head *h)
{
  const float *logits = bench_between(b, ROWS * HEAD_CLASSES, -3, 3);
  const float *deltas = bench_between(b, ROWS * 4 * HEAD_CLASSES, -1, 1);
  h->logits = bench_image(b, ROWS, 1, 1, HEAD_CLASSES, logits);
  h->deltas = bench_image(b, ROWS, 1, 1, 4 * HEAD_CLASSES, deltas);
  return box_head_plan(HEAD_CLASSES, h->logits.shape, h->deltas.shape, &h->head);
}

Status case_box_loss(Bench *b)
{
  const int32_t classes[ROWS] = {1, 0, 2, 1, 0, -1};
  Head h;
  void *scratch;
  TRY(head_of(b, &h));
  TRY(bench_scratch(b, b->ops->box_loss_scratch_bytes(&h.head), &scratch));
  const int32_t *of_rows = bench_upload(b, classes, ROWS, sizeof *classes);
  const float *targets = bench_floats(b, bench_between(b, 4 * ROWS, -1, 1), 4 * ROWS);
  float *sums = bench_blank(b, BOX_SUMS, sizeof *sums);
  const BenchImage dlogits = bench_gradient(b, h.logits, WRITE_SET);
  const BenchImage ddeltas = bench_gradient(b, h.deltas, WRITE_SET);
  b->ops->box_loss_sums(b->device, &h.head, h.logits.memory, h.deltas.memory, of_rows, targets,
                        sums, scratch);
  b->ops->box_loss_backward(b->device, &h.head, h.logits.memory, h.deltas.memory, of_rows, targets,
                            sums, bench_equal(b, 1, 64), dlogits.memory, ddeltas.memory);
  bench_take(b, "box_loss_sums", ELEMENT_F32, sums, BOX_SUMS);
  bench_take_image(b, "box_loss_backward", dlogits);
  bench_take_image(b, "box_loss_backward", ddeltas);
  return STATUS_OK;
}

enum { PER_IMAGE = 4, PLACES = IMAGES * PER_IMAGE };

Status case_detections(Bench *b)
{
  const char *const op = "detections";
  const DetectionLimits limits = {.score_least = 0.05F, .iou_most = 0.5F, .least_side_px = 0.01F};
  Head h;
  void *scratch;
  TRY(head_of(b, &h));
  TRY(bench_scratch(b, b->ops->detections_scratch_bytes(&h.head, IMAGES), &scratch));
  const Regions regions = upload_regions(b, ROWS, row_boxes, row_images);
  Detections found = {.images = IMAGES,
                      .capacity = PER_IMAGE,
                      .boxes = bench_blank(b, 4 * PLACES, sizeof(float)),
                      .scores = bench_blank(b, PLACES, sizeof(float)),
                      .classes = bench_blank(b, PLACES, sizeof(int32_t)),
                      .counts = bench_blank(b, IMAGES, sizeof(int32_t)),
                      .dropped = bench_blank(b, IMAGES, sizeof(int32_t))};
  b->ops->detections(b->device, &h.head, &regions, h.logits.memory, h.deltas.memory, limits,
                     image_sizes(b), &found, scratch);
  bench_take(b, op, ELEMENT_F32, found.boxes, 4 * PLACES);
  bench_take(b, op, ELEMENT_F32, found.scores, PLACES);
  bench_take(b, op, ELEMENT_I32, found.classes, PLACES);
  bench_take(b, op, ELEMENT_I32, found.counts, IMAGES);
  bench_take(b, op, ELEMENT_I32, found.dropped, IMAGES);
  return STATUS_OK;
}

Status case_detection_regions(Bench *b)
{
  const char *const op = "detection_regions";
  const int32_t classes[PLACES] = {1, 2, 2, 0, 2, 0, 0, 0}, counts[IMAGES] = {3, 1};
  const Detections given = {.images = IMAGES,
                            .capacity = PER_IMAGE,
                            .boxes =
                                bench_floats(b, bench_between(b, 4 * PLACES, 0, 60), 4 * PLACES),
                            .classes = bench_upload(b, classes, PLACES, sizeof *classes),
                            .counts = bench_upload(b, counts, IMAGES, sizeof *counts)};
  Regions regions = blank_regions(b, PLACES);
  int32_t *of_rows = bench_blank(b, PLACES, sizeof *of_rows);
  b->ops->detection_regions(b->device, &given, &regions, of_rows);
  take_regions(b, op, &regions);
  bench_take(b, op, ELEMENT_I32, of_rows, PLACES);
  return STATUS_OK;
}

enum { MASK_PX = 7, MASK_NUMBERS = ROWS * MASK_PX * MASK_PX };

Status case_mask_targets(Bench *b)
{
  const int32_t matches[ROWS] = {0, 1, 2, 0, 0, 0};
  const Truth truth = truth_of(b);
  const Regions regions = upload_regions(b, ROWS, row_boxes, row_images);
  float *targets = bench_blank(b, MASK_NUMBERS, sizeof *targets);
  b->ops->mask_targets(b->device, &regions, bench_upload(b, matches, ROWS, sizeof *matches), &truth,
                       SIDE_PX, SIDE_PX, MASK_PX, targets);
  bench_take(b, "mask_targets", ELEMENT_F32, targets, MASK_NUMBERS);
  return STATUS_OK;
}

Status case_mask_loss(Bench *b)
{
  const int32_t classes[ROWS] = {1, 2, 1, 2, 1, 0};
  const float *numbers = bench_between(b, MASK_NUMBERS * HEAD_CLASSES, -3, 3);
  const BenchImage logits = bench_image(b, ROWS, MASK_PX, MASK_PX, HEAD_CLASSES, numbers);
  const BenchImage dlogits = bench_gradient(b, logits, WRITE_SET);
  MaskHead head;
  void *scratch;
  TRY(mask_head_plan(HEAD_CLASSES, logits.shape, &head));
  TRY(bench_scratch(b, b->ops->mask_loss_scratch_bytes(&head), &scratch));
  const Regions regions = upload_regions(b, ROWS, row_boxes, row_images);
  const int32_t *of_rows = bench_upload(b, classes, ROWS, sizeof *classes);
  const float *targets = bench_floats(b, bench_between(b, MASK_NUMBERS, 0, 1), MASK_NUMBERS);
  const float *row_count = bench_equal(b, 1, 5);
  float *sums = bench_blank(b, MASK_SUMS, sizeof *sums);
  float *masks = bench_blank(b, MASK_NUMBERS, sizeof *masks);
  b->ops->mask_loss_sums(b->device, &head, logits.memory, &regions, of_rows, targets, sums,
                         scratch);
  b->ops->mask_loss_backward(b->device, &head, logits.memory, &regions, of_rows, targets, row_count,
                             bench_equal(b, 1, 64), dlogits.memory);
  b->ops->mask_select(b->device, &head, logits.memory, &regions, of_rows, masks);
  bench_take(b, "mask_loss_sums", ELEMENT_F32, sums, MASK_SUMS);
  bench_take_image(b, "mask_loss_backward", dlogits);
  bench_take(b, "mask_select", ELEMENT_F32, masks, MASK_NUMBERS);
  return STATUS_OK;
}

/* The row of the second level alone would fill an image, so there is no room for all. */
Status case_mask_paste(Bench *b)
{
  enum { PIXELS = 5000 };
  const char *const op = "mask_paste";
  const Regions regions = upload_regions(b, ROWS, row_boxes, row_images);
  const float *masks = bench_floats(b, bench_between(b, MASK_NUMBERS, 0, 1), MASK_NUMBERS);
  const uint8_t *zeros = bench_host(b, PIXELS, 1);
  PastedMasks pasted = {.windows = bench_blank(b, 4 * ROWS, sizeof(int32_t)),
                        .offsets = bench_blank(b, ROWS + 1, sizeof(int64_t)),
                        .pixels = bench_upload(b, zeros, PIXELS, 1),
                        .values = bench_equal(b, PIXELS, 0),
                        .pixels_most = PIXELS,
                        .missing = bench_blank(b, 1, sizeof(int32_t))};
  b->ops->mask_paste(b->device, &regions, masks, MASK_PX, image_sizes(b), 0.5F, &pasted);
  bench_take(b, op, ELEMENT_I32, pasted.windows, 4 * ROWS);
  bench_take_counts(b, op, pasted.offsets, ROWS + 1);
  bench_take(b, op, ELEMENT_U8, pasted.pixels, PIXELS);
  bench_take(b, op, ELEMENT_F32, pasted.values, PIXELS);
  bench_take(b, op, ELEMENT_I32, pasted.missing, 1);
  return STATUS_OK;
}

/* Boxes by a list of images, and by equal shares. */
Status case_resize_boxes(Bench *b)
{
  const int32_t images[PLACES] = {0, 1, 1, -1, 0, 1, 0, -1};
  const float *scales = bench_floats(b, bench_between(b, 2 * IMAGES, 0.5, 2), 2 * IMAGES);
  float *listed = bench_floats(b, bench_between(b, 4 * PLACES, 0, 60), 4 * PLACES);
  float *shared = bench_floats(b, bench_between(b, 4 * PLACES, 0, 60), 4 * PLACES);
  b->ops->resize_boxes(b->device, PLACES, PER_IMAGE,
                       bench_upload(b, images, PLACES, sizeof *images), scales, listed);
  b->ops->resize_boxes(b->device, PLACES, PER_IMAGE, NULL, scales, shared);
  bench_take(b, "resize_boxes", ELEMENT_F32, listed, 4 * PLACES);
  bench_take(b, "resize_boxes", ELEMENT_F32, shared, 4 * PLACES);
  return STATUS_OK;
}
