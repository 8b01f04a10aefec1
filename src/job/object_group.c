#include "object_group.h"

#include <string.h>

#include "base/memory.h"
#include "object_index.h"
#include "object_room.h"
#include "object_shape.h"
#include "object_split.h"

enum { NONE = -1 };

/* A link between members, of the chain of its cluster. */
typedef struct Link {
  int32_t a;
  int32_t b;
  int32_t next; /* of the chain, or of the free ones */
} Link;

/* A thing in its cluster, which is all that links hang together: trees of parents, and a ring
 * through all members. */
typedef struct Member {
  LiveThing thing;
  int32_t parent; /* itself: stands for the cluster; NONE: free */
  int32_t next;   /* of the ring, or of the free ones */
  int32_t place;  /* among the ended ones, while its cluster ends */
  /* Of the whole cluster, where the member stands for it. */
  int32_t count;
  int32_t first_link; /* NONE: no links */
  int32_t last_link;
  int64_t link_count;
  int64_t top_px;
  int64_t bottom_px; /* behind the last row */
} Member;

/* The things of a cluster that is complete, taken apart. */
typedef struct Ended {
  LiveThing *things; /* in the order in which they were found */
  int64_t capacity;
  LiveThing **sorted;
  int64_t sorted_capacity;
  int32_t *next_of; /* rings of groups */
  int64_t next_capacity;
  ThingLink *links;
  int64_t link_capacity;
  LiveThing **members; /* of the group at hand */
  int64_t member_capacity;
  int32_t count;
  int32_t next; /* those before it were passed on */
} Ended;

struct ObjectGroups {
  LinkRule rule;
  ObjectIndex *index;
  Member *members;
  int64_t capacity;
  int64_t used; /* members taken so far; some may be free again */
  int32_t free_member;
  Link *links;
  int64_t link_capacity;
  int64_t links_used;
  int32_t free_link;
  int64_t cursor; /* where the search for complete clusters goes on */
  int64_t top_px; /* of the clusters it has passed */
  Ended ended;
};

void object_thing_free(LiveThing *thing)
{
  object_mask_close(thing->mask);
  memory_free(thing->rivals);
  thing->mask = NULL;
  thing->rivals = NULL;
}

Status object_groups_open(LinkRule rule, ObjectGroups **groups)
{
  void *memory;
  *groups = NULL;
  TRY(memory_allocate(1, sizeof(ObjectGroups), "groups of objects", &memory));
  ObjectGroups *opening = memory;
  opening->rule = rule;
  opening->free_member = NONE;
  opening->free_link = NONE;
  const Status status = object_index_open(&opening->index);
  if (status == STATUS_OK)
    *groups = opening;
  else
    object_groups_close(opening);
  return status;
}

static void close_ended(Ended *ended)
{
  for (int32_t t = 0; t < ended->count; ++t)
    object_thing_free(ended->things + t);
  memory_free(ended->things);
  memory_free(ended->sorted);
  memory_free(ended->next_of);
  memory_free(ended->links);
  memory_free(ended->members);
}

