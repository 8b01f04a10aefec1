#pragma once

#include <stdint.h>

#include "base/option.h"

/* What a user says to look at. */
typedef struct DoctorOptions {
  const char *folder, *json;
  int32_t device; /* DeviceChoice */
  int64_t threads;
  int64_t disk_size_mib; /* 0: no disk */
} DoctorOptions;

extern const OptionTable doctor_table;
