#include "plan_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/require.h"

enum { SUM_CHARACTERS = 16 };

static const int64_t value_most = INT64_C(1) << 40;
static const char form[] = "quadrat plans 1: ";

/* FNV-1a, 64 bits (Fowler, Noll and Vo): finds damage, not malice. */
static uint64_t add_text(uint64_t sum, const char *text, size_t length)
{
  for (size_t i = 0; i < length; ++i)
    sum = (sum ^ (uint8_t)text[i]) * UINT64_C(0x100000001B3);
  return sum;
}

/* Of a line without its checksum. The identity is part of it, so that a line of another device's
 * file is not taken for one of this. */
static uint64_t sum_of(const char *identity, const char *text, size_t length)
{
  const uint64_t start = UINT64_C(0xCBF29CE484222325);
  return add_text(add_text(start, identity, strlen(identity) + 1), text, length);
}

bool plan_choice_equal(const PlanChoice *a, const PlanChoice *b)
{
  if (a->engine != b->engine || a->knob_count != b->knob_count) return false;
  for (int32_t i = 0; i < a->knob_count; ++i)
    if (a->knobs[i] != b->knobs[i] || a->values[i] != b->values[i]) return false;
  return true;
}

/* Puts the checksum before what stands from SUM_CHARACTERS + 1 on. */
static size_t seal(const char *identity, char line[PLAN_LINE_BYTES], size_t length)
{
  char sum[SUM_CHARACTERS + 2];
  (void)snprintf(sum, sizeof sum, "%016" PRIx64 " ",
                 sum_of(identity, line + SUM_CHARACTERS + 1, length));
  memcpy(line, sum, SUM_CHARACTERS + 1);
  return SUM_CHARACTERS + 1 + length;
}

size_t plan_text_opening(const char *identity, char line[PLAN_LINE_BYTES])
{
  require(strlen(identity) < PLAN_IDENTITY_BYTES && strchr(identity, '\n') == NULL);
  char *text = line + SUM_CHARACTERS + 1;
  return seal(identity, line,
              (size_t)snprintf(text, PLAN_LINE_BYTES - SUM_CHARACTERS - 1, "%s%s", form, identity));
}

size_t plan_text_line(const char *identity, const char *key, const PlanChoice *choice,
                      char line[PLAN_LINE_BYTES])
{
  require(strlen(key) < PLAN_KEY_BYTES && strpbrk(key, "=\n") == NULL);
  require(choice->knob_count >= 0 && choice->knob_count <= PLAN_KNOBS_MOST);
  char *text = line + SUM_CHARACTERS + 1;
  const size_t room = PLAN_LINE_BYTES - SUM_CHARACTERS - 1;
  size_t length = (size_t)snprintf(text, room, "%s= %" PRId64, key, choice->engine);
  for (int32_t i = 0; i < choice->knob_count; ++i)
    length += (size_t)snprintf(text + length, room - length, " %" PRId32 ":%" PRId64,
                               choice->knobs[i], choice->values[i]);
  return seal(identity, line, length);
}

/* A number at *text, behind which *text is moved; false if there is none, or it is out of range. */
static bool read_number(const char **text, int64_t least, int64_t most, int64_t *number)
{
  char *end = NULL;
  errno = 0;
  const long long value = strtoll(*text, &end, 10);
  if (end == *text || errno != 0 || value < least || value > most) return false;
  *number = value;
  *text = end;
  return true;
}

static bool read_knobs(const char *text, PlanChoice *choice)
{
  choice->knob_count = 0;
  while (*text == ' ') {
    int64_t knob = 0;
    const int32_t i = choice->knob_count;
    if (i == PLAN_KNOBS_MOST || !read_number(&text, 0, 9999, &knob) || *text++ != ':') return false;
    choice->knobs[i] = (int32_t)knob;
    if (!read_number(&text, -value_most, value_most, &choice->values[i])) return false;
    ++choice->knob_count;
  }
  return *text == '\0';
}

bool plan_text_read(char *text, PlanChoice *choice)
{
  char *equals = strrchr(text, '=');
  if (equals == NULL || equals == text || equals - text >= PLAN_KEY_BYTES) return false;
  *equals = '\0';
  const char *rest = equals + 1;
  if (strchr(text, '=') != NULL || !read_number(&rest, 0, value_most, &choice->engine))
    return false;
  return read_knobs(rest, choice);
}

/* What the line says behind its checksum, if that is right. */
static bool read_line(const char *bytes, size_t length, const char *identity,
                      char text[PLAN_LINE_BYTES])
{
  if (length <= SUM_CHARACTERS || length >= PLAN_LINE_BYTES || memchr(bytes, '\0', length) != NULL)
    return false;
  const size_t text_length = length - SUM_CHARACTERS - 1;
  memcpy(text, bytes + SUM_CHARACTERS + 1, text_length);
  text[text_length] = '\0';
  char sealed[SUM_CHARACTERS + 2];
  (void)snprintf(sealed, sizeof sealed, "%016" PRIx64 " ", sum_of(identity, text, text_length));
  return memcmp(bytes, sealed, SUM_CHARACTERS + 1) == 0;
}

static bool is_opening(const char *text, const char *identity)
{
  const size_t length = sizeof form - 1;
  return strncmp(text, form, length) == 0 && strcmp(text + length, identity) == 0;
}

void plan_text_walk(const char *bytes, size_t byte_count, const char *identity, PlanVisit *visit,
                    void *context)
{
  const char *end = bytes + byte_count;
  bool opened = false;
  for (int32_t line = 0; line <= PLANS_MOST && bytes < end; ++line) {
    char text[PLAN_LINE_BYTES];
    PlanChoice choice = {.engine = 0};
    const char *stop = memchr(bytes, '\n', (size_t)(end - bytes));
    if (stop == NULL) return; /* a line without an end is torn */
    const bool sound = read_line(bytes, (size_t)(stop - bytes), identity, text);
    if (!opened && !(sound && is_opening(text, identity))) return;
    if (opened && sound && plan_text_read(text, &choice)) visit(context, text, &choice);
    opened = true;
    bytes = stop + 1;
  }
}
