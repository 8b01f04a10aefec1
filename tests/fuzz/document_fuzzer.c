/* What is read and written once must read and write the same again. */
#include <string.h>

#include "base/memory.h"
#include "fuzzer.h"
#include "store/document.h"

static char *rewrite(const char *text, DocumentStyle style)
{
  Document *document;
  char *again;
  if (document_parse(text, strlen(text), "again", &document) != STATUS_OK) __builtin_trap();
  if (document_format(document, style, &again) != STATUS_OK) __builtin_trap();
  document_close(document);
  return again;
}

static void check_style(const Document *document, DocumentStyle style)
{
  char *text;
  if (document_format(document, style, &text) != STATUS_OK) return;
  char *again = rewrite(text, style);
  if (strcmp(text, again) != 0) __builtin_trap();
  memory_free(again);
  memory_free(text);
}

static void ask(const Document *document)
{
  int64_t integer;
  double real;
  bool flag;
  bool present;
  size_t count;
  for (size_t i = 0; i < document_count(document) && i < 16; ++i) {
    const char *key = document_key(document, i);
    if (key == NULL) continue;
    (void)document_get_int(document, key, &integer, &present);
    (void)document_get_real(document, key, &real, &present);
    (void)document_get_flag(document, key, &flag, &present);
    (void)document_get_reals(document, key, &real, 1, &count, &present);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count)
{
  Document *document;
  if (document_parse((const char *)bytes, byte_count, "input", &document) != STATUS_OK) return 0;
  check_style(document, DOCUMENT_PRETTY);
  check_style(document, DOCUMENT_ONE_LINE);
  ask(document);
  document_close(document);
  return 0;
}
