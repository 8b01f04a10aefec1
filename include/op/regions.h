#pragma once

#include "tensor/shape.h"

/* Boxes, and lists of them whose length only the device knows. A box is x1, y1, x2, y2 in pixels of
 * the network's input, continuous, width x2 - x1. Counts stand in device memory beside lists of a
 * fixed capacity, so that a step needs no word from the host. */
enum { PYRAMID_MAPS_MOST = 8 };

/* Regions of a whole batch, one after another: those of image 0, then of image 1, and so on. Rows
 * behind the last have image -1 and a box of zeros: so ops that read regions tell them, and also
 * take a piece of a list, whose count may be NULL. */
typedef struct Regions {
  int32_t capacity;
  float *boxes;    /* capacity x 4 */
  int32_t *images; /* capacity: the image in the batch, or -1 */
  int32_t *count;  /* one number */
} Regions;

/* What is to be found in each image of a batch. Objects past an image's count hold anything. */
typedef struct Truth {
  int32_t images;
  int32_t capacity;      /* objects per image */
  int32_t *counts;       /* images */
  float *boxes;          /* images x capacity x 4, never empty */
  int32_t *classes;      /* images x capacity, from 1 */
  int32_t *mask_windows; /* images x capacity x 4: x, y, width, height in pixels; NULL without masks
                          */
  int64_t *mask_offsets; /* images x capacity: where its window begins in mask_bytes */
  uint8_t *mask_bytes;   /* row by row, 1 = object; outside of the window is 0 */
} Truth;

/* How samples are drawn at random: of an image's candidates those with the least keys (ties: lower
 * index) are taken, where a key is sample_key(seed, stream, index) of sample_element.h. streams has
 * one number per image, in device memory; it names the image among all that are ever trained on, so
 * that nothing depends on ranks or batches. */
typedef struct SampleKeys {
  uint64_t seed;
  const uint64_t *streams;
} SampleKeys;
