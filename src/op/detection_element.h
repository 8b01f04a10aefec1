#pragma once

#include "box_lists.h"
#include "softmax_element.h"

/* Detections (box_head.h): a list per image and class but the background. In the columns of
 * candidates every class has room for all rows, an image's rows where they are among all. */
SHARED_INLINE int64_t detection_first(const BoxHead *head, int32_t class_index, int32_t row)
{
  return (int64_t)(class_index - 1) * head->logits.images + row;
}

/* Before all later rows and, in a row, all later classes. */
SHARED_INLINE int32_t detection_tie(const BoxHead *head, int32_t class_index, int32_t row)
{
  return row * head->class_count + class_index;
}

/* What both twins keep in scratch. */
typedef struct DetectionRoom {
  BoxLists lists;
  float *scores;      /* class by class, all rows */
  int32_t *first_row; /* images + 1: where each one's rows begin */
} DetectionRoom;

static inline DetectionRoom detection_room_in(ScratchPieces *pieces, const BoxHead *head,
                                              int32_t images)
{
  DetectionRoom room;
  const int32_t classes = head->class_count - 1;
  const int64_t most = (int64_t)classes * head->logits.images;
  room.lists = box_lists_in(pieces, images * classes, most);
  room.scores = (float *)scratch_piece(pieces, most, sizeof(float));
  room.first_row = (int32_t *)scratch_piece(pieces, images + 1, sizeof(int32_t));
  return room;
}
