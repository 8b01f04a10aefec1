#pragma once

#include "model/detector.h"
#include "support/backends.h"

/* A detector on one backend, with weights and images of the test's. Any failure fails the test. */

/* What is to be seen and found, in host memory. */
typedef struct DetectorScene {
  int32_t images, height_px, width_px; /* room for the largest image */
  int32_t bands;
  int32_t object_count; /* room for, per image */
  int32_t *sizes;       /* images x 2: height and width of each */
  int32_t *counts;      /* images: objects of each */
  float *x;             /* images x height x width x bands, 0 … 1, not normalised */
  float *boxes;         /* images x object_count x 4 */
  int32_t *labels;
  uint8_t *masks; /* images x object_count x height x width, 0 or 1 */
} DetectorScene;

/* All of that, zeros; every image as large as there is room. */
DetectorScene scene_room(Room *room, int32_t images, int32_t height_px, int32_t width_px,
                         int32_t bands, int32_t object_count);
/* formula_scene's. */
DetectorScene scene_by_formula(Room *room, const char *name, FormulaScene formula);
/* Another scene of the given images of a scene. */
DetectorScene scene_of_images(Room *room, const DetectorScene *scene, const int32_t *images,
                              int32_t count);

typedef struct DetectorTrial {
  const TestBackend *on;
  Room *room;
  DetectorParts parts;
  DetectorOptions options;
  Detector *detector;
  float *trained, *statistics; /* host: what it starts with */
  float *device_trained, *device_statistics, *device_gradients;
  const float *mean, *std; /* of the bands, host, borrowed */
  DetectorScene scene;     /* the last fed */
  uint64_t first_image;    /* the number of its first image, for streams */
} DetectorTrial;

/* Fills one parameter. */
typedef void DetectorFill(void *context, const Parameter *parameter, float *values);

/* For inference the weights are loaded, for training bound and packed, with gradients of 0. */
DetectorTrial *detector_trial_open(const TestBackend *on, MaskRcnn model, DetectorOptions options,
                                   DetectorFill *fill, void *context, const float *mean,
                                   const float *std);
void detector_trial_close(DetectorTrial *trial);

/* Images, normalised, and in training the truth; streams are numbers from
 * first_image on. Borrows the scene. */
void detector_trial_feed(DetectorTrial *trial, const DetectorScene *scene);

/* Forward, and the choice of samples; and the rest of a step. */
void detector_trial_forward(DetectorTrial *trial);
void detector_trial_learn(DetectorTrial *trial);
void detector_trial_losses(DetectorTrial *trial, double losses[DETECTOR_LOSSES]);
/* Host; of the room. */
float *detector_trial_gradients(DetectorTrial *trial);
float *detector_trial_statistics(DetectorTrial *trial);

/* A tensor of the device's in PyTorch's layout, N x channels x H x W, from and to. */
float *detector_trial_get(DetectorTrial *trial, const void *memory, Shape shape, int32_t channels);
void detector_trial_put(DetectorTrial *trial, void *memory, Shape shape, int32_t channels,
                        const float *values);
/* Small lists. */
void detector_trial_upload(DetectorTrial *trial, void *to, const void *from, size_t bytes);
void *detector_trial_download(DetectorTrial *trial, const void *from, size_t bytes);

/* A head over regions from the trunk's features, as the detector runs it, part by part: rows in
 * PyTorch's layout. graph: 1 box head, 2 mask head. outputs as many as the graph has. */
typedef struct HeadRun {
  int32_t rows;
  float *pooled; /* rows x 256 x side x side */
  int32_t pooled_px;
  float *outputs[2];
  int64_t per_row[2];
} HeadRun;

HeadRun detector_trial_head(DetectorTrial *trial, int32_t graph, const Regions *regions,
                            int32_t rows);
/* Regions of a list: capacity is rounded up to what a head takes at once. */
Regions detector_trial_regions(DetectorTrial *trial, int32_t graph, int32_t rows,
                               const float *boxes, const int32_t *images);

/* What was found, host memory. Masks pasted with all values: rows one after another, of image after
 * image. */
typedef struct FoundByTrial {
  int32_t *counts;
  float *boxes, *scores; /* images x detection_count … */
  int32_t *classes, *dropped;
  int32_t rows; /* of all images */
  float *masks; /* rows x 28 x 28; NULL without masks */
  int32_t *row_images;
} FoundByTrial;

FoundByTrial detector_trial_found(DetectorTrial *trial);
/* Row by row in the whole image, floats of 0 … 1: rows x height x width of that image. */
float *detector_trial_pasted(DetectorTrial *trial, const FoundByTrial *found, int32_t image);
