#pragma once

#include "detector_stages.h"

/* A golden file of tests/golden/mask_rcnn.py and what it says of the network that made it. */
typedef struct GoldenDetector {
  Golden *golden;
  Reference reference;
  MaskRcnn model;
  bool inference, training; /* what it holds */
  bool resized;
  int32_t images, height_px, width_px; /* images, before they are resized */
  int32_t object_count;
  DetectorOptions options[2]; /* inference, training; float32 */
  FormulaScene scene;
  char scene_name[32];
} GoldenDetector;

/* name: "mask_rcnn_resnet18_frozen". */
GoldenDetector golden_detector_open(const char *name);
void golden_detector_close(GoldenDetector *golden);

/* A DetectorFill; context is the Golden. */
void golden_detector_fill(void *context, const Parameter *parameter, float *values);

/* torchvision's, of three bands. */
extern const float golden_detector_mean[3];
extern const float golden_detector_std[3];

/* With the golden weights and scene; options: one of the golden's, changed as the test likes. */
DetectorTrial *golden_detector_trial(const GoldenDetector *golden, const TestBackend *on,
                                     DetectorOptions options);
DetectorScene golden_detector_scene(const GoldenDetector *golden, Room *room);
