#pragma once

#include "base/status.h"

/* Outputs are written aside and renamed, so that a reader finds the old file, the new one or none.
 */
enum { OUTPUT_PATH_BYTES = 4096 };

/* The name under which path is written until it is whole: in the same folder, with the same ending.
 * The same for every rank and run, so that a later run replaces what a killed one left. */
Status output_aside(const char *path, char aside[OUTPUT_PATH_BYTES]);
/* Syncs the aside file to disk and renames it to path. Errors: STATUS_IO (a full disk among them).
 */
Status output_commit(const char *path);
/* Removes the aside file, if there is one. */
void output_discard(const char *path);

/* Refuses early what would fail after hours: a folder that is missing or not writable, or a path
 * that is a folder. */
Status output_check_writable(const char *path);
/* Makes a folder and those above it; STATUS_OK if it is there already. */
Status output_make_folder(const char *path);
