#include "tile_map.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/output.h"
#include "base/path.h"

typedef struct Growing {
  const char *folder;
  Arena *arena;
  TilePair *pairs; /* of memory_allocate */
  int64_t count, capacity;
} Growing;

static Status grow(Growing *list)
{
  void *memory;
  if (list->count < list->capacity) return STATUS_OK;
  const int64_t capacity = list->capacity == 0 ? 1024 : 2 * list->capacity;
  TRY(memory_allocate((size_t)capacity, sizeof *list->pairs, "list of chips", &memory));
  if (list->count > 0) memcpy(memory, list->pairs, (size_t)list->count * sizeof *list->pairs);
  memory_free(list->pairs);
  list->pairs = memory;
  list->capacity = capacity;
  return STATUS_OK;
}

static Status keep(const Growing *list, char *name, const char **kept)
{
  char path[OUTPUT_PATH_BYTES];
  char *copy;
  for (char *c = name; *c != '\0'; ++c)
    if (*c == '\\') *c = '/';
  if (*name == '/' || strstr(name, "../") != NULL || strchr(name, ':') != NULL)
    return status_set(STATUS_BAD_INPUT, "%s/map.txt: “%s” leads out of the folder", list->folder,
                      name);
  TRY(path_join(list->folder, name, sizeof path, path));
  TRY(arena_copy_text(list->arena, path, &copy));
  *kept = copy;
  return STATUS_OK;
}

/* The next word of a line, ended in place; NULL if there is none. */
static char *next_word(char **rest)
{
  static const char blanks[] = " \t\f\v";
  char *word = *rest + strspn(*rest, blanks);
  char *end = word + strcspn(word, blanks);
  *rest = *end == '\0' ? end : end + 1;
  *end = '\0';
  return *word == '\0' ? NULL : word;
}

static Status add_line(Growing *list, char *line)
{
  char *image = next_word(&line);
  char *label = next_word(&line);
  TilePair pair = {.image = NULL};
  if (image == NULL) return STATUS_OK;
  TRY(grow(list));
  TRY(keep(list, image, &pair.image));
  if (label != NULL) TRY(keep(list, label, &pair.label));
  list->pairs[list->count++] = pair;
  return STATUS_OK;
}

/* Ends a line at LF, CR or CRLF. */
static Status read_lines(Growing *list, FILE *stream)
{
  char line[2 * OUTPUT_PATH_BYTES];
  size_t length = 0;
  int c;
  do {
    c = fgetc(stream);
    if (c == EOF || c == '\n' || c == '\r') {
      line[length] = '\0';
      length = 0;
      TRY(add_line(list, line));
    } else if (length + 1 < sizeof line) {
      line[length++] = (char)c;
    } else {
      return status_set(STATUS_BAD_INPUT,
                        "%s/map.txt: a line is longer than %zu bytes; is it text?", list->folder,
                        sizeof line);
    }
  } while (c != EOF);
  if (ferror(stream) != 0)
    return status_set(STATUS_IO, "%s/map.txt: %s", list->folder, strerror(errno));
  return STATUS_OK;
}

static bool is_picture(const char *name)
{
  static const char *const endings[] = {".tif", ".tiff", ".png", ".jpg", ".jpeg"};
  for (size_t i = 0; i < sizeof endings / sizeof *endings; ++i)
    if (path_has_ending(name, endings[i])) return true;
  return false;
}

static Status add_pictures(Growing *list, DIR *listing)
{
  char name[OUTPUT_PATH_BYTES];
  for (const struct dirent *entry = readdir(listing); entry != NULL; entry = readdir(listing)) {
    if (!is_picture(entry->d_name)) continue;
    TRY(path_join("images", entry->d_name, sizeof name, name));
    TRY(grow(list));
    TRY(keep(list, name, &list->pairs[list->count].image));
    ++list->count;
  }
  return STATUS_OK;
}

static int by_name(const void *a, const void *b)
{
  return strcmp(((const TilePair *)a)->image, ((const TilePair *)b)->image);
}

