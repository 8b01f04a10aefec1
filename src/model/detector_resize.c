#include "detector_private.h"

/* What is uploaded for a batch, parts of the staging memory. */
typedef struct Sizes {
  int32_t *resizing;  /* images x 4 */
  float *image_sizes; /* images x 2 … */
  float *own_sizes;
  float *box_scales;
} Sizes;

Status detector_check_resizing(const DetectorOptions *o)
{
  if (o->resize_least_px <= 0) return STATUS_OK;
  if (o->training)
    return status_set(STATUS_BAD_SHAPE, "a detector that is trained takes images as they are");
  if (o->resize_most_px < o->resize_least_px || o->image_height_px < 1 || o->image_width_px < 1)
    return status_set(STATUS_BAD_SHAPE, "images of %d x %d px resized to %d … %d px",
                      o->image_height_px, o->image_width_px, o->resize_least_px, o->resize_most_px);
  return STATUS_OK;
}

size_t detector_staging_bytes(const Detector *d)
{
  return (size_t)d->options.images * (4 * sizeof(int32_t) + 6 * sizeof(float));
}

static Sizes sizes_in(const Detector *d)
{
  const size_t images = (size_t)d->options.images;
  Sizes sizes = {.resizing = d->staging};
  sizes.image_sizes = (float *)(sizes.resizing + 4 * images);
  sizes.own_sizes = sizes.image_sizes + 2 * images;
  sizes.box_scales = sizes.own_sizes + 2 * images;
  return sizes;
}

Status detector_set_sizes(Detector *d)
{
  const Sizes sizes = sizes_in(d);
  const size_t images = (size_t)d->options.images;
  for (size_t i = 0; i < images; ++i) {
    sizes.image_sizes[2 * i] = (float)d->options.height_px;
    sizes.image_sizes[2 * i + 1] = (float)d->options.width_px;
  }
  device_upload(d->device, d->buffers.image_sizes, sizes.image_sizes, 2 * images * sizeof(float));
  return device_synchronize(d->device);
}

static Status resize_one(const Detector *d, const int32_t *own, size_t i, const Sizes *sizes)
{
  const DetectorOptions *o = &d->options;
  int32_t size[2] = {0, 0};
  if (own[0] >= 1 && own[1] >= 1)
    resize_size(own[0], own[1], o->resize_least_px, o->resize_most_px, size);
  if (own[0] > o->image_height_px || own[1] > o->image_width_px || size[0] < 1 || size[1] < 1 ||
      size[0] > o->height_px || size[1] > o->width_px)
    return status_set(STATUS_BAD_SHAPE,
                      "an image of %d x %d px becomes %d x %d px; there is room for %d x %d and %d "
                      "x %d px",
                      own[0], own[1], size[0], size[1], o->image_height_px, o->image_width_px,
                      o->height_px, o->width_px);
  for (size_t axis = 0; axis < 2; ++axis) {
    sizes->resizing[4 * i + axis] = own[axis];
    sizes->resizing[4 * i + 2 + axis] = size[axis];
    sizes->own_sizes[2 * i + axis] = (float)own[axis];
    sizes->image_sizes[2 * i + axis] = (float)size[axis];
    sizes->box_scales[2 * i + axis] = (float)own[axis] / (float)size[axis];
  }
  return STATUS_OK;
}

Status detector_resize(Detector *d, const int32_t *sizes_px)
{
  const DetectorBuffers *b = &d->buffers;
  const DetectorOptions *o = &d->options;
  const Sizes sizes = sizes_in(d);
  const size_t images = (size_t)o->images;
  const size_t pairs = 2 * images * sizeof(float);
  const Shape own = {o->images, o->image_height_px, o->image_width_px, d->parts->model.bands,
                     ELEMENT_F32};
  TRY(resize_bilinear_plan(own, own.channels, detector_input_shape(d)));
  for (size_t i = 0; i < images; ++i)
    TRY(resize_one(d, sizes_px + 2 * i, i, &sizes));
  device_upload(d->device, d->resizing, sizes.resizing, 4 * images * sizeof(int32_t));
  device_upload(d->device, b->image_sizes, sizes.image_sizes, pairs);
  device_upload(d->device, b->own_sizes, sizes.own_sizes, pairs);
  device_upload(d->device, d->box_scales, sizes.box_scales, pairs);
  d->backend->resize_bilinear(d->device, own, b->images, d->resizing, detector_input_shape(d),
                              detector_input(d));
  return STATUS_OK;
}

void detector_unresize(Detector *d)
{
  const Detections *found = &d->buffers.detections;
  const Regions *detected = &d->buffers.detected;
  d->backend->resize_boxes(d->device, found->images * found->capacity, found->capacity, NULL,
                           d->box_scales, found->boxes);
  d->backend->resize_boxes(d->device, detected->capacity, 0, detected->images, d->box_scales,
                           detected->boxes);
}
