#include "reference.h"

#include <math.h>
#include <stdio.h>

static const GoldenTensor *look_up(const Golden *golden, const char *name, const char *part)
{
  char whole[STAGE_NAME_BYTES + 8];
  (void)snprintf(whole, sizeof whole, "%s%s", name, part);
  for (int64_t i = 0;; ++i) {
    const GoldenTensor *tensor = golden_at(golden, i);
    if (tensor == NULL || strcmp(tensor->name, whole) == 0) return tensor;
  }
}

bool reference_has(const Reference *r, const char *name)
{
  int64_t count;
  if (r->golden == NULL) return r->find(r->context, name, &count) != NULL;
  return look_up(r->golden, name, "") != NULL || look_up(r->golden, name, ".digest") != NULL;
}

const float *reference_values(const Reference *r, Room *room, const char *name, int64_t *count)
{
  if (r->golden == NULL) return r->find(r->context, name, count);
  const GoldenTensor *tensor = look_up(r->golden, name, "");
  if (tensor == NULL) return NULL;
  float *values = room_numbers(room, tensor->count + 1);
  for (int64_t i = 0; i < tensor->count; ++i)
    values[i] = (float)tensor->values[i];
  *count = tensor->count;
  return values;
}

/* A NaN stays. */
static double worse(double a, double b)
{
  return isnan(a) || a > b ? a : b;
}

static double share(double difference, double most)
{
  return difference == 0 ? 0 : fabs(difference) / fmax(most, 1e-300);
}

static double error_of_samples(const Golden *golden, const char *name, int64_t count,
                               const float *values, double floor)
{
  const double *digest = look_up(golden, name, ".digest")->values;
  const GoldenTensor *sample = look_up(golden, name, ".sample");
  const double most = fmax(golden_value(look_up(golden, name, ".most"), 0), floor);
  const FormulaDigest got = formula_digest(name, count, values);
  const double magnitude = fmax(digest[1], floor * (double)count);
  double error = share(got.sum - digest[0], magnitude);
  error = worse(share(got.magnitude - digest[1], magnitude), error);
  error = worse(share(got.dot - digest[2], magnitude), error);
  for (int32_t i = 0; i < sample->count; ++i)
    error =
        worse(share((double)values[formula_place(name, i, count)] - golden_value(sample, i), most),
              error);
  return error;
}

static double error_of_doubles(const GoldenTensor *tensor, const float *values, double floor)
{
  const double most = fmax(largest_double(tensor->count, tensor->values), floor);
  double error = 0;
  for (int64_t i = 0; i < tensor->count; ++i)
    error = worse(share((double)values[i] - tensor->values[i], most), error);
  return error;
}

static double error_of_floats(const float *expected, int64_t count, const float *values,
                              double floor)
{
  const double most = fmax(largest_float(count, expected), floor);
  double error = 0;
  for (int64_t i = 0; i < count; ++i)
    error = worse(share((double)values[i] - (double)expected[i], most), error);
  return error;
}

double reference_error(const Reference *r, const char *name, int64_t count, const float *values,
                       double floor)
{
  if (r->golden != NULL) {
    const GoldenTensor *whole = look_up(r->golden, name, "");
    if (whole == NULL) return error_of_samples(r->golden, name, count, values, floor);
    return whole->count == count ? error_of_doubles(whole, values, floor) : 1;
  }
  int64_t expected_count = 0;
  const float *expected = r->find(r->context, name, &expected_count);
  return expected_count == count ? error_of_floats(expected, count, values, floor) : 1;
}

double reference_most(const Reference *r, const char *name)
{
  int64_t count = 0;
  if (r->golden == NULL) {
    const float *values = r->find(r->context, name, &count);
    return largest_float(count, values);
  }
  const GoldenTensor *whole = look_up(r->golden, name, "");
  return whole != NULL ? largest_double(whole->count, whole->values)
                       : golden_value(look_up(r->golden, name, ".most"), 0);
}

void stages_compare(const Stages *stages, const char *stage, int64_t count, const float *values,
                    double tolerance)
{
  if (!reference_has(stages->reference, stage)) return;
  stages->tell(stages->context, stage, reference_error(stages->reference, stage, count, values, 0),
               tolerance);
}

void stages_compare_parameters(const Stages *stages, const char *prefix, const ParameterList *list,
                               bool trained, const float *block, double floor, double tolerance)
{
  char stage[STAGE_NAME_BYTES];
  for (int32_t i = 0; i < list->count; ++i) {
    const Parameter *p = &list->items[i];
    (void)snprintf(stage, sizeof stage, "%s%s", prefix, p->name);
    if (p->trained != trained) continue;
    const bool has = reference_has(stages->reference, stage);
    if (!has && !trained) continue;
    const double error =
        has ? reference_error(stages->reference, stage, p->count, block + p->offset, floor)
            : (double)NAN;
    stages->tell(stages->context, stage, error, tolerance);
  }
}
