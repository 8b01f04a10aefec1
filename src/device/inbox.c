#include "device/inbox.h"

#include "base/memory.h"
#include "waiting_room.h"

struct Inbox {
  WaitingRoom room;
};

Status inbox_open(Device *device, Inbox **inbox)
{
  void *memory;
  *inbox = NULL;
  TRY(memory_allocate(1, sizeof **inbox, "an inbox", &memory));
  *inbox = memory;
  (*inbox)->room.device = device;
  return STATUS_OK;
}

void inbox_close(Inbox *inbox)
{
  if (inbox == NULL) return;
  waiting_room_close(&inbox->room);
  memory_free(inbox);
}

void inbox_reserve(Inbox *inbox, size_t bytes)
{
  waiting_room_reserve(&inbox->room, bytes);
}

Status inbox_allocate(Inbox *inbox)
{
  return waiting_room_allocate(&inbox->room, "a batch that waits");
}

/* The first piece waits until the last batch has left the room. */
void inbox_put(Inbox *inbox, void *to, const void *from_host, size_t bytes)
{
  WaitingRoom *room = &inbox->room;
  Device *device = room->device;
  const DeviceDriver *driver = device->driver;
  if (bytes == 0) return;
  if (room->memory == NULL || device->counts_only) {
    device_upload(device, to, from_host, bytes);
    return;
  }
  if (room->piece_count == 0)
    device_fail(device, driver->mark_await(device->handle, room->emptied, STREAM_IN));
  void *place = waiting_room_add(room, to, bytes);
  device_fail(device, driver->upload(device->handle, STREAM_IN, place, from_host, bytes));
  device_fail(device, driver->mark_set(device->handle, room->filled, STREAM_IN));
}

void inbox_take(Inbox *inbox)
{
  WaitingRoom *room = &inbox->room;
  Device *device = room->device;
  const DeviceDriver *driver = device->driver;
  if (room->piece_count == 0) return;
  device_fail(device, driver->mark_await(device->handle, room->filled, STREAM_COMPUTE));
  for (int32_t i = 0; i < room->piece_count; ++i)
    device_copy(device, room->pieces[i].to, room->pieces[i].memory, room->pieces[i].bytes);
  device_fail(device, driver->mark_set(device->handle, room->emptied, STREAM_COMPUTE));
  waiting_room_clear(room);
}

Status inbox_wait(Inbox *inbox)
{
  return waiting_room_meet(&inbox->room, inbox->room.filled);
}
