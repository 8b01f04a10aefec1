#include "plan_list.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"

void plan_list_empty(PlanList *list)
{
  memory_free(list->items);
  *list = (PlanList){.items = NULL};
}

static PlanItem *item_of(const PlanList *list, const char *key)
{
  for (size_t i = 0; i < list->count; ++i)
    if (strcmp(list->items[i].key, key) == 0) return &list->items[i];
  return NULL;
}

bool plan_list_find(const PlanList *list, const char *key, PlanChoice *choice)
{
  const PlanItem *item = item_of(list, key);
  if (item != NULL) *choice = item->choice;
  return item != NULL;
}

static Status grow(PlanList *list)
{
  void *memory = NULL;
  const size_t room = list->room == 0 ? 64 : 2 * list->room;
  TRY(memory_allocate(room, sizeof *list->items, "choices of engines", &memory));
  if (list->count > 0) memcpy(memory, list->items, list->count * sizeof *list->items);
  memory_free(list->items);
  list->items = memory;
  list->room = room;
  return STATUS_OK;
}

Status plan_list_put(PlanList *list, const char *key, const PlanChoice *choice)
{
  PlanItem *item = item_of(list, key);
  if (item == NULL) {
    if (list->count == PLANS_MOST) {
      --list->count;
      memmove(list->items, list->items + 1, list->count * sizeof *list->items);
    }
    if (list->count == list->room) TRY(grow(list));
    item = &list->items[list->count++];
    (void)snprintf(item->key, sizeof item->key, "%s", key);
  }
  item->choice = *choice;
  return STATUS_OK;
}
