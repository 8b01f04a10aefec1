/* Whether this build works on these machines, before hours of work. */
#include "doctor.h"

#include <stdio.h>

#include "base/output.h"
#include "compute.h"
#include "doctor_parts.h"
#include "geo/geo.h"

enum { STATUS_BYTES = 1024 };

static Status prepare(const Doctor *doctor)
{
  if (*doctor->options->json == '\0' || comm_rank(doctor->job->comm) != 0) return STATUS_OK;
  return output_check_writable(doctor->options->json);
}

/* Collective. */
static Status open_devices(Doctor *doctor)
{
  const DoctorOptions *given = doctor->options;
  TRY(compute_open(doctor->job, (DeviceChoice)given->device, given->threads, &doctor->device));
  doctor->cpu = doctor->device;
  if (device_kind(doctor->device) == DEVICE_CPU) return STATUS_OK;
  return device_open(-1, &doctor->cpu);
}

/* Local. What was found goes into the report even where the examination ended early. */
static Status save(const Doctor *doctor, Status found, const char *sentence)
{
  const char *path = doctor->options->json;
  if (comm_rank(doctor->job->comm) != 0 || *path == '\0') return STATUS_OK;
  TRY(document_set_flag(doctor->report, "healthy", found == STATUS_OK));
  TRY(document_set_text(doctor->report, "finding", sentence));
  TRY(document_save(doctor->report, DOCUMENT_PRETTY, path));
  printf("\n%s\n", path);
  return STATUS_OK;
}

/* Collective. A speed that cannot be measured is told behind the self-test, which matters more. */
static Status examine(Doctor *doctor)
{
  char sentence[STATUS_BYTES];
  TRY(doctor_versions(doctor));
  TRY(comm_agree(doctor->job->comm, open_devices(doctor)));
  TRY(doctor_ranks(doctor));
  const Status speeds = doctor_speeds(doctor);
  if (speeds == STATUS_COMM) return speeds;
  (void)snprintf(sentence, sizeof sentence, "%s", status_message());
  TRY(doctor_self_test(doctor, backend_of(doctor->cpu)));
  return speeds == STATUS_OK ? STATUS_OK : status_set(speeds, "%s", sentence);
}

/* Collective. */
static Status examine_and_save(Doctor *doctor)
{
  char sentence[STATUS_BYTES];
  const Status found = examine(doctor);
  if (found == STATUS_COMM) return found;
  (void)snprintf(sentence, sizeof sentence, "%s",
                 found == STATUS_OK ? "all is well" : status_message());
  TRY(comm_agree(doctor->job->comm, save(doctor, found, sentence)));
  return found == STATUS_OK ? STATUS_OK : status_set(found, "%s", sentence);
}

/* Collective. */
static Status run(const Job *job, const void *values)
{
  Doctor doctor = {.job = job, .options = values};
  geo_start(0);
  Status status = document_new_object(&doctor.report);
  if (status == STATUS_OK) status = prepare(&doctor);
  status = comm_agree(job->comm, status);
  if (status == STATUS_OK) status = examine_and_save(&doctor);
  (void)fflush(stdout);
  if (doctor.cpu != doctor.device) device_close(doctor.cpu);
  device_close(doctor.device);
  document_close(doctor.report);
  geo_stop();
  return status;
}

const Tool doctor_tool = {
    .table = &doctor_table, .values_bytes = sizeof(DoctorOptions), .run = run};
