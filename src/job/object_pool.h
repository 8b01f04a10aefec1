#pragma once

#include "object_group.h"

/* Objects whose groups are complete, until it is decided what becomes of them: lone things are
 * merged or excluded, the rest goes through non-maximum suppression, as object_merge.h has it. */
typedef struct ObjectPool ObjectPool;

typedef struct PoolRules {
  MergeOptions options;
  TakeObject take;
  void *context;
  TilePlan plan; /* for owner_tile */
} PoolRules;

Status object_pool_open(const PoolRules *rules, ObjectPool **pool);
void object_pool_close(ObjectPool *pool); /* accepts NULL */
/* Takes over the candidate's mask, also when it fails. */
Status object_pool_add(ObjectPool *pool, const Candidate *candidate);
/* Decides all that can be decided, gives out what stays, counts. groups: has passed on all that was
 * complete, so that nothing still to come overlaps what is here but what it holds. */
Status object_pool_advance(ObjectPool *pool, ObjectGroups *groups, MergeCounts *counts);
int64_t object_pool_waiting(const ObjectPool *pool);
