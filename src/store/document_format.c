#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "json_node.h"
#include "sink.h"

/* Own formatter: jansson writes all reals with one number of digits, so 0.1 would become
 * 0.10000000000000001. */
typedef struct Writer {
  char *text;
  size_t count;
  size_t capacity;
  DocumentStyle style;
} Writer;

static Status grow(Writer *writer, size_t byte_count)
{
  size_t capacity = writer->capacity == 0 ? 1024 : writer->capacity;
  while (capacity - writer->count <= byte_count)
    capacity *= 2;
  void *text;
  TRY(memory_allocate(capacity, 1, "JSON text", &text));
  if (writer->count > 0) memcpy(text, writer->text, writer->count);
  memory_free(writer->text);
  writer->text = text;
  writer->capacity = capacity;
  return STATUS_OK;
}

static Status emit_bytes(Writer *writer, const char *bytes, size_t byte_count)
{
  if (writer->capacity - writer->count <= byte_count) TRY(grow(writer, byte_count));
  memcpy(writer->text + writer->count, bytes, byte_count);
  writer->count += byte_count;
  return STATUS_OK;
}

static Status emit(Writer *writer, const char *text)
{
  return emit_bytes(writer, text, strlen(text));
}

static Status emit_real(Writer *writer, double value)
{
  char text[40];
  for (int digits = 15; digits <= 17; ++digits) {
    (void)snprintf(text, sizeof text, "%.*g", digits, value);
    if (strtod(text, NULL) == value) break;
  }
  if (strpbrk(text, ".e") == NULL) memcpy(text + strlen(text), ".0", 3); /* stays a real */
  return emit(writer, text);
}

static Status emit_text(Writer *writer, const char *text)
{
  TRY(emit(writer, "\""));
  for (const char *c = text; *c != '\0';) {
    const size_t plain = strcspn(c, "\"\\\b\f\n\r\t\x01\x02\x03\x04\x05\x06\x07\x0B\x0E\x0F\x10\x11"
                                    "\x12\x13\x14\x15\x16\x17\x18\x19\x1A\x1B\x1C\x1D\x1E\x1F");
    TRY(emit_bytes(writer, c, plain));
    c += plain;
    if (*c == '\0') break;
    char escape[12];
    if (*c == '"' || *c == '\\')
      (void)snprintf(escape, sizeof escape, "\\%c", *c);
    else if (*c == '\n')
      (void)snprintf(escape, sizeof escape, "\\n");
    else
      (void)snprintf(escape, sizeof escape, "\\u%04x", (unsigned)(unsigned char)*c & 0xFF);
    TRY(emit(writer, escape));
    ++c;
  }
  return emit(writer, "\"");
}

static Status emit_break(Writer *writer, int depth)
{
  if (writer->style == DOCUMENT_ONE_LINE) return STATUS_OK;
  TRY(emit(writer, "\n"));
  for (int i = 0; i < depth; ++i)
    TRY(emit(writer, "  "));
  return STATUS_OK;
}

static Status emit_node(Writer *writer, const json_t *node, int depth);

static bool is_plain_list(const json_t *list)
{
  for (size_t i = 0; i < json_array_size(list); ++i) {
    const json_t *item = json_array_get(list, i);
    if (json_is_object(item) || json_is_array(item)) return false;
  }
  return true;
}

static Status emit_list(Writer *writer, const json_t *list, int depth)
{
  const bool plain = is_plain_list(list);
  TRY(emit(writer, "["));
  for (size_t i = 0; i < json_array_size(list); ++i) {
    if (i > 0) TRY(emit(writer, ","));
    if (!plain)
      TRY(emit_break(writer, depth + 1));
    else if (i > 0 && writer->style == DOCUMENT_PRETTY)
      TRY(emit(writer, " "));
    TRY(emit_node(writer, json_array_get(list, i), depth + 1));
  }
  if (!plain) TRY(emit_break(writer, depth));
  return emit(writer, "]");
}

static Status emit_object(Writer *writer, json_t *object, int depth)
{
  const char *key;
  json_t *value;
  bool first = true;
  TRY(emit(writer, "{"));
  json_object_foreach(object, key, value)
  {
    if (!first) TRY(emit(writer, ","));
    first = false;
    TRY(emit_break(writer, depth + 1));
    TRY(emit_text(writer, key));
    TRY(emit(writer, writer->style == DOCUMENT_PRETTY ? ": " : ":"));
    TRY(emit_node(writer, value, depth + 1));
  }
  if (!first) TRY(emit_break(writer, depth));
  return emit(writer, "}");
}

static Status emit_node(Writer *writer, const json_t *node, int depth)
{
  char number[32];
  switch (json_typeof(node)) {
  case JSON_OBJECT: return emit_object(writer, (json_t *)(uintptr_t)node, depth);
  case JSON_ARRAY: return emit_list(writer, node, depth);
  case JSON_STRING: return emit_text(writer, json_string_value(node));
  case JSON_INTEGER:
    (void)snprintf(number, sizeof number, "%lld", (long long)json_integer_value(node));
    return emit(writer, number);
  case JSON_REAL: return emit_real(writer, json_real_value(node));
  case JSON_TRUE: return emit(writer, "true");
  case JSON_FALSE: return emit(writer, "false");
  default: return emit(writer, "null");
  }
}

static Status format(Writer *writer, const Document *document)
{
  TRY(emit_node(writer, node_of(document), 0));
  if (writer->style == DOCUMENT_PRETTY) TRY(emit(writer, "\n"));
  return emit_bytes(writer, "", 1);
}

Status document_format(const Document *document, DocumentStyle style, char **text)
{
  Writer writer = {.style = style};
  const Status status = format(&writer, document);
  *text = writer.text;
  if (status != STATUS_OK) {
    memory_free(writer.text);
    *text = NULL;
  }
  return status;
}

static Status write_text(const void *text, WriteSink *sink, void *sink_context)
{
  return sink(sink_context, text, strlen(text));
}

Status document_save(const Document *document, DocumentStyle style, const char *path)
{
  char *text;
  TRY(document_format(document, style, &text));
  const Status status = sink_write_file(path, write_text, text);
  memory_free(text);
  return status;
}
