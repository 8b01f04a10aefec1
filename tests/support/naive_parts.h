#pragma once

#include <math.h>

#include "base/memory.h"
#include "base/require.h"
#include "naive_ops.h"
#include "tensor/bf16.h"

/* What the naive ops' files share, and their functions, one prefix per file. */

static inline double naive_get(const void *values, Element element, int64_t index)
{
  switch (element) {
  case ELEMENT_F32: return (double)((const float *)values)[index];
  case ELEMENT_BF16: return (double)bf16_to_f32(((const uint16_t *)values)[index]);
  case ELEMENT_U8: return (double)((const uint8_t *)values)[index];
  case ELEMENT_U16: return (double)((const uint16_t *)values)[index];
  case ELEMENT_I16: return (double)((const int16_t *)values)[index];
  case ELEMENT_I32: return (double)((const int32_t *)values)[index];
  case ELEMENT_F16: break;
  }
  require_failed("no float16 here: it exists on GPUs only", __FILE__, __LINE__);
}

static inline void naive_set(void *values, Element element, int64_t index, double value)
{
  switch (element) {
  case ELEMENT_F32: ((float *)values)[index] = (float)value; return;
  case ELEMENT_BF16: ((uint16_t *)values)[index] = bf16_from_f32((float)value); return;
  default: require_failed("written as float32 or bfloat16", __FILE__, __LINE__);
  }
}

static inline void naive_put(void *values, Element element, int64_t index, double value,
                             Write write)
{
  const double before = write == WRITE_ADD ? naive_get(values, element, index) : 0.0;
  naive_set(values, element, index, before + value);
}

/* Rounds as the element type does. */
static inline double naive_rounded(double value, Element element)
{
  return element == ELEMENT_BF16 ? (double)bf16_to_f32(bf16_from_f32((float)value))
                                 : (double)(float)value;
}

/* Freed by memory_free. */
static inline double *naive_zeros(int64_t count)
{
  void *values = NULL;
  require(memory_allocate((size_t)count, sizeof(double), "sums", &values) == STATUS_OK);
  return values;
}

static inline int64_t naive_index(Shape shape, int32_t n, int32_t h, int32_t w, int32_t c)
{
  return (((int64_t)n * shape.height + h) * shape.width + w) * shape.channels + c;
}

/* The IoU of two boxes, in float32 here too: whether two of them are equal is part of the contracts.
 */
static inline float naive_overlap(const float *a, const float *b)
{
  const float width = fmaxf(fminf(a[2], b[2]) - fmaxf(a[0], b[0]), 0.0F);
  const float height = fmaxf(fminf(a[3], b[3]) - fmaxf(a[1], b[1]), 0.0F);
  const float area_a = (a[2] - a[0]) * (a[3] - a[1]);
  const float area_b = (b[2] - b[0]) * (b[3] - b[1]);
  return width * height / (area_a + area_b - width * height);
}

Status naive_conv2d_open(Device *device, const Conv2dPlan *plan, Conv2dKernel **kernel,
                         OpBytes *bytes);
void naive_conv2d_close(Conv2dKernel *kernel);
void naive_conv2d_pack(Conv2dKernel *kernel, const float *weight, const float *bias, void *packed);
void naive_conv2d_forward(Conv2dKernel *kernel, const void *packed, const void *x, const void *add,
                          void *y, void *scratch);
void naive_conv2d_backward_data(Conv2dKernel *kernel, const void *packed, const void *dy, void *dx,
                                Write write, void *scratch);
void naive_conv2d_backward_weight(Conv2dKernel *kernel, const void *x, const void *dy,
                                  float *dweight, float *dbias, void *scratch);

Status naive_decoder_conv2d_open(Device *device, const DecoderConv2dPlan *plan,
                                 DecoderConv2dKernel **kernel, OpBytes *bytes);
void naive_decoder_conv2d_close(DecoderConv2dKernel *kernel);
void naive_decoder_conv2d_pack(DecoderConv2dKernel *kernel, const float *weight, const float *bias,
                               void *packed);
void naive_decoder_conv2d_forward(DecoderConv2dKernel *kernel, const void *packed, const void *a,
                                  const void *skip, void *y, void *scratch);
void naive_decoder_conv2d_backward_data(DecoderConv2dKernel *kernel, const void *packed,
                                        const void *dy, void *da, Write write_da, void *dskip,
                                        Write write_dskip, void *scratch);
void naive_decoder_conv2d_backward_weight(DecoderConv2dKernel *kernel, const void *a,
                                          const void *skip, const void *dy, float *dweight,
                                          float *dbias, void *scratch);

Status naive_conv_transpose2d_open(Device *device, const ConvTranspose2dPlan *plan,
                                   ConvTranspose2dKernel **kernel, OpBytes *bytes);
void naive_conv_transpose2d_close(ConvTranspose2dKernel *kernel);
void naive_conv_transpose2d_pack(ConvTranspose2dKernel *kernel, const float *weight,
                                 const float *bias, void *packed);
