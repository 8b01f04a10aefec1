#include "store/array_file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "array_door.h"
#include "base/memory.h"
#include "base/output.h"

/* HDF5 has one state per process, so its lock is the process's, too. */
static pthread_mutex_t library_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t library_once = PTHREAD_ONCE_INIT;

/* At the end of the process HDF5 would once more try to close what could not be closed on a full
 * disk, and crash (1.10.8). All files are closed here, so it need not. Without effect where another
 * library woke HDF5 first. */
static void keep_out_of_exit(void)
{
  (void)H5dont_atexit();
}

void array_lock(void)
{
  (void)pthread_once(&library_once, keep_out_of_exit);
  (void)pthread_mutex_lock(&library_lock);
  (void)H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

Status array_unlock(Status status)
{
  (void)pthread_mutex_unlock(&library_lock);
  return status;
}

typedef struct Reason {
  char text[256];
  bool from_system;
} Reason;

/* Downward, the innermost error comes last; it names the cause. */
static herr_t note_reason(unsigned depth, const H5E_error2_t *error, void *context)
{
  Reason *reason = context;
  (void)depth;
  if (error->desc == NULL) return 0;
  (void)snprintf(reason->text, sizeof reason->text, "%s", error->desc);
  reason->from_system = strstr(error->desc, "errno") != NULL;
  return 0;
}

static Reason find_reason(void)
{
  Reason reason = {.text = "no reason given"};
  (void)H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, note_reason, &reason);
  (void)H5Eclear2(H5E_DEFAULT);
  return reason;
}

static Status say(const ArrayFile *file, const char *path, Status status, const char *what,
                  const Reason *reason)
{
  if (path == NULL || *path == '\0')
    return status_set(status, "%s: cannot %s: %s", file->path, what, reason->text);
  return status_set(status, "%s: cannot %s “%s”: %s", file->path, what, path, reason->text);
}

Status array_failed(const ArrayFile *file, const char *path, Status status, const char *what)
{
  const Reason reason = find_reason();
  return say(file, path, status, what, &reason);
}

Status array_failed_reading(const ArrayFile *file, const char *path, const char *what)
{
  const Reason reason = find_reason();
  return say(file, path, reason.from_system ? STATUS_IO : STATUS_BAD_INPUT, what, &reason);
}

/* The formats of 1.8 to 1.10, so that every 1.10 reads what a newer library wrote. No locks:
 * parallel file systems often have none, and only one process ever writes a file. */
static hid_t access_list(void)
{
  const hid_t list = H5Pcreate(H5P_FILE_ACCESS);
  (void)H5Pset_fclose_degree(list, H5F_CLOSE_STRONG);
  (void)H5Pset_libver_bounds(list, H5F_LIBVER_V18, H5F_LIBVER_V110);
#if H5_VERSION_GE(1, 10, 7) && !(H5_VERS_MINOR == 12 && H5_VERS_RELEASE == 0)
  (void)H5Pset_file_locking(list, false, true);
#endif
  return list;
}

static Status create(ArrayFile *file)
{
  char aside[OUTPUT_PATH_BYTES];
  TRY(output_check_writable(file->path));
  TRY(output_aside(file->path, aside));
  const hid_t access = access_list();
  const hid_t creation = H5Pcreate(H5P_FILE_CREATE);
  (void)H5Pset_obj_track_times(creation, false);
  (void)H5Pset_link_creation_order(creation, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED);
  const hid_t opened = H5Fcreate(aside, H5F_ACC_TRUNC, creation, access);
  const Status status =
      opened < 0 ? array_failed(file, NULL, STATUS_IO, "create the file") : STATUS_OK;
  (void)H5Pclose(creation);
  (void)H5Pclose(access);
  file->file = opened < 0 ? 0 : opened;
  file->writing = opened >= 0;
  return status;
}

static Status check_readable(const char *path)
{
  const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return status_set(STATUS_IO, "cannot open %s: %s", path, strerror(errno));
  (void)close(descriptor);
  return STATUS_OK;
}

static Status open_reading(ArrayFile *file)
{
  TRY(check_readable(file->path));
  const hid_t access = access_list();
  const hid_t opened = H5Fopen(file->path, H5F_ACC_RDONLY, access);
  const Status status =
      opened < 0 ? array_failed_reading(file, NULL, "open it as HDF5") : STATUS_OK;
  (void)H5Pclose(access);
  file->file = opened < 0 ? 0 : opened;
  return status;
}

static void close_datasets(ArrayFile *file)
{
  for (size_t i = 0; i < ARRAY_OPEN_MAX; ++i) {
    if (file->open[i].dataset > 0) (void)H5Dclose(file->open[i].dataset);
    file->open[i].dataset = 0;
  }
}

static void close_unlocked(ArrayFile *file)
{
  close_datasets(file);
  if (file->file > 0) (void)H5Fclose(file->file);
  if (file->writing) output_discard(file->path);
  memory_free(file->path);
  memory_free(file);
}

static Status open_unlocked(const char *path, bool writing, ArrayFile **file)
{
  void *memory;
  *file = NULL;
  TRY(memory_allocate(1, sizeof **file, "array file", &memory));
  ArrayFile *opening = memory;
  Status status = memory_copy_text(path, &opening->path);
  if (status == STATUS_OK) status = writing ? create(opening) : open_reading(opening);
  if (status == STATUS_OK)
    *file = opening;
  else
    close_unlocked(opening);
  return status;
}

Status array_file_create(const char *path, ArrayFile **file)
{
  array_lock();
  return array_unlock(open_unlocked(path, true, file));
}

Status array_file_open(const char *path, ArrayFile **file)
{
  array_lock();
  return array_unlock(open_unlocked(path, false, file));
}

static Status commit_unlocked(ArrayFile *file)
{
  if (!file->writing)
    return status_set(STATUS_BAD_OPTION, "%s was opened for reading only", file->path);
  close_datasets(file);
  if (H5Fflush(file->file, H5F_SCOPE_LOCAL) < 0)
    return array_failed(file, NULL, STATUS_IO, "write the file");
  const herr_t closed = H5Fclose(file->file);
  file->file = 0;
  if (closed < 0) return array_failed(file, NULL, STATUS_IO, "close the file");
  TRY(output_commit(file->path));
  file->writing = false;
  return STATUS_OK;
}

Status array_file_commit(ArrayFile **file)
{
  array_lock();
  const Status status = commit_unlocked(*file);
  close_unlocked(*file);
  *file = NULL;
  return array_unlock(status);
}

void array_file_close(ArrayFile *file)
{
  if (file == NULL) return;
  array_lock();
  close_unlocked(file);
  (void)array_unlock(STATUS_OK);
}

const char *array_file_path(const ArrayFile *file)
{
  return file->path;
}
