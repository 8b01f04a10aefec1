#include <string.h>

#include "cpu_backend.h"
#include "op/detection_loss_element.h"
#include "sample_cpu.h"
#include "span.h"

/* Few anchors are sampled, and they are found by bytes. Sums are taken image by image, in double. */
enum { CLEARED_BYTES = 1 << 16 };

size_t rpn_sample_scratch_bytes_cpu(const Rpn *rpn)
{
  return (size_t)rpn->images * (size_t)rpn_anchor_count(rpn) * sizeof(uint64_t);
}

void rpn_sample_cpu(Device *device, const Rpn *rpn, RpnSampling sampling, SampleKeys keys,
                    const int32_t *matches, uint8_t *sampled, void *scratch)
{
  const int64_t anchors = rpn_anchor_count(rpn);
#pragma omp parallel for schedule(static)
  for (int32_t n = 0; n < rpn->images; ++n)
    sample_draw(anchors, matches + n * anchors, sample_state(keys.seed, keys.streams[n]),
                sampling.count, sampling.positive_count, sampled + n * anchors,
                (uint64_t *)scratch + n * anchors);
}

/* What both passes read. */
typedef struct RpnLoss {
  const Rpn *rpn;
  const RpnMaps *maps;
  const Truth *truth;
  const int32_t *matches;
  const uint8_t *sampled;
  int64_t anchors;
} RpnLoss;

/* The next sampled anchor of an image from one on, or the count of anchors. */
static int64_t next_sampled(const RpnLoss *loss, int32_t image, int64_t anchor)
{
  const uint8_t *of_image = loss->sampled + image * loss->anchors;
  const uint8_t *found = memchr(of_image + anchor, 1, (size_t)(loss->anchors - anchor));
  return found == NULL ? loss->anchors : found - of_image;
}

static float logit_of(const RpnLoss *loss, int32_t image, AnchorPlace place)
{
  float room;
  return *span_load(loss->rpn->element, loss->maps->logits[place.map],
                    anchor_logit(loss->rpn, image, place), 1, &room);
}

static const float *deltas_of(const RpnLoss *loss, int32_t image, AnchorPlace place, float *room)
{
  return span_load(loss->rpn->element, loss->maps->deltas[place.map],
                   anchor_delta(loss->rpn, image, place), 4, room);
}

static void add_image(const RpnLoss *loss, int32_t image, double *sums)
{
  sums[0] = sums[1] = sums[2] = 0;
  for (int64_t i = next_sampled(loss, image, 0); i < loss->anchors;
       i = next_sampled(loss, image, i + 1)) {
    const AnchorPlace place = anchor_place(loss->rpn, i);
    const int32_t match = loss->matches[image * loss->anchors + i];
    const float target = match >= 0 ? 1.0F : 0.0F;
    sums[0] += (double)bce_logits_element(logit_of(loss, image, place), target);
    sums[2] += 1;
    if (match < 0) continue;
    float room[4];
    const BoxCode code = rpn_target(loss->rpn, place, loss->truth, image, match);
    sums[1] += (double)box_code_loss(deltas_of(loss, image, place, room), code);
  }
}

size_t rpn_loss_scratch_bytes_cpu(const Rpn *rpn)
{
  return (size_t)rpn->images * RPN_SUMS * sizeof(double);
}

void rpn_loss_sums_cpu(Device *device, const Rpn *rpn, const RpnMaps *maps, const Truth *truth,
                       const int32_t *matches, const uint8_t *sampled, float *sums, void *scratch)
{
  const RpnLoss loss = {rpn, maps, truth, matches, sampled, rpn_anchor_count(rpn)};
  double *of_images = scratch;
#pragma omp parallel for schedule(static)
  for (int32_t n = 0; n < rpn->images; ++n)
    add_image(&loss, n, of_images + n * RPN_SUMS);
  for (int32_t i = 0; i < RPN_SUMS; ++i) {
    double total = 0;
    for (int32_t n = 0; n < rpn->images; ++n)
      total += of_images[n * RPN_SUMS + i];
    sums[i] = (float)total;
  }
}

static void clear_map(const Rpn *rpn, int32_t map, int32_t channels, void *memory)
{
  const int64_t elements = rpn->images * anchor_map_pixels(rpn, map) * channels;
  const int64_t bytes = elements * (int64_t)element_bytes(rpn->element);
#pragma omp parallel for schedule(static)
  for (int64_t first = 0; first < bytes; first += CLEARED_BYTES)
    memset((uint8_t *)memory + first, 0,
           (size_t)(bytes - first < CLEARED_BYTES ? bytes - first : CLEARED_BYTES));
}

static void write_image(const RpnLoss *loss, int32_t image, float share, void *const *dlogits,
                        void *const *ddeltas)
{
  for (int64_t i = next_sampled(loss, image, 0); i < loss->anchors;
       i = next_sampled(loss, image, i + 1)) {
    const AnchorPlace place = anchor_place(loss->rpn, i);
    const Element element = loss->rpn->element;
    const int32_t match = loss->matches[image * loss->anchors + i];
    const float target = match >= 0 ? 1.0F : 0.0F;
    const float slope = share * bce_logits_slope(logit_of(loss, image, place), target);
    span_store(element, dlogits[place.map], anchor_logit(loss->rpn, image, place), 1, &slope);
    if (match < 0) continue;
    float room[4], slopes[4];
    const BoxCode code = rpn_target(loss->rpn, place, loss->truth, image, match);
    box_code_slopes(deltas_of(loss, image, place, room), code, share, slopes);
    span_store(element, ddeltas[place.map], anchor_delta(loss->rpn, image, place), 4, slopes);
  }
}

void rpn_loss_backward_cpu(Device *device, const Rpn *rpn, const RpnMaps *maps, const Truth *truth,
                           const int32_t *matches, const uint8_t *sampled, const float *sums,
                           const float *scale, void *const *dlogits, void *const *ddeltas)
{
  const RpnLoss loss = {rpn, maps, truth, matches, sampled, rpn_anchor_count(rpn)};
  for (int32_t map = 0; map < rpn->map_count; ++map) {
    clear_map(rpn, map, rpn->logit_channels, dlogits[map]);
    clear_map(rpn, map, rpn->delta_channels, ddeltas[map]);
  }
#pragma omp parallel for schedule(static)
  for (int32_t n = 0; n < rpn->images; ++n)
    write_image(&loss, n, mean_scale(loss_scale_value(scale), sums[2]), dlogits, ddeltas);
}
