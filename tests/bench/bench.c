#include "bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"

enum { ISSUED_AT_ONCE = 8 };

void bench_check(Status status)
{
  if (status == STATUS_OK) return;
  (void)fprintf(stderr, "bench: %s\n", status_message());
  exit(status_exit_code(status));
}

const char *bench_text(int count, char **arguments, const char *name, const char *preset)
{
  const size_t length = strlen(name);
  for (int i = 1; i < count; ++i)
    if (strncmp(arguments[i], "--", 2) == 0 && strncmp(arguments[i] + 2, name, length) == 0 &&
        arguments[i][2 + length] == '=')
      return arguments[i] + length + 3;
  return preset;
}

int bench_int(int count, char **arguments, const char *name, int preset)
{
  const char *text = bench_text(count, arguments, name, NULL);
  return text == NULL ? preset : (int)strtol(text, NULL, 10);
}

double bench_real(int count, char **arguments, const char *name, double preset)
{
  const char *text = bench_text(count, arguments, name, NULL);
  return text == NULL ? preset : strtod(text, NULL);
}

Element bench_element(const char *precision)
{
  return strcmp(precision, "bf16") == 0 ? ELEMENT_BF16 : ELEMENT_F32;
}

Device *bench_device(int count, char **arguments)
{
  Device *device = NULL;
  const bool on_gpu = strcmp(bench_text(count, arguments, "device", "cpu"), "gpu") == 0;
  bench_check(device_open(on_gpu ? 0 : -1, &device));
  const bool autotune = strcmp(bench_text(count, arguments, "autotune", "yes"), "no") != 0;
  backend_of(device)->autotune(device, on_gpu && autotune);
  return device;
}

void *bench_allocate(Device *device, size_t bytes)
{
  void *memory = NULL;
  bench_check(device_allocate(device, bytes, "bench", &memory));
  return memory;
}

void *bench_host(size_t count, size_t size)
{
  void *memory = NULL;
  bench_check(memory_allocate(count, size, "bench", &memory));
  return memory;
}

void bench_upload(Device *device, void *to, const void *from, size_t bytes)
{
  device_upload(device, to, from, bytes);
  bench_check(device_synchronize(device));
}

void bench_download(Device *device, void *to, const void *from, size_t bytes)
{
  device_download(device, to, from, bytes);
  bench_check(device_synchronize(device));
}

void *bench_uploaded(Device *device, const void *from, size_t bytes)
{
  void *memory = bench_allocate(device, bytes);
  bench_upload(device, memory, from, bytes);
  return memory;
}

static Status issue(void *work)
{
  const BenchWork *w = work;
  w->iterate(w->context);
  return STATUS_OK;
}

void bench_record(BenchWork *work)
{
  if (device_kind(work->device) == DEVICE_CPU) return;
  bench_check(device_synchronize(work->device));
  bench_check(recording_make(work->device, issue, work, &work->recording));
}

static void iterate(const BenchWork *work)
{
  if (work->prepare != NULL) work->prepare(work->context);
  if (work->recording != NULL)
    recording_play(work->recording);
  else
    work->iterate(work->context);
}

double bench_round(BenchWork work, double seconds)
{
  const int at_once = device_kind(work.device) == DEVICE_CUDA ? ISSUED_AT_ONCE : 1;
  int64_t count = 0;
  const double start = clock_seconds();
  double now = start;
  while (now - start < seconds) {
    for (int i = 0; i < at_once; ++i)
      iterate(&work);
    bench_check(device_synchronize(work.device));
    count += at_once;
    now = clock_seconds();
  }
  return (now - start) / (double)count;
}

/* --- the stream's time --- */

/* Copies that keep the GPU from what is issued behind them. */
typedef struct Barrier {
  Device *device;
  char *memory;
  size_t bytes; /* of one copy */
  int copies;
} Barrier;

static void issue_barrier(const Barrier *barrier)
{
  for (int i = 0; i < barrier->copies; ++i)
    device_copy(barrier->device, barrier->memory, barrier->memory + barrier->bytes, barrier->bytes);
}

static double barrier_seconds(const Barrier *barrier)
{
  const double start = clock_seconds();
  issue_barrier(barrier);
  bench_check(device_synchronize(barrier->device));
  return clock_seconds() - start;
}

static Barrier barrier_open(Device *device)
{
  enum { FEWEST = 4, MOST = 512 };
  const double wanted_s = 0.05;
  Barrier barrier = {.device = device, .bytes = (size_t)64 << 20, .copies = FEWEST};
  barrier.memory = bench_allocate(device, 2 * barrier.bytes);
  device_clear(device, barrier.memory, 2 * barrier.bytes);
  (void)barrier_seconds(&barrier);
  const double copies = FEWEST * wanted_s / barrier_seconds(&barrier);
  barrier.copies = (int)fmin(fmax(copies, FEWEST), MOST);
  return barrier;
}

double bench_stream_seconds(BenchWork work)
{
  enum { REPEATS = 3 };
  if (device_kind(work.device) == DEVICE_CPU) return 0;
  const Barrier barrier = barrier_open(work.device);
  double least = INFINITY;
  for (int i = 0; i < REPEATS; ++i) {
    const double alone = barrier_seconds(&barrier);
    const double start = clock_seconds();
    issue_barrier(&barrier);
    iterate(&work);
    bench_check(device_synchronize(work.device));
    least = fmin(least, clock_seconds() - start - alone);
  }
  device_release(work.device, barrier.memory);
  return fmax(least, 0);
}

/* --- rounds on demand --- */

void bench_serve(BenchWork work, double seconds)
{
  enum { LINE_BYTES = 64 };
  char line[LINE_BYTES];
  (void)fflush(stdout);
  while (fgets(line, sizeof line, stdin) != NULL && strncmp(line, "go", 2) == 0) {
    const double stream_seconds = bench_stream_seconds(work);
    (void)printf("{\"seconds\": %.9g, \"stream_seconds\": %.9g}\n", bench_round(work, seconds),
                 stream_seconds);
    (void)fflush(stdout);
  }
}
