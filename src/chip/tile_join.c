/* The tables of a Classified_Tiles folder, in the form in which ArcGIS writes them. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/output.h"
#include "base/path.h"
#include "chip/chip_writer.h"
#include "store/document.h"
#include "tile_definition.h"

typedef Status WriteTable(FILE *stream, const ChipForm *form, const ChipStory *story,
                          const SetSum *sum);

static Status write_map(FILE *stream, const ChipForm *form, const ChipStory *story,
                        const SetSum *sum)
{
  const char slash = story->forward_slashes ? '/' : '\\';
  int written = 0;
  for (int64_t i = 0; written >= 0 && i < sum->chip_count; ++i)
    written = fprintf(stream, "images%c%09" PRId64 ".tif  labels%c%09" PRId64 ".tif \r\n", slash, i,
                      slash, i);
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

static Status write_statistics(FILE *stream, const ChipForm *form, const ChipStory *story,
                               const SetSum *sum)
{
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

static Status write_table(const char *folder, const char *name, WriteTable *write,
                          const ChipForm *form, const ChipStory *story, const SetSum *sum)
{
  char path[OUTPUT_PATH_BYTES];
  TRY(path_join(folder, name, sizeof path, path));
  FILE *stream = fopen(path, "we");
  if (stream == NULL) return status_set(STATUS_IO, "cannot write %s: %s", path, strerror(errno));
  const Status status = write(stream, form, story, sum);
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

static Status save_document(const char *folder, const char *name, BuildDocument *build,
                            const ChipForm *form, const ChipStory *story, const SetSum *sum)
{
  Document *root = NULL;
  char *text = NULL;
  TRY(document_new_object(&root));
  Status status = build(root, form, story, sum);
  if (status == STATUS_OK) status = document_format(root, DOCUMENT_PRETTY, &text);
  if (status == STATUS_OK) status = save_text(folder, name, text);
  memory_free(text);
  document_close(root);
  return status;
}

Status chip_tiles_join(const char *set_folder, const ChipForm *form, const ChipStory *story,
                       const SetSum *sum)
{
  TRY(save_document(set_folder, "esri_accumulated_stats.json", tile_statistics_build, form, story,
                    sum));
  TRY(save_document(set_folder, "esri_model_definition.emd", tile_definition_build, form, story,
                    sum));
  TRY(write_table(set_folder, "stats.txt", write_statistics, form, story, sum));
  return write_table(set_folder, "map.txt", write_map, form, story, sum);
}
