/* How fast bytes move: in memory, to and from the device, between ranks, to and from the disk. 1
 * GB/s is 1e9 bytes a second. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/path.h"
#include "comm/gradients.h"
#include "doctor_parts.h"

typedef enum SpeedKind {
  SPEED_MEMORY,
  SPEED_UPLOAD,
  SPEED_DOWNLOAD,
  SPEED_COPY,
  SPEED_SUM,
  SPEED_WRITE,
  SPEED_READ,
  SPEED_COUNT
} SpeedKind;

/* each: ranks measure for themselves, so their speeds add up. */
static const struct {
  const char *key, *words;
  bool each;
} speeds[SPEED_COUNT] = {
    {"memory_copy", "host memory, copy", true},
    {"device_upload", "host to GPU, pinned", true},
    {"device_download", "GPU to host, pinned", true},
    {"device_copy", "GPU memory, copy", true},
    {"all_reduce", "sum over all ranks", false},
    {"disk_write", "disk, write and sync", true},
    {"disk_read", "disk, read again", true},
};

static const double least_s = 0.2;
static const size_t block_bytes = (size_t)64 << 20;

static double rate(size_t bytes, double since_s)
{
  return (double)bytes / fmax(clock_seconds() - since_s, 1e-9) / 1e9;
}

/* By all threads, each a part that it wrote first, as in the program's own loops. */
static void copy_parts(char *to, const char *from)
{
#pragma omp parallel
  {
    const size_t threads = (size_t)omp_get_num_threads(), me = (size_t)omp_get_thread_num();
    const size_t first = block_bytes / threads * me;
    memcpy(to + first, from + first, block_bytes / threads);
  }
}

static void measure_memory(char *to, char *from, double *gb_per_s)
{
  size_t bytes = 0;
  copy_parts(from, to);
  copy_parts(to, from);
  const double start_s = clock_seconds();
  for (int turn = 0; turn < 3 || clock_seconds() - start_s < least_s; ++turn) {
    copy_parts(turn % 2 == 0 ? from : to, turn % 2 == 0 ? to : from);
    bytes += block_bytes / (size_t)omp_get_max_threads() * (size_t)omp_get_max_threads();
  }
  gb_per_s[SPEED_MEMORY] = rate(bytes, start_s);
}

/* Two blocks of a device, or of the host beside it. */
typedef struct Blocks {
  void *one, *other, *host;
} Blocks;

static Status open_blocks(Device *device, Blocks *blocks)
{
  TRY(device_allocate(device, block_bytes, "speeds", &blocks->one));
  TRY(device_allocate(device, block_bytes, "speeds", &blocks->other));
  return device_allocate_host(device, block_bytes, "speeds", &blocks->host);
}

static void close_blocks(Device *device, const Blocks *blocks)
{
  device_release(device, blocks->one);
  device_release(device, blocks->other);
  device_release_host(device, blocks->host);
}

static Status measure_way(Device *device, const Blocks *blocks, SpeedKind kind, double *gb_per_s)
{
  size_t bytes = 0;
  TRY(device_synchronize(device));
  const double start_s = clock_seconds();
  for (int turn = 0; turn < 3 || clock_seconds() - start_s < least_s; ++turn) {
    for (int i = 0; i < 4; ++i, bytes += block_bytes)
      if (kind == SPEED_UPLOAD)
        device_upload(device, blocks->one, blocks->host, block_bytes);
      else if (kind == SPEED_DOWNLOAD)
        device_download(device, blocks->host, blocks->one, block_bytes);
      else
        device_copy(device, blocks->other, blocks->one, block_bytes);
    TRY(device_synchronize(device));
  }
  gb_per_s[kind] = rate(bytes, start_s);
  return STATUS_OK;
}

