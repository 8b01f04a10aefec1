#include "base/option.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "job_file.h"

/* What a parse fills. */
typedef struct Target {
  const OptionTable *table;
  Arena *arena;
  char *values;
  bool *given;
} Target;

static size_t distance(const char *a, const char *b)
{
  enum { LONGEST = 40 };
  size_t row[LONGEST + 1];
  const size_t a_length = strlen(a);
  const size_t b_length = strlen(b);
  if (a_length > LONGEST || b_length > LONGEST) return LONGEST;
  for (size_t j = 0; j <= b_length; ++j)
    row[j] = j;
  for (size_t i = 1; i <= a_length; ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b_length; ++j) {
      const size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
      const size_t shorter = row[j] < row[j - 1] ? row[j] : row[j - 1];
      diagonal = row[j];
      row[j] = replaced < shorter + 1 ? replaced : shorter + 1;
    }
  }
  return row[b_length];
}

static Status refuse_name(const OptionTable *table, const char *name)
{
  const char *nearest = NULL;
  size_t nearest_distance = strlen(name) / 2 + 1;
  for (size_t i = 0; i < table->count; ++i) {
    const size_t d = distance(name, table->options[i].name);
    if (d >= nearest_distance) continue;
    nearest = table->options[i].name;
    nearest_distance = d;
  }
  if (nearest != NULL)
    return status_set(
        STATUS_BAD_OPTION,
        "quadrat %s has no option “%s”; did you mean --%s? (quadrat %s --help lists all)",
        table->tool, name, nearest, table->tool);
  return status_set(STATUS_BAD_OPTION,
                    "quadrat %s has no option “%s” (quadrat %s --help lists all)", table->tool,
                    name, table->tool);
}

static Status find(const OptionTable *table, const char *name, size_t *index)
{
  for (size_t i = 0; i < table->count; ++i) {
    if (strcmp(table->options[i].name, name) != 0) continue;
    *index = i;
    return STATUS_OK;
  }
  return refuse_name(table, name);
}

static bool limited(const Option *option)
{
  return option->least != 0 || option->most != 0;
}

static Status check_limits(const Option *option, double number, const char *text)
{
  if (!limited(option) || (number >= option->least && number <= option->most)) return STATUS_OK;
  return status_set(STATUS_BAD_OPTION, "--%s=%s is out of range: it takes %.10g to %.10g%s%s",
                    option->name, text, option->least, option->most,
                    option->unit != NULL ? " " : "", option->unit != NULL ? option->unit : "");
}

static Status set_int(const Option *option, const char *text, void *field)
{
  char *end;
  errno = 0;
  const long long number = strtoll(text, &end, 10);
  if (end == text || *end != '\0' || errno != 0)
    return status_set(STATUS_BAD_OPTION, "--%s=%s: it takes a whole number", option->name, text);
  TRY(check_limits(option, (double)number, text));
  *(int64_t *)field = number;
  return STATUS_OK;
}

static Status parse_real(const Option *option, const char *text, char **end, double *number)
{
  *number = strtod(text, end);
  if (*end == text || !isfinite(*number))
    return status_set(STATUS_BAD_OPTION, "--%s=%s: it takes a number", option->name, text);
  return STATUS_OK;
}

static Status set_real(const Option *option, const char *text, void *field)
{
  char *end;
  double number;
  TRY(parse_real(option, text, &end, &number));
  if (*end != '\0')
    return status_set(STATUS_BAD_OPTION, "--%s=%s: it takes a number", option->name, text);
  TRY(check_limits(option, number, text));
  *(double *)field = number;
  return STATUS_OK;
}

static Status set_reals(const Option *option, const char *text, Arena *arena, void *field)
{
  size_t most = 1;
  for (const char *c = text; *c != '\0'; ++c)
    most += *c == ',' || *c == ' ';
  void *memory;
  TRY(arena_allocate(arena, most * sizeof(double), &memory));
  OptionReals reals = {.values = memory};
  const char *rest = text;
  while (*rest != '\0') {
    char *end;
    TRY(parse_real(option, rest, &end, &reals.values[reals.count]));
    TRY(check_limits(option, reals.values[reals.count], text));
    ++reals.count;
    if (*end != '\0' && *end != ',' && *end != ' ')
      return status_set(STATUS_BAD_OPTION, "--%s=%s: it takes numbers parted by commas",
                        option->name, text);
    rest = end;
    while (*rest == ',' || *rest == ' ')
      ++rest;
  }
  *(OptionReals *)field = reals;
  return STATUS_OK;
}

