#include "detector_trial.h"

#include <math.h>

#include "tensor/bf16.h"

enum { MASK_PX = 2 * MASK_RCNN_MASK_PX };

/* --- scenes --- */

DetectorScene scene_room(Room *room, int32_t images, int32_t height_px, int32_t width_px,
                         int32_t bands, int32_t object_count)
{
  const int64_t pixels = (int64_t)height_px * width_px;
  const int64_t objects = (int64_t)images * object_count;
  DetectorScene scene = {.images = images,
                         .height_px = height_px,
                         .width_px = width_px,
                         .bands = bands,
                         .object_count = object_count,
                         .sizes = room_host(room, 2 * (int64_t)images, sizeof(int32_t)),
                         .counts = room_host(room, images, sizeof(int32_t)),
                         .x = room_numbers(room, images * pixels * bands),
                         .boxes = room_numbers(room, 4 * objects + 1),
                         .labels = room_host(room, objects + 1, sizeof(int32_t)),
                         .masks = room_host(room, objects * pixels + 1, 1)};
  for (int32_t i = 0; i < images; ++i) {
    scene.sizes[2 * i] = height_px;
    scene.sizes[2 * i + 1] = width_px;
  }
  return scene;
}

DetectorScene scene_by_formula(Room *room, const char *name, FormulaScene f)
{
  const DetectorScene scene =
      scene_room(room, f.images, f.height, f.width, f.bands, f.object_count);
  formula_scene(name, f, scene.x, scene.boxes, scene.labels, scene.masks);
  for (int32_t i = 0; i < f.images; ++i)
    scene.counts[i] = f.object_count;
  return scene;
}

DetectorScene scene_of_images(Room *room, const DetectorScene *s, const int32_t *images,
                              int32_t count)
{
  const DetectorScene part =
      scene_room(room, count, s->height_px, s->width_px, s->bands, s->object_count);
  const size_t pixels = (size_t)s->height_px * (size_t)s->width_px;
  const size_t values = pixels * (size_t)s->bands;
  const size_t objects = (size_t)s->object_count;
  for (int32_t i = 0; i < count; ++i) {
    const size_t to = (size_t)i;
    const size_t from = (size_t)images[i];
    part.counts[i] = s->counts[from];
    memcpy(part.sizes + 2 * to, s->sizes + 2 * from, 2 * sizeof *part.sizes);
    memcpy(part.x + to * values, s->x + from * values, values * sizeof *part.x);
    memcpy(part.boxes + 4 * to * objects, s->boxes + 4 * from * objects,
           4 * objects * sizeof *part.boxes);
    memcpy(part.labels + to * objects, s->labels + from * objects, objects * sizeof *part.labels);
    memcpy(part.masks + to * objects * pixels, s->masks + from * objects * pixels,
           objects * pixels);
  }
  return part;
}

/* --- the detector --- */

static void fill_parameters(DetectorTrial *t, DetectorFill *fill, void *context)
{
  const ParameterList *list = &t->parts.parameters;
  t->trained = room_numbers(t->room, list->trained_count);
  t->statistics = room_numbers(t->room, list->statistic_count);
  for (int32_t i = 0; i < list->count; ++i) {
    const Parameter *p = &list->items[i];
    fill(context, p, (p->trained ? t->trained : t->statistics) + p->offset);
  }
}

static void give_parameters(DetectorTrial *t)
{
  const ParameterList *list = &t->parts.parameters;
  if (!t->options.training) {
    CHECK_OK(detector_load(t->detector, t->trained, t->statistics));
    return;
  }
  t->device_trained = room_upload_floats(t->room, t->trained, list->trained_count);
  t->device_statistics = room_upload_floats(t->room, t->statistics, list->statistic_count);
  t->device_gradients =
      room_upload_floats(t->room, room_numbers(t->room, list->trained_count), list->trained_count);
  detector_bind(t->detector, t->device_trained, t->device_statistics, t->device_gradients);
  detector_pack(t->detector);
}

DetectorTrial *detector_trial_open(const TestBackend *on, MaskRcnn model, DetectorOptions options,
                                   DetectorFill *fill, void *context, const float *mean,
                                   const float *std)
{
  DetectorTrial *t = calloc(1, sizeof *t);
  assert_non_null(t);
  *t = (DetectorTrial){
      .on = on, .room = room_open(on), .options = options, .mean = mean, .std = std};
  CHECK_OK(detector_parts_open(model, &t->parts));
  CHECK_OK(detector_open(&t->parts, on->device, options, &t->detector));
  CHECK_OK(detector_allocate(t->detector));
  fill_parameters(t, fill, context);
  give_parameters(t);
  return t;
}

