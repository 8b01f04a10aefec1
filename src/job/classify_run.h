#pragma once

#include "classify_engine.h"
#include "classify_pack.h"
#include "classify_setup.h"
#include "raster_run.h"

/* What a run of classify owns; closing ends it in any state. */
typedef struct Classification {
  const Job *job;
  const ClassifyOptions *given;
  Raster *raster;
  Model model;
  Device *device;
  ClassifyTask task;
  ClassifyEngineOptions engine_options;
  ClassifyEngine engine;
  ClassifyPack pack;
  RasterRun run;
} Classification;

/* Collective. With job and given: inputs, device, task and tiles; what an earlier run left is not
 * looked at, and nothing is written. */
Status classification_open(Classification *c);
void classification_close(Classification *c);

/* What the pipeline calls. */
TileCalls classification_calls(Classification *c);
