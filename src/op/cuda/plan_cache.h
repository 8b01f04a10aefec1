#pragma once

#include "base/output.h"
#include "plan_text.h"

/* The engines that were chosen for graphs, by this run and by earlier ones: a file per version of
 * cuDNN and kind of GPU. Any number of processes may use it at once: it is written aside and
 * renamed, each writer takes up what others wrote, and what a lost race drops is chosen anew one
 * day. What cannot be read (damaged, of other people, writable by other people, too large, of
 * another version) counts as empty and is replaced. */
typedef struct PlanCache PlanCache;

/* Where the file lies: $QUADRAT_CACHE, else quadrat in $XDG_CACHE_HOME, else ~/.cache/quadrat.
 * Empty where QUADRAT_CACHE is, or none of them is known: then nothing outlives the process. */
void plan_cache_folder(char folder[OUTPUT_PATH_BYTES]);

/* identity: one line, shorter than PLAN_IDENTITY_BYTES, of all that the choices depend on besides
 * the key. folder may be empty, and may not be there yet. Errors: STATUS_NO_MEMORY. */
Status plan_cache_open(const char *folder, const char *identity, PlanCache **cache);
/* Without saving. Accepts NULL. */
void plan_cache_close(PlanCache *cache);

bool plan_cache_find(const PlanCache *cache, const char *key, PlanChoice *choice);
/* In place of what there was. Errors: STATUS_NO_MEMORY. */
Status plan_cache_keep(PlanCache *cache, const char *key, const PlanChoice *choice);

/* Writes what was kept since the last call, together with what the file holds now; nothing to do
 * is no error, and what failed is not tried again. Errors: STATUS_IO, STATUS_NO_MEMORY. */
Status plan_cache_save(PlanCache *cache);

/* From enter to leave no other process is between the two, so that several ask the same question
 * only once: enter waits, then takes up what the file has gained. After most_s seconds, or where
 * the file system knows no locks, it goes on alone. Not to be nested. */
void plan_cache_enter(PlanCache *cache, double most_s);
void plan_cache_leave(PlanCache *cache);

/* The file; empty where there is none. Lives as long as the cache. */
const char *plan_cache_path(const PlanCache *cache);
