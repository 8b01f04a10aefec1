#include "object_pool.h"

#include <stdlib.h>

#include "base/memory.h"
#include "object_home.h"
#include "object_index.h"
#include "object_room.h"

enum { NONE = -1 };

typedef enum EntryState {
  ENTRY_FREE,
  ENTRY_LONE,    /* may still be merged into another */
  ENTRY_WAITING, /* for what is above it */
  ENTRY_KEPT,    /* decided, to be given out */
  ENTRY_GIVEN    /* stays while what it overlaps waits */
} EntryState;

typedef struct Entry {
  WholeObject object;
  ObjectMask *mask;
  Window window; /* of the mask */
  EntryState state;
  bool is_settled; /* nothing that may overlap it can still be added */
  bool is_shared;  /* several tiles saw it */
  bool is_lone;
  bool is_outranked;
  double best_score; /* of a member */
  int32_t next;      /* of the free ones */
} Entry;

struct ObjectPool {
  PoolRules rules;
  ObjectIndex *index;
  Entry *entries;
  int64_t capacity;
  int64_t used;
  int32_t free_entry;
  int64_t waiting;
  Entry **listed; /* of this round */
  int64_t listed_capacity;
};

Status object_pool_open(const PoolRules *rules, ObjectPool **pool)
{
  void *memory;
  *pool = NULL;
  TRY(memory_allocate(1, sizeof(ObjectPool), "pool of objects", &memory));
  ObjectPool *opening = memory;
  opening->rules = *rules;
  opening->free_entry = NONE;
  const Status status = object_index_open(&opening->index);
  if (status == STATUS_OK)
    *pool = opening;
  else
    object_pool_close(opening);
  return status;
}

void object_pool_close(ObjectPool *pool)
{
  if (pool == NULL) return;
  for (int64_t e = 0; e < pool->used; ++e)
    object_mask_close(pool->entries[e].mask);
  memory_free(pool->entries);
  memory_free(pool->listed);
  object_index_close(pool->index);
  memory_free(pool);
}

static Status take_entry(ObjectPool *pool, const Candidate *candidate)
{
  if (pool->free_entry == NONE) {
    if (pool->used == INT32_MAX)
      return status_set(STATUS_UNSUPPORTED, "more than %d objects wait", (int)INT32_MAX);
    TRY(object_room((void **)&pool->entries, &pool->capacity, pool->used + 1, sizeof *pool->entries,
                    "pool of objects"));
    pool->entries[pool->used].next = NONE;
    pool->free_entry = (int32_t)pool->used++;
  }
  TRY(object_index_add(pool->index, pool->free_entry, candidate->mask->window));
  Entry *entry = pool->entries + pool->free_entry;
  pool->free_entry = entry->next;
  *entry = (Entry){.object = candidate->object,
                   .mask = candidate->mask,
                   .window = candidate->mask->window,
                   .state = candidate->is_lone ? ENTRY_LONE : ENTRY_WAITING,
                   .is_shared = candidate->object.member_count > 1,
                   .is_lone = candidate->is_lone,
                   .is_outranked = candidate->is_outranked,
                   .best_score = candidate->best_score};
  ++pool->waiting;
  return STATUS_OK;
}

Status object_pool_add(ObjectPool *pool, const Candidate *candidate)
{
  const Status status = take_entry(pool, candidate);
  if (status != STATUS_OK) object_mask_close(candidate->mask);
  return status;
}

static bool is_decided(const Entry *entry)
{
  return entry->state == ENTRY_KEPT || entry->state == ENTRY_GIVEN;
}

static void drop(ObjectPool *pool, Entry *entry)
{
  const int32_t slot = (int32_t)(entry - pool->entries);
  object_index_remove(pool->index, slot);
  object_mask_close(entry->mask);
  if (!is_decided(entry)) --pool->waiting;
  *entry = (Entry){.next = pool->free_entry};
  pool->free_entry = slot;
}

static bool is_earlier(const WholeObject *a, const WholeObject *b)
{
  if (a->first_tile != b->first_tile) return a->first_tile < b->first_tile;
  return a->first_index < b->first_index;
}

static bool ranks_above(const Entry *a, const Entry *b)
{
  if (a->object.score != b->object.score) return a->object.score > b->object.score;
  return is_earlier(&a->object, &b->object);
}

static int64_t bottom_of(const Entry *entry)
{
  return entry->window.y_px + entry->window.height_px;
}

/* Groups are complete when they end above what is still to come; so only what is still in a group
 * can yet overlap. */
static Status settle(ObjectPool *pool, ObjectGroups *groups)
{
  const bool any_class = pool->rules.options.nms_across_classes;
  const int64_t top_px = object_groups_top(groups);
  for (int64_t e = 0; e < pool->used; ++e) {
    Entry *entry = pool->entries + e;
    const int32_t class_index = any_class ? OBJECT_ANY_CLASS : entry->object.class_index;
    bool reached = false;
    if (entry->state == ENTRY_FREE || entry->is_settled) continue;
    if (bottom_of(entry) > top_px)
      TRY(object_groups_reach(groups, entry->mask, class_index, &reached));
    entry->is_settled = !reached;
  }
  return STATUS_OK;
}

