#pragma once

#include "base/progress.h"
#include "classify_engine.h"
#include "classify_shard.h"
#include "classify_task.h"
#include "comm/work.h"

/* The way of a rank's batches: reader threads take units from the work service and decode, the
 * caller's thread computes, a writer thread stores. A few slots go round; nothing else is held.
 *
 *   FREE -> reader -> READY -> caller -> DONE -> writer -> FREE */

/* Local. Runs until no unit is left for this rank. A signal (base/interrupt.h) cancels the work for
 * all ranks: the batch at hand is ended, what is stored is journaled; STATUS_INTERRUPTED. Any other
 * error cancels too and keeps what is stored. */
Status classify_pipeline_run(const ClassifyTask *task, ClassifyEngine *engine, Work *work,
                             ShardWriter *writer, Progress *progress);
