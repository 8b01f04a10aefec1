#include "store/document.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "json_node.h"
#include "source.h"

/* jansson recurses per level, so the depth is bounded before it sees the text. */
static Status check_depth(const char *text, size_t byte_count, const char *name)
{
  int depth = 0;
  int line = 1;
  bool quoted = false;
  for (size_t i = 0; i < byte_count; ++i) {
    const char c = text[i];
    if (c == '\n') ++line;
    if (quoted && c == '\\')
      ++i;
    else if (c == '"')
      quoted = !quoted;
    else if (!quoted && (c == '{' || c == '['))
      ++depth;
    else if (!quoted && (c == '}' || c == ']'))
      --depth;
    if (depth > DOCUMENT_DEPTH_MAX)
      return status_set(STATUS_BAD_INPUT, "%s, line %d: JSON nested deeper than %d levels", name,
                        line, DOCUMENT_DEPTH_MAX);
  }
  return STATUS_OK;
}

static Status too_large(const char *name, int64_t byte_count, int64_t bytes_max)
{
  return status_set(STATUS_BAD_INPUT, "%s: JSON of %lld bytes; at most %lld are read", name,
                    (long long)byte_count, (long long)bytes_max);
}

static Status parse(const char *text, size_t byte_count, const char *name, Document **document)
{
  *document = NULL;
  if (byte_count >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
    text += 3;
    byte_count -= 3;
  }
  TRY(check_depth(text, byte_count, name));
  json_error_t error;
  json_t *node = json_loadb(text, byte_count, JSON_REJECT_DUPLICATES, &error);
  if (node == NULL && json_error_code(&error) == json_error_out_of_memory)
    return status_set(STATUS_NO_MEMORY, "%s: no memory for JSON of %zu bytes", name, byte_count);
  if (node == NULL)
    return status_set(STATUS_BAD_INPUT, "%s, line %d, column %d: not valid JSON: %s", name,
                      error.line, error.column, error.text);
  *document = document_of(node);
  return STATUS_OK;
}

Status document_parse(const char *text, size_t byte_count, const char *name, Document **document)
{
  *document = NULL;
  if (byte_count > DOCUMENT_BYTES_MAX)
    return too_large(name, (int64_t)byte_count, DOCUMENT_BYTES_MAX);
  return parse(text, byte_count, name, document);
}

static Status read_text(const Source *source, int64_t bytes_max, Document **document)
{
  const int64_t byte_count = source_bytes(source);
  if (byte_count > bytes_max) return too_large(source_name(source), byte_count, bytes_max);
  void *text;
  TRY(memory_allocate((size_t)byte_count, 1, source_name(source), &text));
  Status status = source_read(source, 0, text, (size_t)byte_count);
  if (status == STATUS_OK) status = parse(text, (size_t)byte_count, source_name(source), document);
  memory_free(text);
  return status;
}

Status document_read(const char *path, Document **document)
{
  return document_read_large(path, DOCUMENT_BYTES_MAX, document);
}

Status document_read_large(const char *path, int64_t bytes_max, Document **document)
{
  Source *source;
  *document = NULL;
  TRY(source_open_file(path, &source));
  const Status status = read_text(source, bytes_max, document);
  source_close(source);
  return status;
}

static Status give(json_t *node, Document **document)
{
  *document = document_of(node);
  return node == NULL ? status_set(STATUS_NO_MEMORY, "JSON: the host has no memory left")
                      : STATUS_OK;
}

Status document_new_object(Document **document)
{
  return give(json_object(), document);
}

Status document_new_list(Document **document)
{
  return give(json_array(), document);
}

Status document_copy(const Document *document, Document **copy)
{
  return give(json_deep_copy(node_of(document)), copy);
}

void document_close(Document *document)
{
  json_decref(node_of(document));
}

static bool is_placeholder(const json_t *node)
{
  return json_is_string(node) && strncmp(json_string_value(node), "e.g.", 4) == 0;
}

