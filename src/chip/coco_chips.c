#include "coco_chips.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/output.h"
#include "base/path.h"
#include "coco_mask.h"

const char *coco_annotations_name(const char *folder)
{
  static const char *const names[] = {"annotations.json", "_annotations.coco.json"};
  char path[OUTPUT_PATH_BYTES];
  for (size_t i = 0; i < sizeof names / sizeof *names; ++i)
    if (path_join(folder, names[i], sizeof path, path) == STATUS_OK && path_exists(path))
      return names[i];
  return NULL;
}

/* A number of the file and what it stands for here. */
typedef struct Key {
  int64_t id;
  int64_t index;
} Key;

static int by_id(const void *left, const void *right)
{
  const Key *a = left;
  const Key *b = right;
  return a->id < b->id ? -1 : a->id > b->id;
}

/* The ids of a list's items, sorted. */
static Status list_keys(const Document *list, const char *what, Arena *arena, Key **keys)
{
  void *memory;
  const size_t count = document_count(list);
  TRY(arena_allocate(arena, (count + 1) * sizeof **keys, &memory));
  *keys = memory;
  for (size_t i = 0; i < count; ++i) {
    (*keys)[i].index = (int64_t)i;
    TRY(document_get_int(document_item(list, i), "id", &(*keys)[i].id, NULL));
  }
  qsort(memory, count, sizeof **keys, by_id);
  for (size_t i = 1; i < count; ++i)
    if ((*keys)[i].id == (*keys)[i - 1].id)
      return status_set(STATUS_BAD_INPUT, "the id %" PRId64 " stands twice among its %s",
                        (*keys)[i].id, what);
  return STATUS_OK;
}

static const Key *find_key(const Key *keys, size_t count, int64_t id)
{
  const Key wanted = {.id = id};
  return bsearch(&wanted, keys, count, sizeof *keys, by_id);
}

static Status find_picture(const char *folder, const char *name, Arena *arena, TilePair *pair)
{
  char path[OUTPUT_PATH_BYTES], within[OUTPUT_PATH_BYTES];
  char *kept;
  if (*name == '/' || *name == '\0' || strstr(name, "..") != NULL || strchr(name, '\\') != NULL)
    return status_set(STATUS_BAD_INPUT, "the picture “%.200s” leads out of the folder", name);
  TRY(path_join("images", name, sizeof within, within));
  TRY(path_join(folder, within, sizeof path, path));
  if (!path_exists(path)) TRY(path_join(folder, name, sizeof path, path));
  if (!path_exists(path))
    return status_set(STATUS_IO, "the picture “%.200s” is neither in images nor beside it", name);
  TRY(arena_copy_text(arena, path, &kept));
  *pair = (TilePair){.image = kept};
  return STATUS_OK;
}

static Status read_images(const Document *root, const char *folder, Arena *arena, CocoChips *set)
{
  void *pairs;
  const Document *images;
  TRY(document_get_list(root, "images", &images, NULL));
  const size_t count = document_count(images);
  if (count == 0) return status_set(STATUS_BAD_INPUT, "holds no chip");
  TRY(arena_allocate(arena, count * sizeof *set->pairs, &pairs));
  set->pairs = pairs;
  set->image_count = (int64_t)count;
  for (size_t i = 0; i < count; ++i) {
    const char *name = NULL;
    TRY(document_get_text(document_item(images, i), "file_name", &name, NULL));
    TRY(find_picture(folder, name, arena, &set->pairs[i]));
  }
  return STATUS_OK;
}

/* One more where a category is 0. */
static int64_t shift_of(const Key *keys, size_t count)
{
  return find_key(keys, count, 0) == NULL ? 0 : 1;
}

