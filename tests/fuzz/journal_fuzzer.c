#include <string.h>

#include "base/memory.h"
#include "fuzzer.h"
#include "journal_text.h"

static Status visit(void *context, const char *record)
{
  size_t *total = context;
  *total += strlen(record);
  return STATUS_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count)
{
  void *text;
  size_t total = 0;
  size_t whole_bytes;
  if (memory_allocate(byte_count, 1, "journal", &text) != STATUS_OK) return 0;
  if (byte_count > 0) memcpy(text, bytes, byte_count);
  const Status status = journal_walk(text, byte_count, "input", "job", visit, &total, &whole_bytes);
  if (status == STATUS_OK && (whole_bytes > byte_count || total > byte_count)) __builtin_trap();
  memory_free(text);
  return 0;
}
