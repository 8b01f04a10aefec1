#include "tile_labels.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/output.h"
#include "base/path.h"
#include "geo/box_file.h"
#include "geo/tiff_chip.h"
#include "id_objects.h"

static TileLabelKind kind_of_entry(const char *folder, const char *name)
{
  char path[OUTPUT_PATH_BYTES];
  if (*name == '.') return TILE_LABELS_CLASSES;
  if (path_has_ending(name, ".xml")) return TILE_LABELS_VOC;
  if (path_has_ending(name, ".txt")) return TILE_LABELS_KITTI;
  if (strchr(name, '.') == NULL || !path_has_ending(name, ".tif"))
    if (path_join(folder, name, sizeof path, path) == STATUS_OK && path_is_folder(path))
      return TILE_LABELS_MASKS;
  return TILE_LABELS_CLASSES;
}

Status tile_labels_detect(const char *folder, TileLabelKind *kind)
{
  char path[OUTPUT_PATH_BYTES];
  *kind = TILE_LABELS_CLASSES;
  if (coco_annotations_name(folder) != NULL) {
    *kind = TILE_LABELS_COCO;
    return STATUS_OK;
  }
  TRY(path_join(folder, "labels", sizeof path, path));
  DIR *listing = opendir(path);
  if (listing == NULL) return STATUS_OK; /* the readers say what is missing */
  for (const struct dirent *entry = readdir(listing); entry != NULL && *kind == TILE_LABELS_CLASSES;
       entry = readdir(listing))
    *kind = kind_of_entry(path, entry->d_name);
  (void)closedir(listing);
  return STATUS_OK;
}

/* Names while they are collected. */
typedef struct Names {
  TileName *items; /* of memory_allocate */
  int32_t count, capacity;
  int32_t last; /* the one asked for last: neighbours mostly share it */
} Names;

static Status add_name(Names *names, const char *name)
{
  void *memory;
  for (int32_t i = 0; i < names->count; ++i) {
    const int32_t at = (names->last + i) % names->count;
    if (strcmp(names->items[at].name, name) != 0) continue;
    names->last = at;
    return STATUS_OK;
  }
  if (names->count == CLASS_LARGEST_VALUE)
    return status_set(STATUS_BAD_INPUT, "the labels name more than %d classes",
                      CLASS_LARGEST_VALUE);
  if (names->count == names->capacity) {
    const int32_t capacity = names->capacity == 0 ? 16 : 2 * names->capacity;
    TRY(memory_allocate((size_t)capacity, sizeof *names->items, "names of classes", &memory));
    if (names->count > 0) memcpy(memory, names->items, (size_t)names->count * sizeof *names->items);
    memory_free(names->items);
    names->items = memory;
    names->capacity = capacity;
  }
  names->last = names->count;
  TileName *item = &names->items[names->count++];
  *item = (TileName){.value = 0};
  (void)snprintf(item->name, sizeof item->name, "%s", name);
  return STATUS_OK;
}

static Status list_folders(const TileLabels *labels, Names *names)
{
  char folder[OUTPUT_PATH_BYTES], path[OUTPUT_PATH_BYTES];
  Status status = STATUS_OK;
  TRY(path_join(labels->folder, "labels", sizeof folder, folder));
  DIR *listing = opendir(folder);
  if (listing == NULL) return status_set(STATUS_IO, "%s: %s", folder, strerror(errno));
  for (const struct dirent *entry = readdir(listing); entry != NULL && status == STATUS_OK;
       entry = readdir(listing)) {
    if (entry->d_name[0] == '.' || strlen(entry->d_name) >= CLASS_FOLDER_BYTES ||
        path_join(folder, entry->d_name, sizeof path, path) != STATUS_OK || !path_is_folder(path))
      continue;
    status = add_name(names, entry->d_name);
  }
  (void)closedir(listing);
  return status;
}

