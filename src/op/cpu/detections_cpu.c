#include <string.h>

#include "box_lists_cpu.h"
#include "cpu_backend.h"
#include "op/detection_element.h"
#include "op/segmentation_loss.h"
#include "span.h"

size_t detections_scratch_bytes_cpu(const BoxHead *head, int32_t images)
{
  ScratchPieces pieces = {NULL, 0};
  (void)detection_room_in(&pieces, head, images);
  return pieces.bytes;
}

static void find_rows(const Regions *regions, int32_t rows, int32_t images, int32_t *first_row)
{
  int32_t row = 0;
  for (int32_t image = 0; image <= images; ++image) {
    while (row < rows && regions->images[row] >= 0 && regions->images[row] < image)
      ++row;
    first_row[image] = row;
  }
}

static void write_scores(const BoxHead *head, const void *logits, int32_t row, float *scores)
{
  float buffer[CLASS_COUNT_MOST], z[CLASS_COUNT_MOST];
  const float *span = span_load(head->logits.element, logits, (int64_t)row * head->logits.channels,
                                head->class_count, buffer);
  memcpy(z, span, (size_t)head->class_count * sizeof *z);
  (void)softmax_element(head->class_count, z);
  for (int32_t c = 1; c < head->class_count; ++c)
    scores[detection_first(head, c, row)] = z[c];
}

/* The rows of an image whose score of a class is above the least, best first. */
static void rank_rows(const BoxHead *head, const DetectionRoom *room, int32_t image, int32_t c,
                      int32_t list, float score_least)
{
  const BoxLists *lists = &room->lists;
  const int64_t first = detection_first(head, c, room->first_row[image]);
  Ranked *ranked = lists->ranked + first;
  int32_t count = 0;
  for (int32_t row = room->first_row[image]; row < room->first_row[image + 1]; ++row) {
    const float score = room->scores[detection_first(head, c, row)];
    if (score > score_least) ranked[count++] = (Ranked){.key = order_key(score), .index = row};
  }
  ranked_sort(ranked, lists->sorted + first, count);
  lists->first[list] = first;
  lists->count[list] = count;
}

static void decode_list(const BoxHead *head, const float *regions, const void *deltas, int32_t c,
                        int32_t list, DetectionLimits limits, const float *size,
                        const BoxLists *lists)
{
  for (int32_t i = 0; i < lists->count[list]; ++i) {
    const int64_t candidate = lists->first[list] + i;
    const Ranked ranked = lists->ranked[candidate];
    float buffer[4];
    const int64_t delta = (int64_t)ranked.index * head->deltas.channels + 4 * (int64_t)c;
    const float *code = span_load(head->deltas.element, deltas, delta, 4, buffer);
    const Box box = box_decode(box_load(regions, ranked.index),
                               (BoxCode){code[0], code[1], code[2], code[3]}, box_head_weights());
    list_candidate(lists, candidate, box_clip(box, size), order_value(ranked.key),
                   detection_tie(head, c, ranked.index), limits.least_side_px);
  }
}

static void clear_image(Detections *detections, int32_t image)
{
  const size_t capacity = (size_t)detections->capacity;
  const size_t first = (size_t)image * capacity;
  memset(detections->boxes + 4 * first, 0, 4 * capacity * sizeof *detections->boxes);
  memset(detections->scores + first, 0, capacity * sizeof *detections->scores);
  memset(detections->classes + first, 0, capacity * sizeof *detections->classes);
}

static void write_image(const BoxHead *head, const BoxLists *lists, int32_t image,
                        Detections *detections)
{
  const int32_t classes = head->class_count - 1;
  int32_t taken[CLASS_COUNT_MOST] = {0};
  int32_t found = 0, count = 0;
  for (int32_t l = 0; l < classes; ++l)
    found += lists->kept_count[image * classes + l];
  clear_image(detections, image);
  for (; count < found && count < detections->capacity; ++count) {
    const int64_t candidate = lists_take(lists, image * classes, classes, taken);
    const int64_t place = (int64_t)image * detections->capacity + count;
    box_store(detections->boxes, place, listed_box(lists, candidate));
    detections->scores[place] = lists->score[candidate];
    detections->classes[place] = lists->tie[candidate] % head->class_count;
  }
  detections->counts[image] = count;
  detections->dropped[image] = found - count;
}

void detections_cpu(Device *device, const BoxHead *head, const Regions *regions, const void *logits,
                    const void *deltas, DetectionLimits limits, const float *image_sizes,
                    Detections *detections, void *scratch)
{
  ScratchPieces pieces = {scratch, 0};
  const DetectionRoom room = detection_room_in(&pieces, head, detections->images);
  const int32_t classes = head->class_count - 1;
  find_rows(regions, head->logits.images, detections->images, room.first_row);
#pragma omp parallel for schedule(static)
  for (int32_t row = 0; row < room.first_row[detections->images]; ++row)
    write_scores(head, logits, row, room.scores);
#pragma omp parallel for schedule(dynamic, 1)
  for (int32_t list = 0; list < detections->images * classes; ++list) {
    const int32_t image = list / classes, c = 1 + list % classes;
    rank_rows(head, &room, image, c, list, limits.score_least);
    decode_list(head, regions->boxes, deltas, c, list, limits, image_sizes + 2 * (ptrdiff_t)image,
                &room.lists);
    list_suppress(&room.lists, list, limits.iou_most);
  }
#pragma omp parallel for schedule(dynamic, 1)
  for (int32_t image = 0; image < detections->images; ++image)
    write_image(head, &room.lists, image, detections);
}

void detection_regions_cpu(Device *device, const Detections *detections, Regions *regions,
                           int32_t *classes)
{
  int32_t row = 0;
  for (int32_t image = 0; image < detections->images; ++image)
    for (int32_t i = 0; i < detections->counts[image] && row < regions->capacity; ++i, ++row) {
      const int64_t from = (int64_t)image * detections->capacity + i;
      box_store(regions->boxes, row, box_load(detections->boxes, from));
      regions->images[row] = image;
      if (classes != NULL) classes[row] = detections->classes[from];
    }
  *regions->count = row;
  for (; row < regions->capacity; ++row) {
    box_store(regions->boxes, row, (Box){0, 0, 0, 0});
    regions->images[row] = -1;
    if (classes != NULL) classes[row] = 0;
  }
}
