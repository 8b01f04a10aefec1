#include "object_group.h"

#include <string.h>

#include "base/memory.h"
#include "object_index.h"
#include "object_room.h"
#include "object_shape.h"

enum { NONE = -1 };

/* A thing in its group: trees of parents, and a ring through all members. */
typedef struct Member {
  LiveThing thing;
  int32_t parent; /* itself: stands for the group; NONE: free */
  int32_t next;   /* of the ring, or of the free ones */
  /* Of the whole group, where the member stands for it. */
  int32_t count;
  int64_t top_px;
  int64_t bottom_px; /* behind the last row */
} Member;

struct ObjectGroups {
  LinkRule rule;
  ObjectIndex *index;
  Member *members;
  int64_t capacity;
  int64_t used; /* members taken so far; some may be free again */
  int32_t free_member;
  int64_t cursor; /* where the search for complete groups goes on */
  int64_t top_px; /* of the groups it has passed */
  LiveThing **listed;
  int64_t listed_capacity;
};

Status object_groups_open(LinkRule rule, ObjectGroups **groups)
{
  void *memory;
  *groups = NULL;
  TRY(memory_allocate(1, sizeof(ObjectGroups), "groups of objects", &memory));
  ObjectGroups *opening = memory;
  opening->rule = rule;
  opening->free_member = NONE;
  const Status status = object_index_open(&opening->index);
  if (status == STATUS_OK)
    *groups = opening;
  else
    object_groups_close(opening);
  return status;
}

void object_groups_close(ObjectGroups *groups)
{
  if (groups == NULL) return;
  for (int64_t m = 0; m < groups->used; ++m)
    if (groups->members[m].parent != NONE) object_mask_close(groups->members[m].thing.mask);
  memory_free(groups->members);
  memory_free(groups->listed);
  object_index_close(groups->index);
  memory_free(groups);
}

static int32_t root_of(ObjectGroups *groups, int32_t member)
{
  Member *members = groups->members;
  while (members[member].parent != member) {
    members[member].parent = members[members[member].parent].parent;
    member = members[member].parent;
  }
  return member;
}

static void join(ObjectGroups *groups, int32_t a, int32_t b)
{
  Member *members = groups->members;
  a = root_of(groups, a);
  b = root_of(groups, b);
  if (a == b) return;
  const int32_t larger = members[a].count >= members[b].count ? a : b;
  const int32_t smaller = larger == a ? b : a;
  members[smaller].parent = larger;
  members[larger].count += members[smaller].count;
  if (members[smaller].top_px < members[larger].top_px)
    members[larger].top_px = members[smaller].top_px;
  if (members[smaller].bottom_px > members[larger].bottom_px)
    members[larger].bottom_px = members[smaller].bottom_px;
  const int32_t next = members[larger].next;
  members[larger].next = members[smaller].next;
  members[smaller].next = next;
}

static Status take_member(ObjectGroups *groups, const LiveThing *thing, int32_t *member)
{
  if (groups->free_member == NONE) {
    if (groups->used == INT32_MAX)
      return status_set(STATUS_UNSUPPORTED, "more than %d things wait for their counterparts",
                        (int)INT32_MAX);
    TRY(object_room((void **)&groups->members, &groups->capacity, groups->used + 1,
                    sizeof *groups->members, "groups of objects"));
    groups->members[groups->used].next = NONE;
    groups->free_member = (int32_t)groups->used;
    groups->members[groups->used++].parent = NONE;
  }
  *member = groups->free_member;
  Member *taken = groups->members + *member;
  const Window window = thing->mask->window;
  TRY(object_index_add(groups->index, *member, window));
  groups->free_member = taken->next;
  *taken = (Member){.thing = *thing,
                    .parent = *member,
                    .next = *member,
                    .count = 1,
                    .top_px = window.y_px,
                    .bottom_px = window.y_px + window.height_px};
  return STATUS_OK;
}

static Status link_member(ObjectGroups *groups, int32_t member)
{
  const LiveThing *thing = &groups->members[member].thing;
  const Window near = window_grow(thing->mask->window, 2 * groups->rule.edge_px - 1);
  const int32_t *others;
  int64_t count;
  TRY(object_index_find(groups->index, near, &others, &count));
  for (int64_t o = 0; o < count; ++o) {
    const LiveThing *other = &groups->members[others[o]].thing;
    bool linked;
    if (other->tile == thing->tile || other->class_index != thing->class_index) continue;
    TRY(object_link_test(groups->rule, &other->seen, &thing->seen, &linked));
    if (linked) join(groups, others[o], member);
  }
  return STATUS_OK;
}

Status object_groups_add(ObjectGroups *groups, const LiveThing *thing)
{
  int32_t member = NONE;
  const Status status = take_member(groups, thing, &member);
  if (status != STATUS_OK) object_mask_close(thing->mask);
  TRY(status);
  return link_member(groups, member);
}

/* The members of a group, in the order in which they were found. */
static Status list_members(ObjectGroups *groups, int32_t root)
{
  int64_t count = 0;
  int32_t member = root;
  TRY(object_room((void **)&groups->listed, &groups->listed_capacity, groups->members[root].count,
                  sizeof *groups->listed, "groups of objects"));
  do {
    groups->listed[count++] = &groups->members[member].thing;
    member = groups->members[member].next;
  } while (member != root);
  object_shape_sort(groups->listed, count);
  return STATUS_OK;
}

static void free_members(ObjectGroups *groups, int32_t root)
{
  int32_t member = root;
  do {
    Member *freed = groups->members + member;
    const int32_t next = freed->next;
    object_index_remove(groups->index, member);
    object_mask_close(freed->thing.mask);
    *freed = (Member){.parent = NONE, .next = groups->free_member};
    groups->free_member = member;
    member = next;
  } while (member != root);
}

static Status end_group(ObjectGroups *groups, int32_t root, Candidate *candidate)
{
  TRY(list_members(groups, root));
  TRY(object_shape_make(groups->rule.agreement, groups->listed, groups->members[root].count,
                        candidate));
  free_members(groups, root);
  return STATUS_OK;
}

Status object_groups_next_complete(ObjectGroups *groups, int64_t frontier_px, Candidate *candidate,
                                   bool *more)
{
  const int64_t last_bottom_px =
      frontier_px == INT64_MAX ? INT64_MAX : frontier_px - groups->rule.edge_px;
  if (groups->cursor == 0) groups->top_px = INT64_MAX;
  for (; groups->cursor < groups->used; ++groups->cursor) {
    const int32_t root = (int32_t)groups->cursor;
    const Member *member = groups->members + root;
    if (member->parent != root) continue;
    if (member->bottom_px <= last_bottom_px) {
      *more = true;
      return end_group(groups, root, candidate);
    }
    if (member->top_px < groups->top_px) groups->top_px = member->top_px;
  }
  groups->cursor = 0;
  *more = false;
  return STATUS_OK;
}

int64_t object_groups_top(const ObjectGroups *groups)
{
  return groups->top_px;
}

Status object_groups_reach(ObjectGroups *groups, const ObjectMask *mask, int32_t class_index,
                           bool *reach)
{
  const int32_t *near;
  int64_t count;
  *reach = false;
  TRY(object_index_find(groups->index, mask->window, &near, &count));
  for (int64_t n = 0; n < count && !*reach; ++n) {
    const LiveThing *thing = &groups->members[near[n]].thing;
    if (class_index == OBJECT_ANY_CLASS || thing->class_index == class_index)
      *reach = object_mask_shared(thing->mask, mask) > 0;
  }
  return STATUS_OK;
}
