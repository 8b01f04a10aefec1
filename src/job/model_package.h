#pragma once

#include "geo/class_table.h"
#include "geo/pixel.h"
#include "job/job.h"
#include "model/detector.h"
#include "model/unet.h"
#include "op/normalize.h"
#include "store/document.h"

/* A trained model with its full input contract: what train writes, and classify and detect read
 * (.dlpk, or an .emd beside its weights). */
enum {
  MODEL_NAME_BYTES = 64,
  MODEL_BANDS_MOST = NORMALIZE_CHANNELS_MOST,
  MODEL_CLASSES_MOST = 254
};

typedef enum ModelKind { MODEL_UNET, MODEL_MASK_RCNN, MODEL_FASTER_RCNN } ModelKind;
#define MODEL_KIND_CHOICES "unet|mask_rcnn|faster_rcnn"

const char *model_kind_name(ModelKind kind);  /* "mask_rcnn" */
const char *model_kind_title(ModelKind kind); /* "Mask R-CNN" */

/* What a detector's package says beside its weights. */
typedef struct ModelDetector {
  float norm_eps;
  int32_t anchor_sizes_px[MASK_RCNN_MAPS];
  double threshold;   /* of scores, below which an object is none; 0 … 1 */
  double nms_overlap; /* IoU of boxes above which the weaker one goes */
} ModelDetector;

typedef struct Model {
  ModelKind kind;
  Encoder encoder;
  int32_t bands;
  int32_t class_count;
  /* Value, name, colour. Of a U-Net by its output: index 0 is the background, or the first class
   * where every pixel has one. Of detectors without the background: class i, from 1, is classes[i -
   * 1]. */
  ClassEntry *classes;
  ModelDetector detector; /* of detectors */
  PixelType pixel;        /* of the rasters it was trained on */
  double *means;          /* bands each, in the raster's values */
  double *standard_deviations;
  int32_t *extract_bands; /* bands: the raster's band (from 0) that is the network's band i */
  int32_t tile_size_px;
  double cell_size_m;      /* of the training imagery, 0: unknown */
  int64_t batches_tracked; /* steps of training, what PyTorch calls num_batches_tracked */
  Graph *graph;            /* of a U-Net */
  DetectorParts parts;     /* of detectors: nothing frozen */
  float *trained;          /* host memory, the flat blocks of model_parameters */
  float *statistics;
} Model;

const ParameterList *model_parameters(const Model *model);

/* Local. From kind, encoder, bands, class_count and detector.norm_eps alone: builds the graphs and
 * makes all arrays, zeroed; extract_bands counts up. The other fields are left as they are. On
 * failure nothing is left to close. */
Status model_allocate(Model *model);

/* What a package is opened for. */
typedef enum ModelUse { MODEL_FOR_ANY, MODEL_FOR_MAPS, MODEL_FOR_OBJECTS } ModelUse;

/* Collective. Reads a package on rank 0 and gives it to all; all ranks succeed or none does (then
 * model is empty). Also takes packages without our own keys, if they say what is needed: encoder
 * (ModelParameters.backbone), band_mean_values and band_std_values (in the raster's values), and
 * weights by segmentation_models_pytorch's or torchvision's names. Errors: STATUS_IO;
 * STATUS_BAD_INPUT (damaged, weights that are no numbers); STATUS_MISMATCH (of no use for this,
 * weights that do not fit, missing normalisation); STATUS_UNSUPPORTED (made by a later version). */
Status model_open(const Job *job, const char *path, ModelUse use, Model *model);
void model_close(Model *model); /* accepts an empty (zeroed) one */

/* Local, on rank 0. Writes the package: weights as .safetensors, the .emd, metrics.json and
 * provenance.json (either may be NULL). The same model gives the same bytes. */
Status model_write(const Model *model, const char *path, const Document *metrics,
                   const Document *provenance);
