#include "op/mask_head.h"

Status mask_head_plan(int32_t class_count, Shape logits, MaskHead *head)
{
  TRY(shape_check(logits, "mask head"));
  if (class_count < 2 || class_count > logits.channels)
    return status_set(STATUS_BAD_SHAPE, "mask head: %d classes in %d channels", class_count,
                      logits.channels);
  if (logits.height != logits.width || logits.height > MASK_PX_MOST)
    return status_set(STATUS_BAD_SHAPE, "mask head: masks of %d x %d px; they are square, up to %d",
                      logits.width, logits.height, MASK_PX_MOST);
  *head = (MaskHead){.class_count = class_count, .logits = logits};
  return STATUS_OK;
}
