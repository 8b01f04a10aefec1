#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

bool path_exists(const char *path);
bool path_is_folder(const char *path);
/* Case does not matter: path_has_ending("a/B.TIF", ".tif"). */
bool path_has_ending(const char *path, const char *ending);
/* What follows the last slash; points into path. */
const char *path_file_name(const char *path);
/* folder/name, or name alone if folder is empty. Errors: STATUS_BAD_OPTION if it does not fit. */
Status path_join(const char *folder, const char *name, size_t bytes, char *joined);
Status path_size_bytes(const char *path, int64_t *bytes);
/* Removes a folder and all below it; a path that does not exist is no error. Never follows links.
 */
Status path_remove_tree(const char *path);