static Status read_classes(const Document *root, Arena *arena, CocoChips *set)
{
  Key *keys;
  void *classes;
  const Document *categories;
  TRY(document_get_list(root, "categories", &categories, NULL));
  const size_t count = document_count(categories);
  if (count > CLASS_LARGEST_VALUE) return status_set(STATUS_BAD_INPUT, "has %zu categories", count);
  TRY(list_keys(categories, "categories", arena, &keys));
  const int64_t shift = shift_of(keys, count);
  TRY(arena_allocate(arena, (count + 1) * sizeof *set->classes, &classes));
  set->classes = classes;
  set->classes[0] = (ChipClass){.entry = class_entry(0, "background")};
  set->class_count = (int32_t)count + 1;
  for (size_t i = 0; i < count; ++i) {
    char number[24];
    const char *name = NULL;
    bool present;
    const int64_t value = keys[i].id + shift;
    if (value < 1 || value > CLASS_LARGEST_VALUE)
      return status_set(STATUS_BAD_INPUT, "a category has the id %" PRId64 "; they go up to %d",
                        keys[i].id, CLASS_LARGEST_VALUE);
    const Document *item = document_item(categories, (size_t)keys[i].index);
    TRY(document_get_text(item, "name", &name, &present));
    (void)snprintf(number, sizeof number, "%" PRId64, value);
    set->classes[i + 1].entry = class_entry((int32_t)value, present ? name : number);
  }
  return STATUS_OK;
}

Status coco_chips_tables(const Document *root, const char *folder, Arena *arena, CocoChips *set)
{
  TRY(read_images(root, folder, arena, set));
  return read_classes(root, arena, set);
}

/* What is needed while annotations are turned into objects. */
typedef struct CocoReading {
  CocoChips *set;
  Arena *scratch;
  int32_t width, height; /* of all pictures */
  Key *images, *categories;
  size_t category_count;
  int64_t shift;
  const Document *annotations;
  int64_t *first; /* of each image, in order; image_count + 1 */
  int64_t *order; /* annotations, image by image */
  ChipObjects objects;
  uint32_t *runs;
  uint8_t *parity; /* height x (width + 1) */
  double *corners; /* of one ring; grown */
  size_t corner_capacity;
} CocoReading;

static Status image_of(const CocoReading *r, const Document *annotation, int64_t *image)
{
  int64_t id;
  TRY(document_get_int(annotation, "image_id", &id, NULL));
  const Key *key = find_key(r->images, (size_t)r->set->image_count, id);
  if (key == NULL)
    return status_set(STATUS_BAD_INPUT, "is of the image %" PRId64 ", which is not listed", id);
  *image = key->index;
  return STATUS_OK;
}

/* Annotations image by image, those of one in the order of the file. */
static Status sort_annotations(CocoReading *r)
{
  void *first, *order, *images;
  const size_t count = document_count(r->annotations);
  const size_t image_count = (size_t)r->set->image_count;
  TRY(arena_allocate(r->scratch, (image_count + 2) * sizeof(int64_t), &first));
  TRY(arena_allocate(r->scratch, (count + 1) * sizeof(int64_t), &order));
  TRY(arena_allocate(r->scratch, (count + 1) * sizeof(int64_t), &images));
  int64_t *image_of_each = images;
  r->first = first;
  r->order = order;
  for (size_t i = 0; i < count; ++i) {
    const Document *annotation = document_item(r->annotations, i);
    TRY(status_prefix(image_of(r, annotation, &image_of_each[i]), "annotation %zu", i + 1));
    ++r->first[image_of_each[i] + 2];
  }
  for (size_t i = 2; i < image_count + 2; ++i)
    r->first[i] += r->first[i - 1];
  for (size_t i = 0; i < count; ++i) /* each list's end grows to the next one's beginning */
    r->order[r->first[image_of_each[i] + 1]++] = (int64_t)i;
  return STATUS_OK;
}

static Status reserve_corners(CocoReading *r, size_t count)
{
  void *memory;
  if (count <= r->corner_capacity) return STATUS_OK;
  TRY(memory_allocate(count, sizeof *r->corners, "corners of a polygon", &memory));
  memory_free(r->corners);
  r->corners = memory;
  r->corner_capacity = count;
  return STATUS_OK;
}

/* The corners of one ring from its list of numbers; *count: of corners, 0 for what has no area. */
static Status read_ring(CocoReading *r, const Document *ring, size_t *count)
{
  const size_t numbers = document_count(ring);
  *count = 0;
  if (document_kind(ring) != DOCUMENT_LIST)
    return status_set(STATUS_BAD_INPUT, "its segmentation holds what is no list of corners");
  if (numbers < 6) return STATUS_OK;
  if (numbers % 2 != 0)
    return status_set(STATUS_BAD_INPUT, "a polygon has %zu numbers; x and y go in pairs", numbers);
  TRY(reserve_corners(r, numbers));
  for (size_t i = 0; i < numbers; ++i)
    TRY(document_as_real(document_item(ring, i), &r->corners[i]));
  *count = numbers / 2;
  return STATUS_OK;
}

