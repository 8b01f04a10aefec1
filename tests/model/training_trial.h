#pragma once

#include "detector_trial.h"
#include "nn/optimizer.h"
#include "unet_trial.h"

/* Trainings on made-up images that can be learnt, the same on every backend: the formula's weights,
 * and batch i is the formula's image or scene "batchI". For loss curves and for what is learnt. */
typedef struct TrainingRecipe {
  const char *name;
  bool detects;                           /* Mask R-CNN, else U-Net; both over a ResNet-18 */
  bool norm_frozen;                       /* Mask R-CNN's */
  int32_t regions, positives, detections; /* Mask R-CNN's, of an image: 258 regions are all that
                                             32 x 32 px have, and then nothing is chosen */
  int32_t images, side_px;
  int32_t steps;
  int32_t held_out; /* batches that it is judged by afterwards, "held outI" */
  OptimizerOptions optimizer;
} TrainingRecipe;

/* How far floats may lie apart is shown by curves of 50 steps; what 16 bits cost in the end, by
 * trainings that have learnt their images. The short ones are for machines that play a GPU. */
extern const TrainingRecipe unet_curve;
extern const TrainingRecipe mask_rcnn_curve;
extern const TrainingRecipe unet_learning;
extern const TrainingRecipe mask_rcnn_learning;
enum { TRAINING_STEPS_MOST = 1000 };

typedef struct Training {
  const TestBackend *on;
  const TrainingRecipe *recipe;
  Element element;
  UnetTrial *unet;         /* one of the two */
  DetectorTrial *detector; /* of the steps; NULL while it is judged */
  Optimizer *optimizer;
  int step;
} Training;

/* noise: each weight is off by so much of itself, at random; 0: none. Any failure fails the test. */
Training training_open(const TestBackend *on, const TrainingRecipe *recipe, Element element,
                       double noise);
void training_close(Training *training);
/* One step; the loss before it. */
double training_step(Training *training);

/* How well the weights do now on the held-out images.
 *
 *   U-Net        share of pixels that are right, and the mean IoU of the classes
 *   Mask R-CNN   share of objects that are found (a detection of their class with a score of at
 *                least 0.5 and an IoU of boxes of at least 0.5), and the mean over all objects of
 *                the best such detection's IoU of masks, 0 where there is none */
typedef struct TrainingScore {
  double found;
  double mean_iou;
} TrainingScore;

TrainingScore training_score(Training *training);