/* labels/FOLDER/STEM.ENDING of a chip; FOLDER may be "". */
static Status label_path(const TileLabels *labels, int64_t chip, const char *folder,
                         const char *ending, char path[OUTPUT_PATH_BYTES])
{
  char name[OUTPUT_PATH_BYTES];
  const char *picture = path_file_name(labels->pairs[chip].image);
  const char *dot = strrchr(picture, '.');
  const int stem = dot == NULL ? (int)strlen(picture) : (int)(dot - picture);
  const int bytes = snprintf(name, sizeof name, "labels/%s%s%.*s%s", folder,
                             *folder == '\0' ? "" : "/", stem, picture, ending);
  if (bytes < 0 || bytes >= (int)sizeof name)
    return status_set(STATUS_BAD_INPUT, "%s: the name is too long", picture);
  return path_join(labels->folder, name, OUTPUT_PATH_BYTES, path);
}

/* None where the chip has no such file. */
static Status read_boxes(const TileLabels *labels, int64_t chip, BoxLabels *boxes)
{
  char path[OUTPUT_PATH_BYTES];
  const bool is_voc = labels->kind == TILE_LABELS_VOC;
  boxes->count = 0;
  TRY(label_path(labels, chip, "", is_voc ? ".xml" : ".txt", path));
  if (!path_exists(path)) return STATUS_OK;
  return is_voc ? box_labels_read_voc(path, boxes) : box_labels_read_kitti(path, boxes);
}

/* KITTI's word for what nobody should learn from. */
static bool is_no_object(const TileLabels *labels, const char *name)
{
  return labels->kind == TILE_LABELS_KITTI && strcmp(name, "DontCare") == 0;
}

static Status list_box_names(const TileLabels *labels, int64_t chip_count, BoxLabels *boxes,
                             Names *names)
{
  for (int64_t chip = 0; chip < chip_count; ++chip) {
    TRY(read_boxes(labels, chip, boxes));
    for (int32_t i = 0; i < boxes->count; ++i)
      if (!is_no_object(labels, boxes->items[i].name)) TRY(add_name(names, boxes->items[i].name));
  }
  return STATUS_OK;
}

/* The value of a class of the tables that has this name, in a folder's spelling or its own. */
static int32_t known_value(const TileTables *tables, const ClassEntry *entries, const char *name)
{
  char folder[CLASS_FOLDER_BYTES];
  for (int32_t i = 0; i < tables->class_count; ++i) {
    class_folder_name(entries, i, folder);
    if (entries[i].value > 0 && (strcmp(folder, name) == 0 || strcmp(entries[i].name, name) == 0))
      return entries[i].value;
  }
  return 0;
}

/* 0 for what is no class value. */
static int32_t value_of_number(const char *name)
{
  char *end;
  const double value = strtod(name, &end);
  if (end == name || *end != '\0' || !(value >= 1 && value <= CLASS_LARGEST_VALUE) ||
      value != floor(value))
    return 0;
  return (int32_t)value;
}

static int by_bytes(const void *left, const void *right)
{
  return strcmp(((const TileName *)left)->name, ((const TileName *)right)->name);
}

static int by_value(const void *left, const void *right)
{
  const TileName *a = left;
  const TileName *b = right;
  return a->value != b->value ? (a->value > b->value) - (a->value < b->value)
                              : strcmp(a->name, b->name);
}

