#pragma once

#include <stdint.h>
#include <string.h>

/* Numbers that C and Python make alike, bit for bit, so that golden files hold results only and
 * never the 14 to 30 million weights they were computed with. tests/golden/formula.py is the same
 * in Python; change both or none.
 *
 *   seed(name)          FNV-1a of the name, 32 bits
 *   bits(seed, index)   a 32-bit mix of seed + index * 0x9E3779B1 ("lowbias32")
 *   unit                the upper 24 bits times 2^-24: 0 <= unit < 1, exact in float32
 *   signed              2 unit - 1, exact too */
static inline uint32_t formula_seed(const char *name)
{
  uint32_t seed = 0x811C9DC5U;
  for (const char *letter = name; *letter != '\0'; ++letter)
    seed = (seed ^ (uint8_t)*letter) * 0x01000193U;
  return seed;
}

static inline uint32_t formula_bits(uint32_t seed, uint32_t index)
{
  uint32_t bits = seed + index * 0x9E3779B1U;
  bits = (bits ^ (bits >> 16)) * 0x7FEB352DU;
  bits = (bits ^ (bits >> 15)) * 0x846CA68BU;
  return bits ^ (bits >> 16);
}

static inline float formula_unit(uint32_t seed, uint32_t index)
{
  return (float)(formula_bits(seed, index) >> 8) * 0x1p-24F;
}

static inline float formula_signed(uint32_t seed, uint32_t index)
{
  return 2.0F * formula_unit(seed, index) - 1.0F;
}

/* Fills a tensor of a network by its name in PyTorch's state_dict; rank and dims as there (O, I,
 * kh, kw for a convolution). Every operation is one that IEEE 754 rounds correctly, so Python's
 * numbers are the same ones.
 *
 *   4 dims           signed * sqrt(6 / fan_in): keeps the size of activations behind a relu
 *   … .weight        0.75 + 0.25 unit: the scale of a batch norm
 *   … .bias          2.25 + 0.5 unit, negative where the top bit of bits(seed("sign" + name)) is
 *                    set, but in the norms before a residual's sum (bn2, bn3, downsample) positive
 *   … .running_var   0.5 + unit
 *   … .running_mean  0.25 signed
 *
 * With biases of 2 to 4 deviations hardly any value lies near a relu's corner. Otherwise rounding
 * alone would turn some relu on or off in the deep layers of few pixels, and gradients of float32
 * would differ from those of float64 by several percent, in PyTorch as well. */
void formula_fill(const char *name, int rank, const int64_t *dims, float *values);

/* Weights to train from: convolutions as above, the rest as PyTorch starts them (weight and
 * running_var 1, bias and running_mean 0). */
void formula_fill_initial(const char *name, int rank, const int64_t *dims, float *values);

/* Weights of the golden detectors, before the scales in their golden files (scale.NAME times every
 * element; float32): in the backbone's body (".body." in the name) as formula_fill; elsewhere 4 and 2
 * dims as its 4 dims, the rest 0.25 signed. */
void formula_fill_detector(const char *name, int rank, const int64_t *dims, float *values);

/* What the golden detectors see: x, N x H x W x bands, about 0 to 1, and of each image object_count
 * objects: boxes N x object_count x 4, labels from 1, masks N x object_count x H x W of 0 and 1.
 * Rectangles and ellipses, in turn, of at least 12 px, a later one on top of an earlier one; each
 * mask is whole. A pixel's bands are its class's colour and noise. By name: "scene0", "scene1", … */
typedef struct FormulaScene {
  int32_t images, height, width, bands;
  int32_t object_count, class_count; /* class_count with background */
} FormulaScene;

void formula_scene(const char *name, FormulaScene scene, float *x, float *boxes, int32_t *labels,
                   uint8_t *masks);

/* What the golden networks see, as float32 N x H x W x bands (already normalised), and what they
 * shall answer: labels N x H x W; 255 marks about 1 pixel in 16. The classes lie in blocks of 8 x 8
 * px; a pixel's bands are its class's colour and noise. All by name: "unet", or "batch0",
 * "batch1", … of the loss curves. */
void formula_image(const char *name, int32_t images, int32_t height, int32_t width, int32_t bands,
                   int32_t class_count, float *x, uint8_t *labels);

/* The places at which golden files sample a tensor of count elements: the i-th of them. */
static inline int64_t formula_place(const char *name, int32_t i, int64_t count)
{
  return (int64_t)(((uint64_t)formula_bits(formula_seed(name), (uint32_t)i) * (uint64_t)count) >>
                   32);
}

/* sum, sum of magnitudes, and dot with signed(seed(name), index), all in float64. */
typedef struct FormulaDigest {
  double sum;
  double magnitude;
  double dot;
} FormulaDigest;

FormulaDigest formula_digest(const char *name, int64_t count, const float *values);