typedef struct Bounds {
  double left, top, right, bottom;
} Bounds;

static void widen(Bounds *bounds, const double *corners, size_t count)
{
  for (size_t i = 0; i < count; ++i) {
    bounds->left = fmin(bounds->left, corners[2 * i]);
    bounds->right = fmax(bounds->right, corners[2 * i]);
    bounds->top = fmin(bounds->top, corners[2 * i + 1]);
    bounds->bottom = fmax(bounds->bottom, corners[2 * i + 1]);
  }
}

static int32_t within(double place, int32_t most)
{
  if (!(place > 0)) return 0;
  return place < most ? (int32_t)place : most;
}

static Status fill_rings(CocoReading *r, const Document *rings, int32_t x, int32_t y, int32_t width,
                         int32_t height, uint8_t *mask)
{
  for (size_t i = 0; i < document_count(rings); ++i) {
    size_t count;
    TRY(read_ring(r, document_item(rings, i), &count));
    for (size_t k = 0; k < count; ++k) {
      r->corners[2 * k] -= x;
      r->corners[2 * k + 1] -= y;
    }
    if (count > 0) coco_fill_ring(r->corners, count, width, height, r->parity, mask);
  }
  return STATUS_OK;
}

static Status add_polygons(CocoReading *r, const Document *rings, uint16_t value)
{
  Bounds bounds = {INFINITY, INFINITY, -INFINITY, -INFINITY};
  uint8_t *mask;
  for (size_t i = 0; i < document_count(rings); ++i) {
    size_t count;
    TRY(read_ring(r, document_item(rings, i), &count));
    widen(&bounds, r->corners, count);
  }
  const int32_t x = within(floor(bounds.left), r->width);
  const int32_t y = within(floor(bounds.top), r->height);
  const int32_t width = within(ceil(bounds.right), r->width) - x;
  const int32_t height = within(ceil(bounds.bottom), r->height) - y;
  if (width < 1 || height < 1) {
    ++r->set->degenerate_count;
    return STATUS_OK;
  }
  TRY(chip_objects_add_window(&r->objects, value, x, y, width, height, &mask));
  TRY(fill_rings(r, rings, x, y, width, height, mask));
  r->set->degenerate_count += !chip_objects_fit(&r->objects);
  return STATUS_OK;
}

static Status read_run_list(CocoReading *r, const Document *counts, size_t capacity, size_t *count)
{
  *count = document_count(counts);
  if (*count > capacity)
    return status_set(STATUS_BAD_INPUT, "its mask has more runs than its picture has pixels");
  for (size_t i = 0; i < *count; ++i) {
    int64_t run;
    TRY(document_as_int(document_item(counts, i), &run));
    if (run < 0 || run > UINT32_MAX)
      return status_set(STATUS_BAD_INPUT, "its mask has a run of %" PRId64, run);
    r->runs[i] = (uint32_t)run;
  }
  return STATUS_OK;
}

static Status read_runs(CocoReading *r, const Document *segmentation, size_t *count)
{
  const char *text = NULL;
  int64_t size[2] = {0, 0};
  size_t sizes = 0;
  const size_t capacity = (size_t)r->width * (size_t)r->height + 1;
  const Document *counts = document_child(segmentation, "counts");
  TRY(document_get_ints(segmentation, "size", size, 2, &sizes, NULL));
  if (sizes != 2 || size[0] != r->height || size[1] != r->width)
    return status_set(STATUS_BAD_INPUT,
                      "its mask is %" PRId64 " x %" PRId64 " px, the pictures %d x %d", size[1],
                      size[0], r->width, r->height);
  if (document_kind(counts) == DOCUMENT_LIST) return read_run_list(r, counts, capacity, count);
  TRY(document_get_text(segmentation, "counts", &text, NULL));
  return coco_runs_read(text, capacity, r->runs, count);
}

static Status add_runs(CocoReading *r, const Document *segmentation, uint16_t value)
{
  size_t count;
  uint8_t *mask;
  TRY(read_runs(r, segmentation, &count));
  TRY(chip_objects_add_window(&r->objects, value, 0, 0, r->width, r->height, &mask));
  TRY(coco_runs_fill(r->runs, count, r->width, r->height, mask));
  r->set->degenerate_count += !chip_objects_fit(&r->objects);
  return STATUS_OK;
}

