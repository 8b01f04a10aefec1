#pragma once

#include "base/status.h"
#include "plan_text.h"

/* Choices by key, in the order in which they came. */
typedef struct PlanItem {
  char key[PLAN_KEY_BYTES];
  PlanChoice choice;
} PlanItem;

typedef struct PlanList {
  PlanItem *items;
  size_t count;
  size_t room;
} PlanList;

void plan_list_empty(PlanList *list);
bool plan_list_find(const PlanList *list, const char *key, PlanChoice *choice);
/* In place of the key's old choice, else at the end; beyond PLANS_MOST the first is dropped. */
Status plan_list_put(PlanList *list, const char *key, const PlanChoice *choice);
