#pragma once

/* Private to the self-test: its cases. Each runs the ops of one family and hands in what they
 * wrote. Local. Errors: what an open function refuses, STATUS_NO_MEMORY. */
#include "self_test_bench.h"

/* Layers with parameters. */
Status case_conv2d(Bench *bench);
Status case_decoder_conv2d(Bench *bench);
Status case_conv_transpose2d(Bench *bench);
Status case_batch_norm2d(Bench *bench);

/* Pixel by pixel. */
Status case_max_pool2d(Bench *bench);
Status case_relu(Bench *bench);
Status case_add(Bench *bench);
Status case_upsample_nearest(Bench *bench);
Status case_concat(Bench *bench);
Status case_convert(Bench *bench);
Status case_normalize(Bench *bench);
Status case_segmentation_loss(Bench *bench);
Status case_prediction(Bench *bench);
Status case_confusion(Bench *bench);
Status case_resize_bilinear(Bench *bench);
Status case_optimizer(Bench *bench);

/* Boxes and masks. */
Status case_rpn_proposals(Bench *bench);
Status case_rpn_match(Bench *bench);
Status case_rpn_loss(Bench *bench);
Status case_roi_align(Bench *bench);
Status case_roi_sample(Bench *bench);
Status case_box_loss(Bench *bench);
Status case_detections(Bench *bench);
Status case_detection_regions(Bench *bench);
Status case_mask_targets(Bench *bench);
Status case_mask_loss(Bench *bench);
Status case_mask_paste(Bench *bench);
Status case_resize_boxes(Bench *bench);
