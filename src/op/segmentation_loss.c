#include "op/segmentation_loss.h"

#include <math.h>

Status segmentation_loss_plan(SegmentationLoss loss, Shape logits)
{
  TRY(shape_check(logits, "segmentation_loss"));
  if (loss.class_count < 2 || loss.class_count > CLASS_COUNT_MOST ||
      loss.class_count > logits.channels)
    return status_set(STATUS_BAD_SHAPE,
                      "segmentation_loss: %d classes in %d channels; it takes 2 to %d",
                      loss.class_count, logits.channels, CLASS_COUNT_MOST);
  if (!(loss.focal_gamma >= 0) || !(loss.dice_fraction >= 0 && loss.dice_fraction <= 1))
    return status_set(STATUS_BAD_OPTION,
                      "focal gamma %g must be 0 or more, the dice fraction %g between 0 and 1",
                      (double)loss.focal_gamma, (double)loss.dice_fraction);
  return STATUS_OK;
}

int64_t segmentation_sums_count(int32_t class_count)
{
  return 2 + 3 * (int64_t)class_count;
}

double segmentation_loss_value(SegmentationLoss loss, const float *sums)
{
  const double cross = sums[1] > 0 ? (double)sums[0] / (double)sums[1] : 0;
  double dice = 0;
  for (int32_t c = 0; c < loss.class_count; ++c) {
    const float *of_class = sums + 2 + 3 * c;
    if (of_class[2] > 0)
      dice += 1 - 2 * (double)of_class[0] / fmax((double)of_class[1] + (double)of_class[2], 1e-7);
  }
  return (1 - (double)loss.dice_fraction) * cross +
         (double)loss.dice_fraction * dice / loss.class_count;
}
