#include "state_dict.h"

#include <string.h>

/* What a kind of tensor that is not read leaves behind: its storage's or dtype's word, or the
 * function that makes it. */
static bool is_unread_tensor(const PickleValue *value)
{
  return value->kind == PICKLE_OPAQUE && (strncmp(value->name, "torch ", 6) == 0 ||
                                          strncmp(value->name, "torch._utils _rebuild", 21) == 0);
}

static bool holds_tensors(const PickleValue *value)
{
  if (value == NULL || value->kind != PICKLE_DICT) return false;
  for (size_t i = 1; i < value->count; i += 2)
    if (value->items[i]->kind == PICKLE_TENSOR || is_unread_tensor(value->items[i])) return true;
  return false;
}

static const PickleValue *enter(const PickleValue *dict)
{
  static const char *const keys[] = {"model", "state_dict", "net",    "model_state_dict",
                                     "param", "params",     "weights"};
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; ++i) {
    const PickleValue *value = pickle_find(dict, keys[i]);
    if (value != NULL && value->kind == PICKLE_DICT) return value;
  }
  return NULL;
}

/* A class where weights were expected: the file was saved whole. */
static Status refuse(const PickleValue *root, const char *path)
{
  const PickleValue *model = pickle_find(root, "model");
  const PickleValue *culprit = model == NULL ? root : model;
  if (culprit->kind == PICKLE_OPAQUE)
    return status_set(STATUS_UNSUPPORTED,
                      "%s: holds a pickled Python object (%.100s), not its weights; such files are "
                      "programs and are not read. Load it in Python and save its state_dict()",
                      path, culprit->name);
  return status_set(STATUS_UNSUPPORTED, "%s: holds no state_dict (names with tensors)", path);
}

Status state_dict_find(const PickleValue *root, const char *path, const PickleValue **dict)
{
  enum { LEVELS_MAX = 3 };
  const PickleValue *inner = root;
  for (int level = 0; level < LEVELS_MAX && inner != NULL; ++level) {
    const PickleValue *next = enter(inner);
    if (!holds_tensors(next) && holds_tensors(inner)) {
      *dict = inner;
      return STATUS_OK;
    }
    inner = next;
  }
  if (!holds_tensors(inner)) return refuse(root, path);
  *dict = inner;
  return STATUS_OK;
}

Status state_dict_walk(const PickleValue *dict, const char *path, StateDictVisit *visit,
                       void *context)
{
  for (size_t i = 0; i + 1 < dict->count; i += 2) {
    const PickleValue *key = dict->items[i];
    const PickleValue *value = dict->items[i + 1];
    const bool is_tensor = value->kind == PICKLE_TENSOR;
    if (!is_tensor && !is_unread_tensor(value)) continue;
    if (key->kind != PICKLE_TEXT || strlen(key->text) != key->count)
      return status_set(STATUS_BAD_INPUT, "%s: a tensor has a name that is no text", path);
    if (is_tensor)
      TRY(visit(context, key->text, value->tensor));
    else
      return status_set(STATUS_UNSUPPORTED,
                        "%s: “%.200s” is a kind of tensor that is not read (%.100s)", path,
                        key->text, value->name);
  }
  return STATUS_OK;
}
