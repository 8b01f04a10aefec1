#pragma once

#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "op/backend.h"

/* The CUDA twins of the ops: cuDNN's graphs for convolutions, own kernels around the shared element
 * functions for all else. All tensors have channels in multiples of 8 and start at multiples of 16
 * bytes; float32 vectors of parameters may start anywhere. Every function issues work on the
 * device's compute stream, and gives a failure to device_fail. */
extern const Backend quadrat_cuda_backend;

enum { CUDA_CHANNEL_MULTIPLE = 8, CUDA_ALIGNMENT_BYTES = 256 };

static inline size_t cuda_aligned(size_t bytes)
{
  return (bytes + CUDA_ALIGNMENT_BYTES - 1) / CUDA_ALIGNMENT_BYTES * CUDA_ALIGNMENT_BYTES;
}

Status conv2d_open_cuda(Device *device, const Conv2dPlan *plan, Conv2dKernel **kernel,
                        OpBytes *bytes);
void conv2d_close_cuda(Conv2dKernel *kernel);
void conv2d_pack_cuda(Conv2dKernel *kernel, const float *weight, const float *bias, void *packed);
void conv2d_forward_cuda(Conv2dKernel *kernel, const void *packed, const void *x, const void *add,
                         void *y, void *scratch);
void conv2d_backward_data_cuda(Conv2dKernel *kernel, const void *packed, const void *dy, void *dx,
                               Write write, void *scratch);
void conv2d_backward_weight_cuda(Conv2dKernel *kernel, const void *x, const void *dy,
                                 float *dweight, float *dbias, void *scratch);

Status decoder_conv2d_open_cuda(Device *device, const DecoderConv2dPlan *plan,
                                DecoderConv2dKernel **kernel, OpBytes *bytes);
void decoder_conv2d_close_cuda(DecoderConv2dKernel *kernel);
void decoder_conv2d_pack_cuda(DecoderConv2dKernel *kernel, const float *weight, const float *bias,
                              void *packed);
void decoder_conv2d_forward_cuda(DecoderConv2dKernel *kernel, const void *packed, const void *a,
                                 const void *skip, void *y, void *scratch);
void decoder_conv2d_backward_data_cuda(DecoderConv2dKernel *kernel, const void *packed,
                                       const void *dy, void *da, Write write_da, void *dskip,
                                       Write write_dskip, void *scratch);
void decoder_conv2d_backward_weight_cuda(DecoderConv2dKernel *kernel, const void *a,
                                         const void *skip, const void *dy, float *dweight,
                                         float *dbias, void *scratch);

Status conv_transpose2d_open_cuda(Device *device, const ConvTranspose2dPlan *plan,
                                  ConvTranspose2dKernel **kernel, OpBytes *bytes);
void conv_transpose2d_close_cuda(ConvTranspose2dKernel *kernel);
void conv_transpose2d_pack_cuda(ConvTranspose2dKernel *kernel, const float *weight,
                                const float *bias, void *packed);
void conv_transpose2d_forward_cuda(ConvTranspose2dKernel *kernel, const void *packed, const void *x,
                                   void *y, void *scratch);
void conv_transpose2d_backward_data_cuda(ConvTranspose2dKernel *kernel, const void *packed,
                                         const void *dy, void *dx, Write write, void *scratch);
void conv_transpose2d_backward_weight_cuda(ConvTranspose2dKernel *kernel, const void *x,
                                           const void *dy, float *dweight, float *dbias,
                                           void *scratch);

Status batch_norm2d_open_cuda(Device *device, const BatchNorm2dPlan *plan,
                              BatchNorm2dKernel **kernel, OpBytes *bytes);
void batch_norm2d_close_cuda(BatchNorm2dKernel *kernel);
void batch_norm2d_forward_cuda(BatchNorm2dKernel *kernel, BatchNorm2dParameters parameters,
                               const void *x, const void *add, void *y, void *saved, void *scratch);
void batch_norm2d_sums_cuda(BatchNorm2dKernel *kernel, BatchNorm2dParameters parameters,
                            const void *x, float *sums, void *scratch);
void batch_norm2d_forward_from_sums_cuda(BatchNorm2dKernel *kernel,
                                         BatchNorm2dParameters parameters, const float *sums,
                                         int64_t count_all_ranks, const void *x, const void *add,
                                         void *y, void *saved, void *scratch);