/* used: of each value, whether a class has it. */
static Status give_values(const TileLabels *labels, const TileTables *tables,
                          const ClassEntry *entries, Names *names, uint8_t *used)
{
  int32_t next = 1;
  const bool numbers_first = labels->kind != TILE_LABELS_MASKS; /* ArcGIS writes values there */
  for (int32_t i = 0; i < tables->class_count; ++i)
    used[entries[i].value] = 1;
  for (int32_t i = 0; i < names->count; ++i) {
    const char *name = names->items[i].name;
    const int32_t known = known_value(tables, entries, name);
    const int32_t number = value_of_number(name);
    names->items[i].value =
        numbers_first ? (number != 0 ? number : known) : (known != 0 ? known : number);
    used[names->items[i].value] = 1;
  }
  for (int32_t i = 0; i < names->count; ++i) {
    if (names->items[i].value != 0) continue;
    while (next <= CLASS_LARGEST_VALUE && used[next] != 0)
      ++next;
    if (next > CLASS_LARGEST_VALUE)
      return status_set(STATUS_BAD_INPUT, "the labels name more than %d classes",
                        CLASS_LARGEST_VALUE);
    names->items[i].value = next;
    used[next] = 1;
  }
  return STATUS_OK;
}

static int class_by_value(const void *left, const void *right)
{
  return ((const ChipClass *)left)->entry.value - ((const ChipClass *)right)->entry.value;
}

static bool has_value(const ChipClass *classes, int32_t count, int32_t value)
{
  for (int32_t i = 0; i < count; ++i)
    if (classes[i].entry.value == value) return true;
  return false;
}

/* The tables' classes and those that only the labels name, 0 first. */
static Status complete_classes(const TileLabels *labels, Arena *arena, TileTables *tables)
{
  void *memory;
  const size_t room = (size_t)tables->class_count + (size_t)labels->name_count + 1;
  TRY(arena_allocate(arena, room * sizeof(ChipClass), &memory));
  ChipClass *classes = memory;
  int32_t count = tables->class_count;
  for (int32_t i = 0; i < count; ++i)
    classes[i] = (ChipClass){.entry = tables->classes[i].entry};
  if (!has_value(classes, count, 0))
    classes[count++] = (ChipClass){.entry = class_entry(0, "background")};
  for (int32_t i = 0; i < labels->name_count; ++i)
    if (!has_value(classes, count, labels->names[i].value))
      classes[count++] =
          (ChipClass){.entry = class_entry(labels->names[i].value, labels->names[i].name)};
  qsort(classes, (size_t)count, sizeof *classes, class_by_value);
  tables->classes = classes;
  tables->class_count = count;
  return STATUS_OK;
}

static Status settle_names(TileLabels *labels, Names *names, Arena *arena, TileTables *tables)
{
  void *used, *entries, *kept;
  TRY(arena_allocate(arena, CLASS_LARGEST_VALUE + 1, &used));
  TRY(arena_allocate(arena, ((size_t)tables->class_count + 1) * sizeof(ClassEntry), &entries));
  for (int32_t i = 0; i < tables->class_count; ++i)
    ((ClassEntry *)entries)[i] = tables->classes[i].entry;
  if (names->count > 0) qsort(names->items, (size_t)names->count, sizeof *names->items, by_bytes);
  TRY(give_values(labels, tables, entries, names, used));
  TRY(arena_allocate(arena, ((size_t)names->count + 1) * sizeof(TileName), &kept));
  if (names->count > 0) memcpy(kept, names->items, (size_t)names->count * sizeof(TileName));
  qsort(kept, (size_t)names->count, sizeof(TileName), by_value);
  labels->names = kept;
  labels->name_count = names->count;
  return complete_classes(labels, arena, tables);
}

Status tile_labels_name(TileLabels *labels, int64_t chip_count, Arena *arena, TileTables *tables)
{
  Names names = {.count = 0};
  BoxLabels boxes = {.count = 0};
  Status status = labels->kind == TILE_LABELS_MASKS
                      ? list_folders(labels, &names)
                      : list_box_names(labels, chip_count, &boxes, &names);
  if (status == STATUS_OK) status = settle_names(labels, &names, arena, tables);
  box_labels_free(&boxes);
  memory_free(names.items);
  return status;
}

