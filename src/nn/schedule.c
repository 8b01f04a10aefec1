#include "nn/schedule.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

/* From a (t = 0) to b (t = 1) along a half cosine. */
static double half_cosine(double a, double b, double t)
{
  return b + (a - b) / 2 * (1 + cos(pi * t));
}

static double clamped(double t)
{
  return t < 0 ? 0 : t > 1 ? 1 : t;
}

/* The value of a cycle: low at first, high after 30 % of the steps, then last. */
static double cycle(const Schedule *s, int64_t step, double first, double peak, double last)
{
  const double rising = 0.3 * (double)s->step_count - 1;
  const double falling = (double)s->step_count - 1 - rising;
  const double position = (double)step;
  if (rising > 0 && position <= rising) return half_cosine(first, peak, position / rising);
  return falling > 0 ? half_cosine(peak, last, clamped((position - rising) / falling)) : peak;
}

static double multi_step(const Schedule *s, int64_t step)
{
  double rate = s->rate;
  for (int32_t i = 0; i < s->milestone_count; ++i)
    if (step >= s->milestones[i]) rate /= 10;
  return rate;
}

static double poly(const Schedule *s, int64_t step)
{
  const double length = (double)(s->step_count - s->warm_up_steps);
  const double done = length > 0 ? clamped((double)(step - s->warm_up_steps) / length) : 0;
  return s->rate * pow(1 - done, 0.9);
}

static double cosine(const Schedule *s, int64_t step)
{
  const double length = (double)(s->step_count - s->warm_up_steps);
  return length > 0 ? half_cosine(s->rate, 0, clamped((double)(step - s->warm_up_steps) / length))
                    : s->rate;
}

double schedule_rate(const Schedule *s, int64_t step)
{
  if (s->kind == SCHEDULE_ONE_CYCLE)
    return cycle(s, step, s->rate / 25, s->rate, s->rate / 25 / 1e4);
  if (step < s->warm_up_steps) return s->rate * (double)(step + 1) / (double)s->warm_up_steps;
  switch (s->kind) {
  case SCHEDULE_COSINE: return cosine(s, step);
  case SCHEDULE_MULTI_STEP: return multi_step(s, step);
  case SCHEDULE_POLY: return poly(s, step);
  case SCHEDULE_CONSTANT:
  case SCHEDULE_ONE_CYCLE: break;
  }
  return s->rate;
}

double schedule_momentum(const Schedule *s, int64_t step, double momentum)
{
  return s->kind == SCHEDULE_ONE_CYCLE && s->cycle_momentum ? cycle(s, step, 0.95, 0.85, 0.95)
                                                            : momentum;
}
