#include "detector_private.h"

enum { MASK_PX = 2 * MASK_RCNN_MASK_PX };

/* Each of the two draws by numbers of its own. */
static SampleKeys keys(const Detector *d, uint64_t draw)
{
  return (SampleKeys){.seed = 2 * d->options.seed + draw, .streams = d->buffers.streams};
}

void detector_sample(Detector *d)
{
  DetectorBuffers *b = &d->buffers;
  const DetectorOptions *o = &d->options;
  d->backend->rpn_match(d->device, &d->rpn, o->matching, &b->truth, b->matches, d->scratch);
  d->backend->rpn_sample(d->device, &d->rpn, o->rpn_sampling, keys(d, 0), b->matches, b->sampled,
                         d->scratch);
  d->backend->roi_sample(d->device, o->roi_sampling, keys(d, 1), o->proposals.post_count,
                         b->proposals, b->proposal_counts, &b->truth, &b->rois, d->scratch);
}

/* Which of the networks' gradients are complete, counted in the block of all. */
typedef struct Ready {
  Status (*ready)(void *context, size_t first);
  void *context;
  int64_t first; /* of the network at work */
} Ready;

static Status tell(void *context, size_t first)
{
  const Ready *r = context;
  return r->ready == NULL ? STATUS_OK : r->ready(r->context, (size_t)r->first + first);
}

static void feature_gradients(Detector *d, void *maps[MASK_RCNN_FEATURES])
{
  for (int32_t i = 0; i < MASK_RCNN_FEATURES; ++i)
    maps[i] = network_output_gradient(d->networks[TRUNK], i);
}

static void forward_box_head(Detector *d)
{
  DetectorBuffers *b = &d->buffers;
  Network *head = d->networks[BOX_HEAD];
  const void *maps[MASK_RCNN_FEATURES];
  detector_features(d, maps);
  d->backend->roi_align_forward(d->device, &d->box_align, maps, &b->rois.regions, d->box_input,
                                network_input(head));
  network_forward(head);
  d->backend->box_loss_sums(d->device, &d->box_head, network_output(head, 0),
                            network_output(head, 1), b->rois.classes, b->rois.targets,
                            b->sums + SUMS_BOX, d->scratch);
}

static Status backward_box_head(Detector *d, Write write, Ready *ready)
{
  DetectorBuffers *b = &d->buffers;
  Network *head = d->networks[BOX_HEAD];
  void *dmaps[MASK_RCNN_FEATURES];
  feature_gradients(d, dmaps);
  d->backend->box_loss_backward(d->device, &d->box_head, network_output(head, 0),
                                network_output(head, 1), b->rois.classes, b->rois.targets,
                                b->sums + SUMS_BOX, d->options.loss_scale,
                                network_output_gradient(head, 0), network_output_gradient(head, 1));
  ready->first = d->parts->trained_first[BOX_HEAD];
  TRY(network_backward(head, tell, ready));
  d->backend->roi_align_backward(d->device, &d->box_align, &b->rois.regions, d->box_input,
                                 network_input_gradient(head), dmaps, write, d->scratch);
  return STATUS_OK;
}

/* A part of the positive regions, forward and backward at once: the number of all is known, so
 * nothing of one part has to wait for another. */
static Status learn_masks_of(Detector *d, int32_t first, Write write)
{
  DetectorBuffers *b = &d->buffers;
  Network *head = d->networks[MASK_HEAD];
  const Shape pair = {1, 1, 1, MASK_SUMS, ELEMENT_F32};
  const Regions piece = detector_piece(&b->rois.positives, first, d->mask_rows);
  const int32_t *classes = b->rois.positive_classes + first;
  const void *maps[MASK_RCNN_FEATURES];
  void *dmaps[MASK_RCNN_FEATURES];
  detector_features(d, maps);
  feature_gradients(d, dmaps);
  d->backend->mask_targets(d->device, &piece, b->rois.positive_matches + first, &b->truth,
                           d->options.height_px, d->options.width_px, MASK_PX, b->mask_targets);
  d->backend->roi_align_forward(d->device, &d->mask_align, maps, &piece, d->mask_input,
                                network_input(head));
  network_forward(head);
  d->backend->mask_loss_sums(d->device, &d->mask_head_part, network_output(head, 0), &piece,
                             classes, b->mask_targets, d->part_sums, d->scratch);
  d->backend->add_forward(d->device, pair, b->sums + SUMS_MASK, d->part_sums, b->sums + SUMS_MASK);
  d->backend->mask_loss_backward(d->device, &d->mask_head_part, network_output(head, 0), &piece,
                                 classes, b->mask_targets, b->sums + SUM_POSITIVE_ROWS,
                                 d->options.loss_scale, network_output_gradient(head, 0));
  TRY(network_backward(head, NULL, NULL));
  d->backend->roi_align_backward(d->device, &d->mask_align, &piece, d->mask_input,
                                 network_input_gradient(head), dmaps, write, d->scratch);
  return STATUS_OK;
}

