#include "device/recording.h"

#include <stdio.h>

#include "base/memory.h"
#include "device_private.h"

struct Recording {
  Device *device;
  void *work;
};

/* Ends what was begun, whatever happened in between. */
static Status record(Device *device, Status (*issue)(void *context), void *context, void **work)
{
  TRY(device->driver->record_begin(device->handle));
  Status issued = issue(context);
  const Status failed = device_take_failure(device);
  if (issued == STATUS_OK) issued = failed;
  char sentence[DEVICE_SENTENCE_BYTES];
  (void)snprintf(sentence, sizeof sentence, "%s", issued == STATUS_OK ? "" : status_message());
  const Status ended = device->driver->record_end(device->handle, work);
  if (issued == STATUS_OK) return ended;
  if (ended == STATUS_OK) device->driver->recording_close(device->handle, *work);
  return status_set(issued, "%s", sentence);
}

Status recording_make(Device *device, Status (*issue)(void *context), void *context,
                      Recording **recording)
{
  void *memory;
  *recording = NULL;
  if (device->driver->record_begin == NULL || device->counts_only)
    return status_set(STATUS_UNSUPPORTED, "%s does not record", device_name(device));
  TRY(device_synchronize(device));
  TRY(memory_allocate(1, sizeof **recording, "a recording", &memory));
  Recording *making = memory;
  making->device = device;
  const Status status = record(device, issue, context, &making->work);
  if (status == STATUS_OK)
    *recording = making;
  else
    memory_free(making);
  return status;
}

void recording_play(Recording *recording)
{
  Device *device = recording->device;
  device_fail(device, device->driver->play(device->handle, recording->work));
}

void recording_close(Recording *recording)
{
  if (recording == NULL) return;
  recording->device->driver->recording_close(recording->device->handle, recording->work);
  memory_free(recording);
}
