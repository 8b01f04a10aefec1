#include "support/backends.h"

#include <math.h>
#include <stdio.h>

#include "base/arena.h"
#include "support/naive_ops.h"
#include "tensor/bf16.h"

enum { BACKENDS_MOST = 3, DEVICE_PIECES_MOST = 128 };

/* QUADRAT_TESTS_WANT_GPU: a GPU that is not seen fails the test, which would pass without having tried it. */
static void expect_wanted_gpu(void)
{
  const char *why = NULL;
  if (getenv("QUADRAT_TESTS_WANT_GPU") != NULL && device_gpu_count(&why) == 0)
    fail_msg("no GPU is seen: %s", why);
}

static const TestBackend *backends(int *count)
{
  static TestBackend list[BACKENDS_MOST];
  static int found;
  expect_wanted_gpu();
  if (found == 0) {
    Device *host = NULL;
    CHECK_OK(device_open(-1, &host));
    list[found++] = (TestBackend){.name = "naive", .ops = &naive_backend, .device = host};
    /* The GPU's suite is built without the CPU's backend: its host has the naive one. */
    if (backend_of(host) != &naive_backend)
      list[found++] = (TestBackend){.name = "cpu", .ops = backend_of(host), .device = host};
    if (device_gpu_count(NULL) > 0) {
      Device *gpu = NULL;
      CHECK_OK(device_open(0, &gpu));
      list[found++] = (TestBackend){.name = "cuda", .ops = backend_of(gpu), .device = gpu};
    }
  }
  *count = found;
  return list;
}

const TestBackend *backends_next(const TestBackend *last)
{
  int count = 0;
  const TestBackend *list = backends(&count);
  if (last == NULL) return list;
  return last + 1 < list + count ? last + 1 : NULL;
}

const TestBackend *backends_naive(void)
{
  return backends_next(NULL);
}

struct Room {
  const TestBackend *on;
  Arena *arena;
  void *pieces[DEVICE_PIECES_MOST];
  int piece_count;
};

Room *room_open(const TestBackend *on)
{
  Room *room = calloc(1, sizeof *room);
  assert_true(room != NULL);
  room->on = on;
  CHECK_OK(arena_open(&room->arena));
  return room;
}

void room_close(Room *room)
{
  CHECK_OK(device_synchronize(room->on->device));
  for (int i = 0; i < room->piece_count; ++i)
    device_release(room->on->device, room->pieces[i]);
  arena_close(room->arena);
  free(room);
}

void *room_host(Room *room, int64_t count, size_t size)
{
  void *memory = NULL;
  CHECK_OK(arena_allocate(room->arena, (size_t)count * size, &memory));
  return memory;
}

float *room_numbers(Room *room, int64_t count)
{
  return room_host(room, count, sizeof(float));
}

float *room_formula(Room *room, const char *name, int64_t count)
{
  float *numbers = room_numbers(room, count);
  for (int64_t i = 0; i < count; ++i)
    numbers[i] = formula_signed(formula_seed(name), (uint32_t)i);
  return numbers;
}

float *room_eighths(Room *room, const char *name, int64_t count)
{
  float *numbers = room_formula(room, name, count);
  for (int64_t i = 0; i < count; ++i)
    numbers[i] = roundf(numbers[i] * 8.0F) / 8.0F;
  return numbers;
}

float *room_equal(Room *room, int64_t count, float value)
{
  float *numbers = room_numbers(room, count);
  for (int64_t i = 0; i < count; ++i)
    numbers[i] = value;
  return numbers;
}

const char *room_name(Room *room, const char *format, ...)
{
  enum { NAME_BYTES = 128 };
  char *name = room_host(room, NAME_BYTES, 1);
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(name, NAME_BYTES, format, arguments);
  va_end(arguments);
  return name;
}

void *room_device(Room *room, size_t bytes)
{
  const size_t at_least_one = bytes == 0 ? 1 : bytes;
  void *ones = room_host(room, (int64_t)at_least_one, 1);
  memset(ones, 0xFF, at_least_one);
  return room_upload(room, ones, at_least_one);
}

void *room_upload(Room *room, const void *from, size_t bytes)
{
  void *memory = NULL;
  assert_true(room->piece_count < DEVICE_PIECES_MOST);
  CHECK_OK(device_allocate(room->on->device, bytes, "a test", &memory));
  room->pieces[room->piece_count++] = memory;
  device_upload(room->on->device, memory, from, bytes);
  CHECK_OK(device_synchronize(room->on->device));
  return memory;
}

float *room_upload_floats(Room *room, const float *from, int64_t count)
{
  return room_upload(room, from, (size_t)count * sizeof *from);
}

