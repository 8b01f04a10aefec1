#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MESSAGE_BYTES = 1024 };

static _Thread_local char last_message[MESSAGE_BYTES];

/* One line, whatever a library put into its text. */
static void flatten(char *text)
{
  for (char *c = text; *c != '\0'; ++c)
    if (*c == '\n' || *c == '\r' || *c == '\t') *c = ' ';
}

Status status_set(Status status, const char *format, ...)
{
  char message[MESSAGE_BYTES]; /* aside, since the arguments may point into the last one */
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  flatten(message);
  memcpy(last_message, message, sizeof last_message);
  return status;
}

Status status_prefix(Status status, const char *format, ...)
{
  if (status == STATUS_OK) return STATUS_OK;
  char prefix[MESSAGE_BYTES];
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(prefix, sizeof prefix, format, arguments);
  va_end(arguments);
  return status_set(status, "%s: %s", prefix, last_message);
}

const char *status_message(void)
{
  return last_message;
}

int status_exit_code(Status status)
{
  static const int codes[] = {
      [STATUS_OK] = 0,          [STATUS_BAD_OPTION] = 2, [STATUS_IO] = 3,
      [STATUS_BAD_INPUT] = 4,   [STATUS_MISMATCH] = 5,   [STATUS_NO_MEMORY] = 6,
      [STATUS_UNSUPPORTED] = 7, [STATUS_BAD_SHAPE] = 7,  [STATUS_DEVICE] = 8,
      [STATUS_COMM] = 9,        [STATUS_DIVERGED] = 10,  [STATUS_INTERRUPTED] = 99,
  };
  return codes[status];
}
