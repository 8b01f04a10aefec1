#include "coco_writer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/path.h"
#include "coco_mask.h"
#include "shard_objects.h"
#include "store/document.h"

typedef struct CocoWriting {
  FILE *stream;
  const ChipForm *form;
  uint32_t *runs; /* of a chip */
  char *text;     /* the same, compressed */
  int64_t image_number, annotation_number;
} CocoWriting;

/* A list's item on a line of its own. Takes the document. */
static Status write_item(const CocoWriting *writing, bool first, Document *item, Status built)
{
  char *text = NULL;
  Status status = built == STATUS_OK ? document_format(item, DOCUMENT_ONE_LINE, &text) : built;
  if (status == STATUS_OK && fprintf(writing->stream, "%s\n%s", first ? "" : ",", text) < 0)
    status = status_set(STATUS_IO, "%s", strerror(errno));
  memory_free(text);
  document_close(item);
  return status;
}

static Status build_category(const ClassEntry *entry, Document *item)
{
  TRY(document_set_int(item, "id", entry->value));
  TRY(document_set_text(item, "name", entry->name));
  return document_set_text(item, "supercategory", "");
}

static Status write_categories(const CocoWriting *writing)
{
  for (int32_t i = 1; i < writing->form->class_count; ++i) {
    Document *item = NULL;
    TRY(document_new_object(&item));
    TRY(write_item(writing, i == 1, item, build_category(&writing->form->classes[i], item)));
  }
  return STATUS_OK;
}

static Status build_image(const CocoWriting *writing, int64_t chip, Document *item)
{
  char name[32];
  (void)snprintf(name, sizeof name, "%09" PRId64 ".tif", chip);
  TRY(document_set_int(item, "id", chip + 1));
  TRY(document_set_int(item, "width", writing->form->width_px));
  TRY(document_set_int(item, "height", writing->form->height_px));
  return document_set_text(item, "file_name", name);
}

static Status write_images(const CocoWriting *writing, int64_t chip_count)
{
  for (int64_t chip = 0; chip < chip_count; ++chip) {
    Document *item = NULL;
    TRY(document_new_object(&item));
    TRY(write_item(writing, chip == 0, item, build_image(writing, chip, item)));
  }
  return STATUS_OK;
}

static Status set_runs(const CocoWriting *writing, const ChipObject *object, const uint8_t *mask,
                       Document *item)
{
  Document *segmentation;
  const ChipForm *form = writing->form;
  const int64_t size[2] = {form->height_px, form->width_px};
  const size_t count =
      coco_runs_of_mask(mask, object->x_px, object->y_px, object->width_px, object->height_px,
                        form->width_px, form->height_px, writing->runs);
  coco_runs_write(writing->runs, count, writing->text);
  TRY(document_set_object(item, "segmentation", &segmentation));
  TRY(document_set_ints(segmentation, "size", size, 2));
  return document_set_text(segmentation, "counts", writing->text);
}

static Status set_rings(const CocoRings *rings, const ChipObject *object, Document *item)
{
  Document *list, *ring;
  int32_t corner = 0;
  TRY(document_set_list(item, "segmentation", &list));
  for (int32_t i = 0; i < rings->ring_count; ++i) {
    TRY(document_add_list(list, &ring));
    for (; corner < rings->ends[i]; ++corner) {
      TRY(document_add_int(ring, object->x_px + rings->corners[2 * corner]));
      TRY(document_add_int(ring, object->y_px + rings->corners[2 * corner + 1]));
    }
  }
  return STATUS_OK;
}

static Status set_segmentation(const CocoWriting *writing, const ChipObject *object,
                               const uint8_t *mask, Document *item)
{
  CocoRings rings;
  Status status = coco_rings_trace(mask, object->width_px, object->height_px, &rings);
  if (status == STATUS_OK)
    status =
        rings.has_hole ? set_runs(writing, object, mask, item) : set_rings(&rings, object, item);
  coco_rings_free(&rings);
  return status;
}

static Status build_annotation(const CocoWriting *writing, const ChipObject *object,
                               const uint8_t *mask, Document *item)
{
  const int64_t box[4] = {object->x_px, object->y_px, object->width_px, object->height_px};
  int64_t area = 0;
  for (int64_t i = 0; i < box[2] * box[3]; ++i)
    area += mask[i];
  TRY(document_set_int(item, "id", writing->annotation_number));
  TRY(document_set_int(item, "image_id", writing->image_number));
  TRY(document_set_int(item, "category_id", object->class_value));
  TRY(document_set_ints(item, "bbox", box, 4));
  TRY(document_set_int(item, "area", area));
  TRY(document_set_int(item, "iscrowd", 0));
  return set_segmentation(writing, object, mask, item);
}

