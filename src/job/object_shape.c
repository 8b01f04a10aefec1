#include "object_shape.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

static int by_order(const void *left, const void *right)
{
  const LiveThing *a = *(const LiveThing *const *)left;
  const LiveThing *b = *(const LiveThing *const *)right;
  if (a->tile != b->tile) return a->tile < b->tile ? -1 : 1;
  if (a->index != b->index) return a->index < b->index ? -1 : 1;
  return 0;
}

void object_shape_sort(LiveThing **members, int64_t count)
{
  qsort(members, (size_t)count, sizeof *members, by_order);
}

/* Whole ones first: at home, higher score, earlier. */
static int by_trust(const void *left, const void *right)
{
  const LiveThing *a = *(const LiveThing *const *)left;
  const LiveThing *b = *(const LiveThing *const *)right;
  if (a->seen.is_cut != b->seen.is_cut) return a->seen.is_cut ? 1 : -1;
  if (a->is_home != b->is_home) return a->is_home ? -1 : 1;
  if (a->score != b->score) return a->score > b->score ? -1 : 1;
  return by_order(left, right);
}

static bool holds_all(double agreement, const LiveThing *whole, LiveThing *const *members,
                      int64_t count)
{
  for (int64_t m = 0; m < count; ++m) {
    const ObjectMask *mask = members[m]->mask;
    if (members[m] != whole &&
        (double)object_mask_shared(mask, whole->mask) < agreement * (double)mask->area_px)
      return false;
  }
  return true;
}

/* The first whole one that holds all others, or NULL. trusted: room for count. */
static LiveThing *find_whole(double agreement, LiveThing *const *members, int64_t count,
                             LiveThing **trusted)
{
  memcpy(trusted, members, (size_t)count * sizeof *members);
  qsort(trusted, (size_t)count, sizeof *trusted, by_trust);
  for (int64_t m = 0; m < count && !trusted[m]->seen.is_cut; ++m)
    if (holds_all(agreement, trusted[m], members, count)) return trusted[m];
  return NULL;
}

/* Sums in the order of the members, so that the last bit is the same everywhere. */
static void unite_scores(LiveThing *const *members, int64_t count, WholeObject *object)
{
  double weighted = 0;
  double area_px = 0;
  for (int64_t m = 0; m < count; ++m) {
    weighted += members[m]->score * (double)members[m]->mask->area_px;
    area_px += (double)members[m]->mask->area_px;
  }
  object->score = weighted / area_px;
}

static void unite_boxes(LiveThing *const *members, int64_t count, WholeObject *object)
{
  memcpy(object->box, members[0]->box, sizeof object->box);
  for (int64_t m = 1; m < count; ++m) {
    object->box[0] = fmin(object->box[0], members[m]->box[0]);
    object->box[1] = fmin(object->box[1], members[m]->box[1]);
    object->box[2] = fmax(object->box[2], members[m]->box[2]);
    object->box[3] = fmax(object->box[3], members[m]->box[3]);
  }
}

static Status unite(LiveThing *const *members, int64_t count, Candidate *candidate)
{
  void *memory;
  TRY(memory_allocate((size_t)count, sizeof(ObjectMask *), "masks of a group", &memory));
  const ObjectMask **masks = memory;
  for (int64_t m = 0; m < count; ++m)
    masks[m] = members[m]->mask;
  const Status status = object_mask_union(masks, count, &candidate->mask);
  memory_free(memory);
  unite_scores(members, count, &candidate->object);
  unite_boxes(members, count, &candidate->object);
  return status;
}

static void take(LiveThing *thing, Candidate *candidate)
{
  candidate->object.score = thing->score;
  memcpy(candidate->object.box, thing->box, sizeof thing->box);
  candidate->mask = thing->mask;
  thing->mask = NULL;
}

static Status find_shape(double agreement, LiveThing *const *members, int64_t count,
                         Candidate *candidate)
{
  void *memory;
  TRY(memory_allocate((size_t)count, sizeof(LiveThing *), "members of a group", &memory));
  LiveThing *whole = find_whole(agreement, members, count, memory);
  memory_free(memory);
  candidate->object.is_union = whole == NULL;
  if (whole == NULL) return unite(members, count, candidate);
  take(whole, candidate);
  return STATUS_OK;
}

Status object_shape_make(double agreement, LiveThing *const *members, int64_t count,
                         Candidate *candidate)
{
  const LiveThing *first = members[0];
  *candidate = (Candidate){.object = {.class_index = first->class_index,
                                      .first_tile = first->tile,
                                      .first_index = first->index,
                                      .member_count = count,
                                      .is_fragment = count == 1 && first->seen.is_cut},
                           .is_lone = count == 1 && (first->seen.is_cut || !first->is_home)};
  if (count == 1)
    take(members[0], candidate);
  else
    TRY(find_shape(agreement, members, count, candidate));
  candidate->object.mask = candidate->mask;
  return STATUS_OK;
}
