#pragma once

#include "detector_trial.h"
#include "reference.h"

/* A detector's stages against a reference: names and shapes are those of tests/parity/README.md.
 * The trial has been fed. Whole chain, or each stage with the reference's input. */
void detector_stages_inference(DetectorTrial *trial, const Stages *stages);
/* A step of training but for the update. The samples are the reference's where it has the lists
 * whole (train.rpn.I.positives …, train.rois.I.…) and its choice of them is compared where
 * everything is sampled; else our own. everything: nothing is drawn at random. */
void detector_stages_training(DetectorTrial *trial, const Stages *stages, bool everything);
