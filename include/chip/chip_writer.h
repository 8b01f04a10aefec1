#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "chip/chip_objects.h"
#include "chip/chip_set.h"
#include "chip/chip_statistics.h"
#include "geo/grid.h"

/* Writes a chip set in shards that different ranks make, and joins them. Shards are numbered in the
 * order of their chips; which rank makes which does not matter to the set. A shard appears under
 * its name when it is whole, so a job that was killed goes on with those it finds. */

/* Of what is written: sets without objects are as ever. */
enum { CHIP_SET_VERSION = 1, CHIP_SET_VERSION_OBJECTS = 2 };

typedef enum ChipFormat {
  CHIP_FORMAT_CHIPS,            /* HDF5 */
  CHIP_FORMAT_CLASSIFIED_TILES, /* the folder of ArcGIS: TIFF chips and labels, tables of text */
  CHIP_FORMAT_INSTANCES,        /* HDF5 with objects */
  CHIP_FORMAT_RCNN_MASKS,       /* of ArcGIS: a TIFF per chip and class, whose values are objects */
  CHIP_FORMAT_PASCAL_VOC,       /* of ArcGIS: PASCAL_VOC_rectangles, an XML of boxes per chip */
  CHIP_FORMAT_COCO              /* TIFF chips and one annotations.json */
} ChipFormat;

bool chip_format_is_arrays(ChipFormat format);   /* HDF5, not a folder of files */
bool chip_format_has_objects(ChipFormat format); /* not only a class per pixel */
/* What a user and ArcGIS call it: "RCNN_Masks". */
const char *chip_format_name(ChipFormat format);

/* What all chips of a set have in common. */
typedef struct ChipForm {
  ChipFormat format;
  int32_t width_px, height_px;
  int32_t band_count;
  PixelType pixel;
  const ClassEntry *classes; /* by value, 0 first; borrowed */
  int32_t class_count;
  int32_t deflate_level; /* of HDF5: 0 … 9 */
} ChipForm;

/* Whether labels take uint16: a class has a value over 255. */
bool chip_form_is_wide(const ChipForm *form);

/* One chip: image height x width x bands, valid 1 = data, labels class values, 0 where not valid.
 */
typedef struct Chip {
  ChipPlace place;
  Grid grid;
  const void *image;
  const uint8_t *valid;
  const uint16_t *labels;
  const BandSum *bands;        /* band_sum_of_chip */
  const int64_t *class_pixels; /* per class of the form */
  const ChipObjects *objects;  /* where the format has them */
  /* What became of the labels that meet it, for formats with objects; else NULL. Also set where the
   * chip is not kept. */
  const int64_t *object_outcomes;
} Chip;

/* Valid pixels of each class of the form. Errors: STATUS_MISMATCH for a value that the form lacks.
 */
Status chip_count_classes(const ChipForm *form, const uint16_t *labels, const uint8_t *valid,
                          int64_t *class_pixels);

typedef struct ChipShard ChipShard;

/* folder exists. number: 0 … 9999. What a killed run left of the same shard is replaced. */
Status chip_shard_create(const char *folder, int32_t number, const ChipForm *form,
                         ChipShard **shard);
/* A place for a chip: the chip is added if it is kept, else the outcome is counted, and what became
 * of its labels; then chip may be NULL. */
Status chip_shard_add(ChipShard *shard, ChipOutcome outcome, const Chip *chip);
/* Closes it and gives it its name; on failure nothing remains. Either way *shard is NULL. */
Status chip_shard_commit(ChipShard **shard);
void chip_shard_close(ChipShard *shard); /* accepts NULL; discards what was not committed */
/* Chips of a whole shard; -1 if there is none. */
Status chip_shard_count(const char *folder, int32_t number, int64_t *chip_count);

/* What the joined set says of itself. */
typedef struct ChipStory {
  const Grid
      *rasters; /* one per raster that chips were cut from; the first gives the set's system */
  const char *const *raster_paths;
  int32_t raster_count;
  const char *const *band_names;
  bool unlabelled_is_background;
  const char *provenance; /* JSON */
  bool forward_slashes;   /* in map.txt, else as ArcGIS writes it */
} ChipStory;

/* What a shard holds. */
typedef struct ShardCount {
  int64_t chips;
  int64_t objects;    /* with objects, else 0; so the next */
  int64_t mask_bytes; /* as they are stored */
} ShardCount;

/* Reads the tables of all shards in their order. counts: one per shard, set. */
Status chip_shards_sum(const char *folder, int32_t shard_count, const ChipForm *form,
                       ShardCount *counts, SetSum *sum);

/* HDF5: the file path, made aside and renamed, whose arrays are those of the shards, laid one after
 * another. shard_folder_name: of the folder beside path in which they lie when the set is read.
 * Shards without chips are not named. */
Status chip_arrays_join(const char *path, const char *shard_folder_name, const ChipForm *form,
                        const ChipStory *story, int32_t shard_count, const ShardCount *counts,
                        const SetSum *sum);

/* Folders: moves the chips of one shard into set_folder/images and set_folder/labels, numbered from
 * first; may be repeated after a crash. Any rank does any shard. */
Status chip_tiles_number(const char *folder, const ChipForm *form, int32_t shard,
                         int64_t chip_count, int64_t first, const char *set_folder);
/* Folders: map.txt, stats.txt, esri_accumulated_stats.json, esri_model_definition.emd; of COCO
 * annotations.json, from the shards that still lie in folder. */
Status chip_tiles_join(const char *set_folder, const ChipForm *form, const ChipStory *story,
                       const SetSum *sum, const char *folder, int32_t shard_count,
                       const ShardCount *counts);
