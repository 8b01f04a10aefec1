#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/memory.h"
#include "cuda_device.h"
#include "nccl_driver.h"
#include "nccl_library.h"
#include "nccl_progress.h"

/* Sums of gradients by NCCL, on their own stream of the highest priority. The communicator is
 * non-blocking: every call may answer "in progress", and is then polled against a deadline, because
 * NCCL knows none. Whether a sum ends on the device is watched by whoever opened the communicator.
 */
struct Nccl {
  const NcclLibrary *library;
  CudaDevice *device;
  pthread_mutex_t lock; /* NCCL wants one thread inside at a time */
  ncclComm_t comm;      /* NULL once aborted */
  cudaStream_t stream;
  cudaEvent_t ready; /* compute has filled what is summed next */
  cudaEvent_t done;  /* the last sum */
  uint32_t *counter; /* sums ended; pinned, written by the device */
  double deadline_s;
  bool pending; /* sums that compute has not been told to wait for */
};

_Static_assert(NCCL_ID_BYTES == NCCL_UNIQUE_ID_BYTES, "the id travels as bytes");

static Status nccl_status(ncclResult_t code, ncclComm_t comm, const char *what)
{
  if (code == ncclSuccess) return STATUS_OK;
  /* Two ranks on one GPU. */
  const Status status = code == ncclInvalidUsage ? STATUS_UNSUPPORTED : STATUS_COMM;
  const NcclLibrary *library = nccl_library(NULL);
  const char *detail = library->get_last_error(comm);
  return status_set(status, "NCCL, %s: %s%s%s", what, library->get_error_string(code),
                    detail != NULL && detail[0] != '\0' ? ": " : "", detail != NULL ? detail : "");
}

static void abort_comm(Nccl *nccl)
{
  if (nccl->comm != NULL) (void)nccl->library->comm_abort(nccl->comm);
  nccl->comm = NULL;
}

/* Waits for a call that answered code to end on the host; aborts on an error or when time is up.
 * Asks NCCL only, never CUDA, so that it may stand in a capture. */
static Status settle(Nccl *nccl, ncclResult_t code, const char *what)
{
  const double start_s = clock_seconds(), nap_after_s = 0.5e-3; /* a sum takes less */
  ncclResult_t state = code;
  while (state == ncclInProgress) {
    const double waited_s = clock_seconds() - start_s;
    if (waited_s > nccl->deadline_s) {
      abort_comm(nccl);
      return status_set(STATUS_COMM, "NCCL, %s: no end after %.0f s; is a rank lost?", what,
                        nccl->deadline_s);
    }
    if (waited_s < nap_after_s)
      (void)sched_yield();
    else
      (void)nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    const ncclResult_t asked = nccl->library->comm_get_async_error(nccl->comm, &state);
    if (asked != ncclSuccess) state = asked;
  }
  const Status status = nccl_status(state, nccl->comm, what);
  if (status != STATUS_OK) abort_comm(nccl);
  return status;
}

static const char *why_not_nccl(void)
{
  const char *why;
  return nccl_library(&why) == NULL ? why : NULL;
}

static const char *version_nccl(void)
{
  static char text[32];
  const NcclLibrary *library = nccl_library(NULL);
  int version = 0;
  if (library == NULL) return NULL;
  (void)library->get_version(&version);
  (void)snprintf(text, sizeof text, "NCCL %d.%d.%d", version / 10000, version / 100 % 100,
                 version % 100);
  return text;
}

static Status make_id_nccl(unsigned char id[NCCL_ID_BYTES])
{
  ncclUniqueId made;
  const char *why;
  const NcclLibrary *library = nccl_library(&why);
  if (library == NULL) return status_set(STATUS_UNSUPPORTED, "%s", why);
  TRY(nccl_status(library->get_unique_id(&made), NULL, "make an id"));
  memcpy(id, &made, sizeof made);
  return STATUS_OK;
}

static Status check_nccl(Nccl *nccl)
{
  Status status = STATUS_OK;
  if (pthread_mutex_trylock(&nccl->lock) != 0) return STATUS_OK;
  if (nccl->comm != NULL) {
    ncclResult_t state = ncclSuccess;
    const ncclResult_t asked = nccl->library->comm_get_async_error(nccl->comm, &state);
    const ncclResult_t code = asked != ncclSuccess ? asked : state;
    if (code != ncclInProgress && nccl_status(code, nccl->comm, "in the background") != STATUS_OK)
      status = STATUS_COMM;
  }
  (void)pthread_mutex_unlock(&nccl->lock);
  return status;
}

static void watch_nccl(Nccl *nccl, Status (*ask)(void *context), void *context)
{
  nccl->device->watch = ask;
  nccl->device->watched = ask == NULL ? NULL : context;
}

static Status make_streams(Nccl *nccl)
{
  int least = 0;
  int greatest = 0;
  void *memory = NULL;
  TRY(cuda_status(cudaSetDevice(nccl->device->gpu), "choose the GPU"));
  TRY(cuda_status(cudaDeviceGetStreamPriorityRange(&least, &greatest), "stream priorities"));
  TRY(cuda_status(cudaStreamCreateWithPriority(&nccl->stream, cudaStreamNonBlocking, greatest),
                  "create the communication stream"));
  TRY(cuda_status(cudaEventCreateWithFlags(&nccl->ready, cudaEventDisableTiming), "an event"));
  TRY(cuda_status(cudaEventCreateWithFlags(&nccl->done, cudaEventDisableTiming), "an event"));
  TRY(cuda_status(cudaMallocHost(&memory, sizeof *nccl->counter), "a counter of sums"));
  nccl->counter = memory;
  *nccl->counter = 0;
  return STATUS_OK;
}

