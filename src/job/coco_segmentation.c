#include "coco_segmentation.h"

#include "base/memory.h"

static Status read_numbers(const Document *list, size_t count, double *numbers)
{
  for (size_t i = 0; i < count; ++i)
    TRY(document_as_real(document_item(list, i), &numbers[i]));
  return STATUS_OK;
}

/* An odd last number has no partner and is left out, as pycocotools does. */
static Status read_polygon(const Document *list, size_t least, CocoImage image, MaskRuns *mask)
{
  void *memory;
  const size_t count = document_count(list);
  *mask = (MaskRuns){.count = 0};
  if (document_kind(list) != DOCUMENT_LIST || count < least)
    return status_set(STATUS_BAD_INPUT,
                      "a polygon of %zu numbers; x and y of three corners or more are wanted",
                      count);
  TRY(memory_allocate(count, sizeof(double), "a polygon", &memory));
  Status status = read_numbers(list, count, memory);
  if (status == STATUS_OK)
    status =
        mask_runs_of_polygon(memory, (int64_t)count / 2, image.height_px, image.width_px, mask);
  memory_free(memory);
  return status;
}

/* Of a mask in several parts, pycocotools refuses only a first one that is too small. */
enum { NUMBERS_OF_FIRST = 5, NUMBERS_OF_FURTHER = 4 };

static Status read_polygons(const Document *list, CocoImage image, MaskRuns *mask)
{
  MaskRuns part;
  if (document_count(list) == 0) return status_set(STATUS_BAD_INPUT, "an empty list of polygons");
  TRY(read_polygon(document_item(list, 0), NUMBERS_OF_FIRST, image, mask));
  for (size_t i = 1; i < document_count(list); ++i) {
    Status status = read_polygon(document_item(list, i), NUMBERS_OF_FURTHER, image, &part);
    if (status == STATUS_OK) status = mask_runs_unite(mask, &part);
    mask_runs_free(&part);
    TRY(status);
  }
  return STATUS_OK;
}

static Status read_counts(const Document *runs, int32_t height_px, int32_t width_px, MaskRuns *mask)
{
  void *memory;
  size_t count = 0;
  TRY(document_get_ints(runs, "counts", NULL, 0, &count, NULL));
  TRY(memory_allocate(count, sizeof(int64_t), "runs of a mask", &memory));
  Status status = document_get_ints(runs, "counts", memory, count, &count, NULL);
  if (status == STATUS_OK)
    status = mask_runs_of_counts(memory, (int64_t)count, height_px, width_px, mask);
  memory_free(memory);
  return status;
}

static Status read_runs(const Document *runs, MaskRuns *mask)
{
  size_t count;
  int64_t size[2];
  const char *text;
  TRY(document_get_ints(runs, "size", size, 2, &count, NULL));
  if (count != 2 || size[0] < 1 || size[1] < 1 || size[0] > INT32_MAX || size[1] > INT32_MAX)
    return status_set(STATUS_BAD_INPUT, "key “size”: height and width of the image are wanted");
  const int32_t height_px = (int32_t)size[0], width_px = (int32_t)size[1];
  if (document_kind(document_child(runs, "counts")) == DOCUMENT_LIST)
    return read_counts(runs, height_px, width_px, mask);
  TRY(document_get_text(runs, "counts", &text, NULL));
  return mask_runs_of_text(text, height_px, width_px, mask);
}

Status coco_segmentation_read(const Document *segmentation, CocoImage image, MaskRuns *mask)
{
  *mask = (MaskRuns){.count = 0};
  if (document_kind(segmentation) == DOCUMENT_OBJECT) return read_runs(segmentation, mask);
  if (document_kind(segmentation) == DOCUMENT_LIST) return read_polygons(segmentation, image, mask);
  return status_set(STATUS_BAD_INPUT, "its segmentation is neither a list of polygons nor runs");
}
