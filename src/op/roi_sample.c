#include "op/roi_sample.h"

Status roi_sample_plan(RoiSampling sampling, int32_t images)
{
  if (sampling.count < 1 || sampling.positive_count < 0 || sampling.positive_count > sampling.count)
    return status_set(STATUS_BAD_OPTION,
                      "%d regions of an image are sampled, %d of them with an object at most: the "
                      "first must be 1 or more, the second 0 to the first",
                      sampling.count, sampling.positive_count);
  if (!(sampling.iou_least > 0 && sampling.iou_least <= 1))
    return status_set(STATUS_BAD_OPTION,
                      "the IoU from which a region has an object is %g; it must be above 0 and at "
                      "most 1",
                      (double)sampling.iou_least);
  if ((int64_t)images * sampling.count > INT32_MAX / 4)
    return status_set(STATUS_BAD_SHAPE, "roi_sample: %d regions of each of %d images are too many",
                      sampling.count, images);
  return STATUS_OK;
}
