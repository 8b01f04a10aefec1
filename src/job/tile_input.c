#include "tile_input.h"

#include "base/memory.h"

static Element pixel_element(PixelType type)
{
  switch (type) {
  case PIXEL_U8: return ELEMENT_U8;
  case PIXEL_U16: return ELEMENT_U16;
  case PIXEL_I16: return ELEMENT_I16;
  case PIXEL_F32: break;
  }
  return ELEMENT_F32;
}

Shape tile_input_shape(const Model *model, int32_t batch_size, int32_t height_px, int32_t width_px)
{
  return (Shape){.images = batch_size,
                 .height = height_px,
                 .width = width_px,
                 .channels = model->bands,
                 .element = pixel_element(model->pixel)};
}

size_t tile_input_bytes(const Device *device, Shape image)
{
  const size_t batch = shape_bytes(image) + (size_t)shape_pixels(image);
  return device_works_beside(device) ? 2 * batch : batch; /* the next one waits in the inbox */
}

static Status allocate(TileInput *input)
{
  void *memory;
  const size_t bands = (size_t)input->image.channels;
  TRY(device_allocate(input->device, shape_bytes(input->image), "a batch of tiles",
                      &input->pixels));
  TRY(device_allocate(input->device, (size_t)shape_pixels(input->image), "a batch of masks",
                      &memory));
  input->valid = memory;
  TRY(device_allocate(input->device, bands * sizeof(float), "means", &memory));
  input->mean = memory;
  TRY(device_allocate(input->device, bands * sizeof(float), "deviations", &memory));
  input->inverse_std = memory;
  TRY(inbox_open(input->device, &input->inbox));
  inbox_reserve(input->inbox, shape_bytes(input->image));
  inbox_reserve(input->inbox, (size_t)shape_pixels(input->image));
  return inbox_allocate(input->inbox);
}

static Status send_statistics(TileInput *input, const Model *model)
{
  void *memory;
  const size_t bands = (size_t)model->bands;
  TRY(memory_allocate(2 * bands, sizeof(float), "normalisation", &memory));
  float *means = memory;
  float *inverses = means + bands;
  for (size_t i = 0; i < bands; ++i) {
    means[i] = (float)model->means[i];
    inverses[i] = (float)(1 / model->standard_deviations[i]);
  }
  device_upload(input->device, input->mean, means, bands * sizeof(float));
  device_upload(input->device, input->inverse_std, inverses, bands * sizeof(float));
  const Status status = device_synchronize(input->device);
  memory_free(memory);
  return status;
}

Status tile_input_open(Device *device, const Model *model, Shape image, Shape network,
                       TileInput *input)
{
  *input = (TileInput){.device = device, .image = image};
  TRY(normalize_plan(image, model->bands, network));
  TRY(allocate(input));
  return send_statistics(input, model);
}

void tile_input_close(TileInput *input)
{
  if (input->device == NULL) return;
  inbox_close(input->inbox);
  device_release(input->device, input->pixels);
  device_release(input->device, input->valid);
  device_release(input->device, input->mean);
  device_release(input->device, input->inverse_std);
  *input = (TileInput){0};
}

void tile_input_run(TileInput *input, const void *pixels, const uint8_t *valid, Shape network,
                    void *to)
{
  inbox_put(input->inbox, input->pixels, pixels, shape_bytes(input->image));
  inbox_put(input->inbox, input->valid, valid, (size_t)shape_pixels(input->image));
  inbox_take(input->inbox);
  backend_of(input->device)
      ->normalize(input->device, input->image, input->pixels, input->valid, input->mean,
                  input->inverse_std, network, to);
}
