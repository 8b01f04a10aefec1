#include "chip/loader.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/require.h"

enum { RING = 3, THREADS_MOST = 16 };

typedef struct Slot {
  float *images;
  uint8_t *valid;
  uint8_t *labels;
  SampleObjects objects; /* of all samples: samples x its capacities */
  int32_t *object_counts;
  int32_t samples_done;
} Slot;

struct Loader {
  LoaderOptions options;
  Slot slots[RING];
  pthread_mutex_t lock;
  pthread_cond_t changed;
  pthread_t threads[THREADS_MOST];
  int32_t thread_count;
  int64_t next_sample; /* to be taken by a thread, over all batches */
  int64_t given;       /* batches given out so far */
  bool stopping;
  Status failure;
  char sentence[512];
};

/* One thread's room for a chip. */
typedef struct Bench {
  void *image;
  uint8_t *valid;
  uint8_t *labels;
  uint16_t *values;
  ChipObjects objects;
} Bench;

static void bench_free(Bench *bench)
{
  memory_free(bench->image);
  memory_free(bench->valid);
  memory_free(bench->labels);
  memory_free(bench->values);
  chip_objects_free(&bench->objects);
}

/* What is to be allocated: the one list that allocates and that counts. */
typedef struct Part {
  void *pointer; /* to the pointer that is to point there */
  size_t count, size;
  const char *what;
} Part;

enum { PARTS_MOST = 9 };

static Status allocate_parts(const Part *parts, int32_t count)
{
  for (int32_t i = 0; i < count; ++i) {
    void *memory;
    TRY(memory_allocate(parts[i].count, parts[i].size, parts[i].what, &memory));
    memcpy(parts[i].pointer, &memory, sizeof memory);
  }
  return STATUS_OK;
}

static size_t parts_bytes(const Part *parts, int32_t count)
{
  size_t bytes = 0;
  for (int32_t i = 0; i < count; ++i)
    bytes += parts[i].count * parts[i].size;
  return bytes;
}

static int32_t bench_parts(const ChipSetInfo *info, Bench *bench, Part parts[PARTS_MOST])
{
  const size_t pixels = (size_t)info->width_px * (size_t)info->height_px;
  int32_t n = 0;
  parts[n++] =
      (Part){&bench->image, pixels * (size_t)info->band_count, pixel_bytes(info->pixel), "chip"};
  parts[n++] = (Part){&bench->valid, pixels, 1, "chip"};
  parts[n++] = (Part){&bench->labels, pixels, 1, "chip"};
  parts[n++] = (Part){&bench->values, pixels, sizeof(uint16_t), "chip"};
  return n;
}

static Status bench_fill(const ChipSetInfo *info, Bench *bench)
{
  Part parts[PARTS_MOST];
  return allocate_parts(parts, bench_parts(info, bench, parts));
}

static Sample sample_of(const Loader *loader, int64_t batch, int32_t sample)
{
  const Slot *slot = &loader->slots[batch % RING];
  const int64_t pixels = (int64_t)loader->options.size_px * loader->options.size_px;
  const int64_t first = sample * pixels;
  return (Sample){.size_px = loader->options.size_px,
                  .image = slot->images + first * chip_set_info(loader->options.set)->band_count,
                  .valid = slot->valid + first,
                  .labels = slot->labels + first};
}

static SampleObjects objects_of(const Loader *loader, int64_t batch, int32_t sample)
{
  const Slot *slot = &loader->slots[batch % RING];
  const SampleObjects *all = &slot->objects;
  const int64_t first = (int64_t)sample * all->capacity;
  return (SampleObjects){.capacity = all->capacity,
                         .mask_capacity = all->mask_capacity,
                         .boxes = all->boxes + 4 * first,
                         .classes = all->classes + first,
                         .mask_windows = all->mask_windows + 4 * first,
                         .mask_offsets = all->mask_offsets + first,
                         .mask_bytes = all->mask_bytes + sample * all->mask_capacity};
}

static Status make_objects(const Loader *loader, Bench *bench, const Pose *pose, int64_t batch,
                           int32_t sample)
{
  const LoaderOptions *o = &loader->options;
  const int64_t chip = o->order[batch * o->samples + sample];
  if (o->objects.class_of_value == NULL) return STATUS_OK;
  SampleObjects made = objects_of(loader, batch, sample);
  TRY(chip_set_read_objects(o->set, chip, &bench->objects));
  const Status status = augment_objects(&bench->objects, pose, &o->objects, o->size_px, &made);
  loader->slots[batch % RING].object_counts[sample] = made.count;
  return status_prefix(status, "chip %" PRId64, chip);
}

