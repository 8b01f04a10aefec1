#pragma once

#include "detect_engine.h"
#include "detect_options.h"
#include "job/job.h"

extern const Tool detect_tool;

/* Collective. What the tool does, with an engine of the caller's: tests put another one in place of
 * the networks. */
Status detect_run(const Job *job, const DetectOptions *given, const DetectEngine *table);