void object_groups_close(ObjectGroups *groups)
{
  if (groups == NULL) return;
  for (int64_t m = 0; m < groups->used; ++m)
    if (groups->members[m].parent != NONE) object_thing_free(&groups->members[m].thing);
  memory_free(groups->members);
  memory_free(groups->links);
  close_ended(&groups->ended);
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

static void join_chains(ObjectGroups *groups, Member *into, const Member *from)
{
  into->link_count += from->link_count;
  if (from->first_link == NONE) return;
  if (into->first_link == NONE)
    into->first_link = from->first_link;
  else
    groups->links[into->last_link].next = from->first_link;
  into->last_link = from->last_link;
}

/* Makes one cluster of two. */
static void join(ObjectGroups *groups, int32_t a, int32_t b)
{
  Member *members = groups->members;
  if (a == b) return;
  const int32_t larger = members[a].count >= members[b].count ? a : b;
  const int32_t smaller = larger == a ? b : a;
  join_chains(groups, members + larger, members + smaller);
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

static Status add_link(ObjectGroups *groups, int32_t a, int32_t b)
{
  if (groups->free_link == NONE) {
    if (groups->links_used == INT32_MAX)
      return status_set(STATUS_UNSUPPORTED, "more than %d links of things wait", (int)INT32_MAX);
    TRY(object_room((void **)&groups->links, &groups->link_capacity, groups->links_used + 1,
                    sizeof *groups->links, "links of objects"));
    groups->links[groups->links_used].next = NONE;
    groups->free_link = (int32_t)groups->links_used++;
  }
  const int32_t link = groups->free_link;
  const int32_t root = root_of(groups, a);
  groups->free_link = groups->links[link].next;
  groups->links[link] = (Link){.a = a, .b = b, .next = NONE};
  const Member single = {.first_link = link, .last_link = link, .link_count = 1};
  join_chains(groups, groups->members + root, &single);
  join(groups, root, root_of(groups, b));
  return STATUS_OK;
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
                    .first_link = NONE,
                    .last_link = NONE,
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
    if (other->tile == thing->tile || other->class_index != thing->class_index ||
        other->is_outranked)
      continue;
    TRY(object_link_test(groups->rule, &other->seen, &thing->seen, &linked));
    if (linked) TRY(add_link(groups, others[o], member));
  }
  return STATUS_OK;
}

Status object_groups_add(ObjectGroups *groups, const LiveThing *thing)
{
  int32_t member = NONE;
  const Status status = take_member(groups, thing, &member);
  if (status != STATUS_OK) {
    LiveThing lost = *thing;
    object_thing_free(&lost);
    return status;
  }
  return thing->is_outranked ? STATUS_OK : link_member(groups, member);
}

static Status make_room(ObjectGroups *groups, int64_t count, int64_t link_count)
{
  Ended *ended = &groups->ended;
  const char *what = "groups of objects";
  TRY(object_room((void **)&ended->things, &ended->capacity, count, sizeof *ended->things, what));
  TRY(object_room((void **)&ended->sorted, &ended->sorted_capacity, count, sizeof *ended->sorted,
                  what));
  TRY(object_room((void **)&ended->next_of, &ended->next_capacity, count, sizeof *ended->next_of,
                  what));
  TRY(object_room((void **)&ended->members, &ended->member_capacity, count, sizeof *ended->members,
                  what));
  return object_room((void **)&ended->links, &ended->link_capacity, link_count,
                     sizeof *ended->links, what);
}

/* The things of a cluster in the order in which they were found; each member knows its place. */
static void sort_members(ObjectGroups *groups, int32_t root)
{
  LiveThing **sorted = groups->ended.sorted;
  int32_t count = 0;
  int32_t member = root;
  do {
    sorted[count++] = &groups->members[member].thing;
    member = groups->members[member].next;
  } while (member != root);
  object_shape_sort(sorted, count);
  for (int32_t place = 0; place < count; ++place)
    ((Member *)sorted[place])->place = place; /* a thing is what its member begins with */
}

static int64_t take_links(ObjectGroups *groups, int32_t root)
{
  int64_t count = 0;
  for (int32_t link = groups->members[root].first_link; link != NONE;) {
    Link *taken = groups->links + link;
    const int32_t next = taken->next;
    groups->ended.links[count++] =
        (ThingLink){groups->members[taken->a].place, groups->members[taken->b].place};
    *taken = (Link){.next = groups->free_link};
    groups->free_link = link;
    link = next;
  }
  return count;
}

/* The things now belong to what has ended. */
static void free_members(ObjectGroups *groups, int32_t root)
{
  int32_t member = root;
  do {
    Member *freed = groups->members + member;
    const int32_t next = freed->next;
    object_index_remove(groups->index, member);
    *freed = (Member){.parent = NONE, .next = groups->free_member};
    groups->free_member = member;
    member = next;
  } while (member != root);
}

static Status end_cluster(ObjectGroups *groups, int32_t root)
{
  Ended *ended = &groups->ended;
  const int32_t count = groups->members[root].count;
  TRY(make_room(groups, count, groups->members[root].link_count));
  sort_members(groups, root);
  const int64_t link_count = take_links(groups, root);
  for (int32_t place = 0; place < count; ++place) {
    ended->things[place] = *ended->sorted[place];
    ended->sorted[place] = ended->things + place;
  }
  free_members(groups, root);
  ended->count = count;
  ended->next = 0;
  return object_split(groups->rule.agreement, ended->sorted, count, ended->links, link_count,
                      ended->next_of);
}

/* The next group of what has ended. */
static Status pass_on(ObjectGroups *groups, Candidate *candidate)
{
  Ended *ended = &groups->ended;
  const int32_t first = ended->next;
  int64_t count = 0;
  int32_t place = first;
  do {
    ended->members[count++] = ended->things + place;
    place = ended->next_of[place];
  } while (place != first);
  object_shape_sort(ended->members, count);
  const Status status = object_shape_make(ended->members, count, candidate);
  for (int64_t m = 0; m < count; ++m)
    object_thing_free(ended->members[m]);
  return status;
}

static bool has_ended(Ended *ended)
{
  while (ended->next < ended->count && ended->things[ended->next].mask == NULL)
    ++ended->next;
  return ended->next < ended->count;
}

Status object_groups_next_complete(ObjectGroups *groups, int64_t frontier_px, Candidate *candidate,
                                   bool *more)
{
  const int64_t last_bottom_px =
      frontier_px == INT64_MAX ? INT64_MAX : frontier_px - groups->rule.edge_px;
  *more = true;
  if (has_ended(&groups->ended)) return pass_on(groups, candidate);
  if (groups->cursor == 0) groups->top_px = INT64_MAX;
  for (; groups->cursor < groups->used; ++groups->cursor) {
    const int32_t root = (int32_t)groups->cursor;
    const Member *member = groups->members + root;
    if (member->parent != root) continue;
    if (member->bottom_px <= last_bottom_px) {
      TRY(end_cluster(groups, root));
      return pass_on(groups, candidate);
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
