/* Sums over ranks of what lies in device memory. All ranks go the same way. */
#include "comm/gradients.h"

#include <stdio.h>

#include "base/memory.h"
#include "base/require.h"
#include "gradients_ways.h"

typedef enum Way {
  WAY_ALONE,  /* one rank */
  WAY_HOST,   /* all devices are hosts: MPI sums in place */
  WAY_STAGED, /* over pinned memory; a device that is the host copies as well, to keep step */
  WAY_NCCL
} Way;

struct Gradients {
  const Comm *comm;
  Device *device;
  Way way;
  float *block;
  size_t count;
  size_t bucket_count; /* elements of a bucket */
  size_t summed_from;  /* elements from here on are summed, or on their way */
  float *staging;      /* bucket_count, pinned; WAY_STAGED */
  const NcclDriver *driver;
  Nccl *nccl; /* WAY_NCCL */
  char backend[256];
};

static void drop_nccl(Gradients *gradients)
{
  if (gradients->nccl != NULL) gradients->driver->abort(gradients->nccl);
  gradients->nccl = NULL;
}

static Status connect_nccl(Gradients *gradients)
{
  const double deadline_s = 120;
  const Comm *comm = gradients->comm;
  unsigned char id[NCCL_ID_BYTES] = {0};
  Status status = STATUS_OK;
  if (comm_rank(comm) == 0) status = gradients->driver->make_id(id);
  TRY(comm_agree(comm, status));
  TRY(comm_broadcast(comm, 0, id, sizeof id));
  status = gradients->driver->open(device_driver(gradients->device), id, comm_rank(comm),
                                   comm_rank_count(comm), deadline_s, &gradients->nccl);
  return comm_agree(comm, status);
}

/* A job that NCCL refuses goes on over the host, and says so. */
static void try_nccl(Gradients *gradients)
{
  if (connect_nccl(gradients) == STATUS_OK) {
    gradients->way = WAY_NCCL;
    (void)snprintf(gradients->backend, sizeof gradients->backend, "%s",
                   gradients->driver->version());
    return;
  }
  drop_nccl(gradients);
  (void)snprintf(gradients->backend, sizeof gradients->backend, "MPI on the host, since %s",
                 status_message());
}

static Status open_staging(Gradients *gradients)
{
  void *memory;
  TRY(device_allocate_host(gradients->device, gradients->bucket_count * sizeof *gradients->staging,
                           "staging of gradients", &memory));
  gradients->staging = memory;
  return STATUS_OK;
}

static Status choose_way(Gradients *gradients, bool on_gpu)
{
  (void)snprintf(gradients->backend, sizeof gradients->backend, "%s",
                 comm_rank_count(gradients->comm) == 1 ? "one rank, nothing to sum"
                                                       : "MPI on the host");
  gradients->way = WAY_ALONE;
  if (comm_rank_count(gradients->comm) == 1) return STATUS_OK;

  /* Least over the ranks: 0 if any has no NCCL, and if any is on a GPU. */
  int64_t of_all[2] = {on_gpu && gradients->driver != NULL, !on_gpu};
  TRY(comm_reduce_int64(gradients->comm, COMM_MIN, of_all, 2));
  gradients->way = of_all[1] ? WAY_HOST : WAY_STAGED;
  if (of_all[0]) try_nccl(gradients);
  if (gradients->way != WAY_STAGED) return STATUS_OK;
  return comm_agree(gradients->comm, open_staging(gradients));
}

Status gradients_open_by(const Comm *comm, Device *device, bool on_gpu, const NcclDriver *driver,
                         float *block, size_t count, size_t bucket_bytes, Gradients **gradients)
{
  *gradients = NULL;
  void *memory;
  Status status = comm_agree(comm, memory_allocate(1, sizeof **gradients, "gradients", &memory));
  if (status != STATUS_OK) {
    memory_free(memory);
    return status;
  }
  Gradients *opening = memory;
  const size_t bucket_count = bucket_bytes / sizeof *block;
  *opening = (Gradients){.comm = comm,
                         .device = device,
                         .block = block,
                         .count = count,
                         .bucket_count = bucket_count > 0 ? bucket_count : 1,
                         .summed_from = count,
                         .driver = driver};
  status = choose_way(opening, on_gpu);
  if (status == STATUS_OK)
    *gradients = opening;
  else
    gradients_close(opening);
  return status;
}

