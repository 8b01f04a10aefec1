#include "geo/box_file.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cpl_minixml.h>

#include "base/memory.h"
#include "gdal_door.h"

enum { FILE_BYTES_MAX = 16 << 20, BOXES_MAX = 1000000 };

static Status add(BoxLabels *labels, const char *path, const char *name, const double box[4])
{
  void *memory;
  if (labels->count == BOXES_MAX)
    return status_set(STATUS_BAD_INPUT, "%s: holds more than %d objects", path, BOXES_MAX);
  if (labels->count == labels->capacity) {
    const int32_t capacity = labels->capacity == 0 ? 32 : 2 * labels->capacity;
    TRY(memory_allocate((size_t)capacity, sizeof *labels->items, "boxes of a chip", &memory));
    if (labels->count > 0)
      memcpy(memory, labels->items, (size_t)labels->count * sizeof *labels->items);
    memory_free(labels->items);
    labels->items = memory;
    labels->capacity = capacity;
  }
  BoxLabel *label = &labels->items[labels->count++];
  (void)snprintf(label->name, sizeof label->name, "%s", name);
  memcpy(label->box, box, sizeof label->box);
  return STATUS_OK;
}

void box_labels_free(BoxLabels *labels)
{
  memory_free(labels->items);
  *labels = (BoxLabels){.count = 0};
}

/* A whole file as text, which may hold no NUL; freed by memory_free. */
static Status read_text(const char *path, FILE *stream, char **text)
{
  void *memory;
  if (fseek(stream, 0, SEEK_END) != 0)
    return status_set(STATUS_IO, "%s: %s", path, strerror(errno));
  const long bytes = ftell(stream);
  rewind(stream);
  if (bytes < 0 || bytes > FILE_BYTES_MAX)
    return status_set(STATUS_BAD_INPUT, "%s: is too large for the labels of one chip", path);
  TRY(memory_allocate((size_t)bytes + 1, 1, path, &memory));
  *text = memory;
  if (fread(memory, 1, (size_t)bytes, stream) != (size_t)bytes)
    return status_set(STATUS_IO, "%s: cannot be read (%s)", path, strerror(errno));
  return STATUS_OK;
}

static Status open_text(const char *path, char **text)
{
  *text = NULL;
  FILE *stream = fopen(path, "re");
  if (stream == NULL) return status_set(STATUS_IO, "%s: %s", path, strerror(errno));
  const Status status = read_text(path, stream, text);
  (void)fclose(stream);
  if (status == STATUS_OK) return STATUS_OK;
  memory_free(*text);
  *text = NULL;
  return status;
}

static bool read_number(const char *text, double *number)
{
  char *end;
  *number = strtod(text, &end);
  return end != text && end[strspn(end, " \t\r\n")] == '\0';
}

static Status take_object(const char *path, CPLXMLNode *object, BoxLabels *labels)
{
  static const char *const corners[4] = {"bndbox.xmin", "bndbox.ymin", "bndbox.xmax",
                                         "bndbox.ymax"};
  double box[4];
  const char *name = CPLGetXMLValue(object, "name", "");
  for (int i = 0; i < 4; ++i)
    if (!read_number(CPLGetXMLValue(object, corners[i], ""), &box[i]))
      return status_set(STATUS_BAD_INPUT, "%s: object %d has no %s", path, labels->count + 1,
                        corners[i]);
  if (*name == '\0')
    return status_set(STATUS_BAD_INPUT, "%s: object %d has no name", path, labels->count + 1);
  return add(labels, path, name, box);
}

static Status take_objects(const char *path, CPLXMLNode *root, BoxLabels *labels)
{
  CPLXMLNode *annotation = CPLGetXMLNode(root, "=annotation");
  if (annotation == NULL)
    return status_set(STATUS_BAD_INPUT, "%s: is no XML of PASCAL VOC (it has no <annotation>)",
                      path);
  for (CPLXMLNode *node = annotation->psChild; node != NULL; node = node->psNext)
    if (node->eType == CXT_Element && strcmp(node->pszValue, "object") == 0)
      TRY(take_object(path, node, labels));
  return STATUS_OK;
}

Status box_labels_read_voc(const char *path, BoxLabels *labels)
{
  char *text;
  GdalWatch watch;
  labels->count = 0;
  TRY(open_text(path, &text));
  gdal_watch_begin(&watch);
  CPLXMLNode *root = CPLParseXMLString(text);
  gdal_watch_end(&watch);
  memory_free(text);
  if (root == NULL)
    return status_set(STATUS_BAD_INPUT, "%s: is no XML, or cut short (%s)", path,
                      gdal_watch_words(&watch));
  const Status status = take_objects(path, root, labels);
  CPLDestroyXMLNode(root);
  return status;
}

/* The next word of a line, ended in place; NULL if there is none. */
static char *next_word(char **rest)
{
  static const char blanks[] = " \t\r\f\v";
  char *word = *rest + strspn(*rest, blanks);
  char *end = word + strcspn(word, blanks);
  *rest = *end == '\0' ? end : end + 1;
  *end = '\0';
  return *word == '\0' ? NULL : word;
}

static Status take_line(const char *path, int number, char *line, BoxLabels *labels)
{
  double box[4];
  const char *name = next_word(&line);
  if (name == NULL) return STATUS_OK;
  for (int column = 2; column <= 8; ++column) {
    const char *word = next_word(&line);
    if (word == NULL || (column >= 5 && !read_number(word, &box[column - 5])))
      return status_set(STATUS_BAD_INPUT, "%s: line %d has no number in column %d", path, number,
                        column);
  }
  return add(labels, path, name, box);
}

Status box_labels_read_kitti(const char *path, BoxLabels *labels)
{
  char *text;
  Status status = STATUS_OK;
  labels->count = 0;
  TRY(open_text(path, &text));
  char *line = text;
  for (int number = 1; status == STATUS_OK && *line != '\0'; ++number) {
    char *end = line + strcspn(line, "\n");
    const bool last = *end == '\0';
    *end = '\0';
    status = take_line(path, number, line, labels);
    line = last ? end : end + 1;
  }
  memory_free(text);
  return status;
}
