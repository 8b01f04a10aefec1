/* Sums over ranks of what lies in device memory. All ranks go the same way. */
#include "comm/gradients.h"

#include <stdio.h>

#include "base/memory.h"
#include "base/require.h"
#include "gradients_ways.h"
#include "sum_watch.h"

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
  SumWatch *watch;
  bool in_step;      /* begun, not finished: other ranks may be elsewhere */
  bool no_recording; /* it failed before */
  char backend[256];
};

/* Beyond the deadline of a connection, for the ranks to meet behind it. */
static const double connect_most_s = 120, meet_s = 30;

static void drop_nccl(Gradients *gradients)
{
  if (gradients->nccl == NULL) return;
  sum_watch_follow(gradients->watch, NULL, NULL);
  gradients->driver->abort(gradients->nccl);
  gradients->driver->close(gradients->nccl);
  gradients->nccl = NULL;
}

/* Asked by the device while the host waits for it. Ends NCCL's kernels, else the streams never
 * would. */
static Status ask_watch(void *context)
{
  Gradients *gradients = context;
  const Status status = sum_watch_check(gradients->watch);
  if (status != STATUS_OK) gradients->driver->abort(gradients->nccl);
  return status;
}

static Status open_nccl(Gradients *gradients, const unsigned char id[NCCL_ID_BYTES],
                        double connect_s)
{
  const Comm *comm = gradients->comm;
  sum_watch_enter(gradients->watch, (SumName){.what = "the connection of the ranks"});
  const Status status =
      gradients->driver->open(device_driver(gradients->device), id, comm_rank(comm),
                              comm_rank_count(comm), connect_s, &gradients->nccl);
  sum_watch_leave(gradients->watch, SUM_FAILED);
  return status;
}

/* refused: all ranks agree that NCCL cannot be used, and may go another way. */
static Status connect_nccl(Gradients *gradients, double connect_s, bool *refused)
{
  const Comm *comm = gradients->comm;
  unsigned char id[NCCL_ID_BYTES] = {0};
  Status status = STATUS_OK;
  if (comm_rank(comm) == 0) status = gradients->driver->make_id(id);
  status = comm_agree_within(comm, status, meet_s, refused);
  if (status != STATUS_OK) return status;
  TRY(comm_broadcast(comm, 0, id, sizeof id));
  status = open_nccl(gradients, id, connect_s);
  return comm_agree_within(comm, status, connect_s + meet_s, refused);
}

static void start_watch(Gradients *gradients)
{
  gradients->way = WAY_NCCL;
  sum_watch_follow(gradients->watch, gradients->driver, gradients->nccl);
  gradients->driver->watch(gradients->nccl, ask_watch, gradients);
  (void)snprintf(gradients->backend, sizeof gradients->backend, "%s", gradients->driver->version());
}

static void say_why_not(Gradients *gradients)
{
  (void)snprintf(gradients->backend, sizeof gradients->backend, "MPI on the host, since %s",
                 status_message());
}

/* A job that NCCL refuses goes on over the host, and says so. */
static Status try_nccl(Gradients *gradients)
{
  bool refused = false;
  double deadline_s;
  TRY(comm_agree(gradients->comm, sum_watch_deadline(&deadline_s)));
  TRY(sum_watch_open(gradients->comm, deadline_s, &gradients->watch));
  const double connect_s = deadline_s < connect_most_s ? deadline_s : connect_most_s;
  const Status status = connect_nccl(gradients, connect_s, &refused);
  if (status == STATUS_OK) {
    start_watch(gradients);
    return STATUS_OK;
  }
  say_why_not(gradients);
  drop_nccl(gradients);
  sum_watch_close(gradients->watch, refused);
  gradients->watch = NULL;
  return refused ? STATUS_OK : status;
}

static Status open_staging(Gradients *gradients)
{
  void *memory;
  TRY(device_allocate_host(gradients->device, gradients->bucket_count * sizeof *gradients->staging,
                           "staging of gradients", &memory));
  gradients->staging = memory;
  return STATUS_OK;
}

static Status find_nccl(const Gradients *gradients, bool on_gpu)
{
  if (!on_gpu) return status_set(STATUS_UNSUPPORTED, "it has no GPU");
  if (gradients->driver == NULL)
    return status_set(STATUS_UNSUPPORTED, "the CUDA plug-in was built without NCCL");
  const char *why_not = gradients->driver->why_not();
  return why_not == NULL ? STATUS_OK : status_set(STATUS_UNSUPPORTED, "%s", why_not);
}

