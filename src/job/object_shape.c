#include "object_shape.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* A member below this share of the highest score of its group is weak. */
static const double weak_share = 0.25;

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

/* The best whole one, or NULL. */
static LiveThing *find_whole(LiveThing *const *members, int64_t count)
{
  LiveThing *best = NULL;
  for (int64_t m = 0; m < count; ++m)
    if (!members[m]->seen.is_cut && (best == NULL || by_trust(&members[m], &best) < 0))
      best = members[m];
  return best;
}

static double best_score(LiveThing *const *members, int64_t count)
{
  double best = members[0]->score;
  for (int64_t m = 1; m < count; ++m)
    best = fmax(best, members[m]->score);
  return best;
}

/* Those that count come first; returns how many. Both parts keep their order. */
static int64_t part_weak(LiveThing **members, int64_t count, LiveThing **scratch)
{
  const double best = best_score(members, count);
  int64_t kept = 0;
  int64_t weak = 0;
  for (int64_t m = 0; m < count; ++m) {
    if (members[m]->score >= weak_share * best)
      members[kept++] = members[m];
    else
      scratch[weak++] = members[m];
  }
  memcpy(members + kept, scratch, (size_t)weak * sizeof *members);
  return kept;
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
  object->score = count == 1 ? members[0]->score : weighted / area_px;
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

/* What the weak one shows where none of the others' tiles saw; NULL where that is nothing. */
static Status clip_weak(const LiveThing *weak, LiveThing *const *members, int64_t count,
                        ObjectMask **mask)
{
  const Window window = weak->mask->window;
  void *memory;
  *mask = NULL;
  TRY(memory_allocate((size_t)window_pixels(window), 1, "mask of an object", &memory));
  object_mask_paint(weak->mask, window, 1, memory, window.width_px);
  for (int64_t m = 0; m < count; ++m) {
    const Window hidden = window_intersect(window, members[m]->seen.seen);
    for (int64_t row = 0; row < hidden.height_px; ++row)
      memset((uint8_t *)memory + (hidden.y_px - window.y_px + row) * window.width_px +
                 (hidden.x_px - window.x_px),
             0, (size_t)hidden.width_px);
  }
  const Status status = object_mask_from_bytes(memory, window.width_px, window, mask);
  memory_free(memory);
  if (status != STATUS_OK || (*mask)->area_px > 0) return status;
  object_mask_close(*mask);
  *mask = NULL;
  return STATUS_OK;
}

static void extend_box(Window window, WholeObject *object)
{
  object->box[0] = fmin(object->box[0], (double)window.x_px);
  object->box[1] = fmin(object->box[1], (double)window.y_px);
  object->box[2] = fmax(object->box[2], (double)(window.x_px + window.width_px));
  object->box[3] = fmax(object->box[3], (double)(window.y_px + window.height_px));
}

/* masks: room for count; those from trusted on, if not NULL, are the caller's to close. */
static Status unite_masks(LiveThing *const *members, int64_t trusted, int64_t count,
                          ObjectMask **masks, Candidate *candidate)
{
  int64_t mask_count = trusted;
  for (int64_t m = 0; m < trusted; ++m)
    masks[m] = members[m]->mask;
  for (int64_t m = trusted; m < count; ++m) {
    TRY(clip_weak(members[m], members, trusted, masks + mask_count));
    if (masks[mask_count] == NULL) continue;
    extend_box(masks[mask_count]->window, &candidate->object);
    ++mask_count;
  }
  return object_mask_union((const ObjectMask *const *)masks, mask_count, &candidate->mask);
}

static Status unite(LiveThing *const *members, int64_t trusted, int64_t count, Candidate *candidate)
{
  void *memory;
  TRY(memory_allocate((size_t)count, sizeof(ObjectMask *), "masks of a group", &memory));
  ObjectMask **masks = memory;
  unite_scores(members, trusted, &candidate->object);
  unite_boxes(members, trusted, &candidate->object);
  const Status status = unite_masks(members, trusted, count, masks, candidate);
  for (int64_t m = trusted; m < count; ++m)
    object_mask_close(masks[m]);
  memory_free(memory);
  return status;
}

static void take(LiveThing *thing, Candidate *candidate)
{
  candidate->object.score = thing->score;
  memcpy(candidate->object.box, thing->box, sizeof thing->box);
  candidate->mask = thing->mask;
  thing->mask = NULL;
}

static Status find_shape(LiveThing **members, int64_t count, Candidate *candidate)
{
  void *memory;
  TRY(memory_allocate((size_t)count, sizeof(LiveThing *), "members of a group", &memory));
  const int64_t trusted = part_weak(members, count, memory);
  memory_free(memory);
  LiveThing *whole = find_whole(members, trusted);
  candidate->object.is_union = whole == NULL;
  candidate->is_lone = trusted == 1 && (members[0]->seen.is_cut || !members[0]->is_home);
  if (whole == NULL) return unite(members, trusted, count, candidate);
  take(whole, candidate);
  return STATUS_OK;
}

Status object_shape_make(LiveThing **members, int64_t count, Candidate *candidate)
{
  LiveThing *first = members[0];
  *candidate = (Candidate){.object = {.class_index = first->class_index,
                                      .first_tile = first->tile,
                                      .first_index = first->index,
                                      .member_count = count,
                                      .is_fragment = count == 1 && first->seen.is_cut},
                           .is_lone = first->seen.is_cut || !first->is_home,
                           .is_outranked = first->is_outranked,
                           .best_score = best_score(members, count)};
  if (count == 1)
    take(first, candidate);
  else
    TRY(find_shape(members, count, candidate));
  candidate->object.mask = candidate->mask;
  return STATUS_OK;
}