/* write: how the next gradient of the features is to be written. */
static Status learn_masks(Detector *d, Ready *ready, Write *write)
{
  *write = WRITE_SET;
  if (d->networks[MASK_HEAD] == NULL) return STATUS_OK;
  const int32_t rows = detector_row_count(d, &d->buffers.rois.positives);
  for (int32_t first = 0; first < rows; first += d->mask_rows) {
    TRY(learn_masks_of(d, first, *write));
    *write = WRITE_ADD;
  }
  ready->first = d->parts->trained_first[MASK_HEAD];
  return tell(ready, 0);
}

static void rpn_gradients(Detector *d)
{
  DetectorBuffers *b = &d->buffers;
  const RpnMaps maps = detector_rpn_maps(d);
  void *dlogits[MASK_RCNN_MAPS];
  void *ddeltas[MASK_RCNN_MAPS];
  for (int32_t i = 0; i < MASK_RCNN_MAPS; ++i) {
    dlogits[i] = network_output_gradient(d->networks[TRUNK], mask_rcnn_logits(i));
    ddeltas[i] = network_output_gradient(d->networks[TRUNK], mask_rcnn_deltas(i));
  }
  d->backend->rpn_loss_backward(d->device, &d->rpn, &maps, &b->truth, b->matches, b->sampled,
                                b->sums + SUMS_RPN, d->options.loss_scale, dlogits, ddeltas);
}

static Status sum_over_ranks(Detector *d, float *sums, size_t count)
{
  return d->options.gradients == NULL
             ? STATUS_OK
             : gradients_sum(d->options.gradients, "the sum of losses", sums, count);
}

Status detector_learn(Detector *d, Status (*ready)(void *context, size_t first), void *context)
{
  DetectorBuffers *b = &d->buffers;
  const RpnMaps maps = detector_rpn_maps(d);
  Ready telling = {.ready = ready, .context = context};
  Write write;
  device_clear(d->device, b->sums, DETECTOR_SUMS * sizeof(float));
  d->backend->rpn_loss_sums(d->device, &d->rpn, &maps, &b->truth, b->matches, b->sampled,
                            b->sums + SUMS_RPN, d->scratch);
  forward_box_head(d);
  TRY(sum_over_ranks(d, b->sums, SUMS_MASK));
  TRY(learn_masks(d, &telling, &write));
  TRY(sum_over_ranks(d, b->sums + SUMS_MASK, MASK_SUMS));
  TRY(backward_box_head(d, write, &telling));
  rpn_gradients(d);
  telling.first = d->parts->trained_first[TRUNK];
  return network_backward(d->networks[TRUNK], tell, &telling);
}

const char *detector_loss_name(DetectorLoss loss)
{
  static const char *const names[DETECTOR_LOSSES] = {
      [LOSS_CLASSIFIER] = "loss_classifier",
      [LOSS_BOX_REG] = "loss_box_reg",
      [LOSS_MASK] = "loss_mask",
      [LOSS_OBJECTNESS] = "loss_objectness",
      [LOSS_RPN_BOX_REG] = "loss_rpn_box_reg",
  };
  return names[loss];
}

static double mean_of(float sum, float count)
{
  return count > 0 ? (double)sum / (double)count : 0;
}

void detector_losses(const float sums[DETECTOR_SUMS], double losses[DETECTOR_LOSSES])
{
  losses[LOSS_OBJECTNESS] = mean_of(sums[SUMS_RPN], sums[SUMS_RPN + 2]);
  losses[LOSS_RPN_BOX_REG] = mean_of(sums[SUMS_RPN + 1], sums[SUMS_RPN + 2]);
  losses[LOSS_CLASSIFIER] = mean_of(sums[SUMS_BOX], sums[SUMS_BOX + 2]);
  losses[LOSS_BOX_REG] = mean_of(sums[SUMS_BOX + 1], sums[SUMS_BOX + 2]);
  losses[LOSS_MASK] = mean_of(sums[SUMS_MASK], sums[SUMS_MASK + 1]);
}
