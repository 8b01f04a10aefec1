#pragma once

#include <stdbool.h>

#include "model/encoder.h"
#include "nn/graph.h"

/* Mask R-CNN and, without masks, Faster R-CNN, over a ResNet with a feature pyramid, as torchvision
 * builds them (maskrcnn_resnet50_fpn and its kin, v1): names, order and sizes of the parameters are
 * the same, so its state_dicts load here and ours load there. Three graphs; what stands between
 * them (proposals, regions, losses) is the detector's (detector.h).
 *
 *   Trunk     input N x H x W x bands, sides multiples of 32; outputs: the pyramid's maps of 256
 *             channels at 1/4, 1/8, 1/16 and 1/32, then for each of five maps (these, and the last
 *             one's every second pixel) logits (anchors) and deltas (4 anchors)
 *   Box head  input R x 7 x 7 x 256; outputs: logits (classes) and deltas (4 classes)
 *   Mask head input R x 14 x 14 x 256; output: logits R x 28 x 28 x classes
 *   Source    He et al., "Mask R-CNN", 2017; Lin et al., "Feature pyramid networks", 2017;
 *             torchvision, models/detection */
enum {
  MASK_RCNN_FEATURES = 4, /* maps that regions are cut from */
  MASK_RCNN_MAPS = 5,     /* maps that have anchors */
  MASK_RCNN_CHANNELS = 256,
  MASK_RCNN_BOX_PX = 7,
  MASK_RCNN_MASK_PX = 14,
  MASK_RCNN_ANCHORS = 3 /* ratios 1/2, 1 and 2 */
};

typedef struct MaskRcnn {
  Encoder encoder;
  int32_t bands;
  int32_t classes; /* with the background, which is 0 */
  bool masks;
  bool norm_frozen; /* the backbone's batch norms: see GraphTraining; where it brings weights */
  float norm_eps;   /* 1e-5; 0 for torchvision's weights of COCO */
  int32_t trained_layers; /* of the backbone, 0 … 5 */
} MaskRcnn;

/* Which of the trunk's outputs; features are 0 … 3. */
static inline int32_t mask_rcnn_logits(int32_t map)
{
  return MASK_RCNN_FEATURES + 2 * map;
}

static inline int32_t mask_rcnn_deltas(int32_t map)
{
  return MASK_RCNN_FEATURES + 2 * map + 1;
}

Status mask_rcnn_trunk_build(MaskRcnn model, Graph **graph);
Status mask_rcnn_box_head_build(MaskRcnn model, Graph **graph);
Status mask_rcnn_mask_head_build(MaskRcnn model, Graph **graph);
