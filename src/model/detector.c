#include "model/detector.h"

#include <math.h>

#include "base/memory.h"
#include "detector_private.h"

/* What the heads take at once where the host knows how many there are: enough for their products
 * to be efficient, few enough that the last part is not mostly empty. */
enum { BOX_ROWS = 256, MASK_ROWS = 32 };
enum { MASK_PX = 2 * MASK_RCNN_MASK_PX, SAMPLING = 2, BUFFER_ALIGNMENT = 256 };

DetectorOptions detector_options_default(bool training)
{
  const int32_t proposals = training ? 2000 : 1000;
  return (DetectorOptions){
      .training = training,
      .anchor_sizes_px = {32, 64, 128, 256, 512},
      .proposals = {.pre_count = proposals,
                    .post_count = proposals,
                    .iou_most = 0.7F,
                    .least_side_px = 1e-3F},
      .matching = {.high = 0.7F, .low = 0.3F},
      .rpn_sampling = {.count = 256, .positive_count = 128},
      .roi_sampling = {.count = 512, .positive_count = 128, .iou_least = 0.5F},
      .rank_count = 1,
      .limits = {.score_least = 0.05F, .iou_most = 0.5F, .least_side_px = 0.01F},
      .detection_count = 100,
      .mask_threshold = 0.5F};
}

static int32_t at_least_one(int32_t count)
{
  return count < 1 ? 1 : count;
}

static int32_t round_up(int32_t count, int32_t multiple)
{
  return (count + multiple - 1) / multiple * multiple;
}

static int32_t rows_at_once(const Detector *d, int32_t capacity, int32_t wanted)
{
  const bool known = device_known_count(d->device, &wanted, capacity) == wanted;
  return known && wanted < capacity ? wanted : capacity;
}

static void choose_rows(Detector *d)
{
  const DetectorOptions *o = &d->options;
  const int32_t boxes =
      at_least_one(o->images * (o->training ? o->roi_sampling.count : o->proposals.post_count));
  const int32_t masks =
      at_least_one(o->images * (o->training ? o->roi_sampling.positive_count : o->detection_count));
  /* all sampled regions have a say in the losses of boxes, so they are always as many as they can be
   */
  d->box_rows = o->training ? boxes : rows_at_once(d, boxes, BOX_ROWS);
  d->mask_rows = rows_at_once(d, masks, MASK_ROWS);
  d->region_capacity = round_up(boxes, d->box_rows);
  d->mask_capacity = round_up(masks, d->mask_rows);
}

static Status open_network(Detector *d, int32_t graph, int32_t images, int32_t height,
                           int32_t width)
{
  const DetectorOptions *o = &d->options;
  const NetworkOptions options = {.training = o->training,
                                  .input_gradient = graph != TRUNK,
                                  .shared_norm = o->shared_norm,
                                  .rank_count = o->rank_count,
                                  .element = o->element,
                                  .images = images,
                                  .height = height,
                                  .width = width};
  return network_open(d->parts->graphs[graph], d->device, options, &d->networks[graph]);
}

static Status plan_trunk(Detector *d)
{
  const DetectorOptions *o = &d->options;
  RpnOptions rpn = {.height_px = o->height_px,
                    .width_px = o->width_px,
                    .ratios = {0.5F, 1, 2},
                    .ratio_count = MASK_RCNN_ANCHORS};
  Shape logits[MASK_RCNN_MAPS];
  Shape deltas[MASK_RCNN_MAPS];
  TRY(open_network(d, TRUNK, o->images, o->height_px, o->width_px));
  for (int32_t i = 0; i < MASK_RCNN_MAPS; ++i) {
    rpn.sizes_px[i] = o->anchor_sizes_px[i];
    logits[i] = network_output_shape(d->networks[TRUNK], mask_rcnn_logits(i));
    deltas[i] = network_output_shape(d->networks[TRUNK], mask_rcnn_deltas(i));
  }
  return rpn_plan(rpn, MASK_RCNN_MAPS, logits, deltas, &d->rpn);
}

