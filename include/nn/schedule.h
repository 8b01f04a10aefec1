#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The learning rate of each step, and for one-cycle the momentum (SGD's, AdamW's beta1) that goes
 * against it.
 *
 *   constant    rate
 *   multi_step  rate, divided by 10 at each milestone
 *   poly        rate (1 - t)^0.9 over the steps after the warm-up
 *   cosine      rate (1 + cos(pi t)) / 2 over the steps after the warm-up, t from 0 to 1
 *   one_cycle   30 % of the steps from rate / 25 up to rate, the rest down to rate / 250000, both
 *               along a half cosine; the momentum from 0.95 to 0.85 and back (Smith and Topin,
 *               "Super-convergence", 2018; as PyTorch's OneCycleLR)
 *   warm-up     the first steps rise evenly from rate / (steps of warm-up) to rate; one_cycle has
 *               its own and takes none */
typedef enum ScheduleKind {
  SCHEDULE_CONSTANT,
  SCHEDULE_COSINE,
  SCHEDULE_ONE_CYCLE,
  SCHEDULE_MULTI_STEP,
  SCHEDULE_POLY
} ScheduleKind;
#define SCHEDULE_CHOICES "constant|cosine|one_cycle|multi_step|poly"
enum { SCHEDULE_MILESTONES_MOST = 16 };

typedef struct Schedule {
  ScheduleKind kind;
  double rate; /* the highest */
  int64_t step_count;
  int64_t warm_up_steps;
  int64_t milestones[SCHEDULE_MILESTONES_MOST]; /* multi_step: steps */
  int32_t milestone_count;
  bool cycle_momentum; /* one_cycle: as above; else the momentum stays */
} Schedule;

/* step counts from 0; past the last step the last rate stays. */
double schedule_rate(const Schedule *schedule, int64_t step);
/* momentum: what it is where the schedule has none of its own. */
double schedule_momentum(const Schedule *schedule, int64_t step, double momentum);