void batch_norm2d_backward_cuda(BatchNorm2dKernel *kernel, BatchNorm2dParameters parameters,
                                const void *x, const void *y, const void *dy, const void *saved,
                                void *dx, void *dadd, Write write_dadd, float *dweight,
                                float *dbias, void *scratch);
void batch_norm2d_backward_sums_cuda(BatchNorm2dKernel *kernel, const void *x, const void *y,
                                     const void *dy, const void *saved, float *dweight,
                                     float *dbias, float *sums, void *scratch);
void batch_norm2d_backward_from_sums_cuda(BatchNorm2dKernel *kernel,
                                          BatchNorm2dParameters parameters, const float *sums,
                                          int64_t count_all_ranks, const void *x, const void *y,
                                          const void *dy, const void *saved, void *dx, void *dadd,
                                          Write write_dadd, void *scratch);

void max_pool2d_forward_cuda(Device *device, MaxPool2d pool, Shape x_shape, const void *x,
                             Shape y_shape, void *y, uint8_t *winner);
void max_pool2d_backward_cuda(Device *device, MaxPool2d pool, Shape x_shape, void *dx,
                              Shape y_shape, const void *dy, const uint8_t *winner, Write write);
void relu_forward_cuda(Device *device, Shape shape, const void *x, void *y);
void relu_backward_cuda(Device *device, Shape shape, const void *y, const void *dy, void *dx,
                        Write write);
void add_forward_cuda(Device *device, Shape shape, const void *a, const void *b, void *y);
void accumulate_cuda(Device *device, Shape shape, const void *dy, void *dx, Write write);
void upsample_nearest_forward_cuda(Device *device, Shape x_shape, const void *x, Shape y_shape,
                                   int32_t channel_offset, void *y);
void upsample_nearest_backward_cuda(Device *device, Shape x_shape, void *dx, Shape y_shape,
                                    int32_t channel_offset, const void *dy, Write write);
void concat_forward_cuda(Device *device, Shape x_shape, const void *x, Shape y_shape,
                         int32_t channel_offset, void *y);
void concat_backward_cuda(Device *device, Shape x_shape, void *dx, Shape y_shape,
                          int32_t channel_offset, const void *dy, Write write);
void convert_cuda(Device *device, int64_t count, Element x_element, const void *x,
                  Element y_element, void *y);
void normalize_cuda(Device *device, Shape x_shape, const void *x, const uint8_t *valid,
                    const float *mean, const float *inverse_std, Shape y_shape, void *y);

size_t segmentation_loss_scratch_bytes_cuda(SegmentationLoss loss, Shape logits_shape);
void segmentation_loss_sums_cuda(Device *device, SegmentationLoss loss, const float *class_weights,
                                 Shape logits_shape, const void *logits, const uint8_t *labels,
                                 float *sums, void *scratch);
void segmentation_loss_backward_cuda(Device *device, SegmentationLoss loss,
                                     const float *class_weights, const float *sums,
                                     const float *scale, Shape logits_shape, const void *logits,
                                     const uint8_t *labels, void *dlogits);
void softmax_cuda(Device *device, Shape logits_shape, const void *logits, int32_t class_count,
                  float *probabilities);
void argmax_cuda(Device *device, Shape logits_shape, const void *logits, int32_t class_count,
                 uint8_t *classes);
void confusion_cuda(Device *device, int64_t count, const uint8_t *classes, const uint8_t *labels,
                    int32_t class_count, int64_t *counts);
size_t rpn_proposals_scratch_bytes_cuda(const Rpn *rpn, ProposalLimits limits);
void rpn_proposals_cuda(Device *device, const Rpn *rpn, const RpnMaps *maps, ProposalLimits limits,
                        const float *image_sizes, float *boxes, float *scores, int32_t *counts,
                        void *scratch);
void roi_align_forward_cuda(Device *device, const RoiAlign *align, const void *const *maps,
                            const Regions *regions, Shape y_shape, void *y);
size_t roi_align_backward_scratch_bytes_cuda(const RoiAlign *align, int32_t rows);
void roi_align_backward_cuda(Device *device, const RoiAlign *align, const Regions *regions,
                             Shape y_shape, const void *dy, void *const *dmaps, Write write,
                             void *scratch);