static Status plan_box_head(Detector *d)
{
  Shape maps[MASK_RCNN_FEATURES];
  for (int32_t i = 0; i < MASK_RCNN_FEATURES; ++i)
    maps[i] = network_output_shape(d->networks[TRUNK], i);
  TRY(roi_align_plan(MASK_RCNN_FEATURES, maps, d->options.height_px, MASK_RCNN_BOX_PX, SAMPLING,
                     d->box_rows, &d->box_align, &d->box_input));
  TRY(open_network(d, BOX_HEAD, d->box_rows, MASK_RCNN_BOX_PX, MASK_RCNN_BOX_PX));
  Shape logits = network_output_shape(d->networks[BOX_HEAD], 0);
  Shape deltas = network_output_shape(d->networks[BOX_HEAD], 1);
  TRY(box_head_plan(d->parts->model.classes, logits, deltas, &d->box_head_part));
  logits.images = deltas.images = d->region_capacity;
  return box_head_plan(d->parts->model.classes, logits, deltas, &d->box_head);
}

static Status plan_mask_head(Detector *d)
{
  if (d->parts->graphs[MASK_HEAD] == NULL) return STATUS_OK;
  TRY(roi_align_plan(MASK_RCNN_FEATURES, d->box_align.maps, d->options.height_px, MASK_RCNN_MASK_PX,
                     SAMPLING, d->mask_rows, &d->mask_align, &d->mask_input));
  TRY(open_network(d, MASK_HEAD, d->mask_rows, MASK_RCNN_MASK_PX, MASK_RCNN_MASK_PX));
  return mask_head_plan(d->parts->model.classes, network_output_shape(d->networks[MASK_HEAD], 0),
                        &d->mask_head_part);
}

/* Buffers are laid one after another, once to count the bytes and once to place them. */
typedef struct Layout {
  char *memory; /* NULL: only count */
  size_t bytes;
} Layout;

static void *take(Layout *layout, size_t count, size_t size)
{
  void *place = layout->memory == NULL ? NULL : layout->memory + layout->bytes;
  layout->bytes += (count * size + BUFFER_ALIGNMENT - 1) / BUFFER_ALIGNMENT * BUFFER_ALIGNMENT;
  return place;
}

static Regions take_regions(Layout *layout, int32_t capacity)
{
  const size_t rows = (size_t)capacity;
  return (Regions){.capacity = capacity,
                   .boxes = take(layout, 4 * rows, sizeof(float)),
                   .images = take(layout, rows, sizeof(int32_t)),
                   .count = take(layout, 1, sizeof(int32_t))};
}

static Truth take_truth(const Detector *d, Layout *layout)
{
  const DetectorOptions *o = &d->options;
  const size_t objects = (size_t)o->images * (size_t)o->truth_capacity;
  Truth truth = {.images = o->images,
                 .capacity = o->truth_capacity,
                 .counts = take(layout, (size_t)o->images, sizeof(int32_t)),
                 .boxes = take(layout, 4 * objects, sizeof(float)),
                 .classes = take(layout, objects, sizeof(int32_t))};
  if (!d->parts->model.masks) return truth;
  truth.mask_windows = take(layout, 4 * objects, sizeof(int32_t));
  truth.mask_offsets = take(layout, objects, sizeof(int64_t));
  truth.mask_bytes = take(layout, (size_t)o->images * (size_t)o->mask_bytes_most, 1);
  return truth;
}

static void lay_training(Detector *d, Layout *layout)
{
  DetectorBuffers *b = &d->buffers;
  const size_t images = (size_t)d->options.images;
  const size_t anchors = images * (size_t)rpn_anchor_count(&d->rpn);
  const size_t rows = (size_t)d->region_capacity;
  const size_t positives = (size_t)d->mask_capacity;
  b->truth = take_truth(d, layout);
  b->streams = take(layout, images, sizeof(uint64_t));
  b->matches = take(layout, anchors, sizeof(int32_t));
  b->sampled = take(layout, anchors, 1);
  b->rois = (SampledRois){.regions = take_regions(layout, d->region_capacity),
                          .classes = take(layout, rows, sizeof(int32_t)),
                          .matches = take(layout, rows, sizeof(int32_t)),
                          .targets = take(layout, 4 * rows, sizeof(float)),
                          .positives = take_regions(layout, d->mask_capacity),
                          .positive_classes = take(layout, positives, sizeof(int32_t)),
                          .positive_matches = take(layout, positives, sizeof(int32_t))};
  b->mask_targets = take(layout, (size_t)d->mask_rows * MASK_PX * MASK_PX, sizeof(float));
  b->sums = take(layout, DETECTOR_SUMS, sizeof(float));
  d->part_sums = take(layout, MASK_SUMS, sizeof(float));
}

