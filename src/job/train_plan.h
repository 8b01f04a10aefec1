#pragma once

#include "job/job.h"

/* What a training would take: the tool's plan. */
Status train_plan(const Job *job, const void *values, const struct Plan *plan);
