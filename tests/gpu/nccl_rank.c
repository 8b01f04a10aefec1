#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "comm/gradients.h"
#include "device/device.h"
#include "nccl_ranks.h"
#include "process_comm.h"

/* One rank of a sum over several. Trials: "sum"; "kill", where the last rank dies in the midst of a
 * step; "absent", where its host stays away from a step until the others have left. */
enum { COUNT = 300000, BUCKET = 100000, STEPS = 6, FAULTY_STEP = 3 };

typedef struct Rank {
  const Comm *comm;
  const char *trial;
  Device *device;
  Gradients *gradients;
  float *block, *host;
} Rank;

/* Eighths, so that the sum is exact in any order. */
static float gradient(int rank, int64_t step, size_t i)
{
  return 0.125F * (float)((size_t)(rank + 1) * (i % 1000 + 1) + (size_t)step);
}

static Status open_memory(Rank *r)
{
  void *memory;
  TRY(device_allocate(r->device, COUNT * sizeof(float), "gradients", &memory));
  r->block = memory;
  TRY(device_allocate_host(r->device, COUNT * sizeof(float), "gradients", &memory));
  r->host = memory;
  TRY(gradients_open(r->comm, r->device, r->block, COUNT, BUCKET * sizeof(float), &r->gradients));
  if (strncmp(gradients_backend(r->gradients), "NCCL ", 5) == 0) return STATUS_OK;
  return status_set(STATUS_UNSUPPORTED, "%s", gradients_backend(r->gradients));
}

static void fail_if_told(const Rank *r, int64_t step)
{
  if (step != FAULTY_STEP || comm_rank(r->comm) != comm_rank_count(r->comm) - 1) return;
  if (strcmp(r->trial, "kill") == 0) (void)raise(SIGKILL);
  if (strcmp(r->trial, "absent") != 0) return;
  (void)sleep(3 * (unsigned)strtoul(getenv("QUADRAT_NCCL_TIMEOUT_S"), NULL, 10));
}

static Status check(const Rank *r, int64_t step)
{
  for (size_t i = 0; i < COUNT; ++i) {
    float expected = 0;
    for (int rank = 0; rank < comm_rank_count(r->comm); ++rank)
      expected += gradient(rank, step, i);
    if (r->host[i] != expected)
      return status_set(STATUS_DEVICE, "step %d, element %zu is %g, not %g", (int)step, i,
                        (double)r->host[i], (double)expected);
  }
  return STATUS_OK;
}

static Status run_step(const Rank *r, int64_t step)
{
  for (size_t i = 0; i < COUNT; ++i)
    r->host[i] = gradient(comm_rank(r->comm), step, i);
  device_upload(r->device, r->block, r->host, COUNT * sizeof(float));
  gradients_begin_step(r->gradients, step);
  TRY(gradients_ready(r->gradients, COUNT - BUCKET));
  fail_if_told(r, step);
  TRY(gradients_finish(r->gradients));
  device_download(r->device, r->host, r->block, COUNT * sizeof(float));
  TRY(device_synchronize(r->device));
  return check(r, step);
}

static Status run(Rank *r)
{
  TRY(device_open(0, &r->device));
  TRY(open_memory(r));
  for (int64_t step = 0; step < STEPS; ++step)
    TRY(run_step(r, step));
  return STATUS_OK;
}

static void end(Rank *r)
{
  gradients_close(r->gradients);
  if (r->block != NULL) device_release(r->device, r->block);
  if (r->host != NULL) device_release_host(r->device, r->host);
  device_close(r->device);
}

int rank_main(int rank, int rank_count, const char *folder, const char *trial)
{
  char path[256];
  Comm *comm;
  (void)snprintf(path, sizeof path, "%s/comm", folder);
  Status status = process_comm_open(path, rank, rank_count, &comm);
  if (status == STATUS_OK) {
    Rank r = {.comm = comm, .trial = trial};
    status = run(&r);
    if (status != STATUS_OK) (void)fprintf(stderr, "rank %d: %s\n", rank, status_message());
    (void)fflush(stderr);
    end(&r);
  } else {
    (void)fprintf(stderr, "rank %d: %s\n", rank, status_message());
  }
  return status_exit_code(status);
}