void naive_conv_transpose2d_forward(ConvTranspose2dKernel *kernel, const void *packed,
                                    const void *x, void *y, void *scratch);
void naive_conv_transpose2d_backward_data(ConvTranspose2dKernel *kernel, const void *packed,
                                          const void *dy, void *dx, Write write, void *scratch);
void naive_conv_transpose2d_backward_weight(ConvTranspose2dKernel *kernel, const void *x,
                                            const void *dy, float *dweight, float *dbias,
                                            void *scratch);

Status naive_batch_norm2d_open(Device *device, const BatchNorm2dPlan *plan,
                               BatchNorm2dKernel **kernel, OpBytes *bytes);
void naive_batch_norm2d_close(BatchNorm2dKernel *kernel);
void naive_batch_norm2d_forward(BatchNorm2dKernel *kernel, BatchNorm2dParameters parameters,
                                const void *x, const void *add, void *y, void *saved,
                                void *scratch);
void naive_batch_norm2d_sums(BatchNorm2dKernel *kernel, BatchNorm2dParameters parameters,
                             const void *x, float *sums, void *scratch);
void naive_batch_norm2d_forward_from_sums(BatchNorm2dKernel *kernel,
                                          BatchNorm2dParameters parameters, const float *sums,
                                          int64_t count_all_ranks, const void *x, const void *add,
                                          void *y, void *saved, void *scratch);
void naive_batch_norm2d_backward(BatchNorm2dKernel *kernel, BatchNorm2dParameters parameters,
                                 const void *x, const void *y, const void *dy, const void *saved,
                                 void *dx, void *dadd, Write write_dadd, float *dweight,
                                 float *dbias, void *scratch);
void naive_batch_norm2d_backward_sums(BatchNorm2dKernel *kernel, const void *x, const void *y,
                                      const void *dy, const void *saved, float *dweight,
                                      float *dbias, float *sums, void *scratch);
void naive_batch_norm2d_backward_from_sums(BatchNorm2dKernel *kernel,
                                           BatchNorm2dParameters parameters, const float *sums,
                                           int64_t count_all_ranks, const void *x, const void *y,
                                           const void *dy, const void *saved, void *dx, void *dadd,
                                           Write write_dadd, void *scratch);

void naive_max_pool2d_forward(Device *device, MaxPool2d pool, Shape x_shape, const void *x,
                              Shape y_shape, void *y, uint8_t *winner);
void naive_max_pool2d_backward(Device *device, MaxPool2d pool, Shape x_shape, void *dx,
                               Shape y_shape, const void *dy, const uint8_t *winner, Write write);
void naive_relu_forward(Device *device, Shape shape, const void *x, void *y);
void naive_relu_backward(Device *device, Shape shape, const void *y, const void *dy, void *dx,
                         Write write);
void naive_add_forward(Device *device, Shape shape, const void *a, const void *b, void *y);
void naive_accumulate(Device *device, Shape shape, const void *dy, void *dx, Write write);
void naive_upsample_nearest_forward(Device *device, Shape x_shape, const void *x, Shape y_shape,
                                    int32_t channel_offset, void *y);
void naive_upsample_nearest_backward(Device *device, Shape x_shape, void *dx, Shape y_shape,
                                     int32_t channel_offset, const void *dy, Write write);
void naive_concat_forward(Device *device, Shape x_shape, const void *x, Shape y_shape,
                          int32_t channel_offset, void *y);
void naive_concat_backward(Device *device, Shape x_shape, void *dx, Shape y_shape,
                           int32_t channel_offset, const void *dy, Write write);
void naive_convert(Device *device, int64_t count, Element x_element, const void *x,
                   Element y_element, void *y);
void naive_normalize(Device *device, Shape x_shape, const void *x, const uint8_t *valid,
                     const float *mean, const float *inverse_std, Shape y_shape, void *y);

size_t naive_segmentation_loss_scratch_bytes(SegmentationLoss loss, Shape logits_shape);
void naive_segmentation_loss_sums(Device *device, SegmentationLoss loss, const float *class_weights,
                                  Shape logits_shape, const void *logits, const uint8_t *labels,
                                  float *sums, void *scratch);
void naive_segmentation_loss_backward(Device *device, SegmentationLoss loss,
                                      const float *class_weights, const float *sums,
                                      const float *scale, Shape logits_shape, const void *logits,
                                      const uint8_t *labels, void *dlogits);
void naive_softmax(Device *device, Shape logits_shape, const void *logits, int32_t class_count,
                   float *probabilities);
void naive_argmax(Device *device, Shape logits_shape, const void *logits, int32_t class_count,
                  uint8_t *classes);
void naive_confusion(Device *device, int64_t count, const uint8_t *classes, const uint8_t *labels,
                     int32_t class_count, int64_t *counts);