void detector_trial_close(DetectorTrial *t)
{
  detector_close(t->detector);
  detector_parts_close(&t->parts);
  room_close(t->room);
  free(t);
}

/* --- feeding --- */

void detector_trial_upload(DetectorTrial *t, void *to, const void *from, size_t bytes)
{
  device_upload(t->on->device, to, from, bytes);
  CHECK_OK(device_synchronize(t->on->device));
}

void *detector_trial_download(DetectorTrial *t, const void *from, size_t bytes)
{
  return room_download(t->room, from, bytes);
}

static void put_element(void *memory, Element element, int64_t i, float value)
{
  if (element == ELEMENT_BF16)
    ((uint16_t *)memory)[i] = bf16_from_f32(value);
  else
    ((float *)memory)[i] = value;
}

static float get_element(const void *memory, Element element, int64_t i)
{
  return element == ELEMENT_BF16 ? bf16_to_f32(((const uint16_t *)memory)[i])
                                 : ((const float *)memory)[i];
}

void detector_trial_put(DetectorTrial *t, void *memory, Shape shape, int32_t channels,
                        const float *values)
{
  const int64_t plane = (int64_t)shape.height * shape.width;
  void *host = calloc(1, shape_bytes(shape));
  assert_non_null(host);
  for (int64_t n = 0; n < shape.images; ++n)
    for (int64_t p = 0; p < plane; ++p)
      for (int32_t c = 0; c < channels; ++c)
        put_element(host, shape.element, (n * plane + p) * shape.channels + c,
                    values[(n * channels + c) * plane + p]);
  detector_trial_upload(t, memory, host, shape_bytes(shape));
  free(host);
}

float *detector_trial_get(DetectorTrial *t, const void *memory, Shape shape, int32_t channels)
{
  const int64_t plane = (int64_t)shape.height * shape.width;
  float *values = room_numbers(t->room, shape.images * plane * channels);
  void *host = calloc(1, shape_bytes(shape));
  assert_non_null(host);
  device_download(t->on->device, host, memory, shape_bytes(shape));
  CHECK_OK(device_synchronize(t->on->device));
  for (int64_t n = 0; n < shape.images; ++n)
    for (int64_t p = 0; p < plane; ++p)
      for (int32_t c = 0; c < channels; ++c)
        values[(n * channels + c) * plane + p] =
            get_element(host, shape.element, (n * plane + p) * shape.channels + c);
  free(host);
  return values;
}

static float normalised(const DetectorTrial *t, const DetectorScene *s, int64_t at)
{
  return (s->x[at] - t->mean[at % s->bands]) / t->std[at % s->bands];
}

static void feed_resized(DetectorTrial *t, const DetectorScene *s)
{
  const int64_t count = (int64_t)s->images * s->height_px * s->width_px * s->bands;
  float *values = room_numbers(t->room, count);
  assert_int_equal(s->height_px, t->options.image_height_px);
  assert_int_equal(s->width_px, t->options.image_width_px);
  for (int64_t i = 0; i < count; ++i)
    values[i] = normalised(t, s, i);
  detector_trial_upload(t, detector_buffers(t->detector)->images, values,
                        (size_t)count * sizeof *values);
  CHECK_OK(detector_resize(t->detector, s->sizes));
  CHECK_OK(device_synchronize(t->on->device));
}

/* Normalised as torchvision does, by a division, and put in the corner of the batch's images. */
static void feed_images(DetectorTrial *t, const DetectorScene *s)
{
  const Shape shape = detector_input_shape(t->detector);
  const int64_t plane = (int64_t)shape.height * shape.width;
  float *values = calloc((size_t)(shape.images * plane * s->bands), sizeof *values);
  float *sizes = room_numbers(t->room, 2 * (int64_t)s->images);
  assert_non_null(values);
  assert_int_equal(shape.images, s->images);
  for (int32_t n = 0; n < s->images; ++n) {
    sizes[2 * n] = (float)s->sizes[2 * n];
    sizes[2 * n + 1] = (float)s->sizes[2 * n + 1];
    for (int32_t y = 0; y < s->sizes[2 * n]; ++y)
      for (int32_t x = 0; x < s->sizes[2 * n + 1]; ++x)
        for (int32_t b = 0; b < s->bands; ++b) {
          const int64_t from = (((int64_t)n * s->height_px + y) * s->width_px + x) * s->bands + b;
          values[((int64_t)n * s->bands + b) * plane + (int64_t)y * shape.width + x] =
              normalised(t, s, from);
        }
  }
  detector_trial_put(t, detector_input(t->detector), shape, s->bands, values);
  detector_trial_upload(t, detector_buffers(t->detector)->image_sizes, sizes,
                        2 * (size_t)s->images * sizeof *sizes);
  free(values);
}

