#pragma once

#include "base/status.h"

/* A bundle: a folder, unpacked anywhere, that holds a program in bin/ and the libraries that it
 * needs beside it. Some of these look for their own parts and data where they were built, unless
 * the environment names another place. Which variables, and what they must be, the bundle says in
 * text files, one line a variable:
 *
 *   # words          passed over, as empty lines are
 *   NAME=./folder    a path from the bundle's root
 *   NAME=value       taken as it stands
 *   NAME=            must not be set
 *
 * share/quadrat/bundle.environment makes a folder a bundle; openmpi/bundle.environment goes with
 * the Open MPI of a bundle, and may be taken out with it where the site's own is to be used. */

enum { BUNDLE_PATH_BYTES = 4096 };

/* The folder over the one that the running program lies in. Errors: STATUS_IO, STATUS_BAD_OPTION if
 * it is too long. */
Status bundle_root(char root[BUNDLE_PATH_BYTES]);

/* Sets the environment as the bundle under root says, over what is there: data of another version
 * than the library's would break it. Without its file, nothing happens. Errors: STATUS_IO,
 * STATUS_BAD_INPUT (neither comment nor NAME=…), both with file and line. */
Status bundle_enter_at(const char *root);

/* The same for the bundle of the running program, if it lies in one. To be called first in main:
 * no thread and no library may look at the environment meanwhile. */
Status bundle_enter(void);
