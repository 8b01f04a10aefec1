#pragma once

#include "tensor/shape.h"

/* The loss of a map: a blend of softmax cross-entropy (or its focal form) and dice, over all ranks'
 * pixels.
 *
 *   Shapes    logits         N x H x W x C, C >= class_count; channels past class_count take no part
 *             labels         N x H x W, one byte: the class's index, or LABEL_IGNORE for a pixel
 *                            that has no say
 *             class_weights  class_count, float32
 *             sums           segmentation_sums_count(class_count), float32, see below
 *   Formula   p = softmax(logits), t a pixel's label, w = class_weights, over the pixels with a
 *             label:
 *             cross = sum w[t] (1 - p[t])^focal_gamma (-log p[t]) / sum w[t]
 *             dice  = mean over all classes of 1 - 2 I / max(P + T, 1e-7), 0 for a class that has
 *                     no pixel; per class I = sum of p where t is the class, P = sum of p, T =
 *                     number of t
 *             loss  = (1 - dice_fraction) cross + dice_fraction dice
 *   Sums      [0] sum of w[t] (1 - p[t])^gamma (-log p[t]); [1] sum of w[t]; then I, P, T of each
 *             class. The sums of several ranks are added before the backward pass, so that the loss
 *             does not depend on how many ranks there are
 *   Gradient  dlogits is written (0 at ignored pixels and padded channels), times scale: a
 *             number in device memory, or NULL for 1 (loss_scale.h)
 *   NaN       spreads to the sums, and so to the loss, which the caller checks
 *   Errors    in plan only: STATUS_BAD_SHAPE, STATUS_BAD_OPTION
 *   Source    Lin et al., "Focal loss", 2017, section 3; dice as segmentation_models_pytorch,
 *             DiceLoss(multiclass, from_logits) */
enum { LABEL_IGNORE = 255, CLASS_COUNT_MOST = 254 };

typedef struct SegmentationLoss {
  int32_t class_count;
  float focal_gamma;
  float dice_fraction;
} SegmentationLoss;

Status segmentation_loss_plan(SegmentationLoss loss, Shape logits);
int64_t segmentation_sums_count(int32_t class_count);
/* The loss, on the host, from the sums of all ranks; 0 when no pixel has a label. */
double segmentation_loss_value(SegmentationLoss loss, const float *sums);
