#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "comm/gradients.h"
#include "model/mask_rcnn.h"
#include "nn/network.h"
#include "nn/parameter.h"
#include "op/backend.h"

/* Mask R-CNN and Faster R-CNN ready to run: the networks of mask_rcnn.h and what stands between
 * them, for one batch and tile size. Shapes are fixed, counts stay on the device, nothing is
 * allocated in a step and the host waits for nothing; what the heads cost follows the number of
 * regions where the host knows it (device_known_count), else the capacities. */

/* The graphs of one model and their parameters as one list in torchvision's order: trunk, box head,
 * mask head. */
enum { DETECTOR_GRAPHS = 3 };

typedef struct DetectorParts {
  MaskRcnn model;
  Graph *graphs[DETECTOR_GRAPHS]; /* the last is NULL without masks */
  ParameterList parameters;       /* names are the graphs' */
  int64_t
      trained_first[DETECTOR_GRAPHS]; /* where each graph's parameters begin in the two blocks */
  int64_t statistic_first[DETECTOR_GRAPHS];
} DetectorParts;

/* On failure nothing is left to close. */
Status detector_parts_open(MaskRcnn model, DetectorParts *parts);
void detector_parts_close(DetectorParts *parts); /* accepts an empty (zeroed) one */

/* Limits and thresholds are torchvision's arguments, by their meaning. */
typedef struct DetectorOptions {
  bool training;
  Element element;
  int32_t images, height_px, width_px;
  int32_t anchor_sizes_px[MASK_RCNN_MAPS];
  ProposalLimits proposals;

  /* training */
  RpnMatching matching;
  RpnSampling rpn_sampling;
  RoiSampling roi_sampling;
  uint64_t seed;
  int32_t truth_capacity;  /* objects per image */
  int64_t mask_bytes_most; /* of all masks of an image */
  Gradients *gradients;    /* sums of losses over ranks; NULL: one rank */
  Gradients *shared_norm;  /* batch norms over all ranks; NULL: each rank its own */
  int32_t rank_count;
  const float *loss_scale; /* device memory, for float16 (loss_scale.h); NULL: 1 */

  /* inference */
  DetectionLimits limits;
  int32_t detection_count;    /* per image */
  float mask_threshold;       /* 0.5 */
  int64_t pasted_pixels_most; /* per image; 0: masks are not pasted */
  /* torchvision's resize transform (resize.h); 0: none. Then images come to buffers.images, each in
   * the corner of image_height_px x image_width_px, normalised, and detector_resize brings them into
   * the batch; boxes and masks come out in the images' own pixels. */
  int32_t resize_least_px, resize_most_px;
  int32_t image_height_px, image_width_px;
} DetectorOptions;

/* torchvision's defaults; sizes, element, capacities of truth and pasting are left 0. */
DetectorOptions detector_options_default(bool training);

/* All in device memory, by the contracts of op/. Steps of a run fill them in this order; a test may
 * change one in between. */
typedef struct DetectorBuffers {
  float *image_sizes; /* images x 2; all of the input at first */
  float *images;      /* with resizing: images x image_height_px x image_width_px x bands */
  float *own_sizes;   /* with resizing: images x 2, as image_sizes */
  Truth truth;        /* training: the caller's to fill, as are streams */
  uint64_t *streams;  /* images: see SampleKeys */
  float *proposals;   /* images x proposals.post_count x 4 */
  float *proposal_scores;
  int32_t *proposal_counts;

  int32_t *matches; /* images x anchors */
  uint8_t *sampled;
  SampledRois rois;
  float *mask_targets;
  float *sums; /* DETECTOR_SUMS: of the RPN, the boxes, the masks; of all ranks */

  Regions regions;  /* the proposals */
  void *box_logits; /* per region: what the box head says, in the network's element */
  void *box_deltas;
  Detections detections;
  Regions detected; /* the detections, as regions */
  int32_t *detected_classes;
  float *masks; /* per detected region, 28 x 28, 0 … 1 */
  PastedMasks pasted;
} DetectorBuffers;

typedef struct Detector Detector;

/* Makes kernels and plans; allocates nothing yet, so that a batch size can be tried. parts must
 * outlive the detector. Errors: STATUS_BAD_SHAPE, STATUS_UNSUPPORTED, STATUS_DEVICE. */
Status detector_open(const DetectorParts *parts, Device *device, DetectorOptions options,
                     Detector **detector);
void detector_close(Detector *detector); /* accepts NULL */
size_t detector_bytes(const Detector *detector);
Status detector_allocate(Detector *detector);
void detector_log_plan(const Detector *detector, const Log *log);

/* As network_load, network_bind and network_pack, with the blocks of the parts' list. */
Status detector_load(Detector *detector, const float *trained, const float *statistics);
void detector_bind(Detector *detector, const float *trained, float *statistics, float *gradients);
void detector_pack(Detector *detector);

Shape detector_input_shape(const Detector *detector);
void *detector_input(Detector *detector);
DetectorBuffers *detector_buffers(Detector *detector);
Network *detector_network(Detector *detector, int32_t graph);
const Rpn *detector_rpn(const Detector *detector);

/* With resizing, before detector_find: images in their own pixels to the input. sizes_px: images x 2,
 * height and width of each, host. One batch at a time: the device is done with it at the next
 * device_synchronize. Errors: STATUS_BAD_SHAPE where an image does not fit. */
Status detector_resize(Detector *detector, const int32_t *sizes_px);

/* Inference, from the input to the detections and their masks. */
void detector_find(Detector *detector);

/* The parts of that. */
void detector_forward_trunk(Detector *detector);
void detector_propose(Detector *detector);
void detector_find_boxes(Detector *detector); /* from proposals */
/* From detections; with resizing they, and detected, are in the images' own pixels afterwards. */
void detector_find_masks(Detector *detector);

/* Training: detector_forward_trunk, detector_propose and detector_sample, then this. Collective
 * where there are several ranks: losses' sums, forward and backward of the heads, backward of the
 * trunk, whatever the number of objects. ready: as network_backward's, over the whole block. */
Status detector_learn(Detector *detector, Status (*ready)(void *context, size_t first),
                      void *context);
void detector_sample(Detector *detector);

/* What a training adds up. */
typedef enum DetectorLoss {
  LOSS_CLASSIFIER,
  LOSS_BOX_REG,
  LOSS_MASK,
  LOSS_OBJECTNESS,
  LOSS_RPN_BOX_REG,
  DETECTOR_LOSSES
} DetectorLoss;

enum { DETECTOR_SUMS = RPN_SUMS + BOX_SUMS + MASK_SUMS };

const char *detector_loss_name(DetectorLoss loss); /* "loss_classifier" */
/* On the host. A loss without samples is 0. */
void detector_losses(const float sums[DETECTOR_SUMS], double losses[DETECTOR_LOSSES]);
