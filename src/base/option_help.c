#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/option.h"

enum { PAGE_COLUMNS = 80, TEXT_COLUMN = 6 };

/* Words of text, broken before column 80, each line indented. */
static void print_wrapped(FILE *stream, const char *text)
{
  int column = 0;
  while (*text != '\0') {
    if (*text == '\n') {
      (void)fputc('\n', stream);
      column = 0;
      ++text;
      continue;
    }
    const int length = (int)strcspn(text, " \n");
    if (column > 0 && column + 1 + length > PAGE_COLUMNS) {
      (void)fputc('\n', stream);
      column = 0;
    }
    column += column == 0 ? fprintf(stream, "%*s%.*s", TEXT_COLUMN, "", length, text)
                          : fprintf(stream, " %.*s", length, text);
    text += length;
    while (*text == ' ')
      ++text;
  }
  (void)fputc('\n', stream);
}

static void format_type(const Option *option, char text[256])
{
  static const char *const types[] = {"text", "whole number", "number", "yes/no", "", "numbers"};
  int length = snprintf(text, 256, "%s",
                        option->type == OPTION_CHOICE ? option->choices : types[option->type]);
  if (option->least != 0 || option->most != 0)
    length += snprintf(text + length, 256 - (size_t)length, ", %.10g to %.10g", option->least,
                       option->most);
  if (option->unit != NULL && length < 250)
    (void)snprintf(text + length, 256 - (size_t)length, " %s", option->unit);
}

static void print_option(const Option *option, FILE *stream)
{
  char type[256];
  format_type(option, type);
  (void)fprintf(stream, "\n  --%s=<%s>", option->name, type);
  if (option->preset == NULL)
    (void)fprintf(stream, "  (must be given)\n");
  else if (*option->preset == '\0')
    (void)fprintf(stream, "\n");
  else
    (void)fprintf(stream, "  (default: %s)\n", option->preset);
  print_wrapped(stream, option->help);
}

void options_print_help(const OptionTable *table, const char *words, FILE *stream)
{
  (void)fprintf(stream, "quadrat %s %s[job.ini] [--option=value ...]\n\n", table->tool, words);
  print_wrapped(stream, table->summary);
  (void)fprintf(stream, "\nExample\n  %s\n\nOptions\n", table->example);
  for (size_t i = 0; i < table->count; ++i)
    print_option(&table->options[i], stream);
}

static void choice_word(const char *choices, int32_t index, const char **word, int *length)
{
  for (; index > 0; --index)
    choices = strchr(choices, '|') + 1;
  *word = choices;
  *length = (int)strcspn(choices, "|");
}

static void format_reals(OptionReals reals, size_t bytes, char *text)
{
  int length = 0;
  text[0] = '\0';
  for (size_t i = 0; i < reals.count && (size_t)length < bytes; ++i)
    length += snprintf(text + length, bytes - (size_t)length, "%s%.17g", i == 0 ? "" : ",",
                       reals.values[i]);
}

Status options_format(const OptionTable *table, const void *values, size_t index, Arena *arena,
                      char **text)
{
  const Option *option = &table->options[index];
  const void *field = (const char *)values + option->offset;
  char number[512] = "";
  const char *word;
  int length;
  switch (option->type) {
  case OPTION_TEXT:
    return arena_copy_text(
        arena, *(const char *const *)field == NULL ? "" : *(const char *const *)field, text);
  case OPTION_INT:
    (void)snprintf(number, sizeof number, "%lld", (long long)*(const int64_t *)field);
    break;
  case OPTION_REAL: (void)snprintf(number, sizeof number, "%.17g", *(const double *)field); break;
  case OPTION_FLAG:
    (void)snprintf(number, sizeof number, "%s", *(const bool *)field ? "yes" : "no");
    break;
  case OPTION_REALS: format_reals(*(const OptionReals *)field, sizeof number, number); break;
  case OPTION_CHOICE:
    choice_word(option->choices, *(const int32_t *)field, &word, &length);
    (void)snprintf(number, sizeof number, "%.*s", length, word);
    break;
  }
  return arena_copy_text(arena, number, text);
}
