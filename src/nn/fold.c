#include "fold.h"

#include <math.h>

void fold_norm(const Parameter *weight, const Parameter *norm, const float *trained,
               const float *statistics, float *folded_weight, float *folded_bias)
{
  const int64_t channels = norm[0].count;
  const int64_t per_channel = weight->count / channels;
  const float *w = trained + weight->offset;
  for (int64_t c = 0; c < channels; ++c) {
    const double variance = (double)statistics[norm[3].offset + c];
    const double scale = (double)trained[norm[0].offset + c] / sqrt(variance + 1e-5);
    const double shift =
        (double)trained[norm[1].offset + c] - (double)statistics[norm[2].offset + c] * scale;
    folded_bias[c] = (float)shift;
    for (int64_t i = 0; i < per_channel; ++i)
      folded_weight[c * per_channel + i] = (float)((double)w[c * per_channel + i] * scale);
  }
}
