/* A tool for the program's own main: a training's sums over ranks without its network, with a host
 * that fails where it is told (nccl_faults_test.sh). */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "comm/gradients.h"
#include "device/device.h"
#include "job/job.h"

enum { COUNT = 3000, BUCKET = 1000, STEPS = 12, STEPS_PER_LOOK = 4 };

typedef struct SumsOptions {
  const char *fault;
  int64_t rank, step;
} SumsOptions;

static const Option options[] = {
    {"fault", OPTION_TEXT, offsetof(SumsOptions, fault), "", NULL, 0, 0, NULL,
     "sleep, stop, kill or error."},
    {"rank", OPTION_INT, offsetof(SumsOptions, rank), "0", NULL, 0, 99, NULL, "Whose host fails."},
    {"step", OPTION_INT, offsetof(SumsOptions, step), "0", NULL, 0, 99, NULL, "From 0."},
};

static const OptionTable table = {"sums", "zeros -> their sum", "quadrat sums", options,
                                  sizeof options / sizeof *options};

static Status fail_if_told(const Job *job, const SumsOptions *o, int64_t step)
{
  if (step != o->step || comm_rank(job->comm) != o->rank) return STATUS_OK;
  if (strcmp(o->fault, "sleep") == 0) (void)sleep(60);
  if (strcmp(o->fault, "stop") == 0) (void)raise(SIGSTOP);
  if (strcmp(o->fault, "kill") == 0) (void)raise(SIGKILL);
  if (strcmp(o->fault, "error") == 0) return status_set(STATUS_IO, "chips.h5 cannot be read");
  return STATUS_OK;
}

/* The host fails in the midst of a step. */
static Status run_steps(const Job *job, const SumsOptions *o, Device *device, Gradients *gradients)
{
  for (int64_t step = 0; step < STEPS; ++step) {
    gradients_begin_step(gradients, step);
    TRY(gradients_ready(gradients, COUNT - BUCKET));
    TRY(fail_if_told(job, o, step));
    TRY(gradients_finish(gradients));
    if ((step + 1) % STEPS_PER_LOOK == 0) TRY(comm_agree(job->comm, device_synchronize(device)));
  }
  return STATUS_OK;
}

static Status run_on(const Job *job, const SumsOptions *o, Device *device)
{
  Gradients *gradients;
  void *block;
  TRY(device_allocate(device, COUNT * sizeof(float), "gradients", &block));
  device_clear(device, block, COUNT * sizeof(float));
  Status status =
      gradients_open(job->comm, device, block, COUNT, BUCKET * sizeof(float), &gradients);
  if (status == STATUS_OK) {
    status = run_steps(job, o, device, gradients);
    gradients_close(gradients);
  }
  device_release(device, block);
  return status;
}

static Status run(const Job *job, const void *values)
{
  Device *device;
  TRY(comm_agree(job->comm, device_open(0, &device)));
  const Status status = run_on(job, values, device);
  device_close(device);
  return status;
}

static const Tool sums_tool = {.table = &table, .values_bytes = sizeof(SumsOptions), .run = run};

const Tool *const *job_tools(size_t *count)
{
  static const Tool *const tools[] = {&sums_tool};
  *count = 1;
  return tools;
}
