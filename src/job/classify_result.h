#pragma once

#include "classify_join.h"
#include "classify_options.h"
#include "job/job.h"
#include "model_package.h"

/* Whether the result can stand over the ranks' own shards: not when tiles were blended (they hold
 * tiles, not pixels), nor where it would have more parts than a reader likes to look at. Then the
 * join writes one file for it. */
bool classify_result_is_virtual(const ClassifyTask *task);

/* On rank 0, after the join. Writes the HDF5 result: arrays "class" (rows, columns) and, if it was
 * wanted, "probability" (rows, columns, classes; value / 250), over the shards or over joined_name
 * in the task's folder; groups "plan", "options", "provenance", "coverage" with their attributes.
 */
Status classify_result_write(const Job *job, const ClassifyOptions *given, const ClassifyTask *task,
                             const Ledger *ledger, const char *joined_name,
                             const ClassifyCoverage *coverage);
