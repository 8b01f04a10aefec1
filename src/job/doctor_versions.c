/* What is linked, and who sits where. */
#include <omp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "doctor_parts.h"
#include "geo/geo.h"
#include "store/store_versions.h"

/* One thing found out. Sent as bytes. */
typedef struct Fact {
  char name[16];
  char value[240];
} Fact;

enum { FACTS_MOST = 16 };

typedef struct Facts {
  int32_t count;
  Fact items[FACTS_MOST];
} Facts;

__attribute__((format(printf, 3, 4))) static void add(Facts *facts, const char *name,
                                                      const char *format, ...)
{
  Fact *fact = &facts->items[facts->count++];
  va_list arguments;
  va_start(arguments, format);
  (void)snprintf(fact->name, sizeof fact->name, "%s", name);
  (void)vsnprintf(fact->value, sizeof fact->value, format, arguments);
  va_end(arguments);
}

/* "oneDNN 2.6.3, AVX2": by its first word. */
static void add_library(Facts *facts, const char *text)
{
  char name[16];
  const size_t length = strcspn(text, " ");
  (void)snprintf(name, sizeof name, "%.*s", (int)length, text);
  add(facts, name, "%s", text[length] == ' ' ? text + length + 1 : text);
}

#if defined(__clang__)
static const char compiler[] = __VERSION__;
#else
static const char compiler[] = "gcc " __VERSION__;
#endif

static void find_plugin(Facts *facts)
{
  char text[DEVICE_VERSIONS_BYTES];
  const char *why;
  const int count = device_gpu_count(&why);
  const Backend *gpu = backend_of_plugin();
  if (count > 0)
    add(facts, "CUDA plug-in", "found, %d GPU%s on this node", count, count == 1 ? "" : "s");
  else
    add(facts, "CUDA plug-in", "%s: %s", gpu == NULL ? "not used" : "found, but no GPU is used",
        why);
  device_gpu_versions(text);
  if (*text != '\0') add(facts, "CUDA", "%s", text);
  const char *nccl = comm_nccl_version();
  if (nccl != NULL) add_library(facts, nccl);
  if (gpu == NULL) return;
  if (nccl == NULL)
    add(facts, "NCCL", "none: the plug-in was built without it, several GPUs sum over the host");
  char library[BACKEND_LIBRARY_BYTES];
  gpu->library(library);
  add_library(facts, library);
}

static void find(const Backend *cpu_ops, Facts *facts)
{
  char text[256];
  const StoreVersions store = store_versions();
  memset(facts, 0, sizeof *facts);
  add(facts, "quadrat", "%s, %s, %s%s", QUADRAT_VERSION, QUADRAT_BUILD_TYPE, compiler,
      QUADRAT_SANITIZED ? ", with sanitizers" : "");
  geo_proj_version(text);
  add(facts, "GDAL", "%s with PROJ %s; COG %s, GPKG %s", geo_version(), text,
      geo_has_format("COG") ? "yes" : "no", geo_has_format("GPKG") ? "yes" : "no");
  add(facts, "HDF5", "%s", store.hdf5);
  add(facts, "jansson", "%s", store.jansson);
  add(facts, "zlib", "%s", store.zlib);
  comm_mpi_version(text);
  add(facts, "MPI", "%s", text);
  cpu_ops->library(text);
  add_library(facts, text);
  add(facts, "OpenMP", "%d, %d thread%s of %d core%s", _OPENMP, omp_get_max_threads(),
      omp_get_max_threads() == 1 ? "" : "s", comm_usable_cores(),
      comm_usable_cores() == 1 ? "" : "s");
  find_plugin(facts);
}

/* A node with other libraries gives other numbers, or none; threads may well differ. */
static void tell_difference(const Log *log, const Facts *mine, const Facts *root)
{
  for (int32_t i = 0; i < mine->count; ++i) {
    const Fact *here = &mine->items[i];
    const Fact *there = i < root->count ? &root->items[i] : NULL;
    if (there == NULL || strcmp(here->name, there->name) != 0 ||
        strcmp(here->value, there->value) != 0)
      log_rank(log, "%s here: %s; on rank 0: %s", here->name, here->value,
               there == NULL ? "nothing" : there->value);
  }
}

static Status report(const Doctor *doctor, const Facts *facts)
{
  Document *libraries;
  for (int32_t i = 0; i < facts->count; ++i)
    printf("%-13s %s\n", facts->items[i].name, facts->items[i].value);
  (void)fflush(stdout);
  TRY(document_set_object(doctor->report, "libraries", &libraries));
  for (int32_t i = 0; i < facts->count; ++i)
    TRY(document_set_text(libraries, facts->items[i].name, facts->items[i].value));
  return STATUS_OK;
}

/* The CPU's table needs a device only to be asked for. */
static Status find_here(Facts *facts)
{
  Device *cpu;
  TRY(device_open(-1, &cpu));
  find(backend_of(cpu), facts);
  device_close(cpu);
  return STATUS_OK;
}

Status doctor_versions(const Doctor *doctor)
{
  Facts mine, root;
  const Job *job = doctor->job;
  if (doctor->options->threads > 0) omp_set_num_threads((int)doctor->options->threads);
  TRY(comm_agree(job->comm, find_here(&mine)));
  root = mine;
  TRY(comm_broadcast(job->comm, 0, &root, sizeof root));
  if (comm_rank(job->comm) != 0) tell_difference(job->log, &mine, &root);
  return comm_agree(job->comm, comm_rank(job->comm) == 0 ? report(doctor, &mine) : STATUS_OK);
}

/* What the report says of a rank. Sent as bytes. */
typedef struct Place {
  char host[64];
  char device[128];
  int32_t cores, threads;
  int64_t free_bytes;
} Place;

static Place find_place(const Doctor *doctor)
{
  Place place;
  memset(&place, 0, sizeof place);
  (void)snprintf(place.host, sizeof place.host, "%.63s", doctor->job->log->host);
  (void)snprintf(place.device, sizeof place.device, "%.127s", device_name(doctor->device));
  place.cores = comm_usable_cores();
  place.threads = omp_get_max_threads();
  place.free_bytes = (int64_t)device_free_bytes(doctor->device);
  return place;
}

static Status report_places(const Doctor *doctor, const Place *places, int count)
{
  Document *list, *rank;
  TRY(document_set_list(doctor->report, "ranks", &list));
  for (int i = 0; i < count; ++i) {
    TRY(document_add_object(list, &rank));
    TRY(document_set_int(rank, "rank", i));
    TRY(document_set_text(rank, "host", places[i].host));
    TRY(document_set_text(rank, "device", places[i].device));
    TRY(document_set_int(rank, "cores", places[i].cores));
    TRY(document_set_int(rank, "threads", places[i].threads));
    TRY(document_set_int(rank, "free_bytes", places[i].free_bytes));
  }
  return STATUS_OK;
}

Status doctor_ranks(const Doctor *doctor)
{
  const Comm *comm = doctor->job->comm;
  const int count = comm_rank_count(comm);
  const Place mine = find_place(doctor);
  void *all = NULL;
  Status status =
      comm_agree(comm, memory_allocate((size_t)count, sizeof mine, "places of ranks", &all));
  if (status == STATUS_OK) status = comm_gather(comm, &mine, sizeof mine, all);
  if (status == STATUS_OK)
    status = comm_agree(comm, comm_rank(comm) == 0 ? report_places(doctor, all, count) : STATUS_OK);
  memory_free(all);
  return status;
}
