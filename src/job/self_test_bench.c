#include "self_test_bench.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/require.h"
#include "tensor/bf16.h"

enum { BENCH_BYTES = 2 << 20, ONES_BYTES = 64 << 10, ALIGNMENT_BYTES = 256 };

Status bench_open(const Backend *ops, Device *device, Element element, Bench *bench)
{
  void *memory;
  *bench = (Bench){.ops = ops, .device = device, .element = element};
  TRY(memory_allocate(BENCH_BYTES, 1, "the self-test", &memory));
  bench->host = memory;
  TRY(memory_allocate(ONES_BYTES, 1, "the self-test", &memory));
  bench->ones = memory;
  memset(bench->ones, 0xFF, ONES_BYTES);
  TRY(device_allocate(device, BENCH_BYTES, "the self-test", &memory));
  bench->on_device = memory;
  return STATUS_OK;
}

void bench_close(Bench *bench)
{
  bench_end(bench);
  device_release(bench->device, bench->on_device);
  memory_free(bench->ones);
  memory_free(bench->host);
}

static void fill_with_ones(Bench *bench, char *memory, size_t bytes)
{
  for (size_t done = 0; done < bytes; done += ONES_BYTES)
    device_upload(bench->device, memory + done, bench->ones,
                  bytes - done < ONES_BYTES ? bytes - done : ONES_BYTES);
}

Status bench_begin(Bench *bench, int seed)
{
  bench->random = random_stream(4, (uint64_t)seed);
  bench->take_count = 0;
  bench->refused = false;
  bench->host_used = bench->device_used = 0;
  memset(bench->host, 0, BENCH_BYTES);
  fill_with_ones(bench, bench->on_device, BENCH_BYTES);
  return device_synchronize(bench->device);
}

void bench_end(Bench *bench)
{
  for (int i = 0; i < bench->scratch_count; ++i)
    device_release(bench->device, bench->scratches[i]);
  bench->scratch_count = 0;
}

/* The cases are our own: that they fit is no matter of the machine. */
static void *take_room(char *block, size_t *used, size_t bytes)
{
  const size_t rounded = (bytes + ALIGNMENT_BYTES) / ALIGNMENT_BYTES * ALIGNMENT_BYTES;
  require(rounded <= BENCH_BYTES - *used);
  void *room = block + *used;
  *used += rounded;
  return room;
}

void *bench_host(Bench *bench, int64_t count, size_t size)
{
  return take_room(bench->host, &bench->host_used, (size_t)count * size);
}

float *bench_eighths(Bench *bench, int64_t count)
{
  float *numbers = bench_host(bench, count, sizeof *numbers);
  for (int64_t i = 0; i < count; ++i)
    numbers[i] = ((float)random_below(&bench->random, 17) - 8.0F) / 8.0F;
  return numbers;
}

float *bench_between(Bench *bench, int64_t count, double low, double high)
{
  float *numbers = bench_host(bench, count, sizeof *numbers);
  for (int64_t i = 0; i < count; ++i)
    numbers[i] = bf16_to_f32(bf16_from_f32((float)random_between(&bench->random, low, high)));
  return numbers;
}

uint8_t *bench_bytes(Bench *bench, int64_t count, uint32_t limit)
{
  uint8_t *bytes = bench_host(bench, count, 1);
  for (int64_t i = 0; i < count; ++i)
    bytes[i] = (uint8_t)random_below(&bench->random, limit);
  return bytes;
}

void *bench_blank(Bench *bench, int64_t count, size_t size)
{
  return take_room(bench->on_device, &bench->device_used, (size_t)count * size);
}

void *bench_upload(Bench *bench, const void *from, int64_t count, size_t size)
{
  void *memory = bench_blank(bench, count, size);
  void *kept = bench_host(bench, count, size); /* the upload may end after the caller does */
  memcpy(kept, from, (size_t)count * size);
  device_upload(bench->device, memory, kept, (size_t)count * size);
  return memory;
}

float *bench_equal(Bench *bench, int64_t count, float value)
{
  float *numbers = bench_host(bench, count, sizeof *numbers);
  for (int64_t i = 0; i < count; ++i)
    numbers[i] = value;
  return bench_floats(bench, numbers, count);
}

Status bench_opened(Bench *bench, Status status)
{
  bench->refused = status != STATUS_OK;
  return status;
}

Status bench_scratch(Bench *bench, size_t bytes, void **scratch)
{
  require(bench->scratch_count < BENCH_PIECES_MOST);
  TRY(device_allocate(bench->device, bytes, "scratch of the self-test", scratch));
  bench->scratches[bench->scratch_count++] = *scratch;
  fill_with_ones(bench, *scratch, bytes);
  return STATUS_OK;
}

