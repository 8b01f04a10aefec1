#include "detect_record.h"

#include <string.h>

#include "base/memory.h"

/* A thing before its mask. */
typedef struct ThingHead {
  double score;
  double box[4];
  int64_t class_index;
  int64_t mask_bytes; /* 0: none */
} ThingHead;

ShardArray detect_record_array(void)
{
  return (ShardArray){.name = "found", .type = ARRAY_U8};
}

void detect_record_clear(DetectRecord *record)
{
  record->count = DETECT_RECORD_HEAD_BYTES;
}

void detect_record_free(DetectRecord *record)
{
  memory_free(record->bytes);
  *record = (DetectRecord){0};
}

Status detect_record_reserve(DetectRecord *record, int64_t count)
{
  void *memory;
  int64_t capacity = record->capacity < 4096 ? 4096 : record->capacity;
  if (count <= record->capacity) return STATUS_OK;
  while (capacity < count)
    capacity *= 2;
  TRY(memory_allocate((size_t)capacity, 1, "things found", &memory));
  if (record->capacity > 0) memcpy(memory, record->bytes, (size_t)record->capacity);
  memory_free(record->bytes);
  record->bytes = memory;
  record->capacity = capacity;
  return STATUS_OK;
}

static Status put(DetectRecord *record, const void *bytes, size_t count)
{
  TRY(detect_record_reserve(record, record->count + (int64_t)count));
  memcpy(record->bytes + record->count, bytes, count);
  record->count += (int64_t)count;
  return STATUS_OK;
}

static Status put_thing(DetectRecord *record, const FoundThing *thing)
{
  ThingHead head = {.score = thing->score,
                    .class_index = thing->class_index,
                    .mask_bytes = thing->mask == NULL ? 0 : object_mask_packed_bytes(thing->mask)};
  memcpy(head.box, thing->box, sizeof head.box);
  TRY(put(record, &head, sizeof head));
  if (thing->mask == NULL) return STATUS_OK;
  TRY(detect_record_reserve(record, record->count + head.mask_bytes));
  object_mask_pack(thing->mask, record->bytes + record->count);
  record->count += head.mask_bytes;
  return STATUS_OK;
}

Status detect_record_add(DetectRecord *record, DetectTileNote note, const DetectList *list,
                         int64_t x_px, int64_t y_px)
{
  DetectThings things;
  note.count = list->count;
  TRY(put(record, &note, sizeof note));
  Status status = detect_things_make(list, x_px, y_px, &things);
  for (int64_t i = 0; status == STATUS_OK && i < things.count; ++i)
    status = put_thing(record, &things.items[i]);
  detect_things_free(&things);
  return status;
}

void detect_record_finish(DetectRecord *record)
{
  memcpy(record->bytes, &record->count, sizeof record->count);
}

int64_t detect_record_bytes(const uint8_t *head)
{
  int64_t count;
  memcpy(&count, head, sizeof count);
  return count;
}

static Status get(const DetectRecord *record, int64_t *at, void *bytes, size_t count)
{
  if (*at < 0 || record->count - *at < (int64_t)count)
    return status_set(STATUS_BAD_INPUT, "what was found in tiles breaks off");
  memcpy(bytes, record->bytes + *at, count);
  *at += (int64_t)count;
  return STATUS_OK;
}

static Status get_thing(const DetectRecord *record, int64_t *at, FoundThing *thing,
                        ObjectMask **mask)
{
  ThingHead head;
  int64_t used;
  TRY(get(record, at, &head, sizeof head));
  *thing = (FoundThing){.class_index = (int32_t)head.class_index, .score = head.score};
  memcpy(thing->box, head.box, sizeof head.box);
  if (head.mask_bytes == 0) return STATUS_OK;
  if (head.mask_bytes < 0 || head.mask_bytes > record->count - *at)
    return status_set(STATUS_BAD_INPUT, "what was found in tiles breaks off");
  TRY(object_mask_unpack(record->bytes + *at, head.mask_bytes, &used, mask));
  thing->mask = *mask;
  *at += head.mask_bytes;
  return STATUS_OK;
}

Status detect_record_next(const DetectRecord *record, int64_t *at, DetectTileNote *note,
                          DetectThings *things)
{
  void *memory;
  *things = (DetectThings){0};
  TRY(get(record, at, note, sizeof *note));
  if (note->count < 0 || note->count > (record->count - *at) / (int64_t)sizeof(ThingHead))
    return status_set(STATUS_BAD_INPUT, "what was found in tiles breaks off");
  TRY(memory_allocate((size_t)note->count, sizeof *things->items, "things", &memory));
  things->items = memory;
  TRY(memory_allocate((size_t)note->count, sizeof *things->masks, "things", &memory));
  things->masks = memory;
  for (int64_t i = 0; i < note->count; ++i) {
    things->count = i + 1;
    TRY(get_thing(record, at, &things->items[i], &things->masks[i]));
  }
  return STATUS_OK;
}