static void lay_inference(Detector *d, Layout *layout)
{
  DetectorBuffers *b = &d->buffers;
  const DetectorOptions *o = &d->options;
  const size_t detections = (size_t)o->images * (size_t)o->detection_count;
  const size_t rows = (size_t)d->mask_capacity;
  b->regions = take_regions(layout, d->region_capacity);
  b->box_logits = take(layout, 1, shape_bytes(d->box_head.logits));
  b->box_deltas = take(layout, 1, shape_bytes(d->box_head.deltas));
  b->detections = (Detections){.images = o->images,
                               .capacity = o->detection_count,
                               .boxes = take(layout, 4 * detections, sizeof(float)),
                               .scores = take(layout, detections, sizeof(float)),
                               .classes = take(layout, detections, sizeof(int32_t)),
                               .counts = take(layout, (size_t)o->images, sizeof(int32_t)),
                               .dropped = take(layout, (size_t)o->images, sizeof(int32_t))};
  b->detected = take_regions(layout, d->mask_capacity);
  b->detected_classes = take(layout, rows, sizeof(int32_t));
  if (!d->parts->model.masks) return;
  b->masks = take(layout, rows * MASK_PX * MASK_PX, sizeof(float));
  b->pasted = (PastedMasks){.windows = take(layout, 4 * rows, sizeof(int32_t)),
                            .offsets = take(layout, rows + 1, sizeof(int64_t)),
                            .pixels_most = o->pasted_pixels_most * o->images,
                            .missing = take(layout, 1, sizeof(int32_t))};
  b->pasted.pixels = take(layout, (size_t)b->pasted.pixels_most, 1);
}

static void lay_resizing(Detector *d, Layout *layout)
{
  const DetectorOptions *o = &d->options;
  const size_t images = (size_t)o->images;
  const size_t pixels = images * (size_t)o->image_height_px * (size_t)o->image_width_px;
  d->buffers.images = take(layout, pixels * (size_t)d->parts->model.bands, sizeof(float));
  d->buffers.own_sizes = take(layout, 2 * images, sizeof(float));
  d->resizing = take(layout, 4 * images, sizeof(int32_t));
  d->box_scales = take(layout, 2 * images, sizeof(float));
}

static size_t lay_buffers(Detector *d, char *memory)
{
  Layout layout = {.memory = memory};
  DetectorBuffers *b = &d->buffers;
  const size_t images = (size_t)d->options.images;
  const size_t proposals = images * (size_t)d->options.proposals.post_count;
  b->image_sizes = take(&layout, 2 * images, sizeof(float));
  if (d->options.resize_least_px > 0) lay_resizing(d, &layout);
  b->proposals = take(&layout, 4 * proposals, sizeof(float));
  b->proposal_scores = take(&layout, proposals, sizeof(float));
  b->proposal_counts = take(&layout, images, sizeof(int32_t));
  if (d->options.training)
    lay_training(d, &layout);
  else
    lay_inference(d, &layout);
  return layout.bytes;
}

static void want_scratch(Detector *d, size_t bytes)
{
  if (bytes > d->scratch_bytes) d->scratch_bytes = bytes;
}

static void measure_scratch(Detector *d)
{
  const Backend *b = d->backend;
  const DetectorOptions *o = &d->options;
  want_scratch(d, b->rpn_proposals_scratch_bytes(&d->rpn, o->proposals));
  if (!o->training) {
    want_scratch(d, b->detections_scratch_bytes(&d->box_head, o->images));
    return;
  }
  want_scratch(d, b->rpn_match_scratch_bytes(&d->rpn, o->truth_capacity));
  want_scratch(d, b->rpn_sample_scratch_bytes(&d->rpn));
  want_scratch(d, b->rpn_loss_scratch_bytes(&d->rpn));
  want_scratch(d, b->roi_sample_scratch_bytes(o->roi_sampling, o->proposals.post_count, o->images,
                                              o->truth_capacity));
  want_scratch(d, b->box_loss_scratch_bytes(&d->box_head));
  want_scratch(d, b->roi_align_backward_scratch_bytes(&d->box_align, d->box_rows));
  if (d->networks[MASK_HEAD] == NULL) return;
  want_scratch(d, b->mask_loss_scratch_bytes(&d->mask_head_part));
  want_scratch(d, b->roi_align_backward_scratch_bytes(&d->mask_align, d->mask_rows));
}