static Status write_objects(CocoWriting *writing, const ChipObjects *objects)
{
  for (int32_t i = 0; i < objects->count; ++i) {
    Document *item = NULL;
    const ChipObject *object = &objects->items[i];
    TRY(document_new_object(&item));
    ++writing->annotation_number;
    TRY(write_item(
        writing, writing->annotation_number == 1, item,
        build_annotation(writing, object, objects->mask_bytes + object->mask_offset, item)));
  }
  return STATUS_OK;
}

static Status write_file(CocoWriting *writing, ArrayFile *file, int64_t chip_count, Arena *scratch,
                         ChipObjects *objects)
{
  ShardIndex index;
  TRY(shard_index_read(file, writing->form, chip_count, scratch, &index));
  for (int64_t i = 0; i < chip_count; ++i) {
    chip_objects_clear(objects);
    ++writing->image_number;
    TRY(shard_objects_read(file, writing->form, &index, i, objects));
    TRY(write_objects(writing, objects));
  }
  return STATUS_OK;
}

static Status write_shard(CocoWriting *writing, const char *folder, int32_t shard,
                          int64_t chip_count)
{
  char path[OUTPUT_PATH_BYTES];
  ArrayFile *file = NULL;
  Arena *scratch = NULL;
  ChipObjects objects = {0};
  TRY(chip_shard_path(folder, shard, path));
  TRY(arena_open(&scratch));
  Status status = array_file_open(path, &file);
  if (status == STATUS_OK) status = write_file(writing, file, chip_count, scratch, &objects);
  chip_objects_free(&objects);
  array_file_close(file);
  arena_close(scratch);
  return status;
}

static Status write_text(const CocoWriting *writing, const char *text)
{
  if (fputs(text, writing->stream) >= 0) return STATUS_OK;
  return status_set(STATUS_IO, "%s", strerror(errno));
}

static Status write_all(CocoWriting *writing, const char *folder, int32_t shard_count,
                        const ShardCount *counts)
{
  int64_t chip_count = 0;
  for (int32_t i = 0; i < shard_count; ++i)
    chip_count += counts[i].chips;
  TRY(write_text(writing, "{\"info\":{\"description\":\"Quadrat\",\"version\":\"1.0\"},"
                          "\"licenses\":[],\n\"categories\":["));
  TRY(write_categories(writing));
  TRY(write_text(writing, "],\n\"images\":["));
  TRY(write_images(writing, chip_count));
  TRY(write_text(writing, "],\n\"annotations\":["));
  for (int32_t i = 0; i < shard_count; ++i)
    if (counts[i].chips > 0) TRY(write_shard(writing, folder, i, counts[i].chips));
  return write_text(writing, "]}\n");
}

static Status allocate(CocoWriting *writing)
{
  void *runs, *text;
  const size_t most = (size_t)writing->form->width_px * (size_t)writing->form->height_px + 1;
  TRY(memory_allocate(most, sizeof *writing->runs, "run lengths of a mask", &runs));
  writing->runs = runs;
  TRY(memory_allocate(most + 1, 7, "run lengths of a mask", &text));
  writing->text = text;
  return STATUS_OK;
}

static Status write_stream(const char *path, CocoWriting *writing, const char *folder,
                           int32_t shard_count, const ShardCount *counts)
{
  writing->stream = fopen(path, "we");
  if (writing->stream == NULL) return status_set(STATUS_IO, "%s", strerror(errno));
  const Status status = write_all(writing, folder, shard_count, counts);
  const int closed = fclose(writing->stream);
  if (status == STATUS_OK && closed != 0) return status_set(STATUS_IO, "%s", strerror(errno));
  return status;
}

Status coco_writer_write(const char *set_folder, const ChipForm *form, const char *folder,
                         int32_t shard_count, const ShardCount *counts)
{
  char path[OUTPUT_PATH_BYTES];
  CocoWriting writing = {.form = form};
  TRY(path_join(set_folder, "annotations.json", sizeof path, path));
  Status status = allocate(&writing);
  if (status == STATUS_OK) status = write_stream(path, &writing, folder, shard_count, counts);
  memory_free(writing.text);
  memory_free(writing.runs);
  return status_prefix(status, "%s", path);
}
