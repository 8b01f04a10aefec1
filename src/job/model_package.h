#pragma once

#include "geo/class_table.h"
#include "geo/pixel.h"
#include "job/job.h"
#include "model/unet.h"
#include "store/document.h"

/* A trained model with its full input contract: what train writes and classify reads (.dlpk, or an
 * .emd beside its weights). Labels of training are indices into classes; index 0 is the background,
 * or the first class where every pixel has one. */
enum { MODEL_NAME_BYTES = 64 };

typedef struct Model {
  Unet unet;
  ClassEntry *classes; /* by index: value, name, colour; unet.classes of them */
  PixelType pixel;     /* of the rasters it was trained on */
  double *means;       /* unet.bands each, in the raster's values */
  double *standard_deviations;
  int32_t tile_size_px;
  double cell_size_m; /* of the training imagery, 0: unknown */
  Graph *graph;
  float *trained; /* host memory, the flat blocks of the graph's parameters */
  float *statistics;
} Model;

/* Collective. Reads a package on rank 0 and gives it to all; all ranks succeed or none does.
 * Errors: STATUS_IO, STATUS_BAD_INPUT, STATUS_MISMATCH (not a U-Net, weights that do not fit,
 * missing normalisation). */
Status model_open(const Job *job, const char *path, Model *model);
void model_close(Model *model);

/* Local, on rank 0. Writes the package: weights as .safetensors, the .emd, metrics and provenance
 * as JSON. */
Status model_write(const Model *model, const char *path, const Document *metrics,
                   const Document *provenance);
