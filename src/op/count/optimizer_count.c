#include "count_backend.h"
#include "note.h"

static double floats(int64_t count, double tensors)
{
  return tensors * (double)count * sizeof(float);
}

void clip_scale_count(Device *device, int64_t count, const float *g, float norm_limit, float *norm,
                      float *scale, void *scratch)
{
  OpWork work = moved(OP_OPTIMIZER, floats(count, 1), 0);
  work.launches = 2;
  note(device, work);
}

void loss_scale_step_count(Device *device, float norm_limit, float *norm, float *scale,
                           float *state)
{
  note(device, moved(OP_OPTIMIZER, 0, 0));
}

void sgd_step_count(Device *device, const SgdStep *step, int64_t count, const float *scale,
                    const float *g, float *w, float *v)
{
  note(device, moved(OP_OPTIMIZER, floats(count, 3), floats(count, 2)));
}

void adamw_step_count(Device *device, const AdamwStep *step, int64_t count, const float *scale,
                      const float *g, float *w, float *m, float *v)
{
  note(device, moved(OP_OPTIMIZER, floats(count, 4), floats(count, 3)));
}
