#pragma once

#include "model/detector.h"

/* Private to the detector's files. */
enum { TRUNK, BOX_HEAD, MASK_HEAD };

enum { SUMS_RPN = 0, SUMS_BOX = RPN_SUMS, SUMS_MASK = RPN_SUMS + BOX_SUMS };
enum { SUM_POSITIVE_ROWS = SUMS_BOX + 3 };

struct Detector {
  const DetectorParts *parts;
  Device *device;
  const Backend *backend;
  DetectorOptions options;
  Network *networks[DETECTOR_GRAPHS];

  Rpn rpn;
  RoiAlign box_align, mask_align;
  Shape box_input, mask_input;
  BoxHead box_head;      /* of all regions */
  BoxHead box_head_part; /* of the rows that the network takes at once */
  MaskHead mask_head_part;
  int32_t region_capacity, box_rows; /* regions for the box head in all, and at once */
  int32_t mask_capacity, mask_rows;

  DetectorBuffers buffers;
  int32_t *resizing; /* images x 4: see resize.h */
  float *box_scales; /* images x 2, from the batch to the image */
  void *staging;     /* host: what detector_resize uploads */
  float *part_sums;  /* of one call of mask_loss_sums */
  void *scratch;
  char *memory; /* all of the buffers */
  size_t buffer_bytes, scratch_bytes;
};

/* Images fill their place in the batch until the caller says otherwise. */
Status detector_set_sizes(Detector *detector);
Status detector_check_resizing(const DetectorOptions *options);
/* Bytes of the host's that detector_resize needs. */
size_t detector_staging_bytes(const Detector *detector);
/* Detections and regions of them, back to their images' own pixels. */
void detector_unresize(Detector *detector);

/* A piece of regions from row first on. */
Regions detector_piece(const Regions *regions, int32_t first, int32_t rows);
/* Rows that have to be worked on, as far as the host knows. */
int32_t detector_row_count(const Detector *detector, const Regions *regions);
void detector_features(Detector *detector, const void *maps[MASK_RCNN_FEATURES]);
RpnMaps detector_rpn_maps(Detector *detector);
