#include "coco_score.h"

#include <string.h>

#include "base/memory.h"
#include "base/require.h"

/* Objects of one image and category, side by side. */
typedef struct Group {
  const CocoObject *first;
  int64_t count;
} Group;

/* Room for the largest group on each side. */
typedef struct Room {
  double *scores, *detection_areas, *truth_areas, *ious;
  bool *crowd;
  DetectionBox *boxes;
  MaskRuns *masks;
  size_t iou_count;
} Room;

static bool same_group(const CocoObject *a, const CocoObject *b)
{
  return a->image == b->image && a->category == b->category;
}

/* The group that begins at a place. */
static Group group_at(const CocoObjects *objects, int64_t first)
{
  Group group = {first < objects->count ? objects->items + first : NULL, 0};
  while (first + group.count < objects->count && same_group(group.first, group.first + group.count))
    ++group.count;
  return group;
}

static bool comes_first(Group a, Group b)
{
  if (b.count == 0) return true;
  if (a.count == 0) return false;
  if (a.first->image != b.first->image) return a.first->image < b.first->image;
  return a.first->category <= b.first->category;
}

static void free_room(Room *room)
{
  memory_free(room->scores);
  memory_free(room->crowd);
  memory_free(room->boxes);
  memory_free(room->masks);
  memory_free(room->ious);
}

static int64_t largest_group(const CocoObjects *objects)
{
  int64_t largest = 0;
  for (int64_t i = 0; i < objects->count;) {
    const int64_t count = group_at(objects, i).count;
    if (count > largest) largest = count;
    i += count;
  }
  return largest;
}

static Status open_room(int64_t detections, int64_t truths, Room *room)
{
  void *memory;
  const size_t both = (size_t)(detections + truths);
  TRY(memory_allocate(2 * both, sizeof(double), "objects of an image", &memory));
  room->scores = memory;
  room->detection_areas = room->scores + detections;
  room->truth_areas = room->detection_areas + detections;
  TRY(memory_allocate(both, sizeof(bool), "objects of an image", &memory));
  room->crowd = memory;
  TRY(memory_allocate(both, sizeof(DetectionBox), "objects of an image", &memory));
  room->boxes = memory;
  TRY(memory_allocate(both, sizeof(MaskRuns), "objects of an image", &memory));
  room->masks = memory;
  return STATUS_OK;
}

static Status reserve_ious(Room *room, size_t count)
{
  void *memory;
  if (count <= room->iou_count) return STATUS_OK;
  TRY(memory_allocate(count, sizeof(double), "pairs of objects", &memory));
  memory_free(room->ious);
  room->ious = memory;
  room->iou_count = count;
  return STATUS_OK;
}

static Status compare(Group results, Group truths, CocoShape shape, Room *room)
{
  const int32_t detection_count = (int32_t)results.count, truth_count = (int32_t)truths.count;
  TRY(reserve_ious(room, (size_t)results.count * (size_t)truths.count));
  for (int64_t i = 0; i < results.count + truths.count; ++i) {
    const CocoObject *object =
        i < results.count ? results.first + i : truths.first + (i - results.count);
    room->boxes[i] = object->box;
    room->masks[i] = object->mask; /* borrowed */
  }
  if (shape == COCO_MASK)
    return mask_runs_ious(room->masks, detection_count, room->masks + detection_count, truth_count,
                          room->crowd, room->ious);
  detection_box_ious(room->boxes, detection_count, room->boxes + detection_count, truth_count,
                     room->crowd, room->ious);
  return STATUS_OK;
}

static Status add_group(Group results, Group truths, CocoShape shape, Room *room,
                        DetectionScore *coco, FoundScore *found)
{
  const CocoObject *any = results.count > 0 ? results.first : truths.first;
  const DetectionCase one = {.image = any->image,
                             .class_index = any->category,
                             .detection_count = (int32_t)results.count,
                             .scores = room->scores,
                             .detection_areas_px = room->detection_areas,
                             .truth_count = (int32_t)truths.count,
                             .truth_areas_px = room->truth_areas,
                             .crowd = room->crowd};
  for (int64_t i = 0; i < results.count; ++i) {
    room->scores[i] = results.first[i].score;
    room->detection_areas[i] = results.first[i].area_px;
  }
  for (int64_t i = 0; i < truths.count; ++i) {
    room->truth_areas[i] = truths.first[i].area_px;
    room->crowd[i] = truths.first[i].crowd;
  }
  TRY(compare(results, truths, shape, room));
  DetectionCase with_ious = one;
  with_ious.ious = room->ious;
  if (coco != NULL) TRY(detection_score_add(coco, &with_ious));
  return found == NULL ? STATUS_OK : found_score_add(found, &with_ious);
}

static Status add_all(const CocoObjects *results, const CocoObjects *truths, CocoShape shape,
                      Room *room, DetectionScore *coco, FoundScore *found)
{
  int64_t result = 0, truth = 0;
  while (result < results->count || truth < truths->count) {
    Group detected = group_at(results, result), there = group_at(truths, truth);
    const bool result_first = comes_first(detected, there);
    const bool truth_first = comes_first(there, detected);
    if (!result_first) detected.count = 0;
    if (!truth_first) there.count = 0;
    TRY(add_group(detected, there, shape, room, coco, found));
    result += detected.count;
    truth += there.count;
  }
  return STATUS_OK;
}

Status coco_score_add(const CocoSet *set, const CocoObjects *results, const CocoObjects *truths,
                      CocoShape shape, DetectionScore *coco, FoundScore *found)
{
  Room room = {.iou_count = 0};
  Status status = open_room(largest_group(results), largest_group(truths), &room);
  if (status == STATUS_OK) status = add_all(results, truths, shape, &room, coco, found);
  free_room(&room);
  return status;
}
