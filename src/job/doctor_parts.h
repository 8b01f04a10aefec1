#pragma once

/* Private to doctor: one run of the tool, and its parts in their order. */
#include "device/device.h"
#include "doctor_options.h"
#include "job/job.h"
#include "op/backend.h"
#include "store/document.h"

typedef struct Doctor {
  const Job *job;
  const DoctorOptions *options;
  Device *device;   /* this rank's: a GPU, or the same as cpu */
  Device *cpu;      /* opened on every rank */
  Document *report; /* an object; rank 0 fills it */
} Doctor;

/* Collective. Which libraries, at which versions; a rank whose libraries are not rank 0's says so.
 */
Status doctor_versions(const Doctor *doctor);

/* Collective. The report's list of ranks (compute_open prints the table). */
Status doctor_ranks(const Doctor *doctor);

/* Collective. Measures memory, device, sums over ranks and disk, all ranks at once. Errors:
 * STATUS_DEVICE where a sum over the ranks is wrong; STATUS_IO where the folder cannot be written.
 */
Status doctor_speeds(const Doctor *doctor);

/* Collective. The self-test of the CPU's ops on every rank, and of the GPU's where it has one;
 * prints the table. cpu_ops: the CPU's table (a test may hand in another). Errors: STATUS_DEVICE
 * where any op of any rank fails. */
Status doctor_self_test(const Doctor *doctor, const Backend *cpu_ops);
