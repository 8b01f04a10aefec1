#include <stdio.h>

#include "parity.h"

static void open_tensors(const char *folder, const char *file, Tensors *tensors)
{
  char path[1024];
  (void)snprintf(path, sizeof path, "%s/%s", folder, file);
  CHECK_OK(weights_open(path, &tensors->file));
  tensors->values = calloc(weights_count(tensors->file) + 1, sizeof *tensors->values);
  assert_non_null(tensors->values);
}

static void close_tensors(Tensors *tensors)
{
  for (size_t i = 0; i < weights_count(tensors->file); ++i)
    free(tensors->values[i]);
  free(tensors->values);
  weights_close(tensors->file);
}

const float *tensors_find(Tensors *tensors, const char *name, const Weight **shape)
{
  size_t index;
  if (!weights_find(tensors->file, name, &index)) return NULL;
  const Weight *weight = weights_at(tensors->file, index);
  const size_t count = (size_t)weight->element_count;
  if (shape != NULL) *shape = weight;
  if (tensors->values[index] == NULL) {
    tensors->values[index] = calloc(count + 1, sizeof(float));
    assert_non_null(tensors->values[index]);
    CHECK_OK(weights_read_f32(tensors->file, index, tensors->values[index], count));
  }
  return tensors->values[index];
}

static const float *find_expected(void *context, const char *name, int64_t *count)
{
  Case *c = context;
  const Weight *shape = NULL;
  const float *values = tensors_find(&c->expected, name, &shape);
  *count = values == NULL ? 0 : shape->element_count;
  return values;
}

Case *case_open(const char *folder)
{
  char path[1024];
  Case *c = calloc(1, sizeof *c);
  assert_non_null(c);
  (void)snprintf(path, sizeof path, "%s/case.json", folder);
  CHECK_OK(document_read(path, &c->about));
  open_tensors(folder, "weights.safetensors", &c->weights);
  open_tensors(folder, "input.safetensors", &c->input);
  open_tensors(folder, "expected.safetensors", &c->expected);
  c->reference = (Reference){.context = c, .find = find_expected};
  return c;
}

void case_close(Case *c)
{
  close_tensors(&c->weights);
  close_tensors(&c->input);
  close_tensors(&c->expected);
  document_close(c->about);
  free(c);
}

static const Document *section_of(const Case *c, const char *section)
{
  const Document *object = c->about;
  if (section != NULL) CHECK_OK(document_get_object(c->about, section, &object, NULL));
  return object;
}

int32_t case_int(const Case *c, const char *section, const char *key)
{
  int64_t value = 0;
  CHECK_OK(document_get_int(section_of(c, section), key, &value, NULL));
  return (int32_t)value;
}

double case_real(const Case *c, const char *section, const char *key)
{
  double value = 0;
  CHECK_OK(document_get_real(section_of(c, section), key, &value, NULL));
  return value;
}

const char *case_text(const Case *c, const char *key)
{
  const char *value = NULL;
  CHECK_OK(document_get_text(c->about, key, &value, NULL));
  return value;
}

bool case_flag(const Case *c, const char *key)
{
  bool value = false;
  CHECK_OK(document_get_flag(c->about, key, &value, NULL));
  return value;
}

size_t case_reals(const Case *c, const char *key, size_t most, float *values)
{
  enum { REALS_MOST = 256 };
  double reals[REALS_MOST];
  size_t count = 0;
  CHECK_OK(document_get_reals(c->about, key, reals, REALS_MOST, &count, NULL));
  if (count > most) fail_msg("case.json: %s has %d numbers", key, (int)count);
  for (size_t i = 0; i < count; ++i)
    values[i] = (float)reals[i];
  return count;
}

void case_fill(Case *c, const Parameter *parameter, float *values)
{
  const Weight *shape = NULL;
  const float *weights = tensors_find(&c->weights, parameter->name, &shape);
  if (weights == NULL) fail_msg("the case's weights have no %s", parameter->name);
  if (shape->element_count != parameter->count)
    fail_msg("%s has %d elements", parameter->name, (int)shape->element_count);
  memcpy(values, weights, (size_t)parameter->count * sizeof *values);
}