static Status make_sample(const Loader *loader, Bench *bench, int64_t batch, int32_t sample)
{
  const LoaderOptions *o = &loader->options;
  const ChipSetInfo *info = chip_set_info(o->set);
  const int64_t chip = o->order[batch * o->samples + sample];
  TRY(chip_set_read(o->set, chip, bench->image, bench->valid, bench->values));
  const int64_t pixels = (int64_t)info->width_px * info->height_px;
  for (int64_t p = 0; p < pixels; ++p)
    bench->labels[p] = o->index_of_value[bench->values[p]];

  const ChipPixels image = {info->pixel,  info->width_px, info->height_px, info->band_count,
                            bench->image, bench->valid,   bench->labels};
  Sample made = sample_of(loader, batch, sample);
  Random random =
      random_stream(o->seed, o->first_stream + o->stream_step * (uint64_t)batch + (uint64_t)sample);
  const Pose pose = o->augmentation != NULL ? augment_sample(&image, o->augmentation, o->means,
                                                             o->standard_deviations, &random, &made)
                                            : augment_centre(&image, &made);
  return make_objects(loader, bench, &pose, batch, sample);
}

static void fail(Loader *loader, Status status)
{
  if (loader->failure != STATUS_OK) return;
  loader->failure = status;
  (void)snprintf(loader->sentence, sizeof loader->sentence, "%s", status_message());
}

/* Waits for a sample whose batch has a place in the ring; false when there is nothing more to do.
 * The lock is held. */
static bool take_sample(Loader *loader, int64_t *batch, int32_t *sample)
{
  const LoaderOptions *o = &loader->options;
  for (;;) {
    *batch = loader->next_sample / o->samples;
    *sample = (int32_t)(loader->next_sample % o->samples);
    if (loader->stopping || loader->failure != STATUS_OK || *batch >= o->batch_count) return false;
    if (*batch < loader->given + RING - 1)
      break; /* one slot belongs to whoever took the last batch */
    (void)pthread_cond_wait(&loader->changed, &loader->lock);
  }
  ++loader->next_sample;
  return true;
}

static void work(Loader *loader, Bench *bench)
{
  int64_t batch;
  int32_t sample;
  while (take_sample(loader, &batch, &sample)) {
    (void)pthread_mutex_unlock(&loader->lock);
    const Status status = make_sample(loader, bench, batch, sample);
    (void)pthread_mutex_lock(&loader->lock);
    if (status != STATUS_OK) fail(loader, status);
    ++loader->slots[batch % RING].samples_done;
    (void)pthread_cond_broadcast(&loader->changed);
  }
}

static void *run_thread(void *argument)
{
  Loader *loader = argument;
  Bench bench = {0};
  const Status status = bench_fill(chip_set_info(loader->options.set), &bench);
  (void)pthread_mutex_lock(&loader->lock);
  if (status == STATUS_OK)
    work(loader, &bench);
  else
    fail(loader, status);
  (void)pthread_cond_broadcast(&loader->changed);
  (void)pthread_mutex_unlock(&loader->lock);
  bench_free(&bench);
  return NULL;
}

/* Memory of the caller's may hold anything; rows that nothing is written to are 0. */
static Status allocate_part(const LoaderOptions *o, Part part)
{
  void *memory;
  if (o->allocate == NULL) return allocate_parts(&part, 1);
  TRY(o->allocate(o->memory_of, part.count * part.size, part.what, &memory));
  memset(memory, 0, part.count * part.size);
  memcpy(part.pointer, &memory, sizeof memory);
  return STATUS_OK;
}

static int32_t object_parts(const LoaderOptions *o, Slot *slot, int32_t n, Part parts[PARTS_MOST])
{
  const size_t samples = (size_t)o->samples;
  const size_t rows = samples * (size_t)o->objects_most;
  SampleObjects *objects = &slot->objects;
  if (o->objects.class_of_value == NULL) return n;
  require(o->objects_most >= 1 && o->mask_bytes_most >= 0);
  *objects = (SampleObjects){.capacity = o->objects_most, .mask_capacity = o->mask_bytes_most};
  parts[n++] = (Part){&objects->boxes, rows, 4 * sizeof(float), "boxes of a batch"};
  parts[n++] = (Part){&objects->classes, rows, sizeof(int32_t), "classes of a batch"};
  parts[n++] = (Part){&objects->mask_windows, rows, 4 * sizeof(int32_t), "masks of a batch"};
  parts[n++] = (Part){&objects->mask_offsets, rows, sizeof(int64_t), "masks of a batch"};
  parts[n++] =
      (Part){&objects->mask_bytes, samples, (size_t)o->mask_bytes_most, "masks of a batch"};
  parts[n++] = (Part){&slot->object_counts, samples, sizeof(int32_t), "objects of a batch"};
  return n;
}

