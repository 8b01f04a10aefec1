#pragma once

/* Private to the self-test: where a case lays its inputs, and what it hands in. */
#include "base/arena.h"
#include "base/random.h"
#include "self_test.h"

enum { BENCH_PIECES_MOST = 16, BENCH_TAKES_MOST = 24 };

/* An output on its way to the host. */
typedef struct BenchTake {
  const char *op;
  Element element;
  int64_t pixels;
  int32_t channels, channels_in_memory;
  const void *bytes;
} BenchTake;

/* Memory of one case at a time, on the host and on the device. That of the device begins as NaN
 * (all bits 1), so that an op that writes nothing is found. */
typedef struct Bench {
  const Backend *ops;
  Device *device;
  Element element;
  Random random;
  char *host, *on_device; /* BENCH_BYTES each */
  char *ones;             /* ONES_BYTES, all bits 1 */
  size_t host_used, device_used;
  void *scratches[BENCH_PIECES_MOST];
  int scratch_count;
  BenchTake takes[BENCH_TAKES_MOST];
  int take_count;
  bool refused; /* by an open function */
} Bench;

/* An image on the device. channels counts those that mean something; shape.channels is rounded up
 * to the backend's multiple, and what lies between is 0. */
typedef struct BenchImage {
  Shape shape;
  int32_t channels;
  void *memory;
} BenchImage;

Status bench_open(const Backend *ops, Device *device, Element element, Bench *bench);
void bench_close(Bench *bench);
/* Numbers of case number seed follow. Waits for the device. */
Status bench_begin(Bench *bench, int seed);
/* Frees what the case asked of the device; its takes stay until the next one. */
void bench_end(Bench *bench);

/* Host memory, zeros. */
void *bench_host(Bench *bench, int64_t count, size_t size);
/* Made-up numbers: multiples of 1/8 from -1 to 1, whose products and sums are exact; and any from
 * low to high that bfloat16 holds. */
float *bench_eighths(Bench *bench, int64_t count);
float *bench_between(Bench *bench, int64_t count, double low, double high);
/* Classes from 0 to limit - 1. */
uint8_t *bench_bytes(Bench *bench, int64_t count, uint32_t limit);

/* Device memory: all bits 1, or a copy. */
void *bench_blank(Bench *bench, int64_t count, size_t size);
void *bench_upload(Bench *bench, const void *from, int64_t count, size_t size);
static inline float *bench_floats(Bench *bench, const float *from, int64_t count)
{
  return (float *)bench_upload(bench, from, count, sizeof *from);
}
/* count times the same number. */
float *bench_equal(Bench *bench, int64_t count, float value);
/* Returns what an open function said, and keeps whether it refused. */
Status bench_opened(Bench *bench, Status status);
/* What an op asks for, however large, all bits 1; 0 bytes give a valid pointer, too. */
Status bench_scratch(Bench *bench, size_t bytes, void **scratch);

/* From N x H x W x C float32 (NULL: blank), in the bench's element type. */
BenchImage bench_image(Bench *bench, int32_t images, int32_t height, int32_t width,
                       int32_t channels, const float *from);
/* Gradients: blank where they are written, ones where they are added to. */
BenchImage bench_gradient(Bench *bench, BenchImage of, Write write);
Shape bench_shape(const Bench *bench, int32_t images, int32_t height, int32_t width,
                  int32_t channels);

/* Hands in what op wrote. */
void bench_take_image(Bench *bench, const char *op, BenchImage image);
/* A byte per element of an image; those of padded channels hold anything. */
void bench_take_bytes(Bench *bench, const char *op, const uint8_t *memory, BenchImage like);
void bench_take(Bench *bench, const char *op, Element element, const void *memory, int64_t count);
/* 64-bit counts, as pairs of 32-bit words. */
void bench_take_counts(Bench *bench, const char *op, const int64_t *memory, int64_t count);
/* A take as numbers of the host; padded channels that are not 0 become NaN. */
void bench_take_numbers(const BenchTake *take, float *numbers);
