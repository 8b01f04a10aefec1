#include "count_backend.h"

#include <string.h>

#include "op/cpu/cpu_backend.h"

static Element preferred_element_count(const Device *device)
{
  return ELEMENT_BF16;
}

static void autotune_count(Device *device, bool autotune)
{
}

static void library_count(char text[BACKEND_LIBRARY_BYTES])
{
  memcpy(text, "counting", sizeof "counting");
}

const Backend count_backend = {
    .name = "count",
    .channel_multiple = 8,
    .preferred_element = preferred_element_count,
    .autotune = autotune_count,
    .library = library_count,
    .conv2d_open = conv2d_open_count,
    .conv2d_close = conv2d_close_count,
    .conv2d_pack = conv2d_pack_count,
    .conv2d_forward = conv2d_forward_count,
    .conv2d_backward_data = conv2d_backward_data_count,
    .conv2d_backward_weight = conv2d_backward_weight_count,
    .decoder_conv2d_open = decoder_conv2d_open_count,
    .decoder_conv2d_close = decoder_conv2d_close_count,
    .decoder_conv2d_pack = decoder_conv2d_pack_count,
    .decoder_conv2d_forward = decoder_conv2d_forward_count,
    .decoder_conv2d_backward_data = decoder_conv2d_backward_data_count,
    .decoder_conv2d_backward_weight = decoder_conv2d_backward_weight_count,
    .conv_transpose2d_open = conv_transpose2d_open_count,
    .conv_transpose2d_close = conv_transpose2d_close_count,
    .conv_transpose2d_pack = conv_transpose2d_pack_count,
    .conv_transpose2d_forward = conv_transpose2d_forward_count,
    .conv_transpose2d_backward_data = conv_transpose2d_backward_data_count,
    .conv_transpose2d_backward_weight = conv_transpose2d_backward_weight_count,
    .batch_norm2d_open = batch_norm2d_open_count,
    .batch_norm2d_close = batch_norm2d_close_count,
    .batch_norm2d_forward = batch_norm2d_forward_count,
    .batch_norm2d_sums = batch_norm2d_sums_count,
    .batch_norm2d_forward_from_sums = batch_norm2d_forward_from_sums_count,
    .batch_norm2d_backward = batch_norm2d_backward_count,
    .batch_norm2d_backward_sums = batch_norm2d_backward_sums_count,
    .batch_norm2d_backward_from_sums = batch_norm2d_backward_from_sums_count,
    .max_pool2d_forward = max_pool2d_forward_count,
    .max_pool2d_backward = max_pool2d_backward_count,
    .relu_forward = relu_forward_count,
    .relu_backward = relu_backward_count,
    .add_forward = add_forward_count,
    .accumulate = accumulate_count,
    .upsample_nearest_forward = upsample_nearest_forward_count,
    .upsample_nearest_backward = upsample_nearest_backward_count,
    .concat_forward = concat_forward_count,
    .concat_backward = concat_backward_count,
    .convert = convert_count,
    .normalize = normalize_count,
    .segmentation_loss_scratch_bytes = segmentation_loss_scratch_bytes_cpu,
    .segmentation_loss_sums = segmentation_loss_sums_count,
    .segmentation_loss_backward = segmentation_loss_backward_count,
    .softmax = softmax_count,
    .argmax = argmax_count,
    .confusion = confusion_count,
    .rpn_proposals_scratch_bytes = rpn_proposals_scratch_bytes_cpu,
    .rpn_proposals = rpn_proposals_count,
    .roi_align_forward = roi_align_forward_count,
    .roi_align_backward_scratch_bytes = roi_align_backward_scratch_bytes_cpu,
    .roi_align_backward = roi_align_backward_count,
    .rpn_match_scratch_bytes = rpn_match_scratch_bytes_cpu,
    .rpn_match = rpn_match_count,
    .rpn_sample_scratch_bytes = rpn_sample_scratch_bytes_cpu,
    .rpn_sample = rpn_sample_count,
    .rpn_loss_scratch_bytes = rpn_loss_scratch_bytes_cpu,
    .rpn_loss_sums = rpn_loss_sums_count,
    .rpn_loss_backward = rpn_loss_backward_count,
    .roi_sample_scratch_bytes = roi_sample_scratch_bytes_cpu,
    .roi_sample = roi_sample_count,
    .box_loss_scratch_bytes = box_loss_scratch_bytes_cpu,
    .box_loss_sums = box_loss_sums_count,
    .box_loss_backward = box_loss_backward_count,
    .detections_scratch_bytes = detections_scratch_bytes_cpu,
    .detections = detections_count,
    .detection_regions = detection_regions_count,
    .mask_targets = mask_targets_count,
    .mask_loss_scratch_bytes = mask_loss_scratch_bytes_cpu,
    .mask_loss_sums = mask_loss_sums_count,
    .mask_loss_backward = mask_loss_backward_count,
    .mask_select = mask_select_count,
    .mask_paste = mask_paste_count,
    .resize_bilinear = resize_bilinear_count,
    .resize_boxes = resize_boxes_count,
    .clip_scratch_bytes = clip_scratch_bytes_cpu,
    .clip_scale = clip_scale_count,
    .loss_scale_step = loss_scale_step_count,
    .sgd_step = sgd_step_count,
    .adamw_step = adamw_step_count,
};
