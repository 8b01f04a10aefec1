#pragma once

#include "op/regions.h"

/* The region proposal network behind its convolutions: anchors, proposals, matching, sampling, loss.
 *
 *   Anchors   of maps 0 … map_count - 1, rows, columns and cells, numbered in this order; cell a at
 *             row y, column x is cells[a] + (x stride_x, y stride_y, x stride_x, y stride_y)
 *   Maps      logits  N x H x W x logit_channels, delta a at channel a; deltas N x H x W x
 *             delta_channels, number k of anchor a at channel 4 a + k
 *   Coder     of boxes, with weights (wx, wy, ww, wh), here all 1: from a reference box with centre
 *             cx, cy and size W, H:  x = dx / wx W + cx, w = exp(min(dw / ww, log(1000 / 16))) W
 *             (y, h likewise); the box is x - w / 2, y - h / 2, x + w / 2, y + h / 2. Encoding is
 *             wx (gx - cx) / W, ww log(gw / W). All in float32
 *   Source    Ren et al., "Faster R-CNN", 2015, section 3.1; torchvision 0.14, models/detection */
enum { ANCHORS_MOST = 16 };

typedef struct AnchorMap {
  int32_t height, width;
  int32_t stride_y_px, stride_x_px;
  float cells[ANCHORS_MOST][4];
} AnchorMap;

typedef struct Rpn {
  int32_t images;
  int32_t map_count;
  int32_t anchor_count;   /* cells of a map */
  int32_t logit_channels; /* in memory */
  int32_t delta_channels;
  Element element;
  AnchorMap maps[PYRAMID_MAPS_MOST];
} Rpn;

typedef struct RpnOptions {
  int32_t height_px, width_px; /* of the input; strides are input size div map size */
  int32_t sizes_px[PYRAMID_MAPS_MOST];
  float ratios[ANCHORS_MOST]; /* height over width */
  int32_t ratio_count;
} RpnOptions;

/* Cells are round((-w, -h, w, h) / 2), half to even, w = size / sqrt(ratio), h = size sqrt(ratio).
 * logits and deltas: the shapes of the maps. Errors: STATUS_BAD_SHAPE. */
Status rpn_plan(RpnOptions options, int32_t map_count, const Shape *logits, const Shape *deltas,
                Rpn *rpn);
int64_t rpn_anchor_count(const Rpn *rpn); /* of one image */

/* Device memory of the maps' tensors. */
typedef struct RpnMaps {
  const void *logits[PYRAMID_MAPS_MOST];
  const void *deltas[PYRAMID_MAPS_MOST];
} RpnMaps;

/* rpn_proposals: for each image and map the pre_count anchors of the highest logits are decoded,
 * clipped to the image and dropped where a side is below least_side_px; of what is left in all maps
 * non-maximum suppression within each map keeps boxes in the order of falling logits, dropping
 * those whose IoU with a kept one is above iou_most; of those the post_count of the highest score
 * (the logit's sigmoid) stay, in falling order.
 *
 *   image_sizes  N x 2, float32: height and width inside of the (padded) input
 *   boxes        N x post_count x 4; scores N x post_count; counts N; behind an image's count zeros
 *   Ties         equal logits: the lower anchor first; equal scores: the first map first, in a map the
 *                higher logit
 *   NaN          a logit or a box that is NaN is dropped; the former takes none of pre_count
 *   IoU          inter / (area_i + area_j - inter) in float32, compared with iou_most in float32
 *                (torchvision on CPUs compares with a float64, which is the same for 0.5, 0.7 and all
 *                others that float32 rounds down); 0 / 0 does not suppress */
typedef struct ProposalLimits {
  int32_t pre_count;
  int32_t post_count;
  float iou_most;      /* 0.7 */
  float least_side_px; /* 1e-3 */
} ProposalLimits;

/* rpn_match: for each anchor the truth's object of the highest IoU (ties: the first): its index
 * where the IoU is at least high, -1 (background) below low, -2 (ignored) in between; and each
 * anchor whose IoU with some object is exactly the highest that this object has with any anchor, and
 * above 0, gets the index of its own best object back. In an image without objects all are -1.
 *   matches      N x anchors */
typedef struct RpnMatching {
  float high; /* 0.7 */
  float low;  /* 0.3 */
} RpnMatching;

/* rpn_sample: draws up to positive_count anchors with an object and fills up to count with
 * background ones.
 *   sampled      N x anchors: 0 or 1 */
typedef struct RpnSampling {
  int32_t count;          /* 256, of one image */
  int32_t positive_count; /* 128 at most */
} RpnSampling;

/* rpn_loss_sums: sums[0] = binary cross-entropy of the logits of sampled anchors (1 where matched),
 * sums[1] = smooth L1 (beta 1/9) of the deltas of sampled anchors with an object from their
 * encoding, sums[2] = sampled anchors. Sums of ranks are added before the backward pass.
 *   loss_objectness = sums[0] / sums[2], loss_rpn_box_reg = sums[1] / sums[2]; 0 where sums[2] is 0
 * rpn_loss_backward: writes the gradients of scale times their sum to all elements of the maps'
 * gradients (0 where nothing was sampled, and in padded channels). scale: a number in device memory,
 * or NULL for 1 (loss_scale.h).
 *   Rounding     sums in float64 or in a fixed order of float32, the same for any thread count */
enum { RPN_SUMS = 3 };

/* Errors: STATUS_BAD_OPTION where 0 < low <= high <= 1 or 0 <= positive_count <= count is not so. */
Status rpn_training_plan(RpnMatching matching, RpnSampling sampling);
