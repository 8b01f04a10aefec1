/* The tables of a folder of chips, in the form in which ArcGIS writes them. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/output.h"
#include "base/path.h"
#include "chip/chip_writer.h"
#include "class_folder.h"
#include "coco_writer.h"
#include "store/document.h"
#include "tile_definition.h"

/* What the tables are made from. */
typedef struct Join {
  const char *folder; /* the set's */
  const ChipForm *form;
  const ChipStory *story;
  const SetSum *sum;
} Join;

typedef Status WriteTable(FILE *stream, const Join *join);

/* The labels of the classes that the chip has: a column each. */
static int write_masks(FILE *stream, const Join *join, int64_t chip, char slash)
{
  int written = 0;
  for (int32_t i = 1; written >= 0 && i < join->form->class_count; ++i) {
    char class_name[CLASS_FOLDER_BYTES], name[CLASS_FOLDER_BYTES + 64], path[OUTPUT_PATH_BYTES];
    class_folder_name(join->form->classes, i, class_name);
    (void)snprintf(name, sizeof name, "labels/%s/%09" PRId64 ".tif", class_name, chip);
    if (path_join(join->folder, name, sizeof path, path) != STATUS_OK || !path_exists(path))
      continue;
    written = fprintf(stream, " labels%c%s%c%09" PRId64 ".tif ", slash, class_name, slash, chip);
  }
  return written;
}

static int write_labels(FILE *stream, const Join *join, int64_t chip, char slash)
{
  switch (join->form->format) {
  case CHIP_FORMAT_RCNN_MASKS: return write_masks(stream, join, chip, slash);
  case CHIP_FORMAT_PASCAL_VOC: return fprintf(stream, " labels%c%09" PRId64 ".xml ", slash, chip);
  case CHIP_FORMAT_CLASSIFIED_TILES:
    return fprintf(stream, " labels%c%09" PRId64 ".tif ", slash, chip);
  case CHIP_FORMAT_COCO: /* annotations.json has them */
  case CHIP_FORMAT_CHIPS:
  case CHIP_FORMAT_INSTANCES: break;
  }
  return 0;
}

static Status write_map(FILE *stream, const Join *join)
{
  const char slash = join->story->forward_slashes ? '/' : '\\';
  int written = 0;
  for (int64_t i = 0; written >= 0 && i < join->sum->chip_count; ++i) {
    written = fprintf(stream, "images%c%09" PRId64 ".tif ", slash, i);
    if (written >= 0) written = write_labels(stream, join, i, slash);
    if (written >= 0) written = fputs("\r\n", stream);
  }
  return written < 0 ? STATUS_IO : STATUS_OK;
}

static double per_chip(int64_t total, const SetSum *sum)
{
  return sum->chip_count == 0 ? 0 : (double)total / (double)sum->chip_count;
}

static int write_class_row(FILE *stream, const ClassEntry *entry, const ClassSum *class_sum,
                           const SetSum *sum)
{
  char value[16];
  (void)snprintf(value, sizeof value, "%d", entry->value);
  const int name_width = 31 - (int)strlen(value);
  return fprintf(stream, "%-*s%s%11" PRId64 "%11" PRId64 "%12.2f%12.2f%12.2f\n", name_width,
                 entry->name, value, class_sum->chip_count, class_sum->pixel_count,
                 (double)class_sum->least, per_chip(class_sum->pixel_count, sum),
                 (double)class_sum->most);
}

static int write_object_row(FILE *stream, const ClassEntry *entry, const ObjectSum *objects)
{
  char value[16];
  (void)snprintf(value, sizeof value, "%d", entry->value);
  const int name_width = 31 - (int)strlen(value);
  return fprintf(stream, "%-*s%s%11" PRId64 "%11" PRId64 "%12.2f%12.2f%12.2f\n", name_width,
                 entry->name, value, objects->chip_count, objects->count, objects->area_least,
                 objects->count == 0 ? 0 : objects->area_sum / (double)objects->count,
                 objects->area_most);
}

static Status write_object_statistics(FILE *stream, const Join *join)
{
  const ChipForm *form = join->form;
  const SetSum *sum = join->sum;
  int written = fprintf(
      stream,
      "images = %" PRId64 " *%d*%d*%d\nfeatures = %" PRId64 "\n"
      "features per image = [min = %" PRId64 ", mean = %.2f, max = %" PRId64 "]\nclasses = %d\n"
      "cls name              cls value     images   features    min size   mean size    max size\n",
      sum->chip_count, form->band_count, form->width_px, form->height_px, sum->object_count,
      sum->objects_least, per_chip(sum->object_count, sum), sum->objects_most,
      form->class_count - 1);
  for (int32_t i = 1; written >= 0 && i < form->class_count; ++i)
    written = write_object_row(stream, &form->classes[i], &sum->objects[i]);
  return written < 0 ? STATUS_IO : STATUS_OK;
}