static Status add_bbox(CocoReading *r, const Document *annotation, uint16_t value)
{
  double b[4];
  size_t count = 0;
  TRY(document_get_reals(annotation, "bbox", b, 4, &count, NULL));
  if (count != 4)
    return status_set(STATUS_BAD_INPUT, "its bbox has %zu numbers instead of 4", count);
  const float box[4] = {(float)fmax(0, b[0]), (float)fmax(0, b[1]),
                        (float)fmin(r->width, b[0] + b[2]), (float)fmin(r->height, b[1] + b[3])};
  if (box[2] > box[0] && box[3] > box[1]) return chip_objects_add_box(&r->objects, value, box);
  ++r->set->degenerate_count;
  return STATUS_OK;
}

static Status add_annotation(CocoReading *r, const Document *annotation)
{
  int64_t category;
  bool is_crowd = false, present;
  TRY(document_get_int(annotation, "category_id", &category, NULL));
  if (find_key(r->categories, r->category_count, category) == NULL)
    return status_set(STATUS_BAD_INPUT, "is of the category %" PRId64 ", which is not listed",
                      category);
  TRY(document_get_flag(annotation, "iscrowd", &is_crowd, &present));
  r->set->crowd_count += is_crowd;
  if (is_crowd) return STATUS_OK;
  const uint16_t value = (uint16_t)(category + r->shift);
  const Document *segmentation = document_child(annotation, "segmentation");
  if (document_kind(segmentation) == DOCUMENT_OBJECT) return add_runs(r, segmentation, value);
  if (document_kind(segmentation) == DOCUMENT_LIST && document_count(segmentation) > 0)
    return add_polygons(r, segmentation, value);
  return add_bbox(r, annotation, value);
}

static Status add_images(CocoReading *r)
{
  for (int64_t image = 0; image < r->set->image_count; ++image) {
    chip_objects_clear(&r->objects);
    for (int64_t i = r->first[image]; i < r->first[image + 1]; ++i) {
      const Document *annotation = document_item(r->annotations, (size_t)r->order[i]);
      TRY(status_prefix(add_annotation(r, annotation), "annotation %" PRId64, r->order[i] + 1));
    }
    TRY(object_list_append(&r->set->objects, &r->objects));
  }
  return STATUS_OK;
}

static Status check_size(const CocoReading *r, const Document *images)
{
  for (size_t i = 0; i < document_count(images); ++i) {
    int64_t width = r->width, height = r->height;
    bool present;
    TRY(document_get_int(document_item(images, i), "width", &width, &present));
    TRY(document_get_int(document_item(images, i), "height", &height, &present));
    if (width != r->width || height != r->height)
      return status_set(STATUS_UNSUPPORTED,
                        "image %zu is %" PRId64 " x %" PRId64
                        " px, the first %d x %d; chips of a set are of one size",
                        i + 1, width, height, r->width, r->height);
  }
  return STATUS_OK;
}

static Status prepare(CocoReading *r, const Document *root)
{
  void *memory;
  const Document *images, *categories;
  const size_t pixels = (size_t)r->width * (size_t)r->height;
  TRY(document_get_list(root, "images", &images, NULL));
  TRY(document_get_list(root, "categories", &categories, NULL));
  TRY(document_get_list(root, "annotations", &r->annotations, NULL));
  TRY(list_keys(images, "images", r->scratch, &r->images));
  TRY(list_keys(categories, "categories", r->scratch, &r->categories));
  r->category_count = document_count(categories);
  r->shift = shift_of(r->categories, r->category_count);
  TRY(check_size(r, images));
  TRY(arena_allocate(r->scratch, (pixels + 1) * sizeof *r->runs, &memory));
  r->runs = memory;
  TRY(arena_allocate(r->scratch, pixels + (size_t)r->height, &memory));
  r->parity = memory;
  return sort_annotations(r);
}

Status coco_chips_objects(const Document *root, int32_t width_px, int32_t height_px, CocoChips *set)
{
  CocoReading reading = {.set = set, .width = width_px, .height = height_px};
  TRY(arena_open(&reading.scratch));
  Status status = prepare(&reading, root);
  if (status == STATUS_OK) status = add_images(&reading);
  chip_objects_free(&reading.objects);
  memory_free(reading.corners);
  arena_close(reading.scratch);
  return status;
}

void coco_chips_free(CocoChips *set)
{
  object_list_free(&set->objects);
}