typedef struct Window {
  int32_t x1, y1, x2, y2; /* ends are outside */
} Window;

static Window window_of(const uint8_t *mask, int32_t height, int32_t width)
{
  Window w = {width, height, 0, 0};
  for (int32_t y = 0; y < height; ++y)
    for (int32_t x = 0; x < width; ++x)
      if (mask[y * width + x] != 0)
        w = (Window){x < w.x1 ? x : w.x1, y < w.y1 ? y : w.y1, x + 1 > w.x2 ? x + 1 : w.x2,
                     y + 1 > w.y2 ? y + 1 : w.y2};
  return w.x2 > w.x1 ? w : (Window){0, 0, 0, 0};
}

static void feed_masks(DetectorTrial *t, const DetectorScene *s, const Truth *truth)
{
  const int64_t pixels = (int64_t)s->height_px * s->width_px;
  const size_t places = (size_t)truth->images * (size_t)truth->capacity;
  const size_t bytes = (size_t)truth->images * (size_t)t->options.mask_bytes_most;
  int32_t *windows = room_host(t->room, 4 * (int64_t)places, sizeof *windows);
  int64_t *offsets = room_host(t->room, (int64_t)places, sizeof *offsets);
  uint8_t *all = room_host(t->room, (int64_t)bytes, 1);
  for (int32_t n = 0; n < s->images; ++n) {
    int64_t at = n * t->options.mask_bytes_most;
    for (int32_t k = 0; k < s->counts[n]; ++k) {
      const uint8_t *mask = s->masks + ((int64_t)n * s->object_count + k) * pixels;
      const Window w = window_of(mask, s->height_px, s->width_px);
      const int64_t place = (int64_t)n * truth->capacity + k;
      const int32_t window[] = {w.x1, w.y1, w.x2 - w.x1, w.y2 - w.y1};
      memcpy(windows + 4 * place, window, sizeof window);
      offsets[place] = at;
      for (int32_t y = w.y1; y < w.y2; ++y, at += w.x2 - w.x1)
        memcpy(all + at, mask + y * s->width_px + w.x1, (size_t)(w.x2 - w.x1));
    }
    assert_true(at <= (n + 1) * t->options.mask_bytes_most);
  }
  detector_trial_upload(t, truth->mask_windows, windows, 4 * places * sizeof *windows);
  detector_trial_upload(t, truth->mask_offsets, offsets, places * sizeof *offsets);
  detector_trial_upload(t, truth->mask_bytes, all, bytes);
}

static void feed_truth(DetectorTrial *t, const DetectorScene *s)
{
  const DetectorBuffers *b = detector_buffers(t->detector);
  const Truth *truth = &b->truth;
  const size_t places = (size_t)truth->images * (size_t)truth->capacity;
  float *boxes = room_numbers(t->room, 4 * (int64_t)places);
  int32_t *classes = room_host(t->room, (int64_t)places, sizeof *classes);
  uint64_t *streams = room_host(t->room, s->images, sizeof *streams);
  for (int32_t n = 0; n < s->images; ++n) {
    const int64_t from = (int64_t)n * s->object_count;
    const int64_t to = (int64_t)n * truth->capacity;
    assert_true(s->counts[n] <= truth->capacity);
    streams[n] = t->first_image + (uint64_t)n;
    memcpy(boxes + 4 * to, s->boxes + 4 * from, 4 * (size_t)s->counts[n] * sizeof *boxes);
    memcpy(classes + to, s->labels + from, (size_t)s->counts[n] * sizeof *classes);
  }
  detector_trial_upload(t, truth->counts, s->counts, (size_t)s->images * sizeof *s->counts);
  detector_trial_upload(t, truth->boxes, boxes, 4 * places * sizeof *boxes);
  detector_trial_upload(t, truth->classes, classes, places * sizeof *classes);
  detector_trial_upload(t, b->streams, streams, (size_t)s->images * sizeof *streams);
  if (t->parts.model.masks) feed_masks(t, s, truth);
}

void detector_trial_feed(DetectorTrial *t, const DetectorScene *scene)
{
  t->scene = *scene;
  if (t->options.resize_least_px > 0)
    feed_resized(t, scene);
  else
    feed_images(t, scene);
  if (t->options.training) feed_truth(t, scene);
}

/* --- a step --- */

