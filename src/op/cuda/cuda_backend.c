#include "cuda_device.h"
#include "cuda_ops.h"

/* Tensor cores take float16 from compute capability 7.0 on and bfloat16 from 8.0 on. */
static Element preferred_element_cuda(const Device *device)
{
  const int capability = cuda_device_of(device)->compute_capability;
  if (capability >= 80) return ELEMENT_BF16;
  return capability >= 70 ? ELEMENT_F16 : ELEMENT_F32;
}

const Backend quadrat_cuda_backend __attribute__((visibility("default"))) = {
    .name = "cuda",
    .channel_multiple = CUDA_CHANNEL_MULTIPLE,
    .preferred_element = preferred_element_cuda,
    .conv2d_open = conv2d_open_cuda,
    .conv2d_close = conv2d_close_cuda,
    .conv2d_pack = conv2d_pack_cuda,
    .conv2d_forward = conv2d_forward_cuda,
    .conv2d_backward_data = conv2d_backward_data_cuda,
    .conv2d_backward_weight = conv2d_backward_weight_cuda,
    .decoder_conv2d_open = decoder_conv2d_open_cuda,
    .decoder_conv2d_close = decoder_conv2d_close_cuda,
    .decoder_conv2d_pack = decoder_conv2d_pack_cuda,
    .decoder_conv2d_forward = decoder_conv2d_forward_cuda,
    .decoder_conv2d_backward_data = decoder_conv2d_backward_data_cuda,
    .decoder_conv2d_backward_weight = decoder_conv2d_backward_weight_cuda,
    .conv_transpose2d_open = conv_transpose2d_open_cuda,
    .conv_transpose2d_close = conv_transpose2d_close_cuda,
    .conv_transpose2d_pack = conv_transpose2d_pack_cuda,
    .conv_transpose2d_forward = conv_transpose2d_forward_cuda,
    .conv_transpose2d_backward_data = conv_transpose2d_backward_data_cuda,
    .conv_transpose2d_backward_weight = conv_transpose2d_backward_weight_cuda,
    .batch_norm2d_open = batch_norm2d_open_cuda,
    .batch_norm2d_close = batch_norm2d_close_cuda,
    .batch_norm2d_forward = batch_norm2d_forward_cuda,
    .batch_norm2d_sums = batch_norm2d_sums_cuda,
    .batch_norm2d_forward_from_sums = batch_norm2d_forward_from_sums_cuda,
    .batch_norm2d_backward = batch_norm2d_backward_cuda,
    .batch_norm2d_backward_sums = batch_norm2d_backward_sums_cuda,
    .batch_norm2d_backward_from_sums = batch_norm2d_backward_from_sums_cuda,
    .max_pool2d_forward = max_pool2d_forward_cuda,
    .max_pool2d_backward = max_pool2d_backward_cuda,
    .relu_forward = relu_forward_cuda,
    .relu_backward = relu_backward_cuda,
    .add_forward = add_forward_cuda,
    .accumulate = accumulate_cuda,
    .upsample_nearest_forward = upsample_nearest_forward_cuda,
    .upsample_nearest_backward = upsample_nearest_backward_cuda,
    .concat_forward = concat_forward_cuda,
    .concat_backward = concat_backward_cuda,
    .convert = convert_cuda,
    .normalize = normalize_cuda,
    .segmentation_loss_scratch_bytes = segmentation_loss_scratch_bytes_cuda,
    .segmentation_loss_sums = segmentation_loss_sums_cuda,
    .segmentation_loss_backward = segmentation_loss_backward_cuda,
    .softmax = softmax_cuda,
    .argmax = argmax_cuda,
    .confusion = confusion_cuda,
    .roi_align_forward = roi_align_forward_cuda,
    .roi_align_backward_scratch_bytes = roi_align_backward_scratch_bytes_cuda,
    .roi_align_backward = roi_align_backward_cuda,
    .clip_scratch_bytes = clip_scratch_bytes_cuda,
    .clip_scale = clip_scale_cuda,
    .sgd_step = sgd_step_cuda,
    .adamw_step = adamw_step_cuda,
};
