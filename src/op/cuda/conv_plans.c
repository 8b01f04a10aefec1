#include "conv_plans.h"

#include <stdio.h>

/* How long to wait for another process that times the same graph. */
static const double timing_wait_s = 60.0;

void conv_plans_key(const ConvGraph *graph, EngineRule rule, bool timed, char key[PLAN_KEY_BYTES])
{
  static const char *const passes[] = {"forward", "fused forward", "backward data",
                                       "backward weight"};
  const Shape x = graph->x;
  const Shape y = graph->y;
  (void)snprintf(
      key, PLAN_KEY_BYTES,
      "%s%s: %s of %s %d x %d x %d x %d to %s %d x %d x %d x %d, kernel %d x %d, stride "
      "%d, pad %d, dilation %d, groups %d%s%s%s",
      timed ? "fastest" : "first", x.element == ELEMENT_F32 && rule.allow_tf32 ? ", tf32" : "",
      passes[graph->pass], element_name(x.element), x.images, x.height, x.width, x.channels,
      element_name(y.element), y.images, y.height, y.width, y.channels, graph->kernel_height,
      graph->kernel_width, graph->stride, graph->pad, graph->dilation, graph->groups,
      graph->add ? ", add" : "", graph->bias ? ", bias" : "", graph->relu ? ", relu" : "");
}

/* A choice that cannot be made, or that the rule does not allow, counts as none. */
static bool restore(const ConvPlans *plans, const ConvGraph *graph, const char *key,
                    ConvEngine **engine)
{
  PlanChoice choice;
  *engine = NULL;
  return plan_cache_find(plans->cache, key, &choice) &&
         conv_engine_restore(graph, plans->properties, plans->rule, &choice, engine) == STATUS_OK;
}

static Status keep(const ConvPlans *plans, const char *key, const ConvEngine *engine)
{
  if (!engine->named || !engine->loadable) return STATUS_OK;
  return plan_cache_keep(plans->cache, key, &engine->choice);
}

static Status choose_first(const ConvPlans *plans, const ConvGraph *graph, const char *key,
                           ConvEngine **engine)
{
  TRY(conv_engine_choose(graph, plans->properties, plans->rule, engine));
  (void)keep(plans, key, *engine); /* without room it is chosen again next time */
  return STATUS_OK;
}

/* Between enter and leave of the cache. */
static Status choose_fastest(const ConvPlans *plans, const ConvGraph *graph, const char *key,
                             ConvEngine **engine)
{
  if (restore(plans, graph, key, engine)) return STATUS_OK;
  if (conv_engine_choose_fastest(graph, plans->properties, plans->rule, plans->timer, engine) !=
      STATUS_OK)
    return conv_engine_choose(graph, plans->properties, plans->rule, engine);
  if (keep(plans, key, *engine) == STATUS_OK) (void)plan_cache_save(plans->cache);
  return STATUS_OK;
}

Status conv_plans_engine(const ConvPlans *plans, const ConvGraph *graph, ConvEngine **engine)
{
  char key[PLAN_KEY_BYTES];
  const bool timed = plans->timer.time != NULL;
  conv_plans_key(graph, plans->rule, timed, key);
  if (restore(plans, graph, key, engine)) return STATUS_OK;
  if (!timed) return choose_first(plans, graph, key, engine);
  plan_cache_enter(plans->cache, timing_wait_s);
  const Status status = choose_fastest(plans, graph, key, engine);
  plan_cache_leave(plans->cache);
  return status;
}