Status gradients_open(const Comm *comm, Device *device, float *block, size_t count,
                      size_t bucket_bytes, Gradients **gradients)
{
  const bool on_gpu = device_kind(device) == DEVICE_CUDA;
  const NcclDriver *driver = on_gpu ? device_plugin_symbol(NCCL_DRIVER_SYMBOL) : NULL;
  return gradients_open_by(comm, device, on_gpu, driver, block, count, bucket_bytes, gradients);
}

/* A device that fails on one rank alone must not leave the others in the sum. */
static Status sum_piece_staged(Gradients *gradients, float *values, size_t count)
{
  const size_t bytes = count * sizeof *values;
  device_download(gradients->device, gradients->staging, values, bytes);
  TRY(comm_agree(gradients->comm, device_synchronize(gradients->device)));
  TRY(comm_sum_float(gradients->comm, gradients->staging, count));
  device_upload(gradients->device, values, gradients->staging, bytes);
  return STATUS_OK;
}

/* One staging buffer is enough: a piece's upload comes before the next one's download in the
 * device's order. */
static Status sum_staged(Gradients *gradients, float *values, size_t count)
{
  for (size_t first = 0; first < count; first += gradients->bucket_count) {
    const size_t left = count - first;
    TRY(sum_piece_staged(gradients, values + first,
                         left < gradients->bucket_count ? left : gradients->bucket_count));
  }
  return STATUS_OK;
}

static Status sum_nccl(Gradients *gradients, float *values, size_t count)
{
  if (gradients->nccl == NULL) return status_set(STATUS_COMM, "NCCL has failed before");
  const Status status = gradients->driver->sum(gradients->nccl, values, count);
  if (status != STATUS_OK) drop_nccl(gradients); /* so that the other ranks notice */
  return status;
}

static Status sum(Gradients *gradients, float *values, size_t count)
{
  switch (gradients->way) {
  case WAY_ALONE: return STATUS_OK;
  case WAY_HOST: return comm_sum_float(gradients->comm, values, count);
  case WAY_STAGED: return sum_staged(gradients, values, count);
  case WAY_NCCL: return sum_nccl(gradients, values, count);
  }
  return STATUS_OK;
}

static Status sum_buckets(Gradients *gradients, size_t first)
{
  while (gradients->summed_from > 0) {
    const size_t from = gradients->summed_from > gradients->bucket_count
                            ? gradients->summed_from - gradients->bucket_count
                            : 0;
    if (from < first) break;
    TRY(sum(gradients, gradients->block + from, gradients->summed_from - from));
    gradients->summed_from = from;
  }
  return STATUS_OK;
}

Status gradients_ready(Gradients *gradients, size_t first)
{
  require(first <= gradients->count);
  /* A staged sum stops the device: better once, at the end. */
  if (gradients->way == WAY_STAGED) return STATUS_OK;
  return sum_buckets(gradients, first);
}

static Status join(Gradients *gradients)
{
  if (gradients->way != WAY_NCCL) return STATUS_OK;
  if (gradients->nccl == NULL) return status_set(STATUS_COMM, "NCCL has failed before");
  return gradients->driver->join(gradients->nccl);
}

Status gradients_finish(Gradients *gradients)
{
  TRY(sum_buckets(gradients, 0));
  gradients->summed_from = gradients->count;
  return join(gradients);
}

Status gradients_sum(Gradients *gradients, float *values, size_t count)
{
  TRY(sum(gradients, values, count));
  return join(gradients);
}

const char *gradients_backend(const Gradients *gradients)
{
  return gradients->backend;
}

void gradients_close(Gradients *gradients)
{
  if (gradients == NULL) return;
  if (gradients->nccl != NULL) gradients->driver->close(gradients->nccl);
  if (gradients->staging != NULL) (void)device_synchronize(gradients->device);
  if (gradients->staging != NULL) device_release_host(gradients->device, gradients->staging);
  memory_free(gradients);
}
