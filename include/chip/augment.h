#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/random.h"
#include "chip/chip_objects.h"
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

/* How a sample lies in its chip: column and row of the sample to column and row of the chip, both
 * at pixel centres. */
typedef struct Pose {
  double x0, xx, xy; /* chip column = x0 + xx * column + xy * row */
  double y0, yx, yy;
  double factor; /* contrast */
  double offset; /* brightness, in standard deviations */
} Pose;

/* Bilinear for the image (among valid pixels), nearest for valid and labels. Parts of the crop
 * beyond the chip are NoData and have no label. means and standard_deviations: per band, for
 * brightness and contrast. Returns the pose, so that objects can go along. */
Pose augment_sample(const ChipPixels *chip, const Augmentation *augmentation, const double *means,
                    const double *standard_deviations, Random *random, Sample *sample);
/* The middle of the chip as it is, or all of it with NoData around where it is smaller. */
Pose augment_centre(const ChipPixels *chip, Sample *sample);

/* Which objects a network is given. */
typedef struct ObjectRule {
  const uint16_t *class_of_value; /* of each class value 0 … 65535: the network's class from 1, or
                                     0 for objects that are not wanted */
  double least_share; /* of an object's own area (pixels of its mask, else its box) that must be in
                         the sample; smaller ones are dropped, their pixels stay */
  double least_px;    /* width and height in the sample below which it is dropped */
} ObjectRule;

/* The objects of a sample: room for capacity of them and mask_capacity bytes. */
typedef struct SampleObjects {
  int32_t capacity;
  int64_t mask_capacity;
  int32_t count;           /* set */
  int64_t mask_byte_count; /* set */
  float *boxes;            /* capacity x 4: x1, y1, x2, y2 in pixels of the sample */
  int32_t *classes;        /* capacity: from 1 */
  int32_t *mask_windows;   /* capacity x 4: x, y, width, height; 0 without a mask */
  int64_t *mask_offsets;   /* capacity: into mask_bytes; 0 without a mask */
  uint8_t *mask_bytes;     /* mask_capacity: height x width of each, 0 or 1 */
} SampleObjects;

/* Objects as the sample shows them, in the chip's order. A mask goes along by nearest pixels, as
 * labels do, and its box is that of what is left of it; a box without a mask by its corners, cut to
 * the sample. Rows past count are set to 0. Errors: STATUS_BAD_SHAPE, with both numbers, where
 * objects or masks exceed their room. */
Status augment_objects(const ChipObjects *objects, const Pose *pose, const ObjectRule *rule,
                       int32_t size_px, SampleObjects *sample);
/* Room that is enough for every sample of chips with at most objects_most objects and mask_bytes_most
 * bytes of masks. augmentation: NULL for augment_centre. */
int64_t augment_mask_bytes_most(int32_t objects_most, int64_t mask_bytes_most, int32_t size_px,
                                const Augmentation *augmentation);
