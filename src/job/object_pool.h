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
/* Decides all that can be decided when what is still to come lies at row frontier_px or below or in
 * groups, gives out what stays, counts. */
Status object_pool_advance(ObjectPool *pool, ObjectGroups *groups, int64_t frontier_px,
                           MergeCounts *counts);
int64_t object_pool_waiting(const ObjectPool *pool);
