#pragma once

#include "job/job.h"

/* What classify would take: the tool's plan. */
Status classify_plan(const Job *job, const void *values, const struct Plan *plan);
