#pragma once

#include "classify_engine.h"
#include "classify_options.h"
#include "classify_task.h"
#include "geo/raster.h"
#include "model_package.h"

/* What stands between the options and the first tile: do raster, model and outputs fit; the task;
 * the batch size; what an earlier run left. */

/* Local. Whether outputs can be written, may be replaced, and do not hit the raster. */
Status classify_check_outputs(const Job *job, const ClassifyOptions *given);

/* Local, on every rank alike; rank 0 says what it noticed. Fills the task but for tiles and what
 * belongs to the folder. Texts and lists live in the arena of the job; classes are the model's. */
Status classify_task_make(const Job *job, const ClassifyOptions *given, Raster *raster,
                          const Model *model, ClassifyTask *task);

/* Local. The first class is never chosen from now on. */
Status classify_hide_background(Model *model);

/* Collective. Tells jobs apart: raster, weights, and all options that the output depends on. */
Status classify_identify(const Job *job, const ClassifyOptions *given, const Model *model,
                         const Device *device, Element element, ClassifyTask *task);

/* Collective. Lays the tiles; finds the batch size: the option's, else an earlier run's, else what
 * fits the smallest device. */
Status classify_lay_tiles(const Job *job, const ClassifyOptions *given, const Raster *raster,
                          const Model *model, Device *device, ClassifyEngineOptions *engine,
                          ClassifyTask *task);
