#include "op/box_head.h"

#include "op/segmentation_loss.h"

Status box_head_plan(int32_t class_count, Shape logits, Shape deltas, BoxHead *head)
{
  TRY(shape_check(logits, "box head logits"));
  TRY(shape_check(deltas, "box head deltas"));
  if (class_count < 2 || class_count > CLASS_COUNT_MOST || class_count > logits.channels ||
      4 * class_count > deltas.channels)
    return status_set(
        STATUS_BAD_SHAPE,
        "box head: %d classes in %d channels of logits and %d of deltas; it takes 2 to %d",
        class_count, logits.channels, deltas.channels, (int)CLASS_COUNT_MOST);
  if (logits.images != deltas.images || logits.element != deltas.element || logits.height != 1 ||
      logits.width != 1 || deltas.height != 1 || deltas.width != 1)
    return status_set(STATUS_BAD_SHAPE,
                      "box head: %d x %d x %d logits in %s and %d x %d x %d deltas in %s",
                      logits.images, logits.height, logits.width, element_name(logits.element),
                      deltas.images, deltas.height, deltas.width, element_name(deltas.element));
  *head = (BoxHead){.class_count = class_count, .logits = logits, .deltas = deltas};
  return STATUS_OK;
}
