#pragma once

#include <stdbool.h>

#include "op/backend.h"
#include "support/check.h"
#include "support/formula.h"
#include "support/golden.h"

/* The backends that are here: the naive loops, the CPU's, and that of the first GPU if there is
 * one. A test is written once and runs on all of them. */
typedef struct TestBackend {
  const char *name;
  const Backend *ops;
  Device *device;
} TestBackend;

/* After the last comes NULL. They live until the process ends. */
const TestBackend *backends_next(const TestBackend *last);
#define FOR_EACH_BACKEND(b)                                                                        \
  for (const TestBackend *b = backends_next(NULL); b != NULL; b = backends_next(b))
/* The independent truth, and those that are held against it. */
const TestBackend *backends_naive(void);
#define FOR_EACH_TWIN(b)                                                                           \
  for (const TestBackend *b = backends_next(backends_naive()); b != NULL; b = backends_next(b))

/* Element types of activations that every backend computes in. */
#define FOR_EACH_ELEMENT(element)                                                                  \
  for (Element element = ELEMENT_F32; (int)element >= 0;                                           \
       element = element == ELEMENT_F32 ? ELEMENT_BF16 : (Element)-1)

/* All memory of a test on one backend, freed at once. Memory of the device is filled with NaN (all
 * bits 1), so that nothing passes which only works on zeros. */
typedef struct Room Room;
Room *room_open(const TestBackend *on);
void room_close(Room *room);

/* Host memory, zeros. */
void *room_host(Room *room, int64_t count, size_t size);
float *room_numbers(Room *room, int64_t count);
/* numbers as an op takes them: signed(seed(name)) of formula.h, or multiples of 1/8 from -1 to 1
 * (in which sums of products are exact, in float32 as well as behind a rounding to bfloat16). */
float *room_formula(Room *room, const char *name, int64_t count);
float *room_eighths(Room *room, const char *name, int64_t count);
float *room_equal(Room *room, int64_t count, float value);
/* Text as printf makes it. */
const char *room_name(Room *room, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Device memory; at least one byte, so that it is never NULL. */
void *room_device(Room *room, size_t bytes);
void *room_upload(Room *room, const void *from, size_t bytes);
float *room_upload_floats(Room *room, const float *from, int64_t count);
/* A scale as the losses' gradients take it: NULL for 1. */
const float *scale_on(Room *room, float scale);
void *room_download(Room *room, const void *from, size_t bytes);
float *room_download_floats(Room *room, const void *from, int64_t count);

/* An image on the device. channels counts those that mean something; shape.channels is rounded up
 * to the backend's multiple, and what lies between is 0. */
typedef struct TestImage {
  Shape shape;
  int32_t channels;
  void *memory;
} TestImage;

/* From N x H x W x channels float32, converted to the element type; from NULL: filled with NaN. */
TestImage room_image(Room *room, Shape shape, const float *from);
/* Back to float32, without the padded channels; fails the test if these are not 0 (or NaN where the
 * pixel holds a NaN, which passes through weights of 0 too). */
float *room_numbers_of(Room *room, TestImage image);

static inline Shape image_shape(int32_t n, int32_t h, int32_t w, int32_t c, Element element)
{
  return (Shape){.images = n, .height = h, .width = w, .channels = c, .element = element};
}

/* Every value lies within tolerance of what is expected (0: equal; NaN only where NaN is expected).
 * The message names backend, element type and what. */
typedef struct Expectation {
  const TestBackend *on;
  Element element;
  const char *what;
  double tolerance;
} Expectation;

void expect_floats(Expectation expectation, int64_t count, const float *got, const float *expected);
void expect_doubles(Expectation expectation, int64_t count, const float *got,
                    const double *expected);

/* The same against a golden tensor plus before; the tolerance is a share of its largest value. */
void expect_golden(Expectation expectation, const GoldenTensor *golden, const float *got,
                   float before);

/* cuDNN gives the gradient of 16-bit weights in 16 bits; the other backends in float32. largest: of
 * the gradients' values. */
double rounding_of_dweight(const TestBackend *on, Element element, double largest);

double largest_float(int64_t count, const float *values);
double largest_double(int64_t count, const double *values);