static Status measure_blocks(Device *device, const Blocks *blocks, double *gb_per_s)
{
  if (device_kind(device) == DEVICE_CPU) {
    memset(blocks->one, 1, block_bytes);
    measure_memory(blocks->one, blocks->other, gb_per_s);
    return STATUS_OK;
  }
  memset(blocks->host, 1, block_bytes);
  for (int kind = SPEED_UPLOAD; kind <= SPEED_COPY; ++kind)
    TRY(measure_way(device, blocks, (SpeedKind)kind, gb_per_s));
  return STATUS_OK;
}

/* Local. */
static Status measure_device(Device *device, double *gb_per_s)
{
  Blocks blocks = {NULL, NULL, NULL};
  Status status = open_blocks(device, &blocks);
  if (status == STATUS_OK) status = measure_blocks(device, &blocks, gb_per_s);
  close_blocks(device, &blocks);
  return status;
}

enum { SUM_FLOATS = 4 << 20, SUM_TURNS = 5 };

/* Collective. A rank whose device fails goes on, since the others wait for it. */
static Status sum_once(Gradients *gradients, Device *device)
{
  TRY(gradients_ready(gradients, 0));
  TRY(gradients_finish(gradients));
  return device_synchronize(device);
}

/* Collective. Sums zeros. */
static Status sum_in_turns(Gradients *gradients, Device *device, double *gb_per_s)
{
  Status status = sum_once(gradients, device);
  const double start_s = clock_seconds();
  for (int turn = 0; turn < SUM_TURNS && status != STATUS_COMM; ++turn) {
    const Status done = sum_once(gradients, device);
    if (status == STATUS_OK) status = done;
  }
  gb_per_s[SPEED_SUM] = rate(SUM_TURNS * sizeof(float) * SUM_FLOATS, start_s);
  return status;
}

/* Collective. Each rank gives i % 1000 + rank; whole numbers, so the sum is exact in any order. */
static Status check_sum(const Comm *comm, Gradients *gradients, Device *device, float *block,
                        float *host)
{
  const int ranks = comm_rank_count(comm);
  int64_t wrong = 0;
  for (int i = 0; i < SUM_FLOATS; ++i)
    host[i] = (float)(i % 1000 + comm_rank(comm));
  device_upload(device, block, host, sizeof *host * SUM_FLOATS);
  TRY(sum_once(gradients, device));
  device_download(device, host, block, sizeof *host * SUM_FLOATS);
  TRY(device_synchronize(device));
  for (int i = 0; i < SUM_FLOATS; ++i)
    wrong += host[i] != (float)(i % 1000 * ranks + ranks * (ranks - 1) / 2);
  if (wrong == 0) return STATUS_OK;
  return status_set(
      STATUS_DEVICE,
      "the sum over %d ranks (%s) has %lld wrong numbers of %d; check the network and "
      "the MPI or NCCL that the job runs with",
      ranks, gradients_backend(gradients), (long long)wrong, SUM_FLOATS);
}

/* Collective. way: what carries the sums. */
static Status measure_sum(const Doctor *doctor, float *block, float *host, double *gb_per_s,
                          char way[256])
{
  const Comm *comm = doctor->job->comm;
  Gradients *gradients = NULL;
  memset(host, 0, sizeof *host * SUM_FLOATS);
  device_upload(doctor->device, block, host, sizeof *host * SUM_FLOATS);
  Status status = gradients_open(comm, doctor->device, block, SUM_FLOATS,
                                 sizeof *block * SUM_FLOATS, &gradients);
  if (status != STATUS_OK) return status;
  (void)snprintf(way, 256, "%s", gradients_backend(gradients));
  if (comm_rank_count(comm) > 1)
    status = comm_agree(comm, sum_in_turns(gradients, doctor->device, gb_per_s));
  if (status == STATUS_OK)
    status = comm_agree(comm, check_sum(comm, gradients, doctor->device, block, host));
  gradients_close(gradients);
  return status;
}

