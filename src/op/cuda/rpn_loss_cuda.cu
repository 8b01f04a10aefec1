#include "block_sums.cuh"
#include "sample.cuh"

#include "detection_loss_element.h"

/* The number of blocks depends on the shape alone, so that sums are the same on every GPU. */
enum { LOSS_BLOCKS_MOST = 512 };

static inline unsigned loss_blocks(const Rpn *rpn)
{
  const unsigned blocks = blocks_for(rpn->images * rpn_anchor_count(rpn));
  return blocks < LOSS_BLOCKS_MOST ? blocks : (unsigned)LOSS_BLOCKS_MOST;
}

__global__ void rpn_sample_kernel(SampleItems items, Selection selection, uint8_t *sampled)
{
  const int32_t image = (int32_t)blockIdx.y;
  const int64_t i = thread_index();
  if (i >= items.items) return;
  sampled[image * items.items + i] = sample_takes_item(items, selection, image, i) ? 1 : 0;
}

/* What both passes read. */
typedef struct RpnTruth {
  Truth truth;
  const int32_t *matches;
  const uint8_t *sampled;
  int64_t anchors; /* of an image */
} RpnTruth;

template <typename T>
__device__ inline float place_logit(const Rpn *rpn, const RpnMaps *maps, int32_t image,
                                    AnchorPlace place)
{
  return widen(((const T *)maps->logits[place.map])[anchor_logit(rpn, image, place)]);
}

template <typename T>
__device__ inline void place_deltas(const Rpn *rpn, const RpnMaps *maps, int32_t image,
                                    AnchorPlace place, float *deltas)
{
  const T *from = (const T *)maps->deltas[place.map] + anchor_delta(rpn, image, place);
  for (int32_t k = 0; k < 4; ++k)
    deltas[k] = widen(from[k]);
}

template <typename T>
__global__ void rpn_loss_sums_kernel(const __grid_constant__ Rpn rpn,
                                     const __grid_constant__ RpnMaps maps, RpnTruth in,
                                     float *partial)
{
  __shared__ float room[THREADS];
  float sums[RPN_SUMS] = {0.0F, 0.0F, 0.0F};
  const int64_t all = rpn.images * in.anchors;
  for (int64_t i = thread_index(); i < all; i += (int64_t)gridDim.x * THREADS) {
    if (in.sampled[i] == 0) continue;
    const int32_t image = (int32_t)(i / in.anchors);
    const int32_t match = in.matches[i];
    const AnchorPlace place = anchor_place(&rpn, i % in.anchors);
    const float logit = place_logit<T>(&rpn, &maps, image, place);
    sums[0] += bce_logits_element(logit, match >= 0 ? 1.0F : 0.0F);
    sums[2] += 1.0F;
    if (match < 0) continue;
    float deltas[4];
    place_deltas<T>(&rpn, &maps, image, place, deltas);
    sums[1] += box_code_loss(deltas, rpn_target(&rpn, place, &in.truth, image, match));
  }
  for (int32_t k = 0; k < RPN_SUMS; ++k) {
    const float sum = block_sum(sums[k], room);
    if (threadIdx.x == 0) partial[(int64_t)blockIdx.x * RPN_SUMS + k] = sum;
  }
}

/* The maps' gradients. */
typedef struct RpnGradients {
  void *logits[PYRAMID_MAPS_MOST];
  void *deltas[PYRAMID_MAPS_MOST];
} RpnGradients;

