#pragma once

#include "training_trial.h"

/* What training_trial.c and training_score.c share. */
enum { TRAINING_CLASSES = 3, TRAINING_OBJECTS = 4 };

/* Both with the formula's weights. */
DetectorTrial *training_detector(const TestBackend *on, const TrainingRecipe *recipe,
                                 Element element, bool training);
UnetTrial *training_unet(const TestBackend *on, const TrainingRecipe *recipe, Element element,
                         bool training);
DetectorScene training_scene(const TrainingRecipe *recipe, Room *room, const char *name);
const ParameterList *training_parameters(const Training *training);
