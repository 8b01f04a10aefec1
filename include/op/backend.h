#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "device/device.h"
#include "op/batch_norm2d.h"
#include "op/box_head.h"
#include "op/conv2d.h"
#include "op/conv_transpose2d.h"
#include "op/decoder_conv2d.h"
#include "op/loss_scale.h"
#include "op/mask_head.h"
#include "op/max_pool2d.h"
#include "op/normalize.h"
#include "op/optimizer_step.h"
#include "op/pointwise.h"
#include "op/prediction.h"
#include "op/resize.h"
#include "op/roi_align.h"
#include "op/roi_sample.h"
#include "op/rpn.h"
#include "op/segmentation_loss.h"

/* One op, two twins: the table of a backend, filled once by cpu/ and once by cuda/. The contracts
 * are in the headers above.
 *
 * A function that only computes returns nothing: it issues work on the device's stream, and the
 * device keeps the first failure (device_synchronize). open functions make what a library wants
 * beforehand for the shapes of a plan; they, and nothing later, may refuse or allocate. All
 * pointers are device memory unless the name says host.
 *
 * Convention of the whole program: gradients of parameters are added to; those of activations are
 * set or added to, as Write says, because the plan knows who comes first; everything else is
 * overwritten. */
typedef enum Write { WRITE_SET, WRITE_ADD } Write;

enum { BACKEND_LIBRARY_BYTES = 96 };

/* Memory that an opened op wants from the plan. */
typedef struct OpBytes {
  size_t packed;  /* the backend's own copy of the parameters; kept as long as the op is open */
  size_t saved;   /* from a forward to its backward pass */
  size_t scratch; /* during a call; shared by all ops */
} OpBytes;

typedef struct Conv2dKernel Conv2dKernel;                   /* each backend's own */
typedef struct DecoderConv2dKernel DecoderConv2dKernel;     /* likewise */
typedef struct BatchNorm2dKernel BatchNorm2dKernel;         /* likewise */
typedef struct ConvTranspose2dKernel ConvTranspose2dKernel; /* likewise */

/* The parameters of one batch norm, in the flat blocks. */
typedef struct BatchNorm2dParameters {
  const float *weight;
  const float *bias;
  float *running_mean;
  float *running_var;
} BatchNorm2dParameters;