static Status check_options(const DetectorOptions *o)
{
  if (o->training && o->truth_capacity < 1)
    return status_set(STATUS_BAD_SHAPE, "a detector that is trained wants room for objects");
  if (o->training) TRY(rpn_training_plan(o->matching, o->rpn_sampling));
  if (o->training) TRY(roi_sample_plan(o->roi_sampling, o->images));
  if (o->proposals.post_count < 1 || o->proposals.pre_count < 1 || o->detection_count < 1)
    return status_set(STATUS_BAD_SHAPE,
                      "a detector with room for %d of %d proposals and %d objects",
                      o->proposals.post_count, o->proposals.pre_count, o->detection_count);
  return detector_check_resizing(o);
}

static Status open_parts(Detector *d)
{
  TRY(check_options(&d->options));
  choose_rows(d);
  TRY(plan_trunk(d));
  TRY(plan_box_head(d));
  TRY(plan_mask_head(d));
  measure_scratch(d);
  d->buffer_bytes = lay_buffers(d, NULL);
  return STATUS_OK;
}

Status detector_open(const DetectorParts *parts, Device *device, DetectorOptions options,
                     Detector **detector)
{
  void *memory;
  *detector = NULL;
  TRY(memory_allocate(1, sizeof **detector, "detector", &memory));
  Detector *opening = memory;
  opening->parts = parts;
  opening->device = device;
  opening->backend = backend_of(device);
  opening->options = options;
  const Status status = open_parts(opening);
  if (status == STATUS_OK)
    *detector = opening;
  else
    detector_close(opening);
  return status;
}

void detector_close(Detector *d)
{
  if (d == NULL) return;
  for (int32_t i = 0; i < DETECTOR_GRAPHS; ++i)
    network_close(d->networks[i]);
  device_release(d->device, d->memory);
  device_release(d->device, d->scratch);
  device_release_host(d->device, d->staging);
  memory_free(d);
}

size_t detector_bytes(const Detector *d)
{
  size_t bytes = d->buffer_bytes + d->scratch_bytes;
  for (int32_t i = 0; i < DETECTOR_GRAPHS; ++i)
    if (d->networks[i] != NULL) bytes += network_bytes(d->networks[i]);
  return bytes;
}

Status detector_allocate(Detector *d)
{
  void *memory;
  for (int32_t i = 0; i < DETECTOR_GRAPHS; ++i)
    if (d->networks[i] != NULL) TRY(network_allocate(d->networks[i]));
  TRY(device_allocate(d->device, d->buffer_bytes, "a detector's lists", &memory));
  d->memory = memory;
  TRY(device_allocate(d->device, d->scratch_bytes, "a detector's scratch", &d->scratch));
  (void)lay_buffers(d, d->memory);
  device_clear(d->device, d->memory, d->buffer_bytes);
  TRY(device_allocate_host(d->device, detector_staging_bytes(d), "sizes of images", &d->staging));
  return detector_set_sizes(d);
}

void detector_log_plan(const Detector *d, const Log *log)
{
  for (int32_t i = 0; i < DETECTOR_GRAPHS; ++i)
    if (d->networks[i] != NULL) network_log_plan(d->networks[i], log);
  log_once(log, "lists of boxes and masks: %.1f MiB",
           (double)(d->buffer_bytes + d->scratch_bytes) / 1048576.0);
}

Status detector_load(Detector *d, const float *trained, const float *statistics)
{
  for (int32_t i = 0; i < DETECTOR_GRAPHS; ++i)
    if (d->networks[i] != NULL)
      TRY(network_load(d->networks[i], trained + d->parts->trained_first[i],
                       statistics + d->parts->statistic_first[i]));
  return STATUS_OK;
}

void detector_bind(Detector *d, const float *trained, float *statistics, float *gradients)
{
  for (int32_t i = 0; i < DETECTOR_GRAPHS; ++i)
    if (d->networks[i] != NULL)
      network_bind(d->networks[i], trained + d->parts->trained_first[i],
                   statistics + d->parts->statistic_first[i],
                   gradients + d->parts->trained_first[i]);
}

void detector_pack(Detector *d)
{
  for (int32_t i = 0; i < DETECTOR_GRAPHS; ++i)
    if (d->networks[i] != NULL) network_pack(d->networks[i]);
}

Shape detector_input_shape(const Detector *d)
{
  return network_input_shape(d->networks[TRUNK]);
}

void *detector_input(Detector *d)
{
  return network_input(d->networks[TRUNK]);
}

DetectorBuffers *detector_buffers(Detector *d)
{
  return &d->buffers;
}

Network *detector_network(Detector *d, int32_t graph)
{
  return d->networks[graph];
}

const Rpn *detector_rpn(const Detector *d)
{
  return &d->rpn;
}
