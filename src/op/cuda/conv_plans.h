#pragma once

#include "conv_engine.h"
#include "plan_cache.h"

/* Engines for graphs on one device, taken from the cache where it has them. What is found by the
 * heuristics and what is found by timing stand side by side in the cache: without a timer the
 * engine is the one that conv_engine_choose gives, whatever others timed before. */
typedef struct ConvPlans {
  cudnnBackendDescriptor_t properties;
  EngineRule rule;
  PlanCache *cache;
  EngineTimer timer; /* time NULL: by the heuristics */
} ConvPlans;

/* All that is asked about a graph, in one line: pass, element, every size, and the rule. */
void conv_plans_key(const ConvGraph *graph, EngineRule rule, bool timed, char key[PLAN_KEY_BYTES]);

/* From the cache; else chosen, and kept there. With a timer the engine is written at once, and
 * processes that share the cache time a graph only once: one does, the others wait for it and take
 * the same engine. A timer that fails for all leaves the choice to the heuristics. Errors: those of
 * conv_engine_choose. */
Status conv_plans_engine(const ConvPlans *plans, const ConvGraph *graph, ConvEngine **engine);