size_t naive_rpn_proposals_scratch_bytes(const Rpn *rpn, ProposalLimits limits);
void naive_rpn_proposals(Device *device, const Rpn *rpn, const RpnMaps *maps, ProposalLimits limits,
                         const float *image_sizes, float *boxes, float *scores, int32_t *counts,
                         void *scratch);
void naive_roi_align_forward(Device *device, const RoiAlign *align, const void *const *maps,
                             const Regions *regions, Shape y_shape, void *y);
size_t naive_roi_align_backward_scratch_bytes(const RoiAlign *align, int32_t rows);
void naive_roi_align_backward(Device *device, const RoiAlign *align, const Regions *regions,
                              Shape y_shape, const void *dy, void *const *dmaps, Write write,
                              void *scratch);
size_t naive_detections_scratch_bytes(const BoxHead *head, int32_t images);
void naive_detections(Device *device, const BoxHead *head, const Regions *regions,
                      const void *logits, const void *deltas, DetectionLimits limits,
                      const float *image_sizes, Detections *detections, void *scratch);
void naive_detection_regions(Device *device, const Detections *detections, Regions *regions,
                             int32_t *classes);
void naive_mask_targets(Device *device, const Regions *positives, const int32_t *matches,
                        const Truth *truth, int32_t height_px, int32_t width_px, int32_t mask_px,
                        float *targets);
size_t naive_mask_loss_scratch_bytes(const MaskHead *head);
void naive_mask_loss_sums(Device *device, const MaskHead *head, const void *logits,
                          const Regions *positives, const int32_t *classes, const float *targets,
                          float *sums, void *scratch);
void naive_mask_loss_backward(Device *device, const MaskHead *head, const void *logits,
                              const Regions *positives, const int32_t *classes,
                              const float *targets, const float *row_count, const float *scale,
                              void *dlogits);
void naive_mask_select(Device *device, const MaskHead *head, const void *logits,
                       const Regions *regions, const int32_t *classes, float *masks);
void naive_mask_paste(Device *device, const Regions *regions, const float *masks, int32_t mask_px,
                      const float *image_sizes, float threshold, PastedMasks *pasted);

void naive_resize_bilinear(Device *device, Shape x_shape, const float *x, const int32_t *sizes,
                           Shape y_shape, void *y);
void naive_resize_boxes(Device *device, int32_t rows, int32_t rows_per_image, const int32_t *images,
                        const float *scales, float *boxes);
size_t naive_clip_scratch_bytes(int64_t count);
void naive_clip_scale(Device *device, int64_t count, const float *g, float norm_limit, float *norm,
                      float *scale, void *scratch);
void naive_loss_scale_step(Device *device, float norm_limit, float *norm, float *scale,
                           float *state);
void naive_sgd_step(Device *device, const SgdStep *step, int64_t count, const float *scale,
                    const float *g, float *w, float *v);
void naive_adamw_step(Device *device, const AdamwStep *step, int64_t count, const float *scale,
                      const float *g, float *w, float *m, float *v);

size_t naive_rpn_match_scratch_bytes(const Rpn *rpn, int32_t truth_capacity);
void naive_rpn_match(Device *device, const Rpn *rpn, RpnMatching matching, const Truth *truth,
                     int32_t *matches, void *scratch);
size_t naive_rpn_sample_scratch_bytes(const Rpn *rpn);
void naive_rpn_sample(Device *device, const Rpn *rpn, RpnSampling sampling, SampleKeys keys,
                      const int32_t *matches, uint8_t *sampled, void *scratch);
size_t naive_rpn_loss_scratch_bytes(const Rpn *rpn);
void naive_rpn_loss_sums(Device *device, const Rpn *rpn, const RpnMaps *maps, const Truth *truth,
                         const int32_t *matches, const uint8_t *sampled, float *sums,
                         void *scratch);
void naive_rpn_loss_backward(Device *device, const Rpn *rpn, const RpnMaps *maps,
                             const Truth *truth, const int32_t *matches, const uint8_t *sampled,
                             const float *sums, const float *scale, void *const *dlogits,
                             void *const *ddeltas);
size_t naive_roi_sample_scratch_bytes(RoiSampling sampling, int32_t proposal_capacity,
                                      int32_t images, int32_t truth_capacity);
void naive_roi_sample(Device *device, RoiSampling sampling, SampleKeys keys,
                      int32_t proposal_capacity, const float *proposals,
                      const int32_t *proposal_counts, const Truth *truth, SampledRois *rois,
                      void *scratch);
size_t naive_box_loss_scratch_bytes(const BoxHead *head);
void naive_box_loss_sums(Device *device, const BoxHead *head, const void *logits,
                         const void *deltas, const int32_t *classes, const float *targets,
                         float *sums, void *scratch);
void naive_box_loss_backward(Device *device, const BoxHead *head, const void *logits,
                             const void *deltas, const int32_t *classes, const float *targets,
                             const float *sums, const float *scale, void *dlogits, void *ddeltas);
