#include "coco_score.h"

#include <string.h>

#include "base/memory.h"
#include "base/require.h"

/* Objects of one image and category, side by side. */
typedef struct Group {
  const CocoObject *first;
  int64_t count;
} Group;

/* Room for the largest group on each side, and for the pairs that overlap. */
typedef struct Room {
  double *scores, *detection_areas, *truth_areas;
  bool *crowd;
  DetectionBox *truth_boxes;
  DetectionPair *pairs;
  int64_t pair_count, pair_capacity;
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
  memory_free(room->truth_boxes);
  memory_free(room->pairs);
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
  const size_t both = (size_t)(2 * detections + truths);
  TRY(memory_allocate(both, sizeof(double), "objects of an image", &memory));
  room->scores = memory;
  room->detection_areas = room->scores + detections;
  room->truth_areas = room->detection_areas + detections;
  TRY(memory_allocate((size_t)truths, sizeof(bool), "objects of an image", &memory));
  room->crowd = memory;
  TRY(memory_allocate((size_t)truths, sizeof(DetectionBox), "objects of an image", &memory));
  room->truth_boxes = memory;
  return STATUS_OK;
}

static Status add_pair(Room *room, DetectionPair pair)
{
  void *memory;
  if (!(pair.iou > 0)) return STATUS_OK;
  if (room->pair_count == room->pair_capacity) {
    const int64_t capacity = room->pair_capacity == 0 ? 256 : 2 * room->pair_capacity;
    TRY(memory_allocate((size_t)capacity, sizeof(DetectionPair), "pairs of objects", &memory));
    if (room->pair_count > 0)
      memcpy(memory, room->pairs, (size_t)room->pair_count * sizeof(DetectionPair));
    memory_free(room->pairs);
    room->pairs = memory;
    room->pair_capacity = capacity;
  }
  room->pairs[room->pair_count++] = pair;
  return STATUS_OK;
}

static DetectionBox box_of(const CocoObject *object, CocoShape shape)
{
  return shape == COCO_MASK ? mask_runs_box(&object->mask) : object->box;
}

/* Masks are compared where their boxes overlap. */
static Status compare(Group results, Group truths, CocoShape shape, Room *room)
{
  room->pair_count = 0;
  for (int64_t t = 0; t < truths.count; ++t)
    room->truth_boxes[t] = box_of(truths.first + t, shape);
  for (int64_t d = 0; d < results.count; ++d) {
    const DetectionBox box = box_of(results.first + d, shape);
    for (int64_t t = 0; t < truths.count; ++t) {
      double iou = detection_box_iou(box, room->truth_boxes[t], room->crowd[t]);
      if (shape == COCO_MASK && iou > 0)
        iou = mask_runs_iou(&results.first[d].mask, &truths.first[t].mask, room->crowd[t]);
      TRY(add_pair(room, (DetectionPair){(int32_t)d, (int32_t)t, iou}));
    }
  }
  return STATUS_OK;
}

static Status add_group(Group results, Group truths, CocoShape shape, Room *room,
                        DetectionScore *coco, FoundScore *found)
{
  const CocoObject *any = results.count > 0 ? results.first : truths.first;
  DetectionCase one = {.image = any->image,
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
  one.pairs = room->pairs;
  one.pair_count = room->pair_count;
  if (coco != NULL) TRY(detection_score_add(coco, &one));
  return found == NULL ? STATUS_OK : found_score_add(found, &one);
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

Status coco_score_add(const CocoObjects *results, const CocoObjects *truths, CocoShape shape,
                      DetectionScore *coco, FoundScore *found)
{
  Room room = {.pair_count = 0};
  Status status = open_room(largest_group(results), largest_group(truths), &room);
  if (status == STATUS_OK) status = add_all(results, truths, shape, &room, coco, found);
  free_room(&room);
  return status;
}