size_t rpn_match_scratch_bytes_cuda(const Rpn *rpn, int32_t truth_capacity);
void rpn_match_cuda(Device *device, const Rpn *rpn, RpnMatching matching, const Truth *truth,
                    int32_t *matches, void *scratch);
size_t rpn_sample_scratch_bytes_cuda(const Rpn *rpn);
void rpn_sample_cuda(Device *device, const Rpn *rpn, RpnSampling sampling, SampleKeys keys,
                     const int32_t *matches, uint8_t *sampled, void *scratch);
size_t rpn_loss_scratch_bytes_cuda(const Rpn *rpn);
void rpn_loss_sums_cuda(Device *device, const Rpn *rpn, const RpnMaps *maps, const Truth *truth,
                        const int32_t *matches, const uint8_t *sampled, float *sums, void *scratch);
void rpn_loss_backward_cuda(Device *device, const Rpn *rpn, const RpnMaps *maps, const Truth *truth,
                            const int32_t *matches, const uint8_t *sampled, const float *sums,
                            const float *scale, void *const *dlogits, void *const *ddeltas);
size_t roi_sample_scratch_bytes_cuda(RoiSampling sampling, int32_t proposal_capacity,
                                     int32_t images, int32_t truth_capacity);
void roi_sample_cuda(Device *device, RoiSampling sampling, SampleKeys keys,
                     int32_t proposal_capacity, const float *proposals,
                     const int32_t *proposal_counts, const Truth *truth, SampledRois *rois,
                     void *scratch);
size_t box_loss_scratch_bytes_cuda(const BoxHead *head);
void box_loss_sums_cuda(Device *device, const BoxHead *head, const void *logits, const void *deltas,
                        const int32_t *classes, const float *targets, float *sums, void *scratch);
void box_loss_backward_cuda(Device *device, const BoxHead *head, const void *logits,
                            const void *deltas, const int32_t *classes, const float *targets,
                            const float *sums, const float *scale, void *dlogits, void *ddeltas);
size_t detections_scratch_bytes_cuda(const BoxHead *head, int32_t images);
void detections_cuda(Device *device, const BoxHead *head, const Regions *regions,
                     const void *logits, const void *deltas, DetectionLimits limits,
                     const float *image_sizes, Detections *detections, void *scratch);
void detection_regions_cuda(Device *device, const Detections *detections, Regions *regions,
                            int32_t *classes);
void mask_targets_cuda(Device *device, const Regions *positives, const int32_t *matches,
                       const Truth *truth, int32_t height_px, int32_t width_px, int32_t mask_px,
                       float *targets);
size_t mask_loss_scratch_bytes_cuda(const MaskHead *head);
void mask_loss_sums_cuda(Device *device, const MaskHead *head, const void *logits,
                         const Regions *positives, const int32_t *classes, const float *targets,
                         float *sums, void *scratch);
void mask_loss_backward_cuda(Device *device, const MaskHead *head, const void *logits,
                             const Regions *positives, const int32_t *classes, const float *targets,
                             const float *row_count, const float *scale, void *dlogits);
void mask_select_cuda(Device *device, const MaskHead *head, const void *logits,
                      const Regions *regions, const int32_t *classes, float *masks);
void mask_paste_cuda(Device *device, const Regions *regions, const float *masks, int32_t mask_px,
                     const float *image_sizes, float threshold, PastedMasks *pasted);
void resize_bilinear_cuda(Device *device, Shape x_shape, const float *x, const int32_t *sizes,
                          Shape y_shape, void *y);
void resize_boxes_cuda(Device *device, int32_t rows, int32_t rows_per_image, const int32_t *images,
                       const float *scales, float *boxes);
size_t clip_scratch_bytes_cuda(int64_t count);
void clip_scale_cuda(Device *device, int64_t count, const float *g, float norm_limit, float *norm,
                     float *scale, void *scratch);
void loss_scale_step_cuda(Device *device, float norm_limit, float *norm, float *scale,
                          float *state);
void sgd_step_cuda(Device *device, const SgdStep *step, int64_t count, const float *scale,
                   const float *g, float *w, float *v);
void adamw_step_cuda(Device *device, const AdamwStep *step, int64_t count, const float *scale,
                     const float *g, float *w, float *m, float *v);

#ifdef __cplusplus
}
#endif
