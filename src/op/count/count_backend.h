#pragma once

#include "op/backend.h"

/* The table of the twins that count (op_work.h). What they ask of scratch is what the CPU's do. */
extern const Backend count_backend;

Status conv2d_open_count(Device *device, const Conv2dPlan *plan, Conv2dKernel **kernel,
                         OpBytes *bytes);
void conv2d_close_count(Conv2dKernel *kernel);
void conv2d_pack_count(Conv2dKernel *kernel, const float *weight, const float *bias, void *packed);
void conv2d_forward_count(Conv2dKernel *kernel, const void *packed, const void *x, const void *add,
                          void *y, void *scratch);
void conv2d_backward_data_count(Conv2dKernel *kernel, const void *packed, const void *dy, void *dx,
                                Write write, void *scratch);
void conv2d_backward_weight_count(Conv2dKernel *kernel, const void *x, const void *dy,
                                  float *dweight, float *dbias, void *scratch);
Status decoder_conv2d_open_count(Device *device, const DecoderConv2dPlan *plan,
                                 DecoderConv2dKernel **kernel, OpBytes *bytes);
void decoder_conv2d_close_count(DecoderConv2dKernel *kernel);
void decoder_conv2d_pack_count(DecoderConv2dKernel *kernel, const float *weight, const float *bias,
                               void *packed);
void decoder_conv2d_forward_count(DecoderConv2dKernel *kernel, const void *packed, const void *a,
                                  const void *skip, void *y, void *scratch);
void decoder_conv2d_backward_data_count(DecoderConv2dKernel *kernel, const void *packed,
                                        const void *dy, void *da, Write write_da, void *dskip,
                                        Write write_dskip, void *scratch);
void decoder_conv2d_backward_weight_count(DecoderConv2dKernel *kernel, const void *a,
                                          const void *skip, const void *dy, float *dweight,
                                          float *dbias, void *scratch);
Status conv_transpose2d_open_count(Device *device, const ConvTranspose2dPlan *plan,
                                   ConvTranspose2dKernel **kernel, OpBytes *bytes);
void conv_transpose2d_close_count(ConvTranspose2dKernel *kernel);
void conv_transpose2d_pack_count(ConvTranspose2dKernel *kernel, const float *weight,
                                 const float *bias, void *packed);
void conv_transpose2d_forward_count(ConvTranspose2dKernel *kernel, const void *packed,
                                    const void *x, void *y, void *scratch);
void conv_transpose2d_backward_data_count(ConvTranspose2dKernel *kernel, const void *packed,
                                          const void *dy, void *dx, Write write, void *scratch);
void conv_transpose2d_backward_weight_count(ConvTranspose2dKernel *kernel, const void *x,
                                            const void *dy, float *dweight, float *dbias,
                                            void *scratch);
Status batch_norm2d_open_count(Device *device, const BatchNorm2dPlan *plan,
                               BatchNorm2dKernel **kernel, OpBytes *bytes);
void batch_norm2d_close_count(BatchNorm2dKernel *kernel);
void batch_norm2d_forward_count(BatchNorm2dKernel *kernel, BatchNorm2dParameters parameters,
                                const void *x, const void *add, void *y, void *saved,
                                void *scratch);
void batch_norm2d_sums_count(BatchNorm2dKernel *kernel, BatchNorm2dParameters parameters,
                             const void *x, float *sums, void *scratch);
void batch_norm2d_forward_from_sums_count(BatchNorm2dKernel *kernel,
                                          BatchNorm2dParameters parameters, const float *sums,
                                          int64_t count_all_ranks, const void *x, const void *add,
                                          void *y, void *saved, void *scratch);
void batch_norm2d_backward_count(BatchNorm2dKernel *kernel, BatchNorm2dParameters parameters,
                                 const void *x, const void *y, const void *dy, const void *saved,
                                 void *dx, void *dadd, Write write_dadd, float *dweight,
                                 float *dbias, void *scratch);
void batch_norm2d_backward_sums_count(BatchNorm2dKernel *kernel, const void *x, const void *y,
                                      const void *dy, const void *saved, float *dweight,
                                      float *dbias, float *sums, void *scratch);
void batch_norm2d_backward_from_sums_count(BatchNorm2dKernel *kernel,
                                           BatchNorm2dParameters parameters, const float *sums,
                                           int64_t count_all_ranks, const void *x, const void *y,
                                           const void *dy, const void *saved, void *dx, void *dadd,
                                           Write write_dadd, void *scratch);
void max_pool2d_forward_count(Device *device, MaxPool2d pool, Shape x_shape, const void *x,
                              Shape y_shape, void *y, uint8_t *winner);
void max_pool2d_backward_count(Device *device, MaxPool2d pool, Shape x_shape, void *dx,
                               Shape y_shape, const void *dy, const uint8_t *winner, Write write);
void relu_forward_count(Device *device, Shape shape, const void *x, void *y);
void relu_backward_count(Device *device, Shape shape, const void *y, const void *dy, void *dx,
                         Write write);
void add_forward_count(Device *device, Shape shape, const void *a, const void *b, void *y);
void accumulate_count(Device *device, Shape shape, const void *dy, void *dx, Write write);
void upsample_nearest_forward_count(Device *device, Shape x_shape, const void *x, Shape y_shape,
                                    int32_t channel_offset, void *y);
void upsample_nearest_backward_count(Device *device, Shape x_shape, void *dx, Shape y_shape,
                                     int32_t channel_offset, const void *dy, Write write);
