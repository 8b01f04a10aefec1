#include "op/prediction.h"

#include "op/segmentation_loss.h"

Status prediction_plan(Shape logits, int32_t class_count)
{
  TRY(shape_check(logits, "prediction"));
  if (class_count < 2 || class_count > CLASS_COUNT_MOST || class_count > logits.channels)
    return status_set(STATUS_BAD_SHAPE, "prediction: %d classes in %d channels; it takes 2 to %d",
                      class_count, logits.channels, CLASS_COUNT_MOST);
  return STATUS_OK;
}