static bool is_larger(const Entry *a, const Entry *b)
{
  if (a->mask->area_px != b->mask->area_px) return a->mask->area_px > b->mask->area_px;
  return is_earlier(&a->object, &b->object);
}

/* Whether a lone thing may be merged into this one. */
static bool may_host(const Entry *entry, const Entry *lone)
{
  if (entry == lone || entry->object.class_index != lone->object.class_index) return false;
  if (entry->best_score < lone->best_score) return false;
  if (!lone->is_outranked && !entry->is_shared &&
      entry->object.first_tile == lone->object.first_tile)
    return false;
  return !entry->is_lone || is_larger(entry, lone);
}

/* The object that most of the lone thing lies in, or NULL. must_wait: a smaller lone one beside it
 * may yet be merged into it. */
static Status find_host(ObjectPool *pool, const Entry *lone, Entry **host, bool *must_wait)
{
  const int32_t *near;
  int64_t count;
  int64_t most_px = 0;
  *host = NULL;
  *must_wait = false;
  TRY(object_index_find(pool->index, lone->window, &near, &count));
  for (int64_t n = 0; n < count; ++n) {
    Entry *entry = pool->entries + near[n];
    const int64_t shared_px = object_mask_shared(lone->mask, entry->mask);
    if (entry->state == ENTRY_LONE && shared_px > 0 && may_host(lone, entry)) *must_wait = true;
    if (!may_host(entry, lone) ||
        (double)shared_px < pool->rules.options.agreement * (double)lone->mask->area_px)
      continue;
    if (*host != NULL && (shared_px < most_px ||
                          (shared_px == most_px && is_earlier(&(*host)->object, &entry->object))))
      continue;
    most_px = shared_px;
    *host = entry;
  }
  return STATUS_OK;
}

static Status resolve_lone(ObjectPool *pool, Entry *lone, MergeCounts *counts)
{
  Entry *host;
  bool must_wait;
  TRY(find_host(pool, lone, &host, &must_wait));
  if (must_wait) return STATUS_OK;
  if (host != NULL) {
    host->object.member_count += lone->object.member_count;
    host->object.is_fragment = false;
    drop(pool, lone);
  } else if (lone->object.is_fragment && pool->rules.options.exclude_pad_detections) {
    counts->excluded += lone->object.member_count;
    drop(pool, lone);
  } else {
    lone->state = ENTRY_WAITING;
  }
  return STATUS_OK;
}

static int by_size(const void *left, const void *right)
{
  const Entry *a = *(const Entry *const *)left;
  const Entry *b = *(const Entry *const *)right;
  return is_larger(b, a) ? -1 : is_larger(a, b);
}

static int by_rank(const void *left, const void *right)
{
  const Entry *a = *(const Entry *const *)left;
  const Entry *b = *(const Entry *const *)right;
  return ranks_above(a, b) ? -1 : ranks_above(b, a);
}

static int by_order(const void *left, const void *right)
{
  const Entry *a = *(const Entry *const *)left;
  const Entry *b = *(const Entry *const *)right;
  return is_earlier(&a->object, &b->object) ? -1 : is_earlier(&b->object, &a->object);
}

/* The settled ones of a state. */
static Status list_entries(ObjectPool *pool, EntryState state, int64_t *count)
{
  *count = 0;
  TRY(object_room((void **)&pool->listed, &pool->listed_capacity, pool->used, sizeof *pool->listed,
                  "pool of objects"));
  for (int64_t e = 0; e < pool->used; ++e)
    if (pool->entries[e].state == state && pool->entries[e].is_settled)
      pool->listed[(*count)++] = pool->entries + e;
  return STATUS_OK;
}

static void sort_listed(const ObjectPool *pool, int64_t count,
                        int (*compare)(const void *, const void *))
{
  if (count > 1) qsort(pool->listed, (size_t)count, sizeof *pool->listed, compare);
}

/* Small ones first, so that one merged into another goes where that one goes. */
static Status resolve_all(ObjectPool *pool, MergeCounts *counts)
{
  int64_t count;
  TRY(list_entries(pool, ENTRY_LONE, &count));
  sort_listed(pool, count, by_size);
  for (int64_t l = 0; l < count; ++l)
    TRY(resolve_lone(pool, pool->listed[l], counts));
  return STATUS_OK;
}

/* What comes later outweighs what comes before. */
typedef enum Verdict { VERDICT_KEEP, VERDICT_DROP, VERDICT_WAIT } Verdict;