DocumentKind document_kind(const Document *document)
{
  const json_t *node = node_of(document);
  if (node == NULL || json_is_null(node) || is_placeholder(node)) return DOCUMENT_ABSENT;
  if (json_is_boolean(node)) return DOCUMENT_FLAG;
  if (json_is_integer(node)) return DOCUMENT_INT;
  if (json_is_real(node)) return DOCUMENT_REAL;
  if (json_is_string(node)) return DOCUMENT_TEXT;
  return json_is_array(node) ? DOCUMENT_LIST : DOCUMENT_OBJECT;
}

const Document *document_child(const Document *object, const char *key)
{
  const Document *child = document_of(json_object_get(node_of(object), key));
  return document_kind(child) == DOCUMENT_ABSENT ? NULL : child;
}

static const char *kind_name(const Document *document)
{
  static const char *const names[] = {
      [DOCUMENT_ABSENT] = "nothing",   [DOCUMENT_FLAG] = "a flag", [DOCUMENT_INT] = "a number",
      [DOCUMENT_REAL] = "a number",    [DOCUMENT_TEXT] = "a text", [DOCUMENT_LIST] = "a list",
      [DOCUMENT_OBJECT] = "an object",
  };
  return names[document_kind(document)];
}

static Status wrong_kind(const Document *found, const char *wanted)
{
  if (document_kind(found) == DOCUMENT_TEXT)
    return status_set(STATUS_BAD_INPUT, "%s is wanted, found the text “%.80s”", wanted,
                      json_string_value(node_of(found)));
  return status_set(STATUS_BAD_INPUT, "%s is wanted, found %s", wanted, kind_name(found));
}

static Status of_key(Status status, const char *key)
{
  return status_prefix(status, "key “%s”", key);
}

/* *child is NULL where the value is absent and may be. */
static Status look_up(const Document *object, const char *key, bool *present,
                      const Document **child)
{
  *child = document_child(object, key);
  if (*child == NULL && present == NULL)
    return status_set(STATUS_BAD_INPUT, "the key “%s” is missing", key);
  if (present != NULL) *present = *child != NULL;
  return STATUS_OK;
}

/* The whole text must be a plain decimal number; strtod alone would also take "nan" and "0x10". */
static bool parse_real(const char *text, double *value)
{
  if (*text == '\0' || text[strspn(text, "0123456789+-.eE")] != '\0') return false;
  char *end;
  *value = strtod(text, &end);
  return *end == '\0' && *value - *value == 0;
}

static bool parse_int(const char *text, int64_t *value)
{
  if (*text == '\0' || text[strspn(text, "0123456789+-")] != '\0') return false;
  char *end;
  errno = 0;
  *value = strtoll(text, &end, 10);
  return *end == '\0' && errno == 0;
}

Status document_as_real(const Document *item, double *value)
{
  const json_t *node = node_of(item);
  const DocumentKind kind = document_kind(item);
  if (kind == DOCUMENT_TEXT && parse_real(json_string_value(node), value)) return STATUS_OK;
  if (kind != DOCUMENT_INT && kind != DOCUMENT_REAL) return wrong_kind(item, "a number");
  *value = json_number_value(node);
  return STATUS_OK;
}

Status document_as_int(const Document *item, int64_t *value)
{
  const json_t *node = node_of(item);
  const DocumentKind kind = document_kind(item);
  if (kind == DOCUMENT_INT) {
    *value = json_integer_value(node);
    return STATUS_OK;
  }
  if (kind == DOCUMENT_TEXT && parse_int(json_string_value(node), value)) return STATUS_OK;
  double real;
  if (document_as_real(item, &real) != STATUS_OK) return wrong_kind(item, "a whole number");
  const double exact_limit = 9007199254740992.0; /* 2^53 */
  if (!(real >= -exact_limit && real <= exact_limit) || (double)(int64_t)real != real)
    return status_set(STATUS_BAD_INPUT, "a whole number is wanted, found %.17g", real);
  *value = (int64_t)real;
  return STATUS_OK;
}

