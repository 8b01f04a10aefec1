#include "found_objects.h"

enum { ALIGNMENT = 64 };

/* Laid one after another, once to count the bytes and once to place them. */
static void *take(char *memory, size_t *bytes, size_t wanted)
{
  void *place = memory == NULL ? NULL : memory + *bytes;
  *bytes += (wanted + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  return place;
}

static size_t lay(FoundObjects *f, int32_t rows, char *memory)
{
  size_t bytes = 0;
  const size_t images = (size_t)f->images;
  const size_t objects = images * (size_t)f->capacity;
  f->boxes = take(memory, &bytes, 4 * objects * sizeof(float));
  f->scores = take(memory, &bytes, objects * sizeof(float));
  f->classes = take(memory, &bytes, objects * sizeof(int32_t));
  f->counts = take(memory, &bytes, images * sizeof(int32_t));
  f->dropped = take(memory, &bytes, images * sizeof(int32_t));
  f->windows = take(memory, &bytes, 4 * (size_t)rows * sizeof(int32_t));
  f->offsets = take(memory, &bytes, ((size_t)rows + 1) * sizeof(int64_t));
  f->missing = take(memory, &bytes, sizeof(int32_t));
  f->pixels = take(memory, &bytes, (size_t)f->mask_pixels);
  return bytes;
}

Status found_objects_open(Device *device, const DetectorBuffers *buffers, FoundObjects *found)
{
  *found = (FoundObjects){.device = device,
                          .images = buffers->detections.images,
                          .capacity = buffers->detections.capacity,
                          .mask_pixels = buffers->pasted.pixels_most};
  const int32_t rows = buffers->detected.capacity;
  TRY(device_allocate_host(device, lay(found, rows, NULL), "objects", &found->memory));
  (void)lay(found, rows, found->memory);
  return STATUS_OK;
}

void found_objects_close(FoundObjects *found)
{
  if (found->memory != NULL) device_release_host(found->device, found->memory);
  *found = (FoundObjects){0};
}

Status found_objects_download(FoundObjects *f, const DetectorBuffers *b)
{
  const size_t images = (size_t)f->images;
  const size_t objects = images * (size_t)f->capacity;
  const size_t rows = (size_t)b->detected.capacity;
  device_download(f->device, f->boxes, b->detections.boxes, 4 * objects * sizeof(float));
  device_download(f->device, f->scores, b->detections.scores, objects * sizeof(float));
  device_download(f->device, f->classes, b->detections.classes, objects * sizeof(int32_t));
  device_download(f->device, f->counts, b->detections.counts, images * sizeof(int32_t));
  device_download(f->device, f->dropped, b->detections.dropped, images * sizeof(int32_t));
  if (f->mask_pixels == 0) return device_synchronize(f->device);
  device_download(f->device, f->windows, b->pasted.windows, 4 * rows * sizeof(int32_t));
  device_download(f->device, f->offsets, b->pasted.offsets, (rows + 1) * sizeof(int64_t));
  device_download(f->device, f->missing, b->pasted.missing, sizeof(int32_t));
  TRY(device_synchronize(f->device));
  device_download(f->device, f->pixels, b->pasted.pixels, (size_t)f->offsets[rows]);
  return device_synchronize(f->device);
}

void found_objects_reserve(const FoundObjects *f, const DetectorBuffers *b, Outbox *outbox)
{
  const size_t images = (size_t)f->images;
  const size_t objects = images * (size_t)f->capacity;
  const size_t rows = (size_t)b->detected.capacity;
  outbox_reserve(outbox, 4 * objects * sizeof(float));
  outbox_reserve(outbox, objects * sizeof(float));
  outbox_reserve(outbox, objects * sizeof(int32_t));
  outbox_reserve(outbox, images * sizeof(int32_t));
  outbox_reserve(outbox, images * sizeof(int32_t));
  if (f->mask_pixels == 0) return;
  outbox_reserve(outbox, 4 * rows * sizeof(int32_t));
  outbox_reserve(outbox, (rows + 1) * sizeof(int64_t));
  outbox_reserve(outbox, sizeof(int32_t));
  outbox_reserve(outbox, (size_t)f->mask_pixels);
}

static void put_masks(FoundObjects *f, const DetectorBuffers *b, Outbox *outbox)
{
  const size_t rows = (size_t)b->detected.capacity;
  if (f->mask_pixels == 0) return;
  outbox_put(outbox, f->windows, b->pasted.windows, 4 * rows * sizeof(int32_t));
  outbox_put(outbox, f->offsets, b->pasted.offsets, (rows + 1) * sizeof(int64_t));
  outbox_put(outbox, f->missing, b->pasted.missing, sizeof(int32_t));
  const int64_t pixels = device_works_beside(f->device) ? f->mask_pixels : f->offsets[rows];
  outbox_put(outbox, f->pixels, b->pasted.pixels, (size_t)pixels);
}

void found_objects_send(FoundObjects *f, const DetectorBuffers *b, Outbox *outbox, int32_t lane)
{
  const size_t images = (size_t)f->images;
  const size_t objects = images * (size_t)f->capacity;
  outbox_put(outbox, f->boxes, b->detections.boxes, 4 * objects * sizeof(float));
  outbox_put(outbox, f->scores, b->detections.scores, objects * sizeof(float));
  outbox_put(outbox, f->classes, b->detections.classes, objects * sizeof(int32_t));
  outbox_put(outbox, f->counts, b->detections.counts, images * sizeof(int32_t));
  outbox_put(outbox, f->dropped, b->detections.dropped, images * sizeof(int32_t));
  put_masks(f, b, outbox);
  outbox_send(outbox, lane);
}

int32_t found_objects_row(const FoundObjects *found, int32_t image)
{
  int32_t row = 0;
  for (int32_t i = 0; i < image; ++i)
    row += found->counts[i];
  return row;
}
