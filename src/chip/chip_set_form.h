#pragma once

/* The two forms behind chip_set.h. */

#include "base/arena.h"
#include "chip/chip_set.h"

typedef struct ChipSetForm {
  /* All that chip_set_info and chip_set_place tell, into set; what it allocates lives in set's
   * arena, or is ended by close, which is called after a failure too. */
  Status (*open)(ChipSet *set);
  void (*close)(ChipSet *set);
  Status (*read)(ChipSet *set, int64_t chip, void *image, uint8_t *valid, uint16_t *labels);
  /* Adds to a list that is empty. NULL: chips have no objects. */
  Status (*read_objects)(ChipSet *set, int64_t chip, ChipObjects *objects);
} ChipSetForm;

struct ChipSet {
  ChipSetInfo info;
  ChipPlace *places; /* info.chip_count of them */
  const char *path;
  Arena *arena;
  const ChipSetForm *form;
  void *source; /* the form's own */
};

extern const ChipSetForm chip_arrays_form;
extern const ChipSetForm chip_tiles_form;
