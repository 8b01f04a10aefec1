#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "detect_engine.h"
#include "found_objects.h"
#include "store/checksum.h"
#include "tile_input.h"

/* Mask R-CNN and Faster R-CNN as the engine of detect. */

/* Objects of a tile. A tile of 1024 px with roofs of 10 m at 0.3 m per pixel side by side has 900. */
enum { OBJECTS_MOST = 1000, PROPOSALS = 2000, PASTED_TILES = 16, NAME_BYTES = 64 };
/* The network often stops a pixel short of the side of a tile. */
enum { EDGE_PX = 2 };

typedef struct DetectorModel {
  Model model;
  char name[NAME_BYTES];
  char identity[17];
} DetectorModel;

typedef struct DetectorEngine {
  Device *device;
  const DetectorModel *model;
  Detector *detector;
  TileInput input;
  FoundObjects found[OUTBOX_LANES]; /* one of each lane; one for all where nothing works beside */
  int32_t found_count;
  Outbox *outbox;
  DetectThing *things; /* batch x OBJECTS_MOST */
} DetectorEngine;

static void identify(DetectorModel *m)
{
  const Model *model = &m->model;
  const ParameterList *list = model_parameters(model);
  const int32_t form[] = {(int32_t)model->kind, (int32_t)model->encoder, model->bands,
                          model->class_count};
  const size_t bands = (size_t)model->bands;
  Checksum sum = checksum_start(0);
  checksum_add(&sum, form, sizeof form);
  checksum_add(&sum, &model->detector.norm_eps, sizeof model->detector.norm_eps);
  checksum_add(&sum, model->detector.anchor_sizes_px, sizeof model->detector.anchor_sizes_px);
  checksum_add(&sum, model->means, bands * sizeof *model->means);
  checksum_add(&sum, model->standard_deviations, bands * sizeof *model->standard_deviations);
  checksum_add(&sum, model->trained, (size_t)list->trained_count * sizeof(float));
  checksum_add(&sum, model->statistics, (size_t)list->statistic_count * sizeof(float));
  for (int32_t i = 0; i < model->class_count; ++i)
    checksum_add(&sum, &model->classes[i].value, sizeof model->classes[i].value);
  checksum_text(checksum_value(&sum), m->identity);
  (void)snprintf(m->name, sizeof m->name, "%s with %s", model_kind_title(model->kind),
                 encoder_name(model->encoder));
}

static DetectModel facts_of(const DetectorModel *m)
{
  const Model *model = &m->model;
  return (DetectModel){.name = m->name,
                       .identity = m->identity,
                       .pixel = model->pixel,
                       .band_count = model->bands,
                       .extract_bands = model->extract_bands,
                       .classes = model->classes,
                       .class_count = model->class_count,
                       .has_masks = model->kind == MODEL_MASK_RCNN,
                       .tile_size_px = model->tile_size_px,
                       .tile_multiple_px = graph_size_multiple(model->parts.graphs[0]),
                       .cell_size_m = model->cell_size_m,
                       .threshold = model->detector.threshold,
                       .nms_overlap = model->detector.nms_overlap,
                       .edge_px = EDGE_PX};
}

static Status open_model(const Job *job, const char *path, void **model, DetectModel *facts)
{
  void *memory;
  *model = NULL;
  TRY(comm_agree(job->comm, memory_allocate(1, sizeof(DetectorModel), "model", &memory)));
  DetectorModel *opening = memory;
  const Status status = model_open(job, path, MODEL_FOR_OBJECTS, &opening->model);
  if (status != STATUS_OK) {
    memory_free(opening);
    return status;
  }
  identify(opening);
  *facts = facts_of(opening);
  *model = opening;
  return STATUS_OK;
}

static void close_model(void *model)
{
  DetectorModel *closing = model;
  if (closing == NULL) return;
  model_close(&closing->model);
  memory_free(closing);
}

static DetectorOptions options_of(const DetectorModel *m, const DetectEngineOptions *wanted)
{
  DetectorOptions options = detector_options_default(false);
  options.element = wanted->element;
  options.images = wanted->batch_size;
  options.height_px = wanted->tile_height_px;
  options.width_px = wanted->tile_width_px;
  memcpy(options.anchor_sizes_px, m->model.detector.anchor_sizes_px,
         sizeof options.anchor_sizes_px);
  options.proposals.pre_count = options.proposals.post_count = PROPOSALS;
  options.limits.score_least = (float)wanted->threshold;
  options.limits.iou_most = (float)wanted->nms_overlap;
  options.detection_count = OBJECTS_MOST;
  if (wanted->wants_masks && m->model.kind == MODEL_MASK_RCNN)
    options.pasted_pixels_most =
        (int64_t)PASTED_TILES * wanted->tile_height_px * wanted->tile_width_px;
  return options;
}

static Shape image_of(const DetectorModel *m, const DetectEngineOptions *wanted)
{
  return tile_input_shape(&m->model, wanted->batch_size, wanted->tile_height_px,
                          wanted->tile_width_px);
}

static Status engine_bytes(void *model, Device *device, const DetectEngineOptions *wanted,
                           size_t *bytes)
{
  const DetectorModel *m = model;
  Detector *detector;
  TRY(detector_open(&m->model.parts, device, options_of(m, wanted), &detector));
  *bytes = detector_bytes(detector) + tile_input_bytes(device, image_of(m, wanted));
  detector_close(detector);
  return STATUS_OK;
}

