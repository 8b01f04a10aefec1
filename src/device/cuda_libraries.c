#include "cuda_libraries.h"

#include <dlfcn.h>
#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 4096 };

static bool open_file(const char *path)
{
  return dlopen(path, RTLD_NOW | RTLD_LOCAL) != NULL;
}

/* pattern: a folder, in which * and ? may stand for parts of names. */
static bool open_in(const char *pattern, const char *name)
{
  char path[PATH_BYTES];
  const int length = snprintf(path, sizeof path, "%s/%s", pattern, name);
  if (length < 0 || (size_t)length >= sizeof path) return false;
  glob_t found;
  bool opened = false;
  if (glob(path, 0, NULL, &found) != 0) return false;
  for (size_t i = 0; i < found.gl_pathc && !opened; ++i)
    opened = open_file(found.gl_pathv[i]);
  globfree(&found);
  return opened;
}

/* folders: parted by ':', taken as they stand. */
static bool open_in_folders(const char *folders, const char *name)
{
  char path[PATH_BYTES];
  for (const char *folder = folders; folder != NULL && *folder != '\0';) {
    const int length = (int)strcspn(folder, ":");
    const int bytes = snprintf(path, sizeof path, "%.*s/%s", length, folder, name);
    if (length > 0 && bytes > 0 && (size_t)bytes < sizeof path && open_file(path)) return true;
    folder += length + (folder[length] == ':');
  }
  return false;
}

/* variable: of the environment, whose value the pattern follows; NULL: the pattern is a whole path.
 */
static bool open_below(const char *variable, const char *pattern, const char *name)
{
  char path[PATH_BYTES];
  const char *folder = variable == NULL ? "" : getenv(variable);
  if (folder == NULL || (variable != NULL && *folder == '\0')) return false;
  const int length = snprintf(path, sizeof path, "%s%s", folder, pattern);
  return length > 0 && (size_t)length < sizeof path && open_in(path, name);
}

bool cuda_libraries_open_one(const char *name)
{
  static const struct {
    const char *variable, *pattern;
  } places[] = {
      {"CUDNN_PATH", "/lib*"},
      {"NCCL_HOME", "/lib*"},
      {"CUDA_HOME", "/lib*"},
      {"CUDA_PATH", "/lib*"},
      {NULL, "/usr/local/cuda/lib*"},
      {"VIRTUAL_ENV", "/lib/python3*/site-packages/nvidia/*/lib"},
      {"CONDA_PREFIX", "/lib"},
      {"CONDA_PREFIX", "/lib/python3*/site-packages/nvidia/*/lib"},
      {"HOME", "/.local/lib/python3*/site-packages/nvidia/*/lib"},
      {NULL, "/usr/local/lib/python3*/*-packages/nvidia/*/lib"},
      {NULL, "/usr/lib/python3*/*-packages/nvidia/*/lib"},
  };
  bool opened = open_file(name);
  for (size_t i = 0; i < sizeof places / sizeof *places && !opened; ++i)
    opened = open_below(places[i].variable, places[i].pattern, name);
  return opened;
}

void cuda_libraries_open_named(void)
{
  static const char *const names[] = {"libcublasLt.so.13", "libcublasLt.so.12", "libnvrtc.so.13",
                                      "libnvrtc.so.12",    "libcudnn.so.9",     "libnccl.so.2"};
  const char *folders = getenv("QUADRAT_CUDA_LIBRARIES");
  for (size_t i = 0; i < sizeof names / sizeof *names; ++i)
    (void)open_in_folders(folders, names[i]);
}

void cuda_libraries_open_usual(void)
{
  (void)cuda_libraries_open_one("libcudnn.so.9");
  (void)cuda_libraries_open_one("libnccl.so.2");
}
