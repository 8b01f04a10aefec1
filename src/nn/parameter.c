#include "nn/parameter.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"

static Status grow(ParameterList *list)
{
  if (list->count < list->capacity) return STATUS_OK;
  const int32_t capacity = list->capacity == 0 ? 64 : 2 * list->capacity;
  void *items;
  TRY(memory_allocate((size_t)capacity, sizeof *list->items, "parameters", &items));
  if (list->count > 0) memcpy(items, list->items, (size_t)list->count * sizeof *list->items);
  memory_free(list->items);
  list->items = items;
  list->capacity = capacity;
  return STATUS_OK;
}

Status parameter_add(ParameterList *list, const char *module, const char *name,
                     const Parameter *given)
{
  char full[256];
  char *kept;
  (void)snprintf(full, sizeof full, "%s.%s", module, name);
  if (parameter_find(list, full) >= 0)
    return status_set(STATUS_BAD_SHAPE, "the network has two parameters named %s", full);
  TRY(arena_copy_text(list->names, full, &kept));
  TRY(grow(list));
  Parameter *added = &list->items[list->count++];
  *added = *given;
  added->name = kept;
  added->count = 1;
  for (int32_t i = 0; i < given->rank; ++i)
    added->count *= given->dims[i];
  int64_t *total = given->trained ? &list->trained_count : &list->statistic_count;
  added->offset = *total;
  *total += added->count;
  return STATUS_OK;
}

int32_t parameter_find(const ParameterList *list, const char *name)
{
  for (int32_t i = 0; i < list->count; ++i)
    if (strcmp(list->items[i].name, name) == 0) return i;
  return -1;
}

/* A stream of its own for each name, so that a further layer changes no other (FNV-1a). */
static uint64_t stream_of(const char *name)
{
  uint64_t hash = 0xcbf29ce484222325U;
  for (; *name != '\0'; ++name)
    hash = (hash ^ (uint8_t)*name) * 0x100000001b3U;
  return hash;
}

static void fill_constant(const Parameter *parameter, float value, float *values)
{
  for (int64_t i = 0; i < parameter->count; ++i)
    values[i] = value;
}

static void fill_normal(const Parameter *parameter, Random *random, double deviation, float *values)
{
  for (int64_t i = 0; i < parameter->count; ++i)
    values[i] = (float)(deviation * random_normal(random));
}

static void fill_uniform(const Parameter *parameter, Random *random, double limit, float *values)
{
  for (int64_t i = 0; i < parameter->count; ++i)
    values[i] = (float)random_between(random, -limit, limit);
}

void parameter_initialise(const Parameter *parameter, uint64_t seed, float *values)
{
  Random random = random_stream(seed, stream_of(parameter->name));
  const double fan_in = (double)parameter->fan_in;
  const double fan_out = (double)parameter->fan_out;
  switch (parameter->initial) {
  case INITIAL_ZERO: fill_constant(parameter, 0, values); break;
  case INITIAL_ONE: fill_constant(parameter, 1, values); break;
  case INITIAL_KAIMING_NORMAL_OUT:
    fill_normal(parameter, &random, sqrt(2 / fan_out), values);
    break;
  case INITIAL_NORMAL_001: fill_normal(parameter, &random, 0.01, values); break;
  case INITIAL_KAIMING_UNIFORM_IN:
    fill_uniform(parameter, &random, sqrt(6 / fan_in), values);
    break;
  case INITIAL_LECUN_UNIFORM_IN: fill_uniform(parameter, &random, sqrt(3 / fan_in), values); break;
  case INITIAL_UNIFORM_IN: fill_uniform(parameter, &random, sqrt(1 / fan_in), values); break;
  case INITIAL_XAVIER_UNIFORM:
    fill_uniform(parameter, &random, sqrt(6 / (fan_in + fan_out)), values);
    break;
  }
}

void parameters_initialise(const ParameterList *list, uint64_t seed, float *trained,
                           float *statistics)
{
#pragma omp parallel for schedule(dynamic)
  for (int32_t i = 0; i < list->count; ++i) {
    const Parameter *parameter = &list->items[i];
    parameter_initialise(parameter, seed,
                         (parameter->trained ? trained : statistics) + parameter->offset);
  }
}
