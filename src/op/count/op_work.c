#include <string.h>

#include "base/memory.h"
#include "note.h"

enum { FIRST_CAPACITY = 1024 };

struct OpWorkList {
  OpWork *items;
  int32_t count, capacity;
  bool is_full;
};

const char *op_kind_name(OpKind kind)
{
  static const char *const names[OP_KINDS] = {
      [OP_CONV_FORWARD] = "convolution forward",
      [OP_CONV_BACKWARD_DATA] = "convolution backward data",
      [OP_CONV_BACKWARD_WEIGHT] = "convolution backward weight",
      [OP_WEIGHTS] = "weights packed",
      [OP_NORM] = "batch norm",
      [OP_MOVE] = "add, relu, pool, move",
      [OP_PIXELS] = "normalise, loss, classes",
      [OP_REGIONS] = "RoIAlign",
      [OP_LISTS] = "lists of boxes",
      [OP_MASKS] = "masks",
      [OP_OPTIMIZER] = "optimiser",
      [OP_TRANSFER] = "between host and device",
  };
  return names[kind];
}

static bool has_room(OpWorkList *list)
{
  void *memory;
  if (list->count < list->capacity) return true;
  const int32_t capacity = list->capacity == 0 ? FIRST_CAPACITY : 2 * list->capacity;
  if (memory_allocate((size_t)capacity, sizeof *list->items, "counted ops", &memory) != STATUS_OK)
    return false;
  if (list->count > 0) memcpy(memory, list->items, (size_t)list->count * sizeof *list->items);
  memory_free(list->items);
  list->items = memory;
  list->capacity = capacity;
  return true;
}

void note_in(OpWorkList *list, OpWork work)
{
  list->is_full = list->is_full || !has_room(list);
  if (!list->is_full) list->items[list->count++] = work;
}

OpWorkList *notes_of(const Device *device)
{
  return device_notes(device).context;
}

void note(const Device *device, OpWork work)
{
  note_in(notes_of(device), work);
}

static void note_move(void *context, DeviceMove move, size_t bytes)
{
  const bool reads = move != DEVICE_CLEAR;
  const bool stays = move == DEVICE_COPY || move == DEVICE_CLEAR;
  note_in(context, (OpWork){.kind = stays ? OP_MOVE : OP_TRANSFER,
                            .launches = 1,
                            .read_bytes = reads ? (double)bytes : 0,
                            .written_bytes = stays ? (double)bytes : 0});
}

Status op_work_open(Device *device, OpWorkList **list)
{
  void *memory;
  TRY(memory_allocate(1, sizeof **list, "counted ops", &memory));
  *list = memory;
  device_take_notes(device, (DeviceNotes){note_move, memory});
  return STATUS_OK;
}

void op_work_close(OpWorkList *list)
{
  if (list == NULL) return;
  memory_free(list->items);
  memory_free(list);
}

void op_work_clear(OpWorkList *list)
{
  list->count = 0;
}

const OpWork *op_work_items(const OpWorkList *list, int32_t *count)
{
  *count = list->count;
  return list->items;
}

Status op_work_status(const OpWorkList *list)
{
  return list->is_full ? status_set(STATUS_NO_MEMORY, "counted ops: the host has no memory left")
                       : STATUS_OK;
}