static Status fill(Nccl *nccl, const unsigned char id[NCCL_ID_BYTES], int rank, int rank_count)
{
  TRY(make_streams(nccl));
  ncclUniqueId unique;
  memcpy(&unique, id, sizeof unique);
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  const ncclResult_t code =
      nccl->library->comm_init_rank_config(&nccl->comm, rank_count, unique, rank, &config);
  if (nccl->comm == NULL) return nccl_status(code, NULL, "connect the ranks");
  return settle(nccl, code, "connect the ranks");
}

static void free_nccl(Nccl *nccl)
{
  watch_nccl(nccl, NULL, NULL);
  (void)cudaSetDevice(nccl->device->gpu);
  if (nccl->stream != NULL) (void)cudaStreamSynchronize(nccl->stream);
  if (nccl->ready != NULL) (void)cudaEventDestroy(nccl->ready);
  if (nccl->done != NULL) (void)cudaEventDestroy(nccl->done);
  if (nccl->stream != NULL) (void)cudaStreamDestroy(nccl->stream);
  if (nccl->counter != NULL) (void)cudaFreeHost(nccl->counter);
  (void)pthread_mutex_destroy(&nccl->lock);
  memory_free(nccl);
}

static Status open_nccl(void *cuda_device, const unsigned char id[NCCL_ID_BYTES], int rank,
                        int rank_count, double deadline_s, Nccl **nccl)
{
  void *memory = NULL;
  const char *why;
  const NcclLibrary *library = nccl_library(&why);
  *nccl = NULL;
  if (library == NULL) return status_set(STATUS_UNSUPPORTED, "%s", why);
  TRY(memory_allocate(1, sizeof(Nccl), "a communicator of NCCL", &memory));
  Nccl *opening = memory;
  opening->library = library;
  opening->device = cuda_device;
  opening->deadline_s = deadline_s;
  (void)pthread_mutex_init(&opening->lock, NULL);
  const Status status = fill(opening, id, rank, rank_count);
  if (status == STATUS_OK) {
    *nccl = opening;
    return STATUS_OK;
  }
  abort_comm(opening);
  free_nccl(opening);
  return status;
}

static bool is_recording_nccl(const Nccl *nccl)
{
  enum cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
  return cudaStreamIsCapturing(nccl->device->stream, &capture) == cudaSuccess &&
         capture != cudaStreamCaptureStatusNone;
}

static Status issue(Nccl *nccl, float *values, size_t count)
{
  if (nccl->comm == NULL) return status_set(STATUS_COMM, "NCCL's communicator was ended");
  TRY(cuda_status(cudaSetDevice(nccl->device->gpu), "choose the GPU"));
  TRY(cuda_status(cudaEventRecord(nccl->ready, nccl->device->stream), "record an event"));
  TRY(cuda_status(cudaStreamWaitEvent(nccl->stream, nccl->ready, 0), "wait for an event"));
  const ncclResult_t code = nccl->library->all_reduce(values, values, count, ncclFloat32, ncclSum,
                                                      nccl->comm, nccl->stream);
  TRY(settle(nccl, code, "sum over the ranks"));
  TRY(cuda_status(nccl_progress_count(nccl->stream, nccl->counter), "count a sum"));
  nccl->pending = true;
  return cuda_status(cudaEventRecord(nccl->done, nccl->stream), "record an event");
}

static Status sum_nccl(Nccl *nccl, float *values, size_t count)
{
  (void)pthread_mutex_lock(&nccl->lock);
  const Status status = issue(nccl, values, count);
  (void)pthread_mutex_unlock(&nccl->lock);
  return status;
}

static Status join_nccl(Nccl *nccl)
{
  if (!nccl->pending) return STATUS_OK;
  nccl->pending = false;
  TRY(cuda_status(cudaSetDevice(nccl->device->gpu), "choose the GPU"));
  return cuda_status(cudaStreamWaitEvent(nccl->device->stream, nccl->done, 0), "wait for an event");
}

static uint32_t ended_nccl(const Nccl *nccl)
{
  return *(const volatile uint32_t *)nccl->counter;
}

static void abort_nccl(Nccl *nccl)
{
  (void)pthread_mutex_lock(&nccl->lock);
  abort_comm(nccl);
  (void)pthread_mutex_unlock(&nccl->lock);
}

/* Finalize ends what is under way, destroy frees. */
static void close_nccl(Nccl *nccl)
{
  if (nccl == NULL) return;
  (void)pthread_mutex_lock(&nccl->lock);
  if (nccl->comm != NULL &&
      settle(nccl, nccl->library->comm_finalize(nccl->comm), "end the communicator") == STATUS_OK) {
    (void)nccl->library->comm_destroy(nccl->comm);
    nccl->comm = NULL;
  }
  (void)pthread_mutex_unlock(&nccl->lock);
  free_nccl(nccl);
}

const NcclDriver quadrat_cuda_nccl __attribute__((visibility("default"))) = {
    .why_not = why_not_nccl,
    .version = version_nccl,
    .make_id = make_id_nccl,
    .open = open_nccl,
    .sum = sum_nccl,
    .join = join_nccl,
    .is_recording = is_recording_nccl,
    .ended = ended_nccl,
    .check = check_nccl,
    .watch = watch_nccl,
    .abort = abort_nccl,
    .close = close_nccl,
};
