#pragma once

#include "detect_engine.h"
#include "detect_look.h"
#include "detect_options.h"
#include "raster_task.h"

/* What is to be found, settled on every rank before anything runs. */
typedef struct DetectTask {
  RasterTask raster;
  DetectModel model;
  DetectEngineOptions engine;
  MergeOptions merge;
  bool augments;
  DetectPolicy policy;
  bool takes_boxes;   /* objects are written as their boxes */
  const bool *wanted; /* by class index, from 1 */
  double simplify_px; /* 0: outlines are exact */
  const char *result; /* "": none */
} DetectTask;

/* Local. Whether outputs can be written, may be replaced, and do not hit the raster. */
Status detect_check_outputs(const Job *job, const DetectOptions *given);

/* Local, on every rank alike; rank 0 says what it noticed. Fills the task but for element, sizes,
 * tiles and identity. Texts and lists live in the arena of the job, or are the model's. */
Status detect_task_make(const Job *job, const DetectOptions *given, Raster *raster,
                        const DetectModel *model, DetectTask *task);

/* Collective. Tells jobs apart: raster, model, and all options that what is found in tiles depends
 * on. */
Status detect_identify(const Job *job, const DetectOptions *given, const Device *device,
                       DetectTask *task);

/* Collective. Lays the tiles and chooses the batch size, which engines of model are asked for. */
Status detect_lay_tiles(const Job *job, const DetectOptions *given, const Raster *raster,
                        const DetectEngine *table, void *model, Device *device, DetectTask *task);

DetectLookOptions detect_look_options(const DetectTask *task);
