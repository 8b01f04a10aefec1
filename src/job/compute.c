#include "compute.h"

#include <omp.h>

#include "base/memory.h"
#include "op/backend.h"

static Status open_device(const Job *job, DeviceChoice choice, Device **device)
{
  const char *why;
  *device = NULL;
  const int gpus = choice == DEVICE_CHOICE_CPU ? 0 : device_gpu_count(&why);
  if (choice == DEVICE_CHOICE_GPU && gpus == 0)
    return status_set(STATUS_UNSUPPORTED,
                      "device=gpu, but no GPU can be used: %s; choose device=cpu", why);
  if (gpus == 0) return device_open(-1, device);
  return device_open(comm_rank_on_node(job->comm) % gpus, device);
}

Status compute_open_again(const Job *job, DeviceChoice choice, Device **device)
{
  return open_device(job, choice, device);
}

Status compute_open(const Job *job, DeviceChoice choice, int64_t threads, Device **device)
{
  omp_set_num_threads(threads > 0 ? (int)threads : omp_get_max_threads());
  Status status = comm_agree(job->comm, open_device(job, choice, device));
  if (status == STATUS_OK)
    status = comm_print_binding(job->comm, job->log, omp_get_max_threads(), device_name(*device));
  if (status != STATUS_OK) {
    device_close(*device);
    *device = NULL;
  }
  return status;
}

void compute_autotune(Device *device, bool autotune)
{
  backend_of(device)->autotune(device, autotune);
}

Status compute_element(const Device *device, PrecisionChoice choice, Element *element)
{
  switch (choice) {
  case PRECISION_AUTO: *element = backend_of(device)->preferred_element(device); return STATUS_OK;
  case PRECISION_FLOAT32: *element = ELEMENT_F32; return STATUS_OK;
  case PRECISION_BFLOAT16: *element = ELEMENT_BF16; return STATUS_OK;
  case PRECISION_FLOAT16: break;
  }
  if (device_kind(device) == DEVICE_CPU)
    return status_set(STATUS_UNSUPPORTED,
                      "precision=float16 is for GPUs; choose bfloat16 or float32 on a CPU");
  *element = ELEMENT_F16;
  return STATUS_OK;
}

Status compute_print_memory(const Job *job)
{
  int64_t bytes = (int64_t)memory_peak_bytes();
  TRY(comm_reduce_int64(job->comm, COMM_MAX, &bytes, 1));
  log_once(job->log, "peak memory of a rank: %.1f MiB", (double)bytes / 1048576.0);
  return STATUS_OK;
}
