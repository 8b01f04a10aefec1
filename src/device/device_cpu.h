#pragma once

#include "device_driver.h"

/* The host: plain memory, no streams; complete, always built. */
extern const DeviceDriver device_cpu;