/* Collective. */
static Status measure_ranks(const Doctor *doctor, double *gb_per_s, char way[256])
{
  const size_t bytes = sizeof(float) * SUM_FLOATS;
  Device *device = doctor->device;
  void *block = NULL, *host = NULL;
  Status status = device_allocate(device, bytes, "a sum over ranks", &block);
  if (status == STATUS_OK) status = device_allocate_host(device, bytes, "a sum over ranks", &host);
  status = comm_agree(doctor->job->comm, status);
  if (status == STATUS_OK) status = measure_sum(doctor, block, host, gb_per_s, way);
  device_release(device, block);
  device_release_host(device, host);
  return status;
}

enum { PIECE_BYTES = 4 << 20 };

static Status refuse_file(const char *path, const char *what)
{
  return status_set(STATUS_IO, "%s cannot be %s: %s; choose another --folder", path, what,
                    strerror(errno));
}

static Status write_pieces(int file, const char *path, char *piece, size_t bytes, double *gb_per_s)
{
  const double start_s = clock_seconds();
  for (size_t done = 0; done < bytes; done += PIECE_BYTES) {
    memcpy(piece, &done, sizeof done); /* no two pieces alike: some file systems would notice */
    for (size_t of_piece = 0; of_piece < PIECE_BYTES;) {
      const ssize_t written = write(file, piece + of_piece, PIECE_BYTES - of_piece);
      if (written <= 0) return refuse_file(path, "written");
      of_piece += (size_t)written;
    }
  }
  if (fdatasync(file) != 0) return refuse_file(path, "synced to disk");
  gb_per_s[SPEED_WRITE] = rate(bytes, start_s);
  return STATUS_OK;
}

static Status read_pieces(int file, const char *path, char *piece, size_t bytes, double *gb_per_s)
{
  (void)posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED); /* from the disk, if the system lets go */
  if (lseek(file, 0, SEEK_SET) != 0) return refuse_file(path, "read");
  const double start_s = clock_seconds();
  for (size_t done = 0; done < bytes;) {
    const ssize_t got = read(file, piece, PIECE_BYTES);
    if (got <= 0) return refuse_file(path, "read");
    done += (size_t)got;
  }
  gb_per_s[SPEED_READ] = rate(bytes, start_s);
  return STATUS_OK;
}

/* The file has no name from the start on, so that nothing is left whatever happens. */
static Status measure_file(char *path, char *piece, size_t bytes, double *gb_per_s)
{
  const int file = mkostemp(path, O_CLOEXEC);
  if (file < 0) return refuse_file(path, "made");
  (void)unlink(path);
  Status status = write_pieces(file, path, piece, bytes, gb_per_s);
  if (status == STATUS_OK) status = read_pieces(file, path, piece, bytes, gb_per_s);
  (void)close(file);
  return status;
}

/* Bytes that no file system packs: xorshift64 (Marsaglia, "Xorshift RNGs", 2003). */
static void fill_piece(char *piece, int rank)
{
  uint64_t x = UINT64_C(88172645463325252) + (uint64_t)rank;
  for (size_t i = 0; i < PIECE_BYTES; i += sizeof x) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    memcpy(piece + i, &x, sizeof x);
  }
}

/* Local. */
static Status measure_disk(const Doctor *doctor, double *gb_per_s)
{
  char path[4096];
  void *piece;
  const Comm *comm = doctor->job->comm;
  const size_t all = (size_t)doctor->options->disk_size_mib << 20;
  const size_t mine = all / (size_t)comm_rank_count(comm) / PIECE_BYTES * PIECE_BYTES;
  if (all == 0) return STATUS_OK;
  TRY(path_join(doctor->options->folder, "quadrat_doctor_XXXXXX", sizeof path, path));
  TRY(memory_allocate(PIECE_BYTES, 1, "a piece of a file", &piece));
  fill_piece(piece, comm_rank(comm));
  const Status status = measure_file(path, piece, mine == 0 ? PIECE_BYTES : mine, gb_per_s);
  memory_free(piece);
  return status;
}

/* Over the ranks that measured. */
typedef struct Spread {
  double least, most, sum;
  int count;
} Spread;

