#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/random.h"
#include "geo/pixel.h"

/* One training sample from one chip, changed at random: crop, scale, flips, quarter turns,
 * brightness and contrast. Everything follows from the stream of random numbers, never from who
 * computes it. */
typedef struct Augmentation {
  bool flips;         /* left-right and up-down, each with probability 1/2 */
  bool turns;         /* by 0, 90, 180 or 270 degrees */
  double scale_least; /* a crop of size / scale is taken and resized to size: above 1 enlarges; 1
                         and 1: never */
  double scale_most;
  double brightness; /* adds up to +- this times the band's standard deviation, the same for all
                        bands */
  double
      contrast; /* multiplies the distance from the band's mean by 1 - contrast to 1 + contrast */
} Augmentation;

/* A chip as it was read. */
typedef struct ChipPixels {
  PixelType pixel;
  int32_t width_px, height_px, band_count;
  const void *image; /* height x width x bands */
  const uint8_t *valid;
  const uint8_t *labels; /* indices of classes, LABEL 255: no say */
} ChipPixels;

/* What the network is given: size x size. */
typedef struct Sample {
  int32_t size_px;
  float *image; /* size x size x bands, in the raster's values */
  uint8_t *valid;
  uint8_t *labels;
} Sample;

/* Bilinear for the image (among valid pixels), nearest for valid and labels. Parts of the crop
 * beyond the chip are NoData and have no label. means and standard_deviations: per band, for
 * brightness and contrast. */
void augment_sample(const ChipPixels *chip, const Augmentation *augmentation, const double *means,
                    const double *standard_deviations, Random *random, Sample *sample);
/* The middle of the chip as it is, or all of it with NoData around where it is smaller. */
void augment_centre(const ChipPixels *chip, Sample *sample);
