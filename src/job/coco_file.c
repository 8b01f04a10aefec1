#include "coco_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "coco_segmentation.h"

bool coco_is_truth(const Document *document)
{
  return document_kind(document) == DOCUMENT_OBJECT &&
         document_kind(document_child(document, "images")) == DOCUMENT_LIST &&
         document_kind(document_child(document, "annotations")) == DOCUMENT_LIST;
}

/* Images and categories begin with their id. */
static int by_id(const void *left, const void *right)
{
  const int64_t a = *(const int64_t *)left;
  const int64_t b = *(const int64_t *)right;
  return a < b ? -1 : a > b;
}

static Status sort_by_id(void *items, size_t count, size_t bytes, const char *what)
{
  if (count > 1) qsort(items, count, bytes, by_id);
  for (size_t i = 1; i < count; ++i) {
    const int64_t *id = (const int64_t *)((const char *)items + i * bytes);
    const int64_t *before = (const int64_t *)((const char *)items + (i - 1) * bytes);
    if (*id == *before)
      return status_set(STATUS_BAD_INPUT, "two %s have the id %lld", what, (long long)*id);
  }
  return STATUS_OK;
}

/* -1 if none has the id. */
static int64_t find_id(const void *items, size_t count, size_t bytes, int64_t id)
{
  const char *found = count == 0 ? NULL : bsearch(&id, items, count, bytes, by_id);
  return found == NULL ? -1 : (found - (const char *)items) / (int64_t)bytes;
}

static Status read_side(const Document *image, const char *key, int32_t *side_px)
{
  int64_t value = 0;
  bool present;
  TRY(document_get_int(image, key, &value, &present));
  if (value < 0 || value > INT32_MAX)
    return status_set(STATUS_BAD_INPUT, "key “%s”: %lld px", key, (long long)value);
  *side_px = (int32_t)value;
  return STATUS_OK;
}

static Status read_image(const Document *from, CocoImage *image)
{
  TRY(document_get_int(from, "id", &image->id, NULL));
  TRY(read_side(from, "height", &image->height_px));
  return read_side(from, "width", &image->width_px);
}

static Status read_category(const Document *from, CocoCategory *category)
{
  bool present;
  const char *name = "";
  TRY(document_get_int(from, "id", &category->id, NULL));
  TRY(document_get_text(from, "name", &name, &present));
  if (present)
    (void)snprintf(category->name, sizeof category->name, "%s", name);
  else
    (void)snprintf(category->name, sizeof category->name, "%lld", (long long)category->id);
  return STATUS_OK;
}

static Status read_images(const Document *truth, CocoSet *set)
{
  void *memory;
  const Document *list;
  TRY(document_get_list(truth, "images", &list, NULL));
  TRY(memory_allocate(document_count(list), sizeof(CocoImage), "images", &memory));
  set->images = memory;
  for (size_t i = 0; i < document_count(list); ++i) {
    const Status status = read_image(document_item(list, i), &set->images[set->image_count++]);
    if (status != STATUS_OK) return status_prefix(status, "image %zu", i);
  }
  return sort_by_id(set->images, (size_t)set->image_count, sizeof(CocoImage), "images");
}

static Status read_categories(const Document *truth, CocoSet *set)
{
  void *memory;
  const Document *list;
  TRY(document_get_list(truth, "categories", &list, NULL));
  if (document_count(list) > INT32_MAX / 16)
    return status_set(STATUS_BAD_INPUT, "%zu categories", document_count(list));
  TRY(memory_allocate(document_count(list), sizeof(CocoCategory), "categories", &memory));
  set->categories = memory;
  for (size_t i = 0; i < document_count(list); ++i) {
    const Status status =
        read_category(document_item(list, i), &set->categories[set->category_count++]);
    if (status != STATUS_OK) return status_prefix(status, "category %zu", i);
  }
  return sort_by_id(set->categories, (size_t)set->category_count, sizeof(CocoCategory),
                    "categories");
}

Status coco_set_read(const Document *truth, const char *name, CocoSet *set)
{
  *set = (CocoSet){.image_count = 0};
  Status status = read_images(truth, set);
  if (status == STATUS_OK) status = read_categories(truth, set);
  return status == STATUS_OK ? STATUS_OK : status_prefix(status, "%s", name);
}

void coco_set_free(CocoSet *set)
{
  memory_free(set->images);
  memory_free(set->categories);
  *set = (CocoSet){.image_count = 0};
}

/* What is needed while objects are read. */
typedef struct CocoReading {
  const CocoSet *set;
  bool are_results;
  bool wants_masks;
  bool have_boxes; /* as the first one */
  bool have_masks;
} CocoReading;

static Status read_box(const Document *from, DetectionBox *box)
{
  size_t count;
  double sides[4];
  TRY(document_get_reals(from, "bbox", sides, 4, &count, NULL));
  if (count != 4)
    return status_set(STATUS_BAD_INPUT, "key “bbox”: x, y, width and height are wanted");
  *box = (DetectionBox){sides[0], sides[1], sides[2], sides[3]};
  return STATUS_OK;
}