static Spread spread_of(const double *all, int ranks, int kind)
{
  Spread s = {.least = HUGE_VAL};
  for (int rank = 0; rank < ranks; ++rank) {
    const double value = all[rank * SPEED_COUNT + kind];
    if (isnan(value)) continue;
    s.least = fmin(s.least, value);
    s.most = fmax(s.most, value);
    s.sum += value;
    ++s.count;
  }
  return s;
}

static Status report_speed(Document *list, int kind, const Spread *s)
{
  Document *one;
  const double all = speeds[kind].each ? s->sum : s->sum / s->count;
  printf("%-22s %8.2f %8.2f %8.2f %8.2f GB/s\n", speeds[kind].words, s->least, s->sum / s->count,
         s->most, all);
  TRY(document_add_object(list, &one));
  TRY(document_set_text(one, "what", speeds[kind].key));
  TRY(document_set_text(one, "unit", "GB/s"));
  TRY(document_set_int(one, "ranks", s->count));
  TRY(document_set_real(one, "least", s->least));
  TRY(document_set_real(one, "mean", s->sum / s->count));
  TRY(document_set_real(one, "most", s->most));
  return document_set_real(one, "all", all);
}

static Status report(const Doctor *doctor, const double *all, const char *way)
{
  Document *list;
  TRY(document_set_list(doctor->report, "speeds", &list));
  TRY(document_set_text(doctor->report, "sums_by", way));
  printf("\n%-22s %8s %8s %8s %8s\n", "speed of a rank", "least", "mean", "most", "all");
  for (int kind = 0; kind < SPEED_COUNT; ++kind) {
    const Spread s = spread_of(all, comm_rank_count(doctor->job->comm), kind);
    if (s.count > 0) TRY(report_speed(list, kind, &s));
  }
  printf("sums over ranks: %s\n", way);
  if (doctor->options->disk_size_mib > 0)
    printf("disk: %s, %lld MiB in all; what was just written may be read from memory\n",
           doctor->options->folder, (long long)doctor->options->disk_size_mib);
  (void)fflush(stdout);
  return STATUS_OK;
}

/* Collective. */
static Status measure(const Doctor *doctor, double *mine, char way[256])
{
  const Comm *comm = doctor->job->comm;
  for (int kind = 0; kind < SPEED_COUNT; ++kind)
    mine[kind] = NAN;
  TRY(comm_barrier(comm));
  Status status = measure_device(doctor->cpu, mine);
  if (status == STATUS_OK && doctor->device != doctor->cpu)
    status = measure_device(doctor->device, mine);
  TRY(comm_agree(comm, status));
  return measure_ranks(doctor, mine, way);
}

/* Collective. What was measured before a failure is told, too; found, which all ranks have alike,
 * is given back with its sentence. */
static Status tell(const Doctor *doctor, const double *mine, double *all, const char *way,
                   Status found)
{
  char sentence[1024];
  const Comm *comm = doctor->job->comm;
  (void)snprintf(sentence, sizeof sentence, "%s", status_message());
  TRY(comm_gather(comm, mine, SPEED_COUNT * sizeof *mine, all));
  TRY(comm_agree(comm, comm_rank(comm) == 0 ? report(doctor, all, way) : STATUS_OK));
  return found == STATUS_OK ? STATUS_OK : status_set(found, "%s", sentence);
}

Status doctor_speeds(const Doctor *doctor)
{
  double mine[SPEED_COUNT];
  char way[256] = "";
  const Comm *comm = doctor->job->comm;
  void *all = NULL;
  Status status = comm_agree(
      comm, memory_allocate((size_t)comm_rank_count(comm), sizeof mine, "speeds of ranks", &all));
  if (status == STATUS_OK) status = measure(doctor, mine, way);
  if (status == STATUS_OK) status = comm_agree(comm, measure_disk(doctor, mine));
  if (all != NULL && status != STATUS_NO_MEMORY && status != STATUS_COMM)
    status = tell(doctor, mine, all, way, status);
  memory_free(all);
  return status;
}