static Status read_masks_of(const TileLabels *labels, int64_t chip, const TileName *name,
                            ChipObjects *objects)
{
  static const char *const endings[] = {".tif", ".tiff", ".png"};
  char path[OUTPUT_PATH_BYTES];
  uint32_t *ids;
  int32_t width, height;
  size_t ending = 0;
  for (; ending < sizeof endings / sizeof *endings; ++ending) {
    TRY(label_path(labels, chip, name->name, endings[ending], path));
    if (path_exists(path)) break;
  }
  if (ending == sizeof endings / sizeof *endings) return STATUS_OK;
  TRY(chip_ids_read(path, &width, &height, &ids));
  Status status = STATUS_OK;
  if (width != labels->width_px || height != labels->height_px)
    status = status_set(STATUS_BAD_INPUT, "%s: is %d x %d px, its chip %d x %d", path, width,
                        height, labels->width_px, labels->height_px);
  if (status == STATUS_OK)
    status = id_objects_add(ids, width, height, (uint16_t)name->value, objects);
  memory_free(ids);
  return status;
}

static int32_t value_of_name(const TileLabels *labels, const char *name)
{
  for (int32_t i = 0; i < labels->name_count; ++i)
    if (strcmp(labels->names[i].name, name) == 0) return labels->names[i].value;
  return 0;
}

static Status take_box(const TileLabels *labels, const BoxLabel *label, ChipObjects *objects,
                       TileLeftOut *left_out)
{
  const double *b = label->box;
  const float box[4] = {(float)fmax(0, b[0]), (float)fmax(0, b[1]),
                        (float)fmin(labels->width_px, b[2]), (float)fmin(labels->height_px, b[3])};
  const bool finite = isfinite(b[0]) && isfinite(b[1]) && isfinite(b[2]) && isfinite(b[3]);
  if (is_no_object(labels, label->name)) {
    ++left_out->crowds;
    return STATUS_OK;
  }
  if (!finite || !(box[2] > box[0]) || !(box[3] > box[1])) {
    ++left_out->degenerate;
    return STATUS_OK;
  }
  const int32_t value = value_of_name(labels, label->name);
  if (value == 0)
    return status_set(STATUS_BAD_INPUT, "%s: changed while it was in use", labels->folder);
  return chip_objects_add_box(objects, (uint16_t)value, box);
}

static Status read_all_boxes(const TileLabels *labels, int64_t chip, BoxLabels *boxes,
                             ChipObjects *objects, TileLeftOut *left_out)
{
  TRY(read_boxes(labels, chip, boxes));
  for (int32_t i = 0; i < boxes->count; ++i)
    TRY(take_box(labels, &boxes->items[i], objects, left_out));
  return STATUS_OK;
}

Status tile_labels_read(const TileLabels *labels, int64_t chip, ChipObjects *objects,
                        TileLeftOut *left_out)
{
  BoxLabels boxes = {.count = 0};
  if (labels->kind == TILE_LABELS_COCO)
    return object_list_read(&labels->coco.objects, chip, objects);
  if (labels->kind == TILE_LABELS_MASKS) {
    for (int32_t i = 0; i < labels->name_count; ++i)
      TRY(read_masks_of(labels, chip, &labels->names[i], objects));
    return STATUS_OK;
  }
  const Status status = read_all_boxes(labels, chip, &boxes, objects, left_out);
  box_labels_free(&boxes);
  return status;
}

void tile_labels_paint(const ChipObjects *objects, int32_t width_px, int32_t height_px,
                       uint16_t *class_values)
{
  memset(class_values, 0, (size_t)width_px * (size_t)height_px * sizeof *class_values);
  for (int32_t i = 0; i < objects->count; ++i) {
    const ChipObject *object = &objects->items[i];
    const uint8_t *mask = objects->mask_bytes + object->mask_offset;
    for (int64_t p = 0; p < (int64_t)object->width_px * object->height_px; ++p) {
      uint16_t *value = &class_values[(object->y_px + p / object->width_px) * width_px +
                                      object->x_px + p % object->width_px];
      if (mask[p] != 0 && object->class_value > *value) *value = object->class_value;
    }
  }
}