const float *scale_on(Room *room, float scale)
{
  return scale == 1.0F ? NULL : room_upload_floats(room, &scale, 1);
}

void *room_download(Room *room, const void *from, size_t bytes)
{
  void *host = room_host(room, (int64_t)bytes, 1);
  device_download(room->on->device, host, from, bytes);
  CHECK_OK(device_synchronize(room->on->device));
  return host;
}

float *room_download_floats(Room *room, const void *from, int64_t count)
{
  return room_download(room, from, (size_t)count * sizeof(float));
}

static void put(void *memory, Element element, int64_t i, float value)
{
  if (element == ELEMENT_BF16)
    ((uint16_t *)memory)[i] = bf16_from_f32(value);
  else
    ((float *)memory)[i] = value;
}

static float get(const void *memory, Element element, int64_t i)
{
  return element == ELEMENT_BF16 ? bf16_to_f32(((const uint16_t *)memory)[i])
                                 : ((const float *)memory)[i];
}

TestImage room_image(Room *room, Shape shape, const float *from)
{
  const int32_t multiple = room->on->ops->channel_multiple;
  TestImage image = {.shape = shape, .channels = shape.channels};
  image.shape.channels = (shape.channels + multiple - 1) / multiple * multiple;
  if (from == NULL) {
    image.memory = room_device(room, shape_bytes(image.shape));
    return image;
  }
  void *padded = room_host(room, (int64_t)shape_bytes(image.shape), 1);
  for (int64_t pixel = 0; pixel < shape_pixels(shape); ++pixel)
    for (int32_t c = 0; c < shape.channels; ++c)
      put(padded, shape.element, pixel * image.shape.channels + c,
          from[pixel * shape.channels + c]);
  image.memory = room_upload(room, padded, shape_bytes(image.shape));
  return image;
}

static void expect_no_padding(const TestBackend *on, TestImage image, const void *padded,
                              int64_t pixel)
{
  bool has_nan = false;
  for (int32_t c = 0; c < image.shape.channels; ++c) {
    const float value = get(padded, image.shape.element, pixel * image.shape.channels + c);
    if (c < image.channels)
      has_nan = has_nan || isnan(value);
    else if (value != 0.0F && !(has_nan && isnan(value)))
      fail_msg("%s: the padded channel %d of pixel %d is %g, not 0", on->name, c, (int)pixel,
               (double)value);
  }
}

float *room_numbers_of(Room *room, TestImage image)
{
  const void *padded = room_download(room, image.memory, shape_bytes(image.shape));
  float *numbers = room_numbers(room, shape_pixels(image.shape) * image.channels);
  for (int64_t pixel = 0; pixel < shape_pixels(image.shape); ++pixel) {
    expect_no_padding(room->on, image, padded, pixel);
    for (int32_t c = 0; c < image.channels; ++c)
      numbers[pixel * image.channels + c] =
          get(padded, image.shape.element, pixel * image.shape.channels + c);
  }
  return numbers;
}

double rounding_of_dweight(const TestBackend *on, Element element, double largest)
{
  return strcmp(on->name, "cuda") == 0 && element != ELEMENT_F32 ? 0x1p-8 * (largest + 1.0) : 0.0;
}

static void expect_one(Expectation e, int64_t i, double got, double expected)
{
  if (isnan(expected) ? isnan(got) : got == expected || fabs(got - expected) <= e.tolerance) return;
  fail_msg("%s, %s: %s [%d] is %.9g, expected %.9g within %.3g", e.on->name,
           element_name(e.element), e.what, (int)i, got, expected, e.tolerance);
}

void expect_floats(Expectation expectation, int64_t count, const float *got, const float *expected)
{
  for (int64_t i = 0; i < count; ++i)
    expect_one(expectation, i, (double)got[i], (double)expected[i]);
}

void expect_doubles(Expectation expectation, int64_t count, const float *got,
                    const double *expected)
{
  for (int64_t i = 0; i < count; ++i)
    expect_one(expectation, i, (double)got[i], expected[i]);
}

double largest_float(int64_t count, const float *values)
{
  double largest = 0.0;
  for (int64_t i = 0; i < count; ++i)
    largest = fmax(largest, fabs((double)values[i]));
  return largest;
}

double largest_double(int64_t count, const double *values)
{
  double largest = 0.0;
  for (int64_t i = 0; i < count; ++i)
    largest = fmax(largest, fabs(values[i]));
  return largest;
}

void expect_golden(Expectation expectation, const GoldenTensor *golden, const float *got,
                   float before)
{
  expectation.what = golden->name;
  expectation.tolerance *= (double)before + largest_double(golden->count, golden->values);
  for (int64_t i = 0; i < golden->count; ++i)
    expect_one(expectation, i, (double)got[i], golden->values[i] + (double)before);
}