Shape bench_shape(const Bench *bench, int32_t images, int32_t height, int32_t width,
                  int32_t channels)
{
  const int32_t multiple = bench->ops->channel_multiple;
  return (Shape){.images = images,
                 .height = height,
                 .width = width,
                 .channels = (channels + multiple - 1) / multiple * multiple,
                 .element = bench->element};
}

static void put(void *memory, Element element, int64_t i, float value)
{
  if (element == ELEMENT_BF16)
    ((uint16_t *)memory)[i] = bf16_from_f32(value);
  else
    ((float *)memory)[i] = value;
}

BenchImage bench_image(Bench *bench, int32_t images, int32_t height, int32_t width,
                       int32_t channels, const float *from)
{
  BenchImage image = {.shape = bench_shape(bench, images, height, width, channels),
                      .channels = channels};
  image.memory = bench_blank(bench, (int64_t)shape_bytes(image.shape), 1);
  if (from == NULL) return image;
  void *padded = bench_host(bench, (int64_t)shape_bytes(image.shape), 1);
  for (int64_t pixel = 0; pixel < shape_pixels(image.shape); ++pixel)
    for (int32_t c = 0; c < channels; ++c)
      put(padded, bench->element, pixel * image.shape.channels + c, from[pixel * channels + c]);
  device_upload(bench->device, image.memory, padded, shape_bytes(image.shape));
  return image;
}

BenchImage bench_gradient(Bench *bench, BenchImage of, Write write)
{
  const Shape s = of.shape;
  float *ones = NULL;
  if (write == WRITE_ADD) {
    const int64_t count = shape_pixels(s) * of.channels;
    ones = bench_host(bench, count, sizeof *ones);
    for (int64_t i = 0; i < count; ++i)
      ones[i] = 1.0F;
  }
  return bench_image(bench, s.images, s.height, s.width, of.channels, ones);
}

static void add_take(Bench *bench, BenchTake take, const void *memory)
{
  const size_t bytes = (size_t)take.pixels * (size_t)take.channels_in_memory *
                       (take.element == ELEMENT_BF16 ? 2 : element_bytes(take.element));
  void *host = bench_host(bench, (int64_t)bytes, 1);
  require(bench->take_count < BENCH_TAKES_MOST);
  device_download(bench->device, host, memory, bytes);
  take.bytes = host;
  bench->takes[bench->take_count++] = take;
}

void bench_take_image(Bench *bench, const char *op, BenchImage image)
{
  const BenchTake take = {.op = op,
                          .element = bench->element,
                          .pixels = shape_pixels(image.shape),
                          .channels = image.channels,
                          .channels_in_memory = image.shape.channels};
  add_take(bench, take, image.memory);
}

void bench_take_bytes(Bench *bench, const char *op, const uint8_t *memory, BenchImage like)
{
  const BenchTake take = {.op = op,
                          .element = ELEMENT_U8,
                          .pixels = shape_pixels(like.shape),
                          .channels = like.channels,
                          .channels_in_memory = like.shape.channels};
  add_take(bench, take, memory);
}

void bench_take(Bench *bench, const char *op, Element element, const void *memory, int64_t count)
{
  const BenchTake take = {
      .op = op, .element = element, .pixels = count, .channels = 1, .channels_in_memory = 1};
  add_take(bench, take, memory);
}

/* As pairs of 32-bit words: the upper one of a small count is 0. */
void bench_take_counts(Bench *bench, const char *op, const int64_t *memory, int64_t count)
{
  bench_take(bench, op, ELEMENT_I32, memory, 2 * count);
}

static float number_of(const BenchTake *take, int64_t i)
{
  switch (take->element) {
  case ELEMENT_F32: return ((const float *)take->bytes)[i];
  case ELEMENT_BF16: return bf16_to_f32(((const uint16_t *)take->bytes)[i]);
  case ELEMENT_U8: return (float)((const uint8_t *)take->bytes)[i];
  case ELEMENT_U16: return (float)((const uint16_t *)take->bytes)[i];
  case ELEMENT_I32: return (float)((const int32_t *)take->bytes)[i];
  default: return NAN;
  }
}

void bench_take_numbers(const BenchTake *take, float *numbers)
{
  for (int64_t pixel = 0; pixel < take->pixels; ++pixel)
    for (int32_t c = 0; c < take->channels_in_memory; ++c) {
      const float value = number_of(take, pixel * take->channels_in_memory + c);
      if (c < take->channels)
        numbers[pixel * take->channels + c] = value;
      else if (take->element != ELEMENT_U8 && !(value == 0.0F))
        numbers[pixel * take->channels] = NAN;
    }
}
