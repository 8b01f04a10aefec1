#include "support/golden.h"

#include <stdio.h>

#include "support/check.h"

struct Golden {
  char *file;
  GoldenTensor *tensors;
  int64_t count;
  int64_t capacity;
};

static char *read_text(const char *file)
{
  char path[1024];
  snprintf(path, sizeof path, "%s/%s", GOLDEN_FOLDER, file);
  FILE *stream = fopen(path, "rb");
  if (stream == NULL) fail_msg("%s cannot be opened", path);
  fseek(stream, 0, SEEK_END);
  const long bytes = ftell(stream);
  rewind(stream);
  char *text = calloc((size_t)bytes + 1, 1);
  assert_true(text != NULL && fread(text, 1, (size_t)bytes, stream) == (size_t)bytes);
  fclose(stream);
  return text;
}

static const char *skip_comments(const char *at)
{
  for (;;) {
    at += strspn(at, " \n");
    if (*at != '#') return at;
    at += strcspn(at, "\n");
  }
}

static const char *read_header(const char *at, const char *file, GoldenTensor *tensor)
{
  int used = 0;
  if (sscanf(at, "%95s %d%n", tensor->name, &tensor->rank, &used) != 2 || tensor->rank < 0 ||
      tensor->rank > GOLDEN_RANK_MOST)
    fail_msg("%s: no tensor begins with “%.40s”", file, at);
  tensor->count = 1;
  char *end = (char *)at + used;
  for (int axis = 0; axis < tensor->rank; ++axis) {
    tensor->dims[axis] = strtoll(end, &end, 10);
    tensor->count *= tensor->dims[axis];
  }
  return end;
}

static const char *read_values(const char *at, const char *file, GoldenTensor *tensor)
{
  tensor->values = calloc((size_t)tensor->count, sizeof *tensor->values);
  for (int64_t i = 0; i < tensor->count; ++i) {
    char *end;
    tensor->values[i] = strtod(at, &end);
    if (end == at) fail_msg("%s: %s ends early", file, tensor->name);
    at = end;
  }
  return at;
}

static GoldenTensor *append(Golden *golden)
{
  if (golden->count == golden->capacity) {
    golden->capacity = golden->capacity == 0 ? 64 : 2 * golden->capacity;
    golden->tensors = realloc(golden->tensors, (size_t)golden->capacity * sizeof *golden->tensors);
    assert_true(golden->tensors != NULL);
  }
  golden->tensors[golden->count] = (GoldenTensor){0};
  return &golden->tensors[golden->count++];
}

Golden *golden_open(const char *file)
{
  Golden *golden = calloc(1, sizeof *golden);
  golden->file = strdup(file);
  char *text = read_text(file);
  for (const char *at = skip_comments(text); *at != '\0'; at = skip_comments(at)) {
    GoldenTensor *tensor = append(golden);
    at = read_header(at, file, tensor);
    at = read_values(at, file, tensor);
  }
  free(text);
  return golden;
}

void golden_close(Golden *golden)
{
  for (int64_t i = 0; i < golden->count; ++i)
    free(golden->tensors[i].values);
  free(golden->tensors);
  free(golden->file);
  free(golden);
}

const GoldenTensor *golden_find(const Golden *golden, const char *format, ...)
{
  char name[128];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(name, sizeof name, format, arguments);
  va_end(arguments);
  for (int64_t i = 0; i < golden->count; ++i)
    if (strcmp(golden->tensors[i].name, name) == 0) return &golden->tensors[i];
  fail_msg("%s holds no %s", golden->file, name);
  return NULL;
}

double golden_value(const GoldenTensor *tensor, int64_t i)
{
  if (i < 0 || i >= tensor->count) fail_msg("%s has no value %d", tensor->name, (int)i);
  return tensor->values[i];
}

const GoldenTensor *golden_at(const Golden *golden, int64_t index)
{
  return index < golden->count ? &golden->tensors[index] : NULL;
}
