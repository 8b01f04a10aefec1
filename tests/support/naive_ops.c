#include "naive_ops.h"

#include <stdio.h>

#include "naive_parts.h"

static Element naive_preferred_element(const Device *device)
{
  return ELEMENT_F32;
}

static void naive_autotune(Device *device, bool autotune)
{
}

static void naive_library(char text[BACKEND_LIBRARY_BYTES])
{
  (void)snprintf(text, BACKEND_LIBRARY_BYTES, "plain loops");
}

const Backend naive_backend = {
    .name = "naive",
    .channel_multiple = 1,
    .preferred_element = naive_preferred_element,
    .autotune = naive_autotune,
    .library = naive_library,
    .conv2d_open = naive_conv2d_open,
    .conv2d_close = naive_conv2d_close,
    .conv2d_pack = naive_conv2d_pack,
    .conv2d_forward = naive_conv2d_forward,
    .conv2d_backward_data = naive_conv2d_backward_data,
    .conv2d_backward_weight = naive_conv2d_backward_weight,
    .decoder_conv2d_open = naive_decoder_conv2d_open,
    .decoder_conv2d_close = naive_decoder_conv2d_close,
    .decoder_conv2d_pack = naive_decoder_conv2d_pack,
    .decoder_conv2d_forward = naive_decoder_conv2d_forward,
    .decoder_conv2d_backward_data = naive_decoder_conv2d_backward_data,
    .decoder_conv2d_backward_weight = naive_decoder_conv2d_backward_weight,
    .conv_transpose2d_open = naive_conv_transpose2d_open,
    .conv_transpose2d_close = naive_conv_transpose2d_close,
    .conv_transpose2d_pack = naive_conv_transpose2d_pack,
    .conv_transpose2d_forward = naive_conv_transpose2d_forward,
    .conv_transpose2d_backward_data = naive_conv_transpose2d_backward_data,
    .conv_transpose2d_backward_weight = naive_conv_transpose2d_backward_weight,
    .batch_norm2d_open = naive_batch_norm2d_open,
    .batch_norm2d_close = naive_batch_norm2d_close,
    .batch_norm2d_forward = naive_batch_norm2d_forward,
    .batch_norm2d_sums = naive_batch_norm2d_sums,
    .batch_norm2d_forward_from_sums = naive_batch_norm2d_forward_from_sums,
    .batch_norm2d_backward = naive_batch_norm2d_backward,
    .batch_norm2d_backward_sums = naive_batch_norm2d_backward_sums,
    .batch_norm2d_backward_from_sums = naive_batch_norm2d_backward_from_sums,
    .max_pool2d_forward = naive_max_pool2d_forward,
    .max_pool2d_backward = naive_max_pool2d_backward,
    .relu_forward = naive_relu_forward,
    .relu_backward = naive_relu_backward,
    .add_forward = naive_add_forward,
    .accumulate = naive_accumulate,
    .upsample_nearest_forward = naive_upsample_nearest_forward,
    .upsample_nearest_backward = naive_upsample_nearest_backward,
    .concat_forward = naive_concat_forward,
    .concat_backward = naive_concat_backward,
    .convert = naive_convert,
    .normalize = naive_normalize,
    .segmentation_loss_scratch_bytes = naive_segmentation_loss_scratch_bytes,
    .segmentation_loss_sums = naive_segmentation_loss_sums,
    .segmentation_loss_backward = naive_segmentation_loss_backward,
    .softmax = naive_softmax,
    .argmax = naive_argmax,
    .confusion = naive_confusion,
    .rpn_proposals_scratch_bytes = naive_rpn_proposals_scratch_bytes,
    .rpn_proposals = naive_rpn_proposals,
    .roi_align_forward = naive_roi_align_forward,
    .roi_align_backward_scratch_bytes = naive_roi_align_backward_scratch_bytes,
    .roi_align_backward = naive_roi_align_backward,
    .rpn_match_scratch_bytes = naive_rpn_match_scratch_bytes,
    .rpn_match = naive_rpn_match,
    .rpn_sample_scratch_bytes = naive_rpn_sample_scratch_bytes,
    .rpn_sample = naive_rpn_sample,
    .rpn_loss_scratch_bytes = naive_rpn_loss_scratch_bytes,
    .rpn_loss_sums = naive_rpn_loss_sums,
    .rpn_loss_backward = naive_rpn_loss_backward,
    .roi_sample_scratch_bytes = naive_roi_sample_scratch_bytes,
    .roi_sample = naive_roi_sample,
    .box_loss_scratch_bytes = naive_box_loss_scratch_bytes,
    .box_loss_sums = naive_box_loss_sums,
    .box_loss_backward = naive_box_loss_backward,
    .detections_scratch_bytes = naive_detections_scratch_bytes,
    .detections = naive_detections,
    .detection_regions = naive_detection_regions,
    .mask_targets = naive_mask_targets,
    .mask_loss_scratch_bytes = naive_mask_loss_scratch_bytes,
    .mask_loss_sums = naive_mask_loss_sums,
    .mask_loss_backward = naive_mask_loss_backward,
    .mask_select = naive_mask_select,
    .mask_paste = naive_mask_paste,
    .resize_bilinear = naive_resize_bilinear,
    .resize_boxes = naive_resize_boxes,
    .clip_scratch_bytes = naive_clip_scratch_bytes,
    .clip_scale = naive_clip_scale,
    .loss_scale_step = naive_loss_scale_step,
    .sgd_step = naive_sgd_step,
    .adamw_step = naive_adamw_step,
};