static Status choose_way(Gradients *gradients, bool on_gpu)
{
  const Comm *comm = gradients->comm;
  int64_t on_hosts = !on_gpu;
  (void)snprintf(gradients->backend, sizeof gradients->backend, "%s",
                 comm_rank_count(comm) == 1 ? "one rank, nothing to sum" : "MPI on the host");
  gradients->way = WAY_ALONE;
  if (comm_rank_count(comm) == 1) return STATUS_OK;

  TRY(comm_reduce_int64(comm, COMM_MIN, &on_hosts, 1));
  gradients->way = on_hosts ? WAY_HOST : WAY_STAGED;
  if (on_hosts) return STATUS_OK;
  if (comm_agree(comm, find_nccl(gradients, on_gpu)) == STATUS_OK)
    TRY(try_nccl(gradients));
  else
    say_why_not(gradients);
  if (gradients->way != WAY_STAGED) return STATUS_OK;
  return comm_agree(comm, open_staging(gradients));
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

/* On a failure the communicator is ended at once, so that the other ranks notice. */
static Status sum_nccl(Gradients *gradients, SumName name, float *values, size_t count)
{
  SumWatch *watch = gradients->watch;
  if (gradients->nccl == NULL) return status_set(STATUS_COMM, "NCCL has failed before");
  TRY(ask_watch(gradients));
  const bool recorded = gradients->driver->is_recording(gradients->nccl);
  sum_watch_enter(watch, name);
  Status status = gradients->driver->sum(gradients->nccl, values, count);
  sum_watch_leave(watch, status != STATUS_OK ? SUM_FAILED : recorded ? SUM_RECORDED : SUM_ISSUED);
  if (status == STATUS_OK) return STATUS_OK;
  /* Nothing is under way, so there is another way; what NCCL was asked for in a capture ends it. */
  if (recorded) return status_set(STATUS_UNSUPPORTED, "NCCL's sums, %s", status_message());
  status = sum_watch_fail(watch, status == STATUS_UNSUPPORTED ? STATUS_COMM : status);
  drop_nccl(gradients);
  return status;
}

static Status sum(Gradients *gradients, SumName name, float *values, size_t count)
{
  if (device_counts_only(gradients->device)) return STATUS_OK;
  switch (gradients->way) {
  case WAY_ALONE: return STATUS_OK;
  case WAY_HOST: return comm_sum_float(gradients->comm, values, count);
  case WAY_STAGED: return sum_staged(gradients, values, count);
  case WAY_NCCL: return sum_nccl(gradients, name, values, count);
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
    const size_t before = (gradients->count - gradients->summed_from) / gradients->bucket_count;
    const SumName name = {.what = "the sum of gradients", .bucket = (int32_t)before + 1};
    TRY(sum(gradients, name, gradients->block + from, gradients->summed_from - from));
    gradients->summed_from = from;
  }
  return STATUS_OK;
}

void gradients_begin_step(Gradients *gradients, int64_t step)
{
  gradients->in_step = true;
  gradients->summed_from = gradients->count;
  if (gradients->watch != NULL) sum_watch_step(gradients->watch, step);
}

Status gradients_ready(Gradients *gradients, size_t first)
{
  require(first <= gradients->count);
  gradients->in_step = true;
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
  gradients->in_step = false;
  return join(gradients);
}

Status gradients_sum(Gradients *gradients, const char *what, float *values, size_t count)
{
  TRY(sum(gradients, (SumName){.what = what}, values, count));
  return join(gradients);
}

bool gradients_can_be_recorded(const Gradients *gradients)
{
  return !gradients->no_recording && (gradients->way == WAY_ALONE || gradients->way == WAY_NCCL);
}

Status gradients_give_up_recording(Gradients *gradients)
{
  gradients->no_recording = true;
  gradients->summed_from = gradients->count;
  if (gradients->way != WAY_NCCL) return STATUS_OK;
  drop_nccl(gradients);
  sum_watch_close(gradients->watch, true);
  gradients->watch = NULL;
  return choose_way(gradients, true);
}

void gradients_replayed(Gradients *gradients)
{
  gradients->in_step = false;
  if (gradients->watch != NULL) sum_watch_replayed(gradients->watch);
}

const char *gradients_backend(const Gradients *gradients)
{
  return gradients->backend;
}

/* A rank that leaves in the midst of a step cannot end NCCL together with the others. */
static void close_nccl(Gradients *gradients)
{
  if (gradients->in_step) drop_nccl(gradients);
  if (gradients->nccl == NULL) return;
  sum_watch_follow(gradients->watch, NULL, NULL);
  sum_watch_enter(gradients->watch, (SumName){.what = "the end of NCCL"});
  gradients->driver->close(gradients->nccl);
  sum_watch_leave(gradients->watch, SUM_FAILED);
}

void gradients_close(Gradients *gradients)
{
  if (gradients == NULL) return;
  if (gradients->nccl != NULL) close_nccl(gradients);
  sum_watch_close(gradients->watch, !gradients->in_step);
  if (gradients->staging != NULL) (void)device_synchronize(gradients->device);
  if (gradients->staging != NULL) device_release_host(gradients->device, gradients->staging);
  memory_free(gradients);
}
