#include <nccl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/memory.h"
#include "cuda_device.h"
#include "nccl_driver.h"

/* Sums of gradients by NCCL, on their own stream of the highest priority. The communicator is
 * non-blocking: every call may answer "in progress", and is then polled against a deadline, because
 * NCCL knows none. */
struct Nccl {
  CudaDevice *device;
  ncclComm_t comm; /* NULL once aborted */
  cudaStream_t stream;
  cudaEvent_t ready; /* compute has filled what is summed next */
  cudaEvent_t done;  /* the last sum */
  double deadline_s;
  double issued_s; /* when the last sum was */
  bool pending;    /* sums that compute has not been told to wait for */
};

_Static_assert(NCCL_ID_BYTES == NCCL_UNIQUE_ID_BYTES, "the id travels as bytes");

static Status nccl_status(ncclResult_t code, ncclComm_t comm, const char *what)
{
  if (code == ncclSuccess) return STATUS_OK;
  /* Two ranks on one GPU. */
  const Status status = code == ncclInvalidUsage ? STATUS_UNSUPPORTED : STATUS_COMM;
  const char *detail = ncclGetLastError(comm);
  return status_set(status, "NCCL, %s: %s%s%s", what, ncclGetErrorString(code),
                    detail != NULL && detail[0] != '\0' ? ": " : "", detail != NULL ? detail : "");
}

static void abort_nccl(Nccl *nccl)
{
  if (nccl->comm != NULL) (void)ncclCommAbort(nccl->comm);
  nccl->comm = NULL;
}

/* Waits for a call that answered code to end on the host; aborts on an error or when time is up. */
static Status settle(Nccl *nccl, ncclResult_t code, const char *what)
{
  const double start_s = clock_seconds();
  ncclResult_t state = code;
  while (state == ncclInProgress) {
    if (clock_seconds() - start_s > nccl->deadline_s) {
      abort_nccl(nccl);
      return status_set(STATUS_COMM, "NCCL, %s: no end after %.0f s; is a rank lost?", what,
                        nccl->deadline_s);
    }
    (void)nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    const ncclResult_t asked = ncclCommGetAsyncError(nccl->comm, &state);
    if (asked != ncclSuccess) state = asked;
  }
  const Status status = nccl_status(state, nccl->comm, what);
  if (status != STATUS_OK) abort_nccl(nccl);
  return status;
}

static const char *version_nccl(void)
{
  static char text[32];
  int version = 0;
  (void)ncclGetVersion(&version);
  (void)snprintf(text, sizeof text, "NCCL %d.%d.%d", version / 10000, version / 100 % 100,
                 version % 100);
  return text;
}

static Status make_id_nccl(unsigned char id[NCCL_ID_BYTES])
{
  ncclUniqueId made;
  TRY(nccl_status(ncclGetUniqueId(&made), NULL, "make an id"));
  memcpy(id, &made, sizeof made);
  return STATUS_OK;
}

static Status check_nccl(Nccl *nccl)
{
  if (nccl->comm == NULL) return status_set(STATUS_COMM, "NCCL's communicator was ended");
  ncclResult_t state = ncclSuccess;
  const ncclResult_t asked = ncclCommGetAsyncError(nccl->comm, &state);
  const ncclResult_t code = asked != ncclSuccess ? asked : state;
  if (code != ncclSuccess && code != ncclInProgress) {
    const Status status = nccl_status(code, nccl->comm, "sum over the ranks");
    abort_nccl(nccl);
    return status == STATUS_UNSUPPORTED ? STATUS_COMM : status;
  }
  if (nccl->issued_s > 0 && clock_seconds() - nccl->issued_s > nccl->deadline_s &&
      cudaEventQuery(nccl->done) == cudaErrorNotReady) {
    (void)cudaGetLastError();
    abort_nccl(nccl); /* ends its kernels, so that the streams can be waited for again */
    return status_set(STATUS_COMM, "NCCL: a sum has not ended after %.0f s; is a rank lost?",
                      nccl->deadline_s);
  }
  return STATUS_OK;
}

static Status watch(void *watched)
{
  return check_nccl(watched);
}

