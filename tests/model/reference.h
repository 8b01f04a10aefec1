#pragma once

#include <stdint.h>

#include "nn/parameter.h"
#include "support/backends.h"

/* What a network's stages are compared with: tensors by name, from a golden file, which keeps the
 * large ones as sums and samples only, or all of them whole. */
typedef struct Reference {
  const Golden *golden; /* NULL: find is asked */
  void *context;
  /* In PyTorch's layout, with *count elements; NULL where there is none of that name. Lives as long
   * as the context. */
  const float *(*find)(void *context, const char *name, int64_t *count);
} Reference;

bool reference_has(const Reference *reference, const char *name);
/* NULL where it has none of that name, or not whole. */
const float *reference_values(const Reference *reference, Room *room, const char *name,
                              int64_t *count);

/* The largest difference over the largest value of the reference's tensor, or over floor where that
 * is more; 1 where the counts differ. Of sums and samples: sums are held to the sum of magnitudes.
 * NaN differs from all numbers: the error is NaN. */
double reference_error(const Reference *reference, const char *name, int64_t count,
                       const float *values, double floor);
/* Its largest magnitude. */
double reference_most(const Reference *reference, const char *name);

/* Where the comparison of stages goes. error may be NaN. */
typedef struct Stages {
  const Reference *reference;
  bool fed; /* each stage gets the reference's input of that stage, which has to be whole */
  void (*tell)(void *context, const char *stage, double error, double tolerance);
  void *context;
} Stages;

/* Nothing where the reference has no such stage. */
void stages_compare(const Stages *stages, const char *stage, int64_t count, const float *values,
                    double tolerance);
/* Parameters' gradients or statistics: a stage each, prefix and name. A trained parameter that the
 * reference lacks is told with NaN. */
enum { STAGE_NAME_BYTES = 160 };
void stages_compare_parameters(const Stages *stages, const char *prefix, const ParameterList *list,
                               bool trained, const float *block, double floor, double tolerance);
