#pragma once

#include "job/job.h"

/* What detect would take: the tool's plan. */
Status detect_plan(const Job *job, const void *values, const struct Plan *plan);
