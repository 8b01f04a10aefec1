#pragma once

#include "geo/class_table.h"
#include "geo/pixel.h"
#include "job/job.h"
#include "model/unet.h"
#include "op/normalize.h"
#include "store/document.h"

/* A trained model with its full input contract: what train writes and classify reads (.dlpk, or an
 * .emd beside its weights). Labels of training are indices into classes; index 0 is the background,
 * or the first class where every pixel has one. */
enum {
  MODEL_NAME_BYTES = 64,
  MODEL_BANDS_MOST = NORMALIZE_CHANNELS_MOST,
  MODEL_CLASSES_MOST = 254
};

typedef struct Model {
  Unet unet;
  ClassEntry *classes; /* by index: value, name, colour; unet.classes of them */
  PixelType pixel;     /* of the rasters it was trained on */
  double *means;       /* unet.bands each, in the raster's values */
  double *standard_deviations;
  int32_t *extract_bands; /* unet.bands: the raster's band (from 0) that is the network's band i */
  int32_t tile_size_px;
  double cell_size_m;      /* of the training imagery, 0: unknown */
  int64_t batches_tracked; /* steps of training, what PyTorch calls num_batches_tracked */
  Graph *graph;
  float *trained; /* host memory, the flat blocks of the graph's parameters */
  float *statistics;
} Model;

/* Local. From model->unet alone: builds the graph and makes all arrays, zeroed; extract_bands
 * counts up. The other fields are left as they are. On failure nothing is left to close. */
Status model_allocate(Model *model);

/* Collective. Reads a package on rank 0 and gives it to all; all ranks succeed or none does (then
 * model is empty). Also takes packages without our own keys, if they say what is needed: encoder
 * (ModelParameters.backbone), band_mean_values and band_std_values (in the raster's values), and
 * weights by segmentation_models_pytorch's names. Errors: STATUS_IO; STATUS_BAD_INPUT (damaged,
 * weights that are no numbers); STATUS_MISMATCH (not a U-Net, weights that do not fit, missing
 * normalisation); STATUS_UNSUPPORTED (made by a later version). */
Status model_open(const Job *job, const char *path, Model *model);
void model_close(Model *model); /* accepts an empty (zeroed) one */

/* Local, on rank 0. Writes the package: weights as .safetensors, the .emd, metrics.json and
 * provenance.json (either may be NULL). The same model gives the same bytes. */
Status model_write(const Model *model, const char *path, const Document *metrics,
                   const Document *provenance);