/* Writes what was sampled into cleared maps. */
template <typename T>
__global__ void rpn_gradient_kernel(const __grid_constant__ Rpn rpn,
                                    const __grid_constant__ RpnMaps maps, RpnTruth in,
                                    const float *sums, const float *scale,
                                    const __grid_constant__ RpnGradients gradients)
{
  const int64_t i = thread_index();
  if (i >= rpn.images * in.anchors || in.sampled[i] == 0) return;
  const float share = mean_scale(loss_scale_value(scale), sums[2]);
  const int32_t image = (int32_t)(i / in.anchors);
  const int32_t match = in.matches[i];
  const AnchorPlace place = anchor_place(&rpn, i % in.anchors);
  const float logit = place_logit<T>(&rpn, &maps, image, place);
  narrow((T *)gradients.logits[place.map] + anchor_logit(&rpn, image, place),
         share * bce_logits_slope(logit, match >= 0 ? 1.0F : 0.0F));
  if (match < 0) return;
  float deltas[4], slopes[4];
  place_deltas<T>(&rpn, &maps, image, place, deltas);
  box_code_slopes(deltas, rpn_target(&rpn, place, &in.truth, image, match), share, slopes);
  T *to = (T *)gradients.deltas[place.map] + anchor_delta(&rpn, image, place);
  for (int32_t k = 0; k < 4; ++k)
    narrow(to + k, slopes[k]);
}

size_t rpn_sample_scratch_bytes_cuda(const Rpn *rpn)
{
  ScratchPieces pieces = {NULL, 0};
  (void)selection_in(&pieces, rpn->images * SAMPLE_KINDS);
  return pieces.bytes;
}

void rpn_sample_cuda(Device *device, const Rpn *rpn, RpnSampling sampling, SampleKeys keys,
                     const int32_t *matches, uint8_t *sampled, void *scratch)
{
  ScratchPieces pieces = {(char *)scratch, 0};
  const Selection selection = selection_in(&pieces, rpn->images * SAMPLE_KINDS);
  const SampleItems items = {matches, rpn_anchor_count(rpn), keys, sampling.positive_count,
                             sampling.count};
  select_first(device, items, selection, items.items);
  LAUNCH(device, rpn_sample_kernel, dim3(blocks_for(items.items), (unsigned)rpn->images), THREADS,
         items, selection, sampled);
}

size_t rpn_loss_scratch_bytes_cuda(const Rpn *rpn)
{
  return loss_blocks(rpn) * RPN_SUMS * sizeof(float);
}

void rpn_loss_sums_cuda(Device *device, const Rpn *rpn, const RpnMaps *maps, const Truth *truth,
                        const int32_t *matches, const uint8_t *sampled, float *sums, void *scratch)
{
  const RpnTruth in = {*truth, matches, sampled, rpn_anchor_count(rpn)};
  BY_ELEMENT(rpn->element, T,
             LAUNCH(device, rpn_loss_sums_kernel<T>, loss_blocks(rpn), THREADS, *rpn, *maps, in,
                    (float *)scratch));
  LAUNCH(device, block_totals_kernel<float>, 1, THREADS, (int32_t)loss_blocks(rpn),
         (int32_t)RPN_SUMS, (const float *)scratch, sums);
}

void rpn_loss_backward_cuda(Device *device, const Rpn *rpn, const RpnMaps *maps, const Truth *truth,
                            const int32_t *matches, const uint8_t *sampled, const float *sums,
                            const float *scale, void *const *dlogits, void *const *ddeltas)
{
  const RpnTruth in = {*truth, matches, sampled, rpn_anchor_count(rpn)};
  const size_t each = element_bytes(rpn->element);
  RpnGradients gradients = {};
  for (int32_t m = 0; m < rpn->map_count; ++m) {
    const size_t pixels = (size_t)rpn->images * (size_t)anchor_map_pixels(rpn, m);
    device_clear(device, dlogits[m], pixels * (size_t)rpn->logit_channels * each);
    device_clear(device, ddeltas[m], pixels * (size_t)rpn->delta_channels * each);
    gradients.logits[m] = dlogits[m];
    gradients.deltas[m] = ddeltas[m];
  }
  BY_ELEMENT(rpn->element, T,
             LAUNCH(device, rpn_gradient_kernel<T>, blocks_for(rpn->images * in.anchors), THREADS,
                    *rpn, *maps, in, sums, scale, gradients));
}