static Status write_statistics(FILE *stream, const Join *join)
{
  const ChipForm *form = join->form;
  const SetSum *sum = join->sum;
  if (chip_format_has_objects(form->format)) return write_object_statistics(stream, join);
  int written = fprintf(
      stream,
      "images = %" PRId64 " *%d*%d*%d\nclasses = %d\n"
      "classes per image = [min = %" PRId64 ", mean = %.2f, max = %" PRId64 "]\n"
      "cls name              cls value     images   pixels      min size   mean size    max size\n",
      sum->chip_count, form->band_count, form->width_px, form->height_px, form->class_count - 1,
      sum->classes_per_chip_least, per_chip(sum->classes_per_chip_sum, sum),
      sum->classes_per_chip_most);
  for (int32_t i = 1; written >= 0 && i < form->class_count; ++i)
    written = write_class_row(stream, &form->classes[i], &sum->classes[i], sum);
  return written < 0 ? STATUS_IO : STATUS_OK;
}

static Status write_table(const Join *join, const char *name, WriteTable *write)
{
  char path[OUTPUT_PATH_BYTES];
  TRY(path_join(join->folder, name, sizeof path, path));
  FILE *stream = fopen(path, "we");
  if (stream == NULL) return status_set(STATUS_IO, "cannot write %s: %s", path, strerror(errno));
  const Status status = write(stream, join);
  const int reason = errno;
  if (fclose(stream) != 0 || status != STATUS_OK)
    return status_set(STATUS_IO, "cannot write %s: %s", path,
                      strerror(status != STATUS_OK ? reason : errno));
  return STATUS_OK;
}

/* ArcGIS sets a blank before the colon, too. */
static int write_spaced(FILE *stream, const char *text)
{
  bool quoted = false;
  int outcome = 0;
  for (const char *c = text; outcome >= 0 && *c != '\0'; ++c) {
    if (quoted && *c == '\\') {
      outcome = fputc(*c++, stream);
    } else if (*c == '"') {
      quoted = !quoted;
    } else if (*c == ':' && !quoted) {
      outcome = fputc(' ', stream);
    }
    if (outcome >= 0) outcome = fputc(*c, stream);
  }
  return outcome;
}

static Status save_text(const char *folder, const char *name, const char *text)
{
  char path[OUTPUT_PATH_BYTES];
  TRY(path_join(folder, name, sizeof path, path));
  FILE *stream = fopen(path, "we");
  if (stream == NULL) return status_set(STATUS_IO, "cannot write %s: %s", path, strerror(errno));
  const int written = write_spaced(stream, text);
  if (fclose(stream) != 0 || written < 0)
    return status_set(STATUS_IO, "cannot write %s: %s", path, strerror(errno));
  return STATUS_OK;
}

typedef Status BuildDocument(Document *root, const ChipForm *form, const ChipStory *story,
                             const SetSum *sum);

static Status save_document(const Join *join, const char *name, BuildDocument *build)
{
  Document *root = NULL;
  char *text = NULL;
  TRY(document_new_object(&root));
  Status status = build(root, join->form, join->story, join->sum);
  if (status == STATUS_OK) status = document_format(root, DOCUMENT_PRETTY, &text);
  if (status == STATUS_OK) status = save_text(join->folder, name, text);
  memory_free(text);
  document_close(root);
  return status;
}

Status chip_tiles_join(const char *set_folder, const ChipForm *form, const ChipStory *story,
                       const SetSum *sum, const char *folder, int32_t shard_count,
                       const ShardCount *counts)
{
  const Join join = {set_folder, form, story, sum};
  TRY(save_document(&join, "esri_accumulated_stats.json", tile_statistics_build));
  TRY(save_document(&join, "esri_model_definition.emd", tile_definition_build));
  if (form->format == CHIP_FORMAT_COCO)
    TRY(coco_writer_write(set_folder, form, folder, shard_count, counts));
  TRY(write_table(&join, "stats.txt", write_statistics));
  return write_table(&join, "map.txt", write_map);
}
