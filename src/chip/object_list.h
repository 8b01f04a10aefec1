#pragma once

/* Objects of many chips in memory, their masks packed. */

#include "chip/chip_objects.h"

typedef struct ObjectList {
  int64_t *first_objects; /* chip_count + 1 */
  int64_t chip_count, chip_capacity;
  ChipObject *items; /* mask_offset: into packed */
  int64_t count, capacity;
  uint8_t *packed;
  int64_t packed_bytes, packed_capacity;
} ObjectList;

/* Adds the next chip. Errors: STATUS_NO_MEMORY. */
Status object_list_append(ObjectList *list, const ChipObjects *objects);
/* Adds a chip's objects to a list that is empty. */
Status object_list_read(const ObjectList *list, int64_t chip, ChipObjects *objects);
void object_list_free(ObjectList *list);
