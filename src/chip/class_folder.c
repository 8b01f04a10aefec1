#include "class_folder.h"

#include <stdio.h>
#include <string.h>

static void clean(const ClassEntry *entry, char name[CLASS_FOLDER_BYTES])
{
  (void)snprintf(name, CLASS_FOLDER_BYTES, "%s", entry->name);
  for (char *c = name; *c != '\0'; ++c)
    if ((unsigned char)*c < ' ' || strchr("/\\:*?\"<>|", *c) != NULL) *c = '_';
  if (*name == '.') *name = '_';
  const size_t length = strlen(name);
  if (length > 0 && (name[length - 1] == '.' || name[length - 1] == ' ')) name[length - 1] = '_';
  if (length == 0) (void)snprintf(name, CLASS_FOLDER_BYTES, "%d", entry->value);
}

void class_folder_name(const ClassEntry *classes, int32_t index, char name[CLASS_FOLDER_BYTES])
{
  char other[CLASS_FOLDER_BYTES];
  clean(&classes[index], name);
  for (int32_t i = 0; i < index; ++i) {
    clean(&classes[i], other);
    if (strcmp(other, name) != 0) continue;
    const size_t length = strlen(name);
    (void)snprintf(name + length, CLASS_FOLDER_BYTES - length, "_%d", classes[index].value);
    return;
  }
}
