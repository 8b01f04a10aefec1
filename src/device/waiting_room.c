#include "waiting_room.h"

#include "base/require.h"

enum { PIECE_ALIGNMENT_BYTES = 256 };

static size_t aligned(size_t bytes)
{
  return (bytes + PIECE_ALIGNMENT_BYTES - 1) / PIECE_ALIGNMENT_BYTES * PIECE_ALIGNMENT_BYTES;
}

void waiting_room_reserve(WaitingRoom *room, size_t bytes)
{
  require(room->memory == NULL);
  room->bytes += aligned(bytes);
}

Status waiting_room_allocate(WaitingRoom *room, const char *what)
{
  Device *device = room->device;
  void *memory;
  if (!device_has_streams(device)) return STATUS_OK;
  TRY(device_allocate(device, room->bytes, what, &memory));
  room->memory = memory;
  if (device->counts_only) return STATUS_OK;
  TRY(device->driver->mark_open(device->handle, &room->filled));
  return device->driver->mark_open(device->handle, &room->emptied);
}

void waiting_room_close(WaitingRoom *room)
{
  Device *device = room->device;
  if (room->memory != NULL && !device->counts_only) (void)device_synchronize(device);
  if (room->filled != NULL) device->driver->mark_close(device->handle, room->filled);
  if (room->emptied != NULL) device->driver->mark_close(device->handle, room->emptied);
  device_release(device, room->memory);
}

void *waiting_room_add(WaitingRoom *room, void *to, size_t bytes)
{
  require(room->piece_count < WAITING_PIECES_MOST && bytes <= room->bytes - room->used);
  void *place = room->memory + room->used;
  room->pieces[room->piece_count++] = (WaitingPiece){to, place, bytes};
  room->used += aligned(bytes);
  return place;
}

void waiting_room_clear(WaitingRoom *room)
{
  room->piece_count = 0;
  room->used = 0;
}

Status waiting_room_meet(const WaitingRoom *room, void *mark)
{
  Device *device = room->device;
  if (mark == NULL) return STATUS_OK;
  const Status status = device->driver->mark_meet(device->handle, mark);
  if (status == STATUS_OK && device->failure == STATUS_OK) return STATUS_OK;
  device_fail(device, status);
  return device_take_failure(device);
}
