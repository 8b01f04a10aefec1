#include "fold.h"

#include <math.h>

void fold_norm(FoldedNorm norm, int64_t count, const float *weights, float *folded_weights,
               float *folded_bias)
{
  const int64_t per_channel = count / norm.channels;
  const double eps = (double)norm.eps;
  for (int64_t c = 0; c < norm.channels; ++c) {
    const double scale = (double)norm.weight[c] / sqrt((double)norm.variance[c] + eps);
    const double shift = (double)norm.bias[c] - (double)norm.mean[c] * scale;
    folded_bias[c] = (float)shift;
    for (int64_t i = 0; i < per_channel; ++i)
      folded_weights[c * per_channel + i] = (float)((double)weights[c * per_channel + i] * scale);
  }
}
