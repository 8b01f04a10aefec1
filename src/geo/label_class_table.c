/* The table of classes: its order, its growth, and the list a user may give. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "label_class.h"

void label_classes_free(LabelClasses *classes)
{
  memory_free(classes->entries);
  *classes = (LabelClasses){.field = -1, .name_field = -1};
}

static int compare(const ClassEntry *entry, bool by_name, int32_t value, const char *name)
{
  if (by_name) return strcmp(entry->name, name);
  return entry->value < value ? -1 : entry->value > value;
}

/* The place of the first entry that is not before the wanted one. */
static int32_t lower_bound(const LabelClasses *classes, bool by_name, int32_t value,
                           const char *name)
{
  int32_t first = 0;
  int32_t last = classes->count;
  while (first < last) {
    const int32_t middle = first + (last - first) / 2;
    if (compare(&classes->entries[middle], by_name, value, name) < 0)
      first = middle + 1;
    else
      last = middle;
  }
  return first;
}

static Status grow(LabelClasses *classes)
{
  if (classes->count < classes->capacity) return STATUS_OK;
  const int32_t capacity = classes->capacity == 0 ? 16 : 2 * classes->capacity;
  void *memory;
  TRY(memory_allocate((size_t)capacity, sizeof(ClassEntry), "the table of classes", &memory));
  if (classes->count > 0)
    memcpy(memory, classes->entries, (size_t)classes->count * sizeof(ClassEntry));
  memory_free(classes->entries);
  classes->entries = memory;
  classes->capacity = capacity;
  return STATUS_OK;
}

Status label_classes_insert(LabelClasses *classes, bool by_name, int32_t value, const char *name)
{
  const int32_t place = lower_bound(classes, by_name, value, name);
  if (place < classes->count && compare(&classes->entries[place], by_name, value, name) == 0)
    return STATUS_OK;
  TRY(grow(classes));
  ClassEntry *entry = &classes->entries[place];
  memmove(entry + 1, entry, (size_t)(classes->count - place) * sizeof *entry);
  *entry = class_entry(value, name);
  ++classes->count;
  return STATUS_OK;
}

ClassEntry *label_classes_entry(LabelClasses *classes, int32_t value)
{
  const int32_t place = lower_bound(classes, false, value, "");
  const bool found = place < classes->count && classes->entries[place].value == value;
  return found ? &classes->entries[place] : NULL;
}

static bool is_blank(char c)
{
  return c == ' ' || c == '\t';
}

/* name=value between first and last (excluded). */
static Status parse_pair(const char *first, const char *last, LabelClasses *classes)
{
  while (first < last && is_blank(*first))
    ++first;
  while (last > first && is_blank(last[-1]))
    --last;
  if (first == last) return STATUS_OK;
  const char *equals = last;
  while (equals > first && *equals != '=')
    --equals;
  const char *name_end = equals;
  while (name_end > first && is_blank(name_end[-1]))
    --name_end;
  char *number_end = NULL;
  const long value = equals > first ? strtol(equals + 1, &number_end, 10) : -1;
  const size_t name_bytes = (size_t)(name_end - first);
  while (number_end != NULL && number_end < last && is_blank(*number_end))
    ++number_end;
  if (number_end != last || name_bytes == 0 || name_bytes >= CLASS_NAME_BYTES || value < 0 ||
      value > CLASS_LARGEST_VALUE)
    return status_set(STATUS_BAD_OPTION,
                      "“%.*s” is no class; write name=value, with values from 0 to %d, as in "
                      "building=1;road=2",
                      (int)(last - first < 80 ? last - first : 80), first, CLASS_LARGEST_VALUE);
  char name[CLASS_NAME_BYTES] = {0};
  memcpy(name, first, name_bytes);
  for (int32_t i = 0; i < classes->count; ++i)
    if (classes->entries[i].value == value || strcmp(classes->entries[i].name, name) == 0)
      return status_set(STATUS_BAD_OPTION, "the classes %s=%d and %s=%ld are not different",
                        classes->entries[i].name, classes->entries[i].value, name, value);
  return label_classes_insert(classes, false, (int32_t)value, name);
}

Status label_classes_parse(const char *text, LabelClasses *classes)
{
  while (*text != '\0') {
    const size_t length = strcspn(text, ";,");
    TRY(parse_pair(text, text + length, classes));
    text += length;
    if (*text != '\0') ++text;
  }
  return STATUS_OK;
}
