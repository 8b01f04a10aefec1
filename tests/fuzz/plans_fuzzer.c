#include <string.h>

#include "fuzzer.h"
#include "plan_text.h"

/* What is read can be written, and reads the same. */
static void check(const char *key, const PlanChoice *choice)
{
  enum { SUM = 17 };
  char line[PLAN_LINE_BYTES];
  PlanChoice again;
  const size_t length = plan_text_line("input", key, choice, line);
  line[length] = '\0';
  if (length >= sizeof line || !plan_text_read(line + SUM, &again) ||
      strcmp(line + SUM, key) != 0 || !plan_choice_equal(choice, &again))
    __builtin_trap();
}

static void visit(void *context, const char *key, const PlanChoice *choice)
{
  check(key, choice);
}

/* The whole as a file, and what a checksum would hide: as a line behind one. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count)
{
  char text[PLAN_LINE_BYTES];
  PlanChoice choice;
  plan_text_walk((const char *)bytes, byte_count, "input", visit, NULL);
  const size_t length = byte_count < sizeof text ? byte_count : sizeof text - 1;
  if (length > 0) memcpy(text, bytes, length);
  text[length] = '\0';
  if (strchr(text, '\n') == NULL && plan_text_read(text, &choice)) check(text, &choice);
  return 0;
}