static Status find_label(const Growing *list, TilePair *pair)
{
  static const char *const endings[] = {".tif", ".tiff", ".png", ".jpg", ".jpeg"};
  char path[OUTPUT_PATH_BYTES];
  char *copy;
  const char *name = path_file_name(pair->image);
  const int stem = (int)(strrchr(name, '.') - name);
  for (size_t i = 0; i < sizeof endings / sizeof *endings; ++i) {
    const int bytes =
        snprintf(path, sizeof path, "%s/labels/%.*s%s", list->folder, stem, name, endings[i]);
    if (bytes < 0 || bytes >= (int)sizeof path || !path_exists(path)) continue;
    TRY(arena_copy_text(list->arena, path, &copy));
    pair->label = copy;
    return STATUS_OK;
  }
  return STATUS_OK;
}

static Status pair_by_stem(Growing *list)
{
  char images[OUTPUT_PATH_BYTES];
  TRY(path_join(list->folder, "images", sizeof images, images));
  DIR *listing = opendir(images);
  if (listing == NULL)
    return status_set(STATUS_BAD_INPUT,
                      "%s: is no chip set: it has neither map.txt nor a folder images",
                      list->folder);
  const Status status = add_pictures(list, listing);
  (void)closedir(listing);
  if (status != STATUS_OK) return status;
  if (list->count > 0) qsort(list->pairs, (size_t)list->count, sizeof *list->pairs, by_name);
  for (int64_t i = 0; i < list->count; ++i)
    TRY(find_label(list, &list->pairs[i]));
  return STATUS_OK;
}

static Status read_map(Growing *list)
{
  char path[OUTPUT_PATH_BYTES];
  TRY(path_join(list->folder, "map.txt", sizeof path, path));
  FILE *stream = fopen(path, "re");
  if (stream == NULL && errno == ENOENT) return pair_by_stem(list);
  if (stream == NULL) return status_set(STATUS_IO, "%s: %s", path, strerror(errno));
  const Status status = read_lines(list, stream);
  (void)fclose(stream);
  return status;
}

static int by_pointed_name(const void *a, const void *b)
{
  const TilePair *left = *(const TilePair *const *)a;
  const TilePair *right = *(const TilePair *const *)b;
  const int order = strcmp(left->image, right->image);
  return order != 0 ? order : (left > right) - (left < right);
}

/* Of equal names the first stays; all others lose their name. */
static Status drop_repeats(Growing *list)
{
  void *memory;
  TRY(memory_allocate((size_t)list->count, sizeof(TilePair *), "list of chips", &memory));
  TilePair **sorted = memory;
  for (int64_t i = 0; i < list->count; ++i)
    sorted[i] = &list->pairs[i];
  qsort(memory, (size_t)list->count, sizeof *sorted, by_pointed_name);
  const char *last = NULL;
  for (int64_t i = 0; i < list->count; ++i) {
    const bool repeated = last != NULL && strcmp(last, sorted[i]->image) == 0;
    last = sorted[i]->image;
    if (repeated) sorted[i]->image = NULL;
  }
  memory_free(memory);
  return STATUS_OK;
}

static Status copy_unique(const Growing *list, TilePair **pairs, int64_t *count)
{
  void *memory;
  TRY(arena_allocate(list->arena, (size_t)list->count * sizeof **pairs, &memory));
  *pairs = memory;
  *count = 0;
  for (int64_t i = 0; i < list->count; ++i)
    if (list->pairs[i].image != NULL) (*pairs)[(*count)++] = list->pairs[i];
  return STATUS_OK;
}

Status tile_map_read(const char *folder, Arena *arena, TilePair **pairs, int64_t *count)
{
  Growing list = {.folder = folder, .arena = arena};
  Status status = read_map(&list);
  if (status == STATUS_OK && list.count == 0)
    status = status_set(STATUS_BAD_INPUT, "%s: holds no chip", folder);
  if (status == STATUS_OK) status = drop_repeats(&list);
  if (status == STATUS_OK) status = copy_unique(&list, pairs, count);
  memory_free(list.pairs);
  return status;
}