static Status make_streams(Nccl *nccl)
{
  int least = 0;
  int greatest = 0;
  TRY(cuda_status(cudaSetDevice(nccl->device->gpu), "choose the GPU"));
  TRY(cuda_status(cudaDeviceGetStreamPriorityRange(&least, &greatest), "stream priorities"));
  TRY(cuda_status(cudaStreamCreateWithPriority(&nccl->stream, cudaStreamNonBlocking, greatest),
                  "create the communication stream"));
  TRY(cuda_status(cudaEventCreateWithFlags(&nccl->ready, cudaEventDisableTiming), "an event"));
  return cuda_status(cudaEventCreateWithFlags(&nccl->done, cudaEventDisableTiming), "an event");
}

static Status fill(Nccl *nccl, const unsigned char id[NCCL_ID_BYTES], int rank, int rank_count)
{
  TRY(make_streams(nccl));
  ncclUniqueId unique;
  memcpy(&unique, id, sizeof unique);
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  const ncclResult_t code = ncclCommInitRankConfig(&nccl->comm, rank_count, unique, rank, &config);
  if (nccl->comm == NULL) return nccl_status(code, NULL, "connect the ranks");
  return settle(nccl, code, "connect the ranks");
}

static void free_nccl(Nccl *nccl)
{
  if (nccl->device->watched == nccl) {
    nccl->device->watch = NULL;
    nccl->device->watched = NULL;
  }
  (void)cudaSetDevice(nccl->device->gpu);
  if (nccl->stream != NULL) (void)cudaStreamSynchronize(nccl->stream);
  if (nccl->ready != NULL) (void)cudaEventDestroy(nccl->ready);
  if (nccl->done != NULL) (void)cudaEventDestroy(nccl->done);
  if (nccl->stream != NULL) (void)cudaStreamDestroy(nccl->stream);
  memory_free(nccl);
}

static void abort_and_free(Nccl *nccl)
{
  if (nccl == NULL) return;
  abort_nccl(nccl);
  free_nccl(nccl);
}

static Status open_nccl(void *cuda_device, const unsigned char id[NCCL_ID_BYTES], int rank,
                        int rank_count, double deadline_s, Nccl **nccl)
{
  void *memory = NULL;
  *nccl = NULL;
  TRY(memory_allocate(1, sizeof(Nccl), "a communicator of NCCL", &memory));
  Nccl *opening = memory;
  opening->device = cuda_device;
  opening->deadline_s = deadline_s;
  const Status status = fill(opening, id, rank, rank_count);
  if (status != STATUS_OK) {
    abort_and_free(opening);
    return status;
  }
  opening->device->watch = watch;
  opening->device->watched = opening;
  *nccl = opening;
  return STATUS_OK;
}

static Status sum_nccl(Nccl *nccl, float *values, size_t count)
{
  if (nccl->comm == NULL) return status_set(STATUS_COMM, "NCCL's communicator was ended");
  TRY(cuda_status(cudaSetDevice(nccl->device->gpu), "choose the GPU"));
  TRY(cuda_status(cudaEventRecord(nccl->ready, nccl->device->stream), "record an event"));
  TRY(cuda_status(cudaStreamWaitEvent(nccl->stream, nccl->ready, 0), "wait for an event"));
  const ncclResult_t code =
      ncclAllReduce(values, values, count, ncclFloat32, ncclSum, nccl->comm, nccl->stream);
  TRY(settle(nccl, code, "sum over the ranks"));
  nccl->pending = true;
  nccl->issued_s = clock_seconds();
  return cuda_status(cudaEventRecord(nccl->done, nccl->stream), "record an event");
}

static Status join_nccl(Nccl *nccl)
{
  if (!nccl->pending) return STATUS_OK;
  nccl->pending = false;
  TRY(cuda_status(cudaSetDevice(nccl->device->gpu), "choose the GPU"));
  return cuda_status(cudaStreamWaitEvent(nccl->device->stream, nccl->done, 0), "wait for an event");
}

/* Finalize ends what is under way, destroy frees. */
static void close_nccl(Nccl *nccl)
{
  if (nccl == NULL) return;
  if (nccl->comm != NULL &&
      settle(nccl, ncclCommFinalize(nccl->comm), "end the communicator") == STATUS_OK) {
    (void)ncclCommDestroy(nccl->comm);
    nccl->comm = NULL;
  }
  free_nccl(nccl);
}

const NcclDriver quadrat_cuda_nccl __attribute__((visibility("default"))) = {
    .version = version_nccl,
    .make_id = make_id_nccl,
    .open = open_nccl,
    .sum = sum_nccl,
    .join = join_nccl,
    .check = check_nccl,
    .abort = abort_and_free,
    .close = close_nccl,
};