static Status read_shape(const Document *from, const CocoReading *reading, CocoObject *object)
{
  if (reading->have_boxes) TRY(read_box(from, &object->box));
  if (reading->have_masks)
    TRY(coco_segmentation_read(document_child(from, "segmentation"),
                               reading->set->images[object->image], &object->mask));
  if (!reading->have_boxes) object->box = mask_runs_box(&object->mask);
  object->area_px = reading->have_boxes ? object->box.width * object->box.height
                                        : (double)mask_runs_area_px(&object->mask);
  if (reading->are_results) return document_get_real(from, "score", &object->score, NULL);
  bool present;
  if (reading->have_masks) object->area_px = (double)mask_runs_area_px(&object->mask);
  TRY(document_get_flag(from, "iscrowd", &object->crowd, &present));
  return document_get_real(from, "area", &object->area_px, &present);
}

/* *taken is false for an object of an image or a category that is not listed. */
static Status read_object(const Document *from, const CocoReading *reading, CocoObject *object,
                          bool *taken)
{
  int64_t image_id, category_id;
  const CocoSet *set = reading->set;
  TRY(document_get_int(from, "image_id", &image_id, NULL));
  TRY(document_get_int(from, "category_id", &category_id, NULL));
  object->image = find_id(set->images, (size_t)set->image_count, sizeof(CocoImage), image_id);
  object->category = (int32_t)find_id(set->categories, (size_t)set->category_count,
                                      sizeof(CocoCategory), category_id);
  if (object->image < 0 && reading->are_results)
    return status_set(STATUS_MISMATCH, "its image %lld is not in the truth", (long long)image_id);
  *taken = object->image >= 0 && object->category >= 0;
  return *taken ? read_shape(from, reading, object) : STATUS_OK;
}

static int by_image_and_category(const void *left, const void *right)
{
  const CocoObject *a = left;
  const CocoObject *b = right;
  if (a->image != b->image) return a->image < b->image ? -1 : 1;
  if (a->category != b->category) return a->category < b->category ? -1 : 1;
  return a->order < b->order ? -1 : a->order > b->order;
}

/* pycocotools looks at the first object only; an empty box is as none. */
static void look_at_first(const Document *list, CocoReading *reading)
{
  const Document *first = document_item(list, 0);
  const Document *box = document_child(first, "bbox");
  const Document *segmentation = document_child(first, "segmentation");
  reading->have_boxes = first == NULL || (box != NULL && document_count(box) > 0);
  reading->have_masks = first == NULL || (segmentation != NULL && document_count(segmentation) > 0);
}

static Status read_all(const Document *list, CocoReading *reading, CocoObjects *objects)
{
  void *memory;
  const size_t count = document_count(list);
  TRY(memory_allocate(count, sizeof(CocoObject), "objects", &memory));
  objects->items = memory;
  look_at_first(list, reading);
  if (count > 0 && !reading->have_boxes && !reading->have_masks)
    return status_set(STATUS_BAD_INPUT, "the first object has neither a bbox nor a segmentation");
  reading->have_masks = reading->have_masks && (reading->wants_masks || !reading->have_boxes);
  objects->has_masks = reading->have_masks;
  objects->has_boxes = reading->have_boxes || reading->are_results;
  for (size_t i = 0; i < count; ++i) {
    bool taken = false;
    CocoObject *object = &objects->items[objects->count++];
    object->order = (int64_t)i;
    const Status status = read_object(document_item(list, i), reading, object, &taken);
    if (status != STATUS_OK)
      return status_prefix(status, "%s %zu", reading->are_results ? "result" : "annotation", i);
    if (taken) continue;
    *object = (CocoObject){.order = 0};
    --objects->count;
    ++objects->elsewhere;
  }
  if (objects->count > 1)
    qsort(objects->items, (size_t)objects->count, sizeof(CocoObject), by_image_and_category);
  return STATUS_OK;
}

static Status check_ids(const Document *list)
{
  void *memory;
  bool present;
  size_t found = 0;
  TRY(memory_allocate(document_count(list), sizeof(int64_t), "ids", &memory));
  int64_t *ids = memory;
  Status status = STATUS_OK;
  for (size_t i = 0; status == STATUS_OK && i < document_count(list); ++i) {
    status = document_get_int(document_item(list, i), "id", &ids[found], &present);
    found += present;
  }
  if (status == STATUS_OK) status = sort_by_id(ids, found, sizeof *ids, "annotations");
  memory_free(memory);
  return status;
}

Status coco_truth_read(const Document *truth, const char *name, const CocoSet *set,
                       bool wants_masks, CocoObjects *objects)
{
  const Document *list;
  CocoReading reading = {.set = set, .wants_masks = wants_masks};
  *objects = (CocoObjects){.count = 0};
  Status status = document_get_list(truth, "annotations", &list, NULL);
  if (status == STATUS_OK) status = check_ids(list);
  if (status == STATUS_OK) status = read_all(list, &reading, objects);
  return status == STATUS_OK ? STATUS_OK : status_prefix(status, "%s", name);
}

Status coco_results_read(const Document *results, const char *name, const CocoSet *set,
                         CocoObjects *objects)
{
  const Document *list = results;
  CocoReading reading = {.set = set, .are_results = true, .wants_masks = true};
  *objects = (CocoObjects){.count = 0};
  Status status = STATUS_OK;
  if (document_kind(results) != DOCUMENT_LIST)
    status = document_get_list(results, "annotations", &list, NULL);
  if (status == STATUS_OK) status = read_all(list, &reading, objects);
  return status == STATUS_OK ? STATUS_OK : status_prefix(status, "%s", name);
}

void coco_objects_free(CocoObjects *objects)
{
  for (int64_t i = 0; i < objects->count; ++i)
    mask_runs_free(&objects->items[i].mask);
  memory_free(objects->items);
  *objects = (CocoObjects){.count = 0};
}