static Status open_found(DetectorEngine *e)
{
  const DetectorBuffers *buffers = detector_buffers(e->detector);
  e->found_count = device_works_beside(e->device) ? OUTBOX_LANES : 1;
  for (int32_t lane = 0; lane < e->found_count; ++lane)
    TRY(found_objects_open(e->device, buffers, &e->found[lane]));
  TRY(outbox_open(e->device, &e->outbox));
  found_objects_reserve(&e->found[0], buffers, e->outbox);
  return outbox_allocate(e->outbox);
}

static Status fill(DetectorEngine *e, const DetectEngineOptions *wanted)
{
  const Model *model = &e->model->model;
  void *memory;
  TRY(detector_open(&model->parts, e->device, options_of(e->model, wanted), &e->detector));
  TRY(detector_allocate(e->detector));
  TRY(tile_input_open(e->device, model, image_of(e->model, wanted),
                      detector_input_shape(e->detector), &e->input));
  TRY(open_found(e));
  TRY(memory_allocate((size_t)wanted->batch_size * OBJECTS_MOST, sizeof *e->things, "objects",
                      &memory));
  e->things = memory;
  return detector_load(e->detector, model->trained, model->statistics);
}

static void close_engine(void *engine)
{
  DetectorEngine *e = engine;
  if (e == NULL) return;
  tile_input_close(&e->input);
  outbox_close(e->outbox);
  for (int32_t lane = 0; lane < OUTBOX_LANES; ++lane)
    found_objects_close(&e->found[lane]);
  detector_close(e->detector);
  memory_free(e->things);
  memory_free(e);
}

static Status open_engine(void *model, Device *device, const DetectEngineOptions *wanted,
                          void **engine)
{
  void *memory;
  *engine = NULL;
  TRY(memory_allocate(1, sizeof(DetectorEngine), "detector", &memory));
  DetectorEngine *opening = memory;
  opening->device = device;
  opening->model = model;
  const Status status = fill(opening, wanted);
  if (status == STATUS_OK)
    *engine = opening;
  else
    close_engine(opening);
  return status;
}

static DetectThing thing_of(const FoundObjects *f, int64_t at, int32_t row)
{
  const float *box = f->boxes + 4 * at;
  DetectThing thing = {.class_index = f->classes[at],
                       .score = f->scores[at],
                       .x1 = box[0],
                       .y1 = box[1],
                       .x2 = box[2],
                       .y2 = box[3]};
  if (f->mask_pixels == 0) return thing;
  const int32_t *window = f->windows + 4 * (int64_t)row;
  thing.mask_x_px = window[0];
  thing.mask_y_px = window[1];
  thing.mask_width_px = window[2];
  thing.mask_height_px = window[3];
  thing.mask = f->pixels + f->offsets[row];
  return thing;
}

/* A mask of which no pixel passed the threshold is nothing that could be drawn. */
static bool is_there(const FoundObjects *f, const DetectThing *thing)
{
  const int64_t pixels = (int64_t)thing->mask_width_px * thing->mask_height_px;
  if (f->mask_pixels == 0) return true;
  return pixels > 0 && memchr(thing->mask, 1, (size_t)pixels) != NULL;
}

static bool has_data(const uint8_t *valid, int64_t pixels)
{
  return memchr(valid, 1, (size_t)pixels) != NULL;
}

static void fill_tile(const DetectorEngine *e, const FoundObjects *f, int32_t image, bool data,
                      DetectTile *tile)
{
  DetectThing *things = e->things + (int64_t)image * OBJECTS_MOST;
  const int32_t first_row = found_objects_row(f, image);
  const bool masks = f->mask_pixels > 0;
  *tile = (DetectTile){.things = things, .full = data && f->dropped[image] > 0};
  for (int32_t i = 0; data && i < f->counts[image]; ++i) {
    const int32_t row = first_row + i;
    const DetectThing thing = thing_of(f, (int64_t)image * f->capacity + i, row);
    if (masks && *f->missing > 0 && thing.mask_width_px == 0) tile->full = true;
    if (is_there(f, &thing)) things[tile->count++] = thing;
  }
}

static FoundObjects *found_in(DetectorEngine *e, int32_t lane)
{
  return &e->found[lane % e->found_count];
}

static void begin(void *engine, int32_t lane, const void *pixels, const uint8_t *valid)
{
  DetectorEngine *e = engine;
  tile_input_run(&e->input, pixels, valid, detector_input_shape(e->detector),
                 detector_input(e->detector));
  detector_find(e->detector);
  found_objects_send(found_in(e, lane), detector_buffers(e->detector), e->outbox, lane);
}

static Status end(void *engine, int32_t lane, const void *pixels, const uint8_t *valid,
                  DetectTile *tiles)
{
  DetectorEngine *e = engine;
  const int64_t tile_pixels = (int64_t)e->input.image.height * e->input.image.width;
  TRY(outbox_wait(e->outbox, lane));
  for (int32_t i = 0; i < e->input.image.images; ++i)
    fill_tile(e, found_in(e, lane), i, has_data(valid + i * tile_pixels, tile_pixels), &tiles[i]);
  return STATUS_OK;
}

const DetectEngine detect_network = {.open_model = open_model,
                                     .close_model = close_model,
                                     .bytes = engine_bytes,
                                     .open = open_engine,
                                     .close = close_engine,
                                     .begin = begin,
                                     .end = end};
