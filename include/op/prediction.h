#pragma once

#include "tensor/shape.h"

/* What a map's logits say.
 *
 *   softmax    probabilities N x H x W x class_count, float32, from logits N x H x W x C, C >=
 *              class_count
 *   argmax     classes N x H x W, one byte: the index of the largest logit. Ties: the lowest index.
 *              NaN: a pixel that holds one gets LABEL_IGNORE
 *   confusion  counts[label * class_count + class] += 1 for every pixel whose label is not
 *              LABEL_IGNORE; 64-bit, exact */
Status prediction_plan(Shape logits, int32_t class_count);
