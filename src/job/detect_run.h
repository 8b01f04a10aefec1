#pragma once

#include "detect_record.h"
#include "detect_setup.h"
#include "raster_run.h"

/* What a run of detect owns; closing ends it in any state. */
typedef struct Detection {
  const Job *job;
  const DetectOptions *given;
  const DetectEngine *table;
  Raster *raster;
  void *model;
  Device *device;
  DetectTask task;
  void *engine;
  DetectLook *look;
  DetectRecord record; /* the writer's, from here on */
  DetectList kept;
  RasterRun run;
} Detection;

/* Collective. With job, given and table: inputs, device, task and tiles; what an earlier run left is
 * not looked at, and nothing is written. */
Status detection_open(Detection *d);
void detection_close(Detection *d);

/* Local. The engine, and what looks with it. */
Status detection_open_engine(Detection *d);
void detection_close_engine(Detection *d);

/* What the pipeline calls. */
TileCalls detection_calls(Detection *d);