/* What one neighbour means for an entry. */
static Verdict judge_beside(const ObjectPool *pool, const Entry *entry, const Entry *other)
{
  const bool same_class = entry->object.class_index == other->object.class_index;
  if (!same_class && !pool->rules.options.nms_across_classes) return VERDICT_KEEP;
  const bool may_be_merged = other->state == ENTRY_LONE && same_class;
  if (!may_be_merged && !ranks_above(other, entry)) return VERDICT_KEEP;
  const int64_t shared_px = object_mask_shared(entry->mask, other->mask);
  if (shared_px == 0) return VERDICT_KEEP;
  if (!is_decided(other)) return VERDICT_WAIT;
  const int64_t all_px = entry->mask->area_px + other->mask->area_px - shared_px;
  return (double)shared_px > pool->rules.options.nms_overlap * (double)all_px ? VERDICT_DROP
                                                                              : VERDICT_KEEP;
}

static Status judge(ObjectPool *pool, const Entry *entry, Verdict *verdict)
{
  const int32_t *near;
  int64_t count;
  *verdict = VERDICT_KEEP;
  TRY(object_index_find(pool->index, entry->window, &near, &count));
  for (int64_t n = 0; n < count && *verdict != VERDICT_WAIT; ++n) {
    const Entry *other = pool->entries + near[n];
    const Verdict one = other == entry ? VERDICT_KEEP : judge_beside(pool, entry, other);
    if (one > *verdict) *verdict = one;
  }
  return STATUS_OK;
}

/* Decides those of the list that can be, and leaves the others in it. */
static Status decide_listed(ObjectPool *pool, MergeCounts *counts, int64_t *count)
{
  int64_t left = 0;
  for (int64_t n = 0; n < *count; ++n) {
    Entry *entry = pool->listed[n];
    Verdict verdict;
    TRY(judge(pool, entry, &verdict));
    if (verdict == VERDICT_WAIT) {
      pool->listed[left++] = entry;
    } else if (verdict == VERDICT_DROP) {
      counts->by_nms += entry->object.member_count;
      drop(pool, entry);
    } else {
      entry->state = ENTRY_KEPT;
      --pool->waiting;
    }
  }
  *count = left;
  return STATUS_OK;
}

/* First as they lie in memory: most have nothing of higher rank beside them. The others then best
 * first, so that each finds what is above it decided. The outcome is the same in any order. */
static Status suppress(ObjectPool *pool, MergeCounts *counts)
{
  int64_t count;
  TRY(list_entries(pool, ENTRY_WAITING, &count));
  TRY(decide_listed(pool, counts, &count));
  sort_listed(pool, count, by_rank);
  return decide_listed(pool, counts, &count);
}

static Status give(ObjectPool *pool, Entry *entry, MergeCounts *counts)
{
  WholeObject *object = &entry->object;
  bool wanted = true;
  entry->state = ENTRY_GIVEN;
  object->owner_tile = object_owner(&pool->rules.plan, entry->window);
  TRY(pool->rules.take(pool->rules.context, object, &wanted));
  if (!wanted) {
    counts->unwanted += object->member_count;
    return STATUS_OK;
  }
  ++counts->kept;
  counts->merged += object->member_count - 1;
  counts->unions += object->is_union;
  counts->fragments += object->is_fragment;
  return STATUS_OK;
}

/* The first row that an object which is not decided has a pixel in. */
static int64_t undecided_top(const ObjectPool *pool)
{
  int64_t top_px = INT64_MAX;
  for (int64_t e = 0; e < pool->used; ++e) {
    const Entry *entry = pool->entries + e;
    if (entry->state != ENTRY_FREE && !is_decided(entry) && entry->window.y_px < top_px)
      top_px = entry->window.y_px;
  }
  return top_px;
}

static Status has_undecided_beside(ObjectPool *pool, const Entry *entry, bool *has)
{
  const int32_t *near;
  int64_t count;
  *has = false;
  TRY(object_index_find(pool->index, entry->window, &near, &count));
  for (int64_t n = 0; n < count; ++n)
    *has = *has || !is_decided(pool->entries + near[n]);
  return STATUS_OK;
}

/* Lets go of what was given out and has nothing beside it that still waits. */
static Status forget(ObjectPool *pool)
{
  const int64_t top_px = undecided_top(pool);
  for (int64_t e = 0; e < pool->used; ++e) {
    Entry *entry = pool->entries + e;
    bool is_needed = false;
    if (entry->state != ENTRY_GIVEN) continue;
    if (bottom_of(entry) > top_px) TRY(has_undecided_beside(pool, entry, &is_needed));
    if (!is_needed) drop(pool, entry);
  }
  return STATUS_OK;
}

/* Those that stay and were not given out before. */
static Status give_all(ObjectPool *pool, MergeCounts *counts)
{
  int64_t count;
  TRY(list_entries(pool, ENTRY_KEPT, &count));
  sort_listed(pool, count, by_order);
  for (int64_t n = 0; n < count; ++n)
    TRY(give(pool, pool->listed[n], counts));
  return STATUS_OK;
}

Status object_pool_advance(ObjectPool *pool, ObjectGroups *groups, MergeCounts *counts)
{
  TRY(settle(pool, groups));
  TRY(resolve_all(pool, counts));
  TRY(suppress(pool, counts));
  TRY(give_all(pool, counts));
  return forget(pool);
}

int64_t object_pool_waiting(const ObjectPool *pool)
{
  return pool->waiting;
}