static int32_t slot_parts(const LoaderOptions *o, Slot *slot, Part parts[PARTS_MOST])
{
  const size_t pixels = (size_t)o->samples * (size_t)o->size_px * (size_t)o->size_px;
  const size_t bands = (size_t)chip_set_info(o->set)->band_count;
  int32_t n = 0;
  parts[n++] = (Part){&slot->images, pixels * bands, sizeof(float), "batch"};
  parts[n++] = (Part){&slot->valid, pixels, 1, "batch"};
  parts[n++] = (Part){&slot->labels, pixels, 1, "batch"};
  return object_parts(o, slot, n, parts);
}

static Status allocate_slots(Loader *loader)
{
  Part parts[PARTS_MOST];
  for (int i = 0; i < RING; ++i) {
    const int32_t count = slot_parts(&loader->options, &loader->slots[i], parts);
    for (int32_t p = 0; p < count; ++p)
      TRY(allocate_part(&loader->options, parts[p]));
  }
  return STATUS_OK;
}

static int32_t thread_count(const LoaderOptions *o)
{
  if (o->threads < 1) return 1;
  return o->threads < THREADS_MOST ? o->threads : THREADS_MOST;
}

size_t loader_bytes(const LoaderOptions *options)
{
  Slot slot = {0};
  Bench bench = {0};
  Part parts[PARTS_MOST];
  const size_t ring = RING * parts_bytes(parts, slot_parts(options, &slot, parts));
  const size_t benches =
      (size_t)thread_count(options) *
      parts_bytes(parts, bench_parts(chip_set_info(options->set), &bench, parts));
  return ring + benches;
}

static Status start_threads(Loader *loader)
{
  while (loader->thread_count < thread_count(&loader->options)) {
    if (pthread_create(&loader->threads[loader->thread_count], NULL, run_thread, loader) != 0)
      return status_set(STATUS_NO_MEMORY, "the system gives no thread for reading chips");
    ++loader->thread_count;
  }
  return STATUS_OK;
}

Status loader_open(LoaderOptions options, Loader **loader)
{
  void *memory;
  *loader = NULL;
  TRY(memory_allocate(1, sizeof **loader, "loader", &memory));
  Loader *opening = memory;
  opening->options = options;
  opening->next_sample = options.first_batch * options.samples;
  opening->given = options.first_batch;
  (void)pthread_mutex_init(&opening->lock, NULL);
  (void)pthread_cond_init(&opening->changed, NULL);
  Status status = allocate_slots(opening);
  if (status == STATUS_OK) status = start_threads(opening);
  if (status == STATUS_OK)
    *loader = opening;
  else
    loader_close(opening);
  return status;
}

Status loader_next(Loader *loader, LoadedBatch *batch)
{
  const int32_t samples = loader->options.samples;
  (void)pthread_mutex_lock(&loader->lock);
  Slot *slot = &loader->slots[loader->given % RING];
  while (slot->samples_done < samples && loader->failure == STATUS_OK)
    (void)pthread_cond_wait(&loader->changed, &loader->lock);
  const Status failure = loader->failure;
  if (failure == STATUS_OK) {
    slot->samples_done = 0;
    ++loader->given;
    (void)pthread_cond_broadcast(&loader->changed);
  }
  (void)pthread_mutex_unlock(&loader->lock);
  if (failure != STATUS_OK) return status_set(failure, "%s", loader->sentence);
  *batch = (LoadedBatch){.images = slot->images,
                         .valid = slot->valid,
                         .labels = slot->labels,
                         .object_counts = slot->object_counts,
                         .boxes = slot->objects.boxes,
                         .object_classes = slot->objects.classes,
                         .mask_windows = slot->objects.mask_windows,
                         .mask_offsets = slot->objects.mask_offsets,
                         .mask_bytes = slot->objects.mask_bytes};
  return STATUS_OK;
}

static void free_slot(const LoaderOptions *o, Slot *slot)
{
  Part parts[PARTS_MOST];
  const Slot filled = *slot; /* what says how much resets the objects */
  const int32_t count = slot_parts(o, slot, parts);
  *slot = filled;
  for (int32_t p = 0; p < count; ++p) {
    void *memory;
    memcpy(&memory, parts[p].pointer, sizeof memory);
    if (o->release != NULL)
      o->release(o->memory_of, memory);
    else
      memory_free(memory);
  }
}

void loader_close(Loader *loader)
{
  if (loader == NULL) return;
  (void)pthread_mutex_lock(&loader->lock);
  loader->stopping = true;
  (void)pthread_cond_broadcast(&loader->changed);
  (void)pthread_mutex_unlock(&loader->lock);
  for (int32_t i = 0; i < loader->thread_count; ++i)
    (void)pthread_join(loader->threads[i], NULL);
  (void)pthread_cond_destroy(&loader->changed);
  (void)pthread_mutex_destroy(&loader->lock);
  for (int i = 0; i < RING; ++i)
    free_slot(&loader->options, &loader->slots[i]);
  memory_free(loader);
}