void concat_forward_count(Device *device, Shape x_shape, const void *x, Shape y_shape,
                          int32_t channel_offset, void *y);
void concat_backward_count(Device *device, Shape x_shape, void *dx, Shape y_shape,
                           int32_t channel_offset, const void *dy, Write write);
void convert_count(Device *device, int64_t count, Element x_element, const void *x,
                   Element y_element, void *y);
void normalize_count(Device *device, Shape x_shape, const void *x, const uint8_t *valid,
                     const float *mean, const float *inverse_std, Shape y_shape, void *y);
void segmentation_loss_sums_count(Device *device, SegmentationLoss loss, const float *class_weights,
                                  Shape logits_shape, const void *logits, const uint8_t *labels,
                                  float *sums, void *scratch);
void segmentation_loss_backward_count(Device *device, SegmentationLoss loss,
                                      const float *class_weights, const float *sums,
                                      const float *scale, Shape logits_shape, const void *logits,
                                      const uint8_t *labels, void *dlogits);
void softmax_count(Device *device, Shape logits_shape, const void *logits, int32_t class_count,
                   float *probabilities);
void argmax_count(Device *device, Shape logits_shape, const void *logits, int32_t class_count,
                  uint8_t *classes);
void confusion_count(Device *device, int64_t count, const uint8_t *classes, const uint8_t *labels,
                     int32_t class_count, int64_t *counts);
void rpn_proposals_count(Device *device, const Rpn *rpn, const RpnMaps *maps, ProposalLimits limits,
                         const float *image_sizes, float *boxes, float *scores, int32_t *counts,
                         void *scratch);
void roi_align_forward_count(Device *device, const RoiAlign *align, const void *const *maps,
                             const Regions *regions, Shape y_shape, void *y);
void roi_align_backward_count(Device *device, const RoiAlign *align, const Regions *regions,
                              Shape y_shape, const void *dy, void *const *dmaps, Write write,
                              void *scratch);
void rpn_match_count(Device *device, const Rpn *rpn, RpnMatching matching, const Truth *truth,
                     int32_t *matches, void *scratch);
void rpn_sample_count(Device *device, const Rpn *rpn, RpnSampling sampling, SampleKeys keys,
                      const int32_t *matches, uint8_t *sampled, void *scratch);
void rpn_loss_sums_count(Device *device, const Rpn *rpn, const RpnMaps *maps, const Truth *truth,
                         const int32_t *matches, const uint8_t *sampled, float *sums,
                         void *scratch);
void rpn_loss_backward_count(Device *device, const Rpn *rpn, const RpnMaps *maps,
                             const Truth *truth, const int32_t *matches, const uint8_t *sampled,
                             const float *sums, const float *scale, void *const *dlogits,
                             void *const *ddeltas);
void roi_sample_count(Device *device, RoiSampling sampling, SampleKeys keys,
                      int32_t proposal_capacity, const float *proposals,
                      const int32_t *proposal_counts, const Truth *truth, SampledRois *rois,
                      void *scratch);
void box_loss_sums_count(Device *device, const BoxHead *head, const void *logits,
                         const void *deltas, const int32_t *classes, const float *targets,
                         float *sums, void *scratch);
void box_loss_backward_count(Device *device, const BoxHead *head, const void *logits,
                             const void *deltas, const int32_t *classes, const float *targets,
                             const float *sums, const float *scale, void *dlogits, void *ddeltas);
void detections_count(Device *device, const BoxHead *head, const Regions *regions,
                      const void *logits, const void *deltas, DetectionLimits limits,
                      const float *image_sizes, Detections *detections, void *scratch);
void detection_regions_count(Device *device, const Detections *detections, Regions *regions,
                             int32_t *classes);
void mask_targets_count(Device *device, const Regions *positives, const int32_t *matches,
                        const Truth *truth, int32_t height_px, int32_t width_px, int32_t mask_px,
                        float *targets);
void mask_loss_sums_count(Device *device, const MaskHead *head, const void *logits,
                          const Regions *positives, const int32_t *classes, const float *targets,
                          float *sums, void *scratch);
void mask_loss_backward_count(Device *device, const MaskHead *head, const void *logits,
                              const Regions *positives, const int32_t *classes,
                              const float *targets, const float *row_count, const float *scale,
                              void *dlogits);
void mask_select_count(Device *device, const MaskHead *head, const void *logits,
                       const Regions *regions, const int32_t *classes, float *masks);
void mask_paste_count(Device *device, const Regions *regions, const float *masks, int32_t mask_px,
                      const float *image_sizes, float threshold, PastedMasks *pasted);
void resize_bilinear_count(Device *device, Shape x_shape, const float *x, const int32_t *sizes,
                           Shape y_shape, void *y);
void resize_boxes_count(Device *device, int32_t rows, int32_t rows_per_image, const int32_t *images,
                        const float *scales, float *boxes);
void clip_scale_count(Device *device, int64_t count, const float *g, float norm_limit, float *norm,
                      float *scale, void *scratch);
void loss_scale_step_count(Device *device, float norm_limit, float *norm, float *scale,
                           float *state);
void sgd_step_count(Device *device, const SgdStep *step, int64_t count, const float *scale,
                    const float *g, float *w, float *v);
void adamw_step_count(Device *device, const AdamwStep *step, int64_t count, const float *scale,
                      const float *g, float *w, float *m, float *v);
