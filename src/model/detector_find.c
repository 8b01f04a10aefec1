#include "detector_private.h"

enum { MASK_PX = 2 * MASK_RCNN_MASK_PX };

Regions detector_piece(const Regions *regions, int32_t first, int32_t rows)
{
  return (Regions){.capacity = rows,
                   .boxes = regions->boxes + 4 * (int64_t)first,
                   .images = regions->images + first};
}

int32_t detector_row_count(const Detector *d, const Regions *regions)
{
  return device_known_count(d->device, regions->count, regions->capacity);
}

void detector_features(Detector *d, const void *maps[MASK_RCNN_FEATURES])
{
  for (int32_t i = 0; i < MASK_RCNN_FEATURES; ++i)
    maps[i] = network_output(d->networks[TRUNK], i);
}

RpnMaps detector_rpn_maps(Detector *d)
{
  RpnMaps maps = {0};
  for (int32_t i = 0; i < MASK_RCNN_MAPS; ++i) {
    maps.logits[i] = network_output(d->networks[TRUNK], mask_rcnn_logits(i));
    maps.deltas[i] = network_output(d->networks[TRUNK], mask_rcnn_deltas(i));
  }
  return maps;
}

void detector_forward_trunk(Detector *d)
{
  network_forward(d->networks[TRUNK]);
}

void detector_propose(Detector *d)
{
  const RpnMaps maps = detector_rpn_maps(d);
  DetectorBuffers *b = &d->buffers;
  d->backend->rpn_proposals(d->device, &d->rpn, &maps, d->options.proposals, b->image_sizes,
                            b->proposals, b->proposal_scores, b->proposal_counts, d->scratch);
}

/* Rows of a part of the regions, among those of all. */
static char *rows_at(void *all, Shape shape, int32_t first)
{
  shape.images = first;
  return (char *)all + (first > 0 ? shape_bytes(shape) : 0);
}

static void run_box_head(Detector *d, int32_t first)
{
  DetectorBuffers *b = &d->buffers;
  Network *head = d->networks[BOX_HEAD];
  const void *maps[MASK_RCNN_FEATURES];
  const Regions piece = detector_piece(&b->regions, first, d->box_rows);
  detector_features(d, maps);
  d->backend->roi_align_forward(d->device, &d->box_align, maps, &piece, d->box_input,
                                network_input(head));
  network_forward(head);
  device_copy(d->device, rows_at(b->box_logits, d->box_head_part.logits, first),
              network_output(head, 0), shape_bytes(d->box_head_part.logits));
  device_copy(d->device, rows_at(b->box_deltas, d->box_head_part.deltas, first),
              network_output(head, 1), shape_bytes(d->box_head_part.deltas));
}

void detector_find_boxes(Detector *d)
{
  DetectorBuffers *b = &d->buffers;
  const Detections proposals = {.images = d->options.images,
                                .capacity = d->options.proposals.post_count,
                                .boxes = b->proposals,
                                .scores = b->proposal_scores,
                                .counts = b->proposal_counts};
  d->backend->detection_regions(d->device, &proposals, &b->regions, NULL);
  const int32_t rows = detector_row_count(d, &b->regions);
  for (int32_t first = 0; first < rows; first += d->box_rows)
    run_box_head(d, first);
  d->backend->detections(d->device, &d->box_head, &b->regions, b->box_logits, b->box_deltas,
                         d->options.limits, b->image_sizes, &b->detections, d->scratch);
}

static void run_mask_head(Detector *d, int32_t first)
{
  DetectorBuffers *b = &d->buffers;
  Network *head = d->networks[MASK_HEAD];
  const void *maps[MASK_RCNN_FEATURES];
  const Regions piece = detector_piece(&b->detected, first, d->mask_rows);
  detector_features(d, maps);
  d->backend->roi_align_forward(d->device, &d->mask_align, maps, &piece, d->mask_input,
                                network_input(head));
  network_forward(head);
  d->backend->mask_select(d->device, &d->mask_head_part, network_output(head, 0), &piece,
                          b->detected_classes + first,
                          b->masks + (int64_t)first * MASK_PX * MASK_PX);
}

void detector_find_masks(Detector *d)
{
  DetectorBuffers *b = &d->buffers;
  d->backend->detection_regions(d->device, &b->detections, &b->detected, b->detected_classes);
  const bool masks = d->networks[MASK_HEAD] != NULL;
  const bool resized = d->options.resize_least_px > 0;
  const int32_t rows = masks ? detector_row_count(d, &b->detected) : 0;
  for (int32_t first = 0; first < rows; first += d->mask_rows)
    run_mask_head(d, first);
  if (resized) detector_unresize(d);
  if (!masks || d->options.pasted_pixels_most == 0) return;
  d->backend->mask_paste(d->device, &b->detected, b->masks, MASK_PX,
                         resized ? b->own_sizes : b->image_sizes, d->options.mask_threshold,
                         &b->pasted);
}

void detector_find(Detector *d)
{
  detector_forward_trunk(d);
  detector_propose(d);
  detector_find_boxes(d);
  detector_find_masks(d);
}
