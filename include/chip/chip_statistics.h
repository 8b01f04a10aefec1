#pragma once

#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "geo/pixel.h"
#include "store/checksum.h"

/* What chips hold, in numbers. A chip's numbers are kept beside it, and those of a set are merged
 * from its chips in their order: the same for any rank count, to the last bit. */

/* Of one band over valid pixels. Doubles throughout, so that it is stored as one row. Without
 * pixels all is 0. */
typedef struct BandSum {
  double count; /* of pixels */
  double least, most, mean;
  double squares; /* sum of the squared distances from the mean: M2 of Welford */
} BandSum;

enum { BAND_SUM_NUMBERS = sizeof(BandSum) / sizeof(double) };

/* image: pixel_count x band_count, channels last; valid: 1 = data; sums: band_count of them, set.
 */
void band_sum_of_chip(PixelType type, const void *image, const uint8_t *valid, int64_t pixel_count,
                      int32_t band_count, BandSum *sums);
/* Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample
 * variances" (1979). */
void band_sum_merge(BandSum *into, const BandSum *more);
double band_sum_standard_deviation(const BandSum *sum); /* of the pixels themselves: over count */

/* What became of a place for a chip. */
typedef enum ChipOutcome {
  CHIP_KEPT,
  CHIP_OUTSIDE_MASK,
  CHIP_UNLABELLED,  /* no pixel has data and a label */
  CHIP_FEW_LABELS,  /* labelled pixels below the share that is wanted */
  CHIP_LITTLE_DATA, /* valid pixels below the share that is wanted, or none */
  CHIP_OUTCOME_COUNT
} ChipOutcome;

/* What became of a label that meets a chip. */
typedef enum ObjectOutcome {
  OBJECT_KEPT,
  OBJECT_SMALL_SHARE, /* less of it lies in the chip than is wanted */
  OBJECT_NO_PIXEL,    /* it has no pixel there that is data: nothing that a box could hold */
  OBJECT_NO_AREA,     /* a point or a line */
  OBJECT_OUTCOME_COUNT
} ObjectOutcome;

/* Of one class over all chips, for sets of objects. Areas are of the labels' parts in the chips, in
 * square map units. */
typedef struct ObjectSum {
  int64_t count;
  int64_t chip_count; /* chips that hold one */
  int64_t last_chip;  /* counted from 1 */
  double area_least, area_most, area_sum;
} ObjectSum;

/* Of one class over all chips. Pixels are valid ones. */
typedef struct ClassSum {
  int64_t pixel_count;
  int64_t chip_count;  /* chips that hold it */
  int64_t least, most; /* pixels in one chip; least is 0 where a chip lacks it */
} ClassSum;

/* Of a set. Classes are in the order of their table, the first is value 0. */
typedef struct SetSum {
  int64_t chip_count;
  int32_t band_count;
  int32_t class_count;
  BandSum *bands;
  ClassSum *classes;
  int64_t classes_per_chip_least, classes_per_chip_most; /* without value 0 */
  int64_t classes_per_chip_sum;
  int64_t outcomes[CHIP_OUTCOME_COUNT]; /* places for chips */
  ObjectSum *objects;                   /* per class */
  int64_t object_count;
  int64_t objects_least, objects_most; /* in one chip */
  int64_t mask_bytes_most;             /* of one chip's masks, one byte per pixel */
  int64_t object_outcomes[OBJECT_OUTCOME_COUNT];
  Checksum content; /* of all chips in their order: pixels, labels, places */
} SetSum;

/* All zero; its lists live in the arena. */
Status set_sum_open(Arena *arena, int32_t band_count, int32_t class_count, SetSum *sum);
/* One chip more: band_count sums, class_count counts. */
void set_sum_add(SetSum *sum, const BandSum *bands, const int64_t *class_pixels);
/* The objects of that chip, one after the other; class_index: in the table. */
void set_sum_add_object(SetSum *sum, int32_t class_index, double area_map);
/* After the last one: how many they were, and the bytes of their masks. */
void set_sum_end_objects(SetSum *sum, int64_t object_count, int64_t mask_bytes);
/* Valid pixels with a class other than value 0. */
int64_t set_sum_labelled(const SetSum *sum);
