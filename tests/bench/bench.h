#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "device/recording.h"
#include "op/backend.h"

/* What our side's programs share. Each prints one line of JSON that says what it will time, then for
 * every line "go" on stdin runs one round and prints a line of JSON; "end" ends it. A failure is told
 * on stderr and ends the program. */

void bench_check(Status status);

/* What follows --NAME= among the arguments, or preset. */
const char *bench_text(int count, char **arguments, const char *name, const char *preset);
int bench_int(int count, char **arguments, const char *name, int preset);
double bench_real(int count, char **arguments, const char *name, double preset);

/* float32 or bfloat16, of "f32" and "bf16". */
Element bench_element(const char *precision);

/* The CPU, or the first GPU, of --device=cpu|gpu; on a GPU with timed engines unless --autotune=no. */
Device *bench_device(int count, char **arguments);
void *bench_allocate(Device *device, size_t bytes); /* device memory */
void *bench_host(size_t count, size_t size);
void bench_upload(Device *device, void *to, const void *from, size_t bytes); /* waits */
void bench_download(Device *device, void *to, const void *from, size_t bytes);
void *bench_uploaded(Device *device, const void *from, size_t bytes);

/* What is timed: an iteration is issued and not waited for. */
typedef struct BenchWork {
  Device *device;
  void (*iterate)(void *context);
  void *context;
  void (*prepare)(
      void *context);   /* before each iteration, what a recording leaves out; may be NULL */
  Recording *recording; /* of an iteration; NULL: issued op by op */
} BenchWork;

/* From here on iterations are played, as train does; on a CPU nothing changes. After the first. */
void bench_record(BenchWork *work);

/* Seconds of an iteration, over about the wanted time. On a GPU eight at a time are issued before the
 * host waits, as a training or a map does. */
double bench_round(BenchWork work, double seconds);

/* Seconds for which an iteration keeps the GPU's stream when the host is ahead of it: the GPU's own time,
 * with the gaps between its kernels. Over the round's seconds this is the share of time that the GPU is
 * busy. 0 on a CPU. */
double bench_stream_seconds(BenchWork work);

/* Rounds on demand; stdout has the line that says what is timed. */
void bench_serve(BenchWork work, double seconds);
