#pragma once

#include <stdint.h>

#include "op/segmentation_loss.h"
#include "tensor/bf16.h"

/* The class of one pixel: the lowest index of the largest logit; LABEL_IGNORE if one is NaN. */
SHARED_INLINE uint8_t argmax_element(int32_t class_count, const float *logits)
{
  int32_t best = 0;
  int32_t nan_count = 0;
  for (int32_t k = 0; k < class_count; ++k) {
    best = logits[k] > logits[best] ? k : best;
    nan_count += logits[k] != logits[k];
  }
  return (uint8_t)(nan_count > 0 ? LABEL_IGNORE : best);
}