Status document_as_text(const Document *item, const char **value)
{
  if (document_kind(item) != DOCUMENT_TEXT) return wrong_kind(item, "a text");
  *value = json_string_value(node_of(item));
  return STATUS_OK;
}

Status document_get_flag(const Document *object, const char *key, bool *value, bool *present)
{
  const Document *child;
  TRY(look_up(object, key, present, &child));
  if (child == NULL) return STATUS_OK;
  if (document_kind(child) == DOCUMENT_FLAG) {
    *value = json_is_true(node_of(child));
    return STATUS_OK;
  }
  int64_t number;
  if (document_as_int(child, &number) != STATUS_OK || (number != 0 && number != 1))
    return of_key(wrong_kind(child, "true or false"), key);
  *value = number == 1;
  return STATUS_OK;
}

Status document_get_int(const Document *object, const char *key, int64_t *value, bool *present)
{
  const Document *child;
  TRY(look_up(object, key, present, &child));
  return child == NULL ? STATUS_OK : of_key(document_as_int(child, value), key);
}

Status document_get_real(const Document *object, const char *key, double *value, bool *present)
{
  const Document *child;
  TRY(look_up(object, key, present, &child));
  return child == NULL ? STATUS_OK : of_key(document_as_real(child, value), key);
}

Status document_get_text(const Document *object, const char *key, const char **value, bool *present)
{
  const Document *child;
  TRY(look_up(object, key, present, &child));
  return child == NULL ? STATUS_OK : of_key(document_as_text(child, value), key);
}

static Status get_kind(const Document *object, const char *key, DocumentKind kind,
                       const char *wanted, const Document **value, bool *present)
{
  const Document *child;
  TRY(look_up(object, key, present, &child));
  if (child == NULL) return STATUS_OK;
  if (document_kind(child) != kind) return of_key(wrong_kind(child, wanted), key);
  *value = child;
  return STATUS_OK;
}

Status document_get_object(const Document *object, const char *key, const Document **value,
                           bool *present)
{
  return get_kind(object, key, DOCUMENT_OBJECT, "an object", value, present);
}

Status document_get_list(const Document *object, const char *key, const Document **value,
                         bool *present)
{
  return get_kind(object, key, DOCUMENT_LIST, "a list", value, present);
}

Status document_get_reals(const Document *object, const char *key, double *values, size_t capacity,
                          size_t *count, bool *present)
{
  const Document *list = NULL;
  TRY(document_get_list(object, key, &list, present));
  if (list == NULL) return STATUS_OK;
  *count = document_count(list);
  for (size_t i = 0; i < *count && i < capacity; ++i)
    TRY(of_key(document_as_real(document_item(list, i), &values[i]), key));
  return STATUS_OK;
}

Status document_get_ints(const Document *object, const char *key, int64_t *values, size_t capacity,
                         size_t *count, bool *present)
{
  const Document *list = NULL;
  TRY(document_get_list(object, key, &list, present));
  if (list == NULL) return STATUS_OK;
  *count = document_count(list);
  for (size_t i = 0; i < *count && i < capacity; ++i)
    TRY(of_key(document_as_int(document_item(list, i), &values[i]), key));
  return STATUS_OK;
}

size_t document_count(const Document *document)
{
  const json_t *node = node_of(document);
  return json_is_array(node) ? json_array_size(node) : json_object_size(node);
}

const Document *document_item(const Document *list, size_t index)
{
  return document_of(json_array_get(node_of(list), index));
}

const char *document_key(const Document *object, size_t index)
{
  json_t *node = node_of(object);
  void *place = json_object_iter(node);
  for (size_t i = 0; i < index && place != NULL; ++i)
    place = json_object_iter_next(node, place);
  return place == NULL ? NULL : json_object_iter_key(place);
}
