#include <string.h>

#include "base/require.h"
#include "json_node.h"

static Status no_memory(void)
{
  return status_set(STATUS_NO_MEMORY, "JSON: the host has no memory left");
}

/* jansson takes the node also where it fails. A key or text that is not UTF-8 is its only other
 * failure. */
static Status put(Document *object, const char *key, json_t *node)
{
  require(json_is_object(node_of(object)));
  if (node == NULL) return no_memory();
  if (json_object_set_new(node_of(object), key, node) != 0)
    return status_set(STATUS_BAD_INPUT, "the key “%.80s” is not UTF-8", key);
  return STATUS_OK;
}

static Status append(Document *list, json_t *node)
{
  require(json_is_array(node_of(list)));
  if (node == NULL || json_array_append_new(node_of(list), node) != 0) return no_memory();
  return STATUS_OK;
}

static json_t *real_node(double value)
{
  return value - value == 0 ? json_real(value) : json_null();
}

static Status text_node(const char *value, json_t **node)
{
  *node = json_string(value);
  return *node == NULL ? status_set(STATUS_BAD_INPUT, "the text “%.80s” is not UTF-8", value)
                       : STATUS_OK;
}

Status document_set_flag(Document *object, const char *key, bool value)
{
  return put(object, key, json_boolean(value));
}

Status document_set_int(Document *object, const char *key, int64_t value)
{
  return put(object, key, json_integer(value));
}

Status document_set_real(Document *object, const char *key, double value)
{
  return put(object, key, real_node(value));
}

Status document_set_text(Document *object, const char *key, const char *value)
{
  json_t *node;
  TRY(text_node(value, &node));
  return put(object, key, node);
}

Status document_set_ints(Document *object, const char *key, const int64_t *values, size_t count)
{
  Document *list;
  TRY(document_set_list(object, key, &list));
  for (size_t i = 0; i < count; ++i)
    TRY(document_add_int(list, values[i]));
  return STATUS_OK;
}

Status document_set_reals(Document *object, const char *key, const double *values, size_t count)
{
  Document *list;
  TRY(document_set_list(object, key, &list));
  for (size_t i = 0; i < count; ++i)
    TRY(document_add_real(list, values[i]));
  return STATUS_OK;
}

Status document_set_texts(Document *object, const char *key, const char *const *values,
                          size_t count)
{
  Document *list;
  TRY(document_set_list(object, key, &list));
  for (size_t i = 0; i < count; ++i)
    TRY(document_add_text(list, values[i]));
  return STATUS_OK;
}

Status document_set_copy(Document *object, const char *key, const Document *value)
{
  return put(object, key, json_deep_copy(node_of(value)));
}

Status document_set_object(Document *object, const char *key, Document **child)
{
  json_t *node = json_object();
  *child = document_of(node);
  return put(object, key, node);
}

Status document_set_list(Document *object, const char *key, Document **child)
{
  json_t *node = json_array();
  *child = document_of(node);
  return put(object, key, node);
}

void document_remove(Document *object, const char *key)
{
  (void)json_object_del(node_of(object), key);
}

Status document_add_flag(Document *list, bool value)
{
  return append(list, json_boolean(value));
}

Status document_add_int(Document *list, int64_t value)
{
  return append(list, json_integer(value));
}

Status document_add_real(Document *list, double value)
{
  return append(list, real_node(value));
}

Status document_add_text(Document *list, const char *value)
{
  json_t *node;
  TRY(text_node(value, &node));
  return append(list, node);
}

Status document_add_object(Document *list, Document **child)
{
  json_t *node = json_object();
  *child = document_of(node);
  return append(list, node);
}

Status document_add_list(Document *list, Document **child)
{
  json_t *node = json_array();
  *child = document_of(node);
  return append(list, node);
}
