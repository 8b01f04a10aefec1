#include <string.h>

#include "box_lists_cpu.h"
#include "cpu_backend.h"
#include "op/proposal_element.h"
#include "span.h"

size_t rpn_proposals_scratch_bytes_cpu(const Rpn *rpn, ProposalLimits limits)
{
  ScratchPieces pieces = {NULL, 0};
  (void)proposal_room_in(&pieces, rpn, limits);
  return pieces.bytes;
}

VECTORIZED static void make_keys(const float *restrict logits, int64_t count,
                                 uint32_t *restrict keys)
{
  for (int64_t i = 0; i < count; ++i)
    keys[i] = order_key(logits[i]);
}

/* Of all anchors of a map; a span of them lies together where no channels are padded. */
static void map_keys(const Rpn *rpn, int32_t map, int32_t image, const void *logits, uint32_t *keys)
{
  const bool packed = rpn->logit_channels == rpn->anchor_count;
  const int64_t pixels = anchor_map_pixels(rpn, map);
  const int64_t span_pixels = packed ? SPAN_MOST / rpn->anchor_count : 1;
  for (int64_t pixel = 0; pixel < pixels; pixel += span_pixels) {
    float buffer[SPAN_MOST];
    const int64_t count = pixels - pixel < span_pixels ? pixels - pixel : span_pixels;
    const AnchorPlace place = {.map = map, .pixel = pixel};
    const float *span = span_load(rpn->element, logits, anchor_logit(rpn, image, place),
                                  count * rpn->anchor_count, buffer);
    make_keys(span, count * rpn->anchor_count, keys + pixel * rpn->anchor_count);
  }
}

/* The least key that is taken, and how many of those equal to it. */
typedef struct Cut {
  uint32_t key;
  int64_t ties;
} Cut;

enum { CUT_BITS = 11, CUT_BINS = 1 << CUT_BITS };

/* Digit by digit, from the highest: the bin in which the wanted-th key from above lies. */
static Cut find_cut(const uint32_t *keys, int64_t count, int64_t wanted)
{
  static const int shifts[] = {21, 10, 0};
  if (count <= wanted) return (Cut){.key = 0, .ties = count};
  uint32_t key = 0, known = 0; /* the digits found so far, and their bits */
  for (int d = 0; d < 3; ++d) {
    int32_t bins[CUT_BINS] = {0};
    const uint32_t digits = ~known >> shifts[d];
    for (int64_t i = 0; i < count; ++i)
      if ((keys[i] & known) == key) ++bins[keys[i] >> shifts[d] & digits];
    uint32_t bin = digits;
    for (; bin > 0 && bins[bin] < wanted; --bin)
      wanted -= bins[bin];
    key |= bin << shifts[d];
    known = ~((1U << shifts[d]) - 1U);
  }
  return (Cut){.key = key, .ties = wanted};
}

/* In the order of the anchors. A NaN, whose key is 0, is not taken. */
static int32_t take_keys(const uint32_t *keys, int64_t count, Cut cut, Ranked *ranked)
{
  int32_t taken = 0;
  for (int64_t i = 0; i < count; ++i) {
    if (keys[i] < cut.key || keys[i] == 0 || (keys[i] == cut.key && cut.ties-- <= 0)) continue;
    ranked[taken++] = (Ranked){.key = keys[i], .index = (int32_t)i};
  }
  return taken;
}

static void decode_list(const Rpn *rpn, const void *deltas, int32_t map, int32_t image,
                        ProposalLimits limits, const float *size, const BoxLists *lists)
{
  const int32_t list = image * rpn->map_count + map;
  const int64_t first = lists->first[list];
  const int32_t first_tie = proposal_map_first(rpn, limits, map);
  for (int32_t i = 0; i < lists->count[list]; ++i) {
    const Ranked ranked = lists->ranked[first + i];
    const AnchorPlace place = {.map = map,
                               .cell = ranked.index % rpn->anchor_count,
                               .pixel = ranked.index / rpn->anchor_count};
    float buffer[4];
    const float *code = span_load(rpn->element, deltas, anchor_delta(rpn, image, place), 4, buffer);
    const Box box = box_decode(anchor_box(rpn, place),
                               (BoxCode){code[0], code[1], code[2], code[3]}, rpn_weights());
    list_candidate(lists, first + i, box_clip(box, size), proposal_score(order_value(ranked.key)),
                   first_tie + i, limits.least_side_px);
  }
}

static void fill_list(const Rpn *rpn, const RpnMaps *maps, int32_t map, int32_t image,
                      ProposalLimits limits, const float *size, const ProposalRoom *room)
{
  const BoxLists *lists = &room->lists;
  const int32_t list = image * rpn->map_count + map;
  const int64_t anchors = anchor_map_pixels(rpn, map) * rpn->anchor_count;
  uint32_t *keys = room->keys + image * rpn_anchor_count(rpn);
  for (int32_t m = 0; m < map; ++m)
    keys += anchor_map_pixels(rpn, m) * rpn->anchor_count;
  const int64_t first = (int64_t)image * proposal_map_first(rpn, limits, rpn->map_count) +
                        proposal_map_first(rpn, limits, map);
  map_keys(rpn, map, image, maps->logits[map], keys);
  lists->first[list] = first;
  lists->count[list] =
      take_keys(keys, anchors, find_cut(keys, anchors, limits.pre_count), lists->ranked + first);
  ranked_sort(lists->ranked + first, lists->sorted + first, lists->count[list]);
  decode_list(rpn, maps->deltas[map], map, image, limits, size, lists);
  list_suppress(lists, list, limits.iou_most);
}

/* The best of an image's maps; behind them zeros. */
static int32_t write_image(const Rpn *rpn, const BoxLists *lists, int32_t image, int32_t most,
                           float *boxes, float *scores)
{
  int32_t taken[PYRAMID_MAPS_MOST] = {0};
  memset(boxes, 0, (size_t)most * 4 * sizeof *boxes);
  memset(scores, 0, (size_t)most * sizeof *scores);
  for (int32_t count = 0; count < most; ++count) {
    const int64_t candidate = lists_take(lists, image * rpn->map_count, rpn->map_count, taken);
    if (candidate < 0) return count;
    box_store(boxes, count, listed_box(lists, candidate));
    scores[count] = lists->score[candidate];
  }
  return most;
}

void rpn_proposals_cpu(Device *device, const Rpn *rpn, const RpnMaps *maps, ProposalLimits limits,
                       const float *image_sizes, float *boxes, float *scores, int32_t *counts,
                       void *scratch)
{
  ScratchPieces pieces = {scratch, 0};
  const ProposalRoom room = proposal_room_in(&pieces, rpn, limits);
  const int64_t most = limits.post_count;
#pragma omp parallel for schedule(dynamic, 1)
  for (int32_t list = 0; list < rpn->images * rpn->map_count; ++list)
    fill_list(rpn, maps, list % rpn->map_count, list / rpn->map_count, limits,
              image_sizes + (ptrdiff_t)list / rpn->map_count * 2, &room);
#pragma omp parallel for schedule(dynamic, 1)
  for (int32_t image = 0; image < rpn->images; ++image)
    counts[image] = write_image(rpn, &room.lists, image, limits.post_count,
                                boxes + image * most * 4, scores + image * most);
}
