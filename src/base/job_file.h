#pragma once

#include "base/status.h"

/* Reads an .ini file and gives each key of section [tool], or before any section, to set. Stops at
 * its first error. Sections of other tools are passed over, so that one file may hold a whole
 * workflow; wrong lines are named by number. */
Status job_file_read(const char *path, const char *tool,
                     Status (*set)(void *context, const char *name, const char *value),
                     void *context);
