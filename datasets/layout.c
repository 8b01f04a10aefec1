#include "layout.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/require.h"
#include "planting.h"

Status layout_open(Layout *layout, size_t capacity)
{
  void *items = NULL;
  *layout = (Layout){0};
  TRY(memory_allocate(capacity, sizeof *layout->items, "objects of a scene", &items));
  *layout = (Layout){.items = items, .capacity = capacity};
  return STATUS_OK;
}

void layout_close(Layout *layout)
{
  memory_free(layout->items);
  *layout = (Layout){0};
}

/* Reach of what an object shows or darkens, as a square about its centre. */
static bool touches(const World *world, const Object *object, Point least, Point most)
{
  const double height_m = object_top_m(object) + object->half_length_m;
  const double reach_m =
      1.25 * object_radius_m(object) + 0.5 + height_m * hypot(world->shadow.x_m, world->shadow.y_m);
  return object->centre.x_m > least.x_m - reach_m && object->centre.x_m < most.x_m + reach_m &&
         object->centre.y_m > least.y_m - reach_m && object->centre.y_m < most.y_m + reach_m;
}

typedef struct Gathering {
  Layout *layout;
  const World *world;
  Point least, most;
} Gathering;

static void gather_cell(void *context, const Cell *cell)
{
  Gathering *gathering = context;
  Layout *layout = gathering->layout;
  require(layout->count + LAYOUT_CELL_MAX <= layout->capacity);
  Planting planting = planting_start(gathering->world, cell, layout->items + layout->count);
  planting_run(&planting);
  for (size_t i = 0; i < planting.count; ++i)
    if (touches(gathering->world, &planting.objects[i], gathering->least, gathering->most))
      layout->items[layout->count++] = planting.objects[i];
}

/* Stable: insertion by kind would be quadratic, one pass a kind is not. */
static void sort_by_kind(Layout *layout)
{
  Object *sorted = layout->items + layout->count;
  size_t count = 0;
  for (int kind = OBJECT_SLAB; kind <= OBJECT_TREE; ++kind)
    for (size_t i = 0; i < layout->count; ++i)
      if ((int)layout->items[i].kind == kind) sorted[count++] = layout->items[i];
  memmove(layout->items, sorted, count * sizeof *sorted);
}

void layout_gather(Layout *layout, const World *world, Point least, Point most)
{
  Gathering gathering = {layout, world, least, most};
  layout->count = 0;
  street_visit_cells(world, least, most, LAYOUT_REACH_M, gather_cell, &gathering);
  require(2 * layout->count <= layout->capacity);
  sort_by_kind(layout);
}