static Status set_flag(const Option *option, const char *text, void *field)
{
  static const char *const yes[] = {"yes", "true", "on", "1", ""};
  static const char *const no[] = {"no", "false", "off", "0"};
  for (size_t i = 0; i < sizeof yes / sizeof *yes; ++i)
    if (strcasecmp(text, yes[i]) == 0) {
      *(bool *)field = true;
      return STATUS_OK;
    }
  for (size_t i = 0; i < sizeof no / sizeof *no; ++i)
    if (strcasecmp(text, no[i]) == 0) {
      *(bool *)field = false;
      return STATUS_OK;
    }
  return status_set(STATUS_BAD_OPTION, "--%s=%s: it takes yes or no", option->name, text);
}

static Status set_choice(const Option *option, const char *text, void *field)
{
  const size_t length = strlen(text);
  int32_t index = 0;
  for (const char *word = option->choices; word != NULL; ++index) {
    const char *bar = strchr(word, '|');
    const size_t word_length = bar == NULL ? strlen(word) : (size_t)(bar - word);
    if (word_length == length && strncasecmp(word, text, length) == 0) {
      *(int32_t *)field = index;
      return STATUS_OK;
    }
    word = bar == NULL ? NULL : bar + 1;
  }
  return status_set(STATUS_BAD_OPTION, "--%s=%s: it takes one of %s", option->name, text,
                    option->choices);
}

static Status set_text(const char *text, Arena *arena, void *field)
{
  char *copy;
  TRY(arena_copy_text(arena, text, &copy));
  *(const char **)field = copy;
  return STATUS_OK;
}

static Status set_value(Target *target, size_t index, const char *text)
{
  const Option *option = &target->table->options[index];
  void *field = target->values + option->offset;
  switch (option->type) {
  case OPTION_TEXT: return set_text(text, target->arena, field);
  case OPTION_INT: return set_int(option, text, field);
  case OPTION_REAL: return set_real(option, text, field);
  case OPTION_FLAG: return set_flag(option, text, field);
  case OPTION_CHOICE: return set_choice(option, text, field);
  case OPTION_REALS: return set_reals(option, text, target->arena, field);
  }
  return STATUS_OK;
}

static Status set_named(void *context, const char *name, const char *value)
{
  Target *target = context;
  size_t index = 0;
  TRY(find(target->table, name, &index));
  TRY(set_value(target, index, value));
  target->given[index] = true;
  return STATUS_OK;
}

/* --name=value, --name value, or --name for a flag. */
static Status set_argument(Target *target, int count, char *const *arguments, int *position)
{
  const char *argument = arguments[*position];
  if (strncmp(argument, "--", 2) != 0 || argument[2] == '\0')
    return status_set(STATUS_BAD_OPTION, "“%s” is no option; options have the form --name=value",
                      argument);
  char name[64];
  const char *equals = strchr(argument, '=');
  const size_t length = equals == NULL ? strlen(argument + 2) : (size_t)(equals - argument) - 2;
  if (length >= sizeof name)
    return status_set(STATUS_BAD_OPTION, "“%.60s…” is no option of quadrat %s", argument,
                      target->table->tool);
  memcpy(name, argument + 2, length);
  name[length] = '\0';
  for (char *c = name; *c != '\0'; ++c)
    if (*c == '-') *c = '_';

  size_t index = 0;
  TRY(find(target->table, name, &index));
  const char *value = equals == NULL ? NULL : equals + 1;
  if (value == NULL && target->table->options[index].type == OPTION_FLAG) value = "yes";
  if (value == NULL && *position + 1 < count) value = arguments[++*position];
  if (value == NULL) return status_set(STATUS_BAD_OPTION, "--%s needs a value", name);
  TRY(set_value(target, index, value));
  target->given[index] = true;
  return STATUS_OK;
}

static Status parse(Target *target, const char *job_file, int count, char *const *arguments)
{
  for (size_t i = 0; i < target->table->count; ++i)
    if (target->table->options[i].preset != NULL)
      TRY(set_value(target, i, target->table->options[i].preset));
  if (job_file != NULL) TRY(job_file_read(job_file, target->table->tool, set_named, target));
  for (int i = 0; i < count; ++i)
    TRY(set_argument(target, count, arguments, &i));
  for (size_t i = 0; i < target->table->count; ++i)
    if (target->table->options[i].preset == NULL && !target->given[i])
      return status_set(STATUS_BAD_OPTION, "quadrat %s needs --%s: %s", target->table->tool,
                        target->table->options[i].name, target->table->options[i].help);
  return STATUS_OK;
}

Status options_parse(const OptionTable *table, const char *job_file, int argument_count,
                     char *const *arguments, Arena *arena, void *values)
{
  void *given;
  TRY(arena_allocate(arena, table->count * sizeof(bool), &given));
  Target target = {.table = table, .arena = arena, .values = values, .given = given};
  return parse(&target, job_file, argument_count, arguments);
}