void detector_trial_forward(DetectorTrial *t)
{
  detector_forward_trunk(t->detector);
  detector_propose(t->detector);
  detector_sample(t->detector);
  CHECK_OK(device_synchronize(t->on->device));
}

void detector_trial_learn(DetectorTrial *t)
{
  CHECK_OK(detector_learn(t->detector, NULL, NULL));
  CHECK_OK(device_synchronize(t->on->device));
}

void detector_trial_losses(DetectorTrial *t, double losses[DETECTOR_LOSSES])
{
  const float *sums =
      detector_trial_download(t, detector_buffers(t->detector)->sums, DETECTOR_SUMS * sizeof *sums);
  detector_losses(sums, losses);
}

float *detector_trial_gradients(DetectorTrial *t)
{
  return room_download_floats(t->room, t->device_gradients, t->parts.parameters.trained_count);
}

float *detector_trial_statistics(DetectorTrial *t)
{
  return room_download_floats(t->room, t->device_statistics, t->parts.parameters.statistic_count);
}

/* --- heads --- */

static int32_t rows_at_once(DetectorTrial *t, int32_t graph)
{
  return network_input_shape(detector_network(t->detector, graph)).images;
}

Regions detector_trial_regions(DetectorTrial *t, int32_t graph, int32_t rows, const float *boxes,
                               const int32_t *images)
{
  const int32_t step = rows_at_once(t, graph);
  const int32_t capacity = rows < 1 ? step : (rows + step - 1) / step * step;
  float *all = room_numbers(t->room, 4 * (int64_t)capacity);
  int32_t *of = room_host(t->room, capacity, sizeof *of);
  if (rows > 0) memcpy(all, boxes, 4 * (size_t)rows * sizeof *all);
  for (int32_t r = 0; r < capacity; ++r)
    of[r] = r < rows ? images[r] : -1;
  return (Regions){.capacity = capacity,
                   .boxes = room_upload_floats(t->room, all, 4 * (int64_t)capacity),
                   .images = room_upload(t->room, of, (size_t)capacity * sizeof *of),
                   .count = room_upload(t->room, &rows, sizeof rows)};
}

static RoiAlign align_of(DetectorTrial *t, int32_t graph, Shape *y)
{
  Shape maps[MASK_RCNN_FEATURES];
  RoiAlign align;
  Network *trunk = detector_network(t->detector, 0);
  for (int32_t i = 0; i < MASK_RCNN_FEATURES; ++i)
    maps[i] = network_output_shape(trunk, i);
  CHECK_OK(roi_align_plan(MASK_RCNN_FEATURES, maps, t->options.height_px,
                          graph == 1 ? MASK_RCNN_BOX_PX : MASK_RCNN_MASK_PX, 2,
                          rows_at_once(t, graph), &align, y));
  return align;
}

static void keep_rows(DetectorTrial *t, const void *memory, Shape shape, int32_t channels,
                      int32_t rows, float *to)
{
  shape.images = rows;
  const float *values = detector_trial_get(t, memory, shape, channels);
  memcpy(to, values, (size_t)(shape_pixels(shape) * channels) * sizeof *to);
}

static int32_t head_channels(const DetectorTrial *t, int32_t graph, int32_t output)
{
  return (graph == 1 && output == 1 ? 4 : 1) * t->parts.model.classes;
}

static void run_head_part(DetectorTrial *t, int32_t graph, const RoiAlign *align, Shape y,
                          const Regions *regions, int32_t first, HeadRun *run)
{
  Network *head = detector_network(t->detector, graph);
  const void *maps[MASK_RCNN_FEATURES];
  const int32_t left = run->rows - first;
  const int32_t rows = left < y.images ? left : y.images;
  const Regions part = {.capacity = y.images,
                        .boxes = regions->boxes + 4 * (int64_t)first,
                        .images = regions->images + first};
  const int64_t pooled = (int64_t)run->pooled_px * run->pooled_px * MASK_RCNN_CHANNELS;
  for (int32_t i = 0; i < MASK_RCNN_FEATURES; ++i)
    maps[i] = network_output(detector_network(t->detector, 0), i);
  t->on->ops->roi_align_forward(t->on->device, align, maps, &part, y, network_input(head));
  keep_rows(t, network_input(head), y, MASK_RCNN_CHANNELS, rows, run->pooled + first * pooled);
  network_forward(head);
  for (int32_t o = 0; o < 2 && run->outputs[o] != NULL; ++o)
    keep_rows(t, network_output(head, o), network_output_shape(head, o), head_channels(t, graph, o),
              rows, run->outputs[o] + first * run->per_row[o]);
}