typedef struct Backend {
  const char *name;
  int32_t channel_multiple; /* channels in memory are rounded up to it; 1 or 8 */
  /* What activations are best in: bfloat16 where the device multiplies it fast, float16 on GPUs
   * that only have that, else float32. */
  Element (*preferred_element)(const Device *device);
  /* Ops opened from now on time what the device's library offers for them, and take the fastest, or
   * what an earlier run found by this. Results then depend on these times in their last digits.
   * Nothing to do on a CPU. */
  void (*autotune)(Device *device, bool autotune);
  /* What it computes with: "oneDNN 2.7.3, AVX-512 with bfloat16", "cuDNN 9.8.0". */
  void (*library)(char text[BACKEND_LIBRARY_BYTES]);

  /* y = conv(x, w) + bias … */
  Status (*conv2d_open)(Device *device, const Conv2dPlan *plan, Conv2dKernel **kernel,
                        OpBytes *bytes);
  void (*conv2d_close)(Conv2dKernel *kernel);
  void (*conv2d_pack)(Conv2dKernel *kernel, const float *weight, const float *bias, void *packed);
  void (*conv2d_forward)(Conv2dKernel *kernel, const void *packed, const void *x, const void *add,
                         void *y, void *scratch);
  void (*conv2d_backward_data)(Conv2dKernel *kernel, const void *packed, const void *dy, void *dx,
                               Write write, void *scratch);
  void (*conv2d_backward_weight)(Conv2dKernel *kernel, const void *x, const void *dy,
                                 float *dweight, float *dbias, void *scratch);

  /* y = conv([nearest2x(a), skip], w) + bias …; skip NULL where there is none; dskip too */
  Status (*decoder_conv2d_open)(Device *device, const DecoderConv2dPlan *plan,
                                DecoderConv2dKernel **kernel, OpBytes *bytes);
  void (*decoder_conv2d_close)(DecoderConv2dKernel *kernel);
  void (*decoder_conv2d_pack)(DecoderConv2dKernel *kernel, const float *weight, const float *bias,
                              void *packed);
  void (*decoder_conv2d_forward)(DecoderConv2dKernel *kernel, const void *packed, const void *a,
                                 const void *skip, void *y, void *scratch);
  void (*decoder_conv2d_backward_data)(DecoderConv2dKernel *kernel, const void *packed,
                                       const void *dy, void *da, Write write_da, void *dskip,
                                       Write write_dskip, void *scratch);
  void (*decoder_conv2d_backward_weight)(DecoderConv2dKernel *kernel, const void *a,
                                         const void *skip, const void *dy, float *dweight,
                                         float *dbias, void *scratch);

  /* y = relu(transposed conv(x, w) + bias) */
  Status (*conv_transpose2d_open)(Device *device, const ConvTranspose2dPlan *plan,
                                  ConvTranspose2dKernel **kernel, OpBytes *bytes);
  void (*conv_transpose2d_close)(ConvTranspose2dKernel *kernel);
  void (*conv_transpose2d_pack)(ConvTranspose2dKernel *kernel, const float *weight,
                                const float *bias, void *packed);
  void (*conv_transpose2d_forward)(ConvTranspose2dKernel *kernel, const void *packed, const void *x,
                                   void *y, void *scratch);
  void (*conv_transpose2d_backward_data)(ConvTranspose2dKernel *kernel, const void *packed,
                                         const void *dy, void *dx, Write write, void *scratch);
  void (*conv_transpose2d_backward_weight)(ConvTranspose2dKernel *kernel, const void *x,
                                           const void *dy, float *dweight, float *dbias,
                                           void *scratch);

  /* y = relu(weight (x - mean) rstd + bias + add). saved holds mean, rstd and what backward needs
   * besides x and y. frozen forward and backward: the running statistics. Split in two where ranks
   * share statistics: sums holds 2 C float32, sum x and sum x^2 (forward; about each channel's
   * running mean, so that the difference of large numbers does not lose digits), sum dz and sum dz
   * xhat (backward). */
  Status (*batch_norm2d_open)(Device *device, const BatchNorm2dPlan *plan,
                              BatchNorm2dKernel **kernel, OpBytes *bytes);
  void (*batch_norm2d_close)(BatchNorm2dKernel *kernel);
  void (*batch_norm2d_forward)(BatchNorm2dKernel *kernel, BatchNorm2dParameters parameters,
                               const void *x, const void *add, void *y, void *saved, void *scratch);
  void (*batch_norm2d_sums)(BatchNorm2dKernel *kernel, BatchNorm2dParameters parameters,
                            const void *x, float *sums, void *scratch);
  void (*batch_norm2d_forward_from_sums)(BatchNorm2dKernel *kernel,
                                         BatchNorm2dParameters parameters, const float *sums,
                                         int64_t count_all_ranks, const void *x, const void *add,
                                         void *y, void *saved, void *scratch);
  void (*batch_norm2d_backward)(BatchNorm2dKernel *kernel, BatchNorm2dParameters parameters,
                                const void *x, const void *y, const void *dy, const void *saved,
                                void *dx, void *dadd, Write write_dadd, float *dweight,
                                float *dbias, void *scratch);
  /* Adds this rank's own part to dweight and dbias, since gradients are summed over ranks later. */
  void (*batch_norm2d_backward_sums)(BatchNorm2dKernel *kernel, const void *x, const void *y,
                                     const void *dy, const void *saved, float *dweight,
                                     float *dbias, float *sums, void *scratch);
  void (*batch_norm2d_backward_from_sums)(BatchNorm2dKernel *kernel,
                                          BatchNorm2dParameters parameters, const float *sums,
                                          int64_t count_all_ranks, const void *x, const void *y,
                                          const void *dy, const void *saved, void *dx, void *dadd,
                                          Write write_dadd, void *scratch);

  /* y = max over the window of x */
  void (*max_pool2d_forward)(Device *device, MaxPool2d pool, Shape x_shape, const void *x,
                             Shape y_shape, void *y, uint8_t *winner);
  void (*max_pool2d_backward)(Device *device, MaxPool2d pool, Shape x_shape, void *dx,
                              Shape y_shape, const void *dy, const uint8_t *winner, Write write);

  /* pointwise.h */
  void (*relu_forward)(Device *device, Shape shape, const void *x, void *y);
  void (*relu_backward)(Device *device, Shape shape, const void *y, const void *dy, void *dx,
                        Write write);
  void (*add_forward)(Device *device, Shape shape, const void *a, const void *b, void *y);
  void (*accumulate)(Device *device, Shape shape, const void *dy, void *dx, Write write);
  void (*upsample_nearest_forward)(Device *device, Shape x_shape, const void *x, Shape y_shape,
                                   int32_t channel_offset, void *y);
  void (*upsample_nearest_backward)(Device *device, Shape x_shape, void *dx, Shape y_shape,
                                    int32_t channel_offset, const void *dy, Write write);
  void (*concat_forward)(Device *device, Shape x_shape, const void *x, Shape y_shape,
                         int32_t channel_offset, void *y);
  void (*concat_backward)(Device *device, Shape x_shape, void *dx, Shape y_shape,
                          int32_t channel_offset, const void *dy, Write write);
  void (*convert)(Device *device, int64_t count, Element x_element, const void *x,
                  Element y_element, void *y);

  /* normalize.h */
  void (*normalize)(Device *device, Shape x_shape, const void *x, const uint8_t *valid,
                    const float *mean, const float *inverse_std, Shape y_shape, void *y);

  /* segmentation_loss.h; partial: segmentation_loss_scratch_bytes of scratch */
  size_t (*segmentation_loss_scratch_bytes)(SegmentationLoss loss, Shape logits_shape);
  void (*segmentation_loss_sums)(Device *device, SegmentationLoss loss, const float *class_weights,
                                 Shape logits_shape, const void *logits, const uint8_t *labels,
                                 float *sums, void *scratch);
  void (*segmentation_loss_backward)(Device *device, SegmentationLoss loss,
                                     const float *class_weights, const float *sums,
                                     const float *scale, Shape logits_shape, const void *logits,
                                     const uint8_t *labels, void *dlogits);

  /* prediction.h */
  void (*softmax)(Device *device, Shape logits_shape, const void *logits, int32_t class_count,
                  float *probabilities);
  void (*argmax)(Device *device, Shape logits_shape, const void *logits, int32_t class_count,
                 uint8_t *classes);
  void (*confusion)(Device *device, int64_t count, const uint8_t *classes, const uint8_t *labels,
                    int32_t class_count, int64_t *counts);

  /* rpn.h. Every function with scratch has its size beside it. */
  size_t (*rpn_proposals_scratch_bytes)(const Rpn *rpn, ProposalLimits limits);
  void (*rpn_proposals)(Device *device, const Rpn *rpn, const RpnMaps *maps, ProposalLimits limits,
                        const float *image_sizes, float *boxes, float *scores, int32_t *counts,
                        void *scratch);
  size_t (*rpn_match_scratch_bytes)(const Rpn *rpn, int32_t truth_capacity);
  void (*rpn_match)(Device *device, const Rpn *rpn, RpnMatching matching, const Truth *truth,
                    int32_t *matches, void *scratch);
  size_t (*rpn_sample_scratch_bytes)(const Rpn *rpn);
  void (*rpn_sample)(Device *device, const Rpn *rpn, RpnSampling sampling, SampleKeys keys,
                     const int32_t *matches, uint8_t *sampled, void *scratch);
  size_t (*rpn_loss_scratch_bytes)(const Rpn *rpn);
  void (*rpn_loss_sums)(Device *device, const Rpn *rpn, const RpnMaps *maps, const Truth *truth,
                        const int32_t *matches, const uint8_t *sampled, float *sums, void *scratch);
  void (*rpn_loss_backward)(Device *device, const Rpn *rpn, const RpnMaps *maps, const Truth *truth,
                            const int32_t *matches, const uint8_t *sampled, const float *sums,
                            const float *scale, void *const *dlogits, void *const *ddeltas);

  /* roi_align.h */
  void (*roi_align_forward)(Device *device, const RoiAlign *align, const void *const *maps,
                            const Regions *regions, Shape y_shape, void *y);
  size_t (*roi_align_backward_scratch_bytes)(const RoiAlign *align, int32_t rows);
  void (*roi_align_backward)(Device *device, const RoiAlign *align, const Regions *regions,
                             Shape y_shape, const void *dy, void *const *dmaps, Write write,
                             void *scratch);

  /* roi_sample.h */
  size_t (*roi_sample_scratch_bytes)(RoiSampling sampling, int32_t proposal_capacity,
                                     int32_t images, int32_t truth_capacity);
  void (*roi_sample)(Device *device, RoiSampling sampling, SampleKeys keys,
                     int32_t proposal_capacity, const float *proposals,
                     const int32_t *proposal_counts, const Truth *truth, SampledRois *rois,
                     void *scratch);

  /* box_head.h */
  size_t (*box_loss_scratch_bytes)(const BoxHead *head);
  void (*box_loss_sums)(Device *device, const BoxHead *head, const void *logits, const void *deltas,
                        const int32_t *classes, const float *targets, float *sums, void *scratch);
  void (*box_loss_backward)(Device *device, const BoxHead *head, const void *logits,
                            const void *deltas, const int32_t *classes, const float *targets,
                            const float *sums, const float *scale, void *dlogits, void *ddeltas);
  size_t (*detections_scratch_bytes)(const BoxHead *head, int32_t images);
  void (*detections)(Device *device, const BoxHead *head, const Regions *regions,
                     const void *logits, const void *deltas, DetectionLimits limits,
                     const float *image_sizes, Detections *detections, void *scratch);
  void (*detection_regions)(Device *device, const Detections *detections, Regions *regions,
                            int32_t *classes);

  /* mask_head.h */
  void (*mask_targets)(Device *device, const Regions *positives, const int32_t *matches,
                       const Truth *truth, int32_t height_px, int32_t width_px, int32_t mask_px,
                       float *targets);
  size_t (*mask_loss_scratch_bytes)(const MaskHead *head);
  void (*mask_loss_sums)(Device *device, const MaskHead *head, const void *logits,
                         const Regions *positives, const int32_t *classes, const float *targets,
                         float *sums, void *scratch);
  void (*mask_loss_backward)(Device *device, const MaskHead *head, const void *logits,
                             const Regions *positives, const int32_t *classes, const float *targets,
                             const float *row_count, const float *scale, void *dlogits);
  void (*mask_select)(Device *device, const MaskHead *head, const void *logits,
                      const Regions *regions, const int32_t *classes, float *masks);
  void (*mask_paste)(Device *device, const Regions *regions, const float *masks, int32_t mask_px,
                     const float *image_sizes, float threshold, PastedMasks *pasted);

  /* resize.h */
  void (*resize_bilinear)(Device *device, Shape x_shape, const float *x, const int32_t *sizes,
                          Shape y_shape, void *y);
  void (*resize_boxes)(Device *device, int32_t rows, int32_t rows_per_image, const int32_t *images,
                       const float *scales, float *boxes);

  /* optimizer_step.h; clip_scale writes one float32 to device memory. The sum of squares is taken
   * in a fixed order. */
  size_t (*clip_scratch_bytes)(int64_t count);
  void (*clip_scale)(Device *device, int64_t count, const float *g, float norm_limit, float *norm,
                     float *scale, void *scratch);
  /* loss_scale.h */
  void (*loss_scale_step)(Device *device, float norm_limit, float *norm, float *scale,
                          float *state);
  void (*sgd_step)(Device *device, const SgdStep *step, int64_t count, const float *scale,
                   const float *g, float *w, float *v);
  void (*adamw_step)(Device *device, const AdamwStep *step, int64_t count, const float *scale,
                     const float *g, float *w, float *m, float *v);
} Backend;

/* The backend of a device. Never NULL for a device that is open. */
const Backend *backend_of(const Device *device);
/* That of GPUs, whether there is one or not; NULL without the plug-in. */
const Backend *backend_of_plugin(void);
