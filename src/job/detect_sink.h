#pragma once

#include "detect_result.h"
#include "geo/object_file.h"
#include "geo/quicklook.h"

/* Where whole objects go: the features' file, the HDF5 result and the picture; one after the other,
 * nothing is held. */
typedef struct DetectSink {
  const Job *job;
  const DetectOptions *given;
  const DetectTask *task;
  ObjectFile *file;
  DetectResult *result; /* NULL: not wanted */
  Quicklook *look;      /* likewise */
  PixelRun *runs;       /* scratch */
  int64_t run_capacity;
  DetectCounts *counts;
} DetectSink;

/* sink is closed in any case. */
Status detect_sink_open(const Job *job, const DetectOptions *given, const DetectTask *task,
                        Raster *raster, DetectCounts *counts, DetectSink *sink);
/* A TakeObject; the context is the sink. */
Status detect_sink_take(void *context, const WholeObject *object, bool *wanted);
/* When all counts are known: gives the files their names, the features' file last. */
Status detect_sink_finish(DetectSink *sink);
void detect_sink_close(DetectSink *sink);