HeadRun detector_trial_head(DetectorTrial *t, int32_t graph, const Regions *regions, int32_t rows)
{
  Shape y;
  const RoiAlign align = align_of(t, graph, &y);
  HeadRun run = {.rows = rows, .pooled_px = align.pooled};
  run.pooled =
      room_numbers(t->room, (int64_t)rows * MASK_RCNN_CHANNELS * run.pooled_px * run.pooled_px + 1);
  for (int32_t o = 0; o < (graph == 1 ? 2 : 1); ++o) {
    const Shape shape = network_output_shape(detector_network(t->detector, graph), o);
    run.per_row[o] = (int64_t)shape.height * shape.width * head_channels(t, graph, o);
    run.outputs[o] = room_numbers(t->room, rows * run.per_row[o] + 1);
  }
  for (int32_t first = 0; first < rows; first += y.images)
    run_head_part(t, graph, &align, y, regions, first, &run);
  return run;
}

/* --- what was found --- */

FoundByTrial detector_trial_found(DetectorTrial *t)
{
  const DetectorBuffers *b = detector_buffers(t->detector);
  const size_t images = (size_t)b->detections.images;
  const size_t places = images * (size_t)b->detections.capacity;
  FoundByTrial found = {
      .counts = detector_trial_download(t, b->detections.counts, images * sizeof(int32_t)),
      .dropped = detector_trial_download(t, b->detections.dropped, images * sizeof(int32_t)),
      .boxes = detector_trial_download(t, b->detections.boxes, 4 * places * sizeof(float)),
      .scores = detector_trial_download(t, b->detections.scores, places * sizeof(float)),
      .classes = detector_trial_download(t, b->detections.classes, places * sizeof(int32_t)),
      .row_images = detector_trial_download(t, b->detected.images,
                                            (size_t)b->detected.capacity * sizeof(int32_t))};
  for (size_t i = 0; i < images; ++i)
    found.rows += found.counts[i];
  if (b->masks != NULL)
    found.masks = detector_trial_download(t, b->masks,
                                          (size_t)found.rows * MASK_PX * MASK_PX * sizeof(float));
  return found;
}

static PastedMasks paste_all(DetectorTrial *t, int32_t rows)
{
  const DetectorBuffers *b = detector_buffers(t->detector);
  const size_t capacity = (size_t)b->detected.capacity;
  PastedMasks pasted = {.pixels_most = (int64_t)(rows + 1) * t->scene.height_px * t->scene.width_px,
                        .windows = room_device(t->room, 4 * capacity * sizeof(int32_t)),
                        .offsets = room_device(t->room, (capacity + 1) * sizeof(int64_t)),
                        .missing = room_device(t->room, sizeof(int32_t))};
  pasted.pixels = room_device(t->room, (size_t)pasted.pixels_most);
  pasted.values = room_device(t->room, (size_t)pasted.pixels_most * sizeof(float));
  t->on->ops->mask_paste(t->on->device, &b->detected, b->masks, MASK_PX,
                         b->own_sizes != NULL ? b->own_sizes : b->image_sizes,
                         t->options.mask_threshold, &pasted);
  CHECK_OK(device_synchronize(t->on->device));
  return pasted;
}

static void place_window(const int32_t *window, const float *values, int32_t width, float *image)
{
  for (int32_t y = 0; y < window[3]; ++y)
    memcpy(image + (int64_t)(window[1] + y) * width + window[0], values + y * window[2],
           (size_t)window[2] * sizeof *image);
}

float *detector_trial_pasted(DetectorTrial *t, const FoundByTrial *found, int32_t image)
{
  const int32_t height = t->scene.sizes[2 * image];
  const int32_t width = t->scene.sizes[2 * image + 1];
  if (found->counts[image] == 0) return room_numbers(t->room, 1);
  const PastedMasks pasted = paste_all(t, found->rows);
  const size_t rows = (size_t)found->rows;
  const int32_t *windows = detector_trial_download(t, pasted.windows, 4 * rows * sizeof *windows);
  const int64_t *offsets = detector_trial_download(t, pasted.offsets, (rows + 1) * sizeof *offsets);
  const float *values =
      detector_trial_download(t, pasted.values, ((size_t)offsets[rows] + 1) * sizeof *values);
  float *whole = room_numbers(t->room, (int64_t)found->counts[image] * height * width + 1);
  int32_t of = 0;
  for (int32_t r = 0; r < found->rows; ++r) {
    if (found->row_images[r] != image) continue;
    place_window(windows + 4 * r, values + offsets[r], width,
                 whole + (int64_t)of++ * height * width);
  }
  assert_int_equal(of, found->counts[image]);
  return whole;
}
