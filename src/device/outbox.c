#include "device/outbox.h"

#include "base/memory.h"
#include "waiting_room.h"

struct Outbox {
  WaitingRoom room;
  void *sent[OUTBOX_LANES]; /* marks */
};

Status outbox_open(Device *device, Outbox **outbox)
{
  void *memory;
  *outbox = NULL;
  TRY(memory_allocate(1, sizeof **outbox, "an outbox", &memory));
  *outbox = memory;
  (*outbox)->room.device = device;
  return STATUS_OK;
}

void outbox_close(Outbox *outbox)
{
  if (outbox == NULL) return;
  const Device *device = outbox->room.device;
  waiting_room_close(&outbox->room);
  for (int32_t lane = 0; lane < OUTBOX_LANES; ++lane)
    if (outbox->sent[lane] != NULL) device->driver->mark_close(device->handle, outbox->sent[lane]);
  memory_free(outbox);
}

void outbox_reserve(Outbox *outbox, size_t bytes)
{
  waiting_room_reserve(&outbox->room, bytes);
}

Status outbox_allocate(Outbox *outbox)
{
  const Device *device = outbox->room.device;
  TRY(waiting_room_allocate(&outbox->room, "results that wait"));
  if (outbox->room.emptied == NULL) return STATUS_OK;
  for (int32_t lane = 0; lane < OUTBOX_LANES; ++lane)
    TRY(device->driver->mark_open(device->handle, &outbox->sent[lane]));
  return STATUS_OK;
}

void outbox_put(Outbox *outbox, void *to_host, const void *from, size_t bytes)
{
  WaitingRoom *room = &outbox->room;
  Device *device = room->device;
  if (bytes == 0) return;
  if (room->memory == NULL || device->counts_only) {
    device_download(device, to_host, from, bytes);
    return;
  }
  if (room->piece_count == 0)
    device_fail(device, device->driver->mark_await(device->handle, room->emptied, STREAM_COMPUTE));
  device_copy(device, waiting_room_add(room, to_host, bytes), from, bytes);
}

void outbox_send(Outbox *outbox, int32_t lane)
{
  WaitingRoom *room = &outbox->room;
  Device *device = room->device;
  const DeviceDriver *driver = device->driver;
  void *handle = device->handle;
  if (room->piece_count == 0) return;
  device_fail(device, driver->mark_set(handle, room->filled, STREAM_COMPUTE));
  device_fail(device, driver->mark_await(handle, room->filled, STREAM_OUT));
  for (int32_t i = 0; i < room->piece_count; ++i) {
    const WaitingPiece *piece = &room->pieces[i];
    device_fail(device,
                driver->download(handle, STREAM_OUT, piece->to, piece->memory, piece->bytes));
  }
  device_fail(device, driver->mark_set(handle, room->emptied, STREAM_OUT));
  device_fail(device, driver->mark_set(handle, outbox->sent[lane], STREAM_OUT));
  waiting_room_clear(room);
}

Status outbox_wait(Outbox *outbox, int32_t lane)
{
  return waiting_room_meet(&outbox->room, outbox->sent[lane]);
}
