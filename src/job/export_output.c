#include "export_output.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "store/checksum.h"
#include "store/journal.h"

static const char journal_name[] = "job.journal";

static Status name_beside(const ExportOutput *output, const char *prefix, const char *ending,
                          char name[OUTPUT_PATH_BYTES])
{
  const char *file = path_file_name(output->path);
  const char *dot = chip_format_is_arrays(output->format) ? strrchr(file, '.') : NULL;
  const int stem = dot == NULL ? (int)strlen(file) : (int)(dot - file);
  const int bytes = snprintf(name, OUTPUT_PATH_BYTES, "%.*s%s%.*s%s", (int)(file - output->path),
                             output->path, prefix, stem, file, ending);
  if (bytes < 0 || bytes >= OUTPUT_PATH_BYTES)
    return status_set(STATUS_BAD_OPTION, "--output=%.80s… is too long; give a shorter path",
                      output->path);
  return STATUS_OK;
}

Status export_output_name(const ExportOptions *options, ExportOutput *output)
{
  *output = (ExportOutput){.format = (ChipFormat)options->format};
  size_t length = strlen(options->output);
  while (length > 1 && options->output[length - 1] == '/')
    --length;
  if (length >= OUTPUT_PATH_BYTES - 64)
    return status_set(STATUS_BAD_OPTION, "--output=%.80s… is too long; give a shorter path",
                      options->output);
  memcpy(output->path, options->output, length);
  TRY(name_beside(output, ".", ".work", output->work));
  TRY(name_beside(output, "", ".shards", output->shards));
  TRY(name_beside(output, ".", ".part", output->set_folder));
  return name_beside(output, ".", chip_format_is_arrays(output->format) ? ".joined.h5" : ".old",
                     output->aside);
}

/* A set that overwrite may remove: never a folder that is something else. */
static Status check_replaceable(const ExportOutput *output, bool overwrite)
{
  char map[OUTPUT_PATH_BYTES];
  if (!path_exists(output->path)) return STATUS_OK;
  if (!overwrite)
    return status_set(STATUS_BAD_OPTION, "%s is there already; --overwrite=yes replaces it",
                      output->path);
  if (chip_format_is_arrays(output->format)) return STATUS_OK;
  TRY(path_join(output->path, "map.txt", sizeof map, map));
  if (path_exists(map)) return STATUS_OK;
  return status_set(STATUS_BAD_OPTION,
                    "%s is not replaced: it is no chip set (it has no map.txt); give another name",
                    output->path);
}

/* Files are told by size and time; what is no local file by its name alone. */
static void add_file(Checksum *sum, const char *path)
{
  struct stat found;
  checksum_add_text(sum, path);
  if (stat(path, &found) != 0) return;
  const int64_t facts[3] = {(int64_t)found.st_size, (int64_t)found.st_mtim.tv_sec,
                            (int64_t)found.st_mtim.tv_nsec};
  checksum_add(sum, facts, sizeof facts);
}

static Status identity_of(const ExportOptions *options, const ExportSources *sources, Arena *arena,
                          char identity[17])
{
  Checksum sum = checksum_start(CHIP_SET_VERSION);
  for (size_t i = 0; i < export_table.count; ++i) {
    char *text;
    TRY(options_format(&export_table, options, i, arena, &text));
    if (strcmp(export_table.options[i].name, "overwrite") != 0) checksum_add_text(&sum, text);
  }
  for (int32_t i = 0; i < sources->count; ++i)
    add_file(&sum, sources->sources[i].path);
  add_file(&sum, options->labels);
  add_file(&sum, options->mask);
  checksum_text(checksum_value(&sum), identity);
  return STATUS_OK;
}

/* The journal only says whose parts these are: each part appears under its name when it is whole.
 */
static Status mark(const char *work, const char *identity)
{
  char path[OUTPUT_PATH_BYTES];
  Journal *journal = NULL;
  TRY(path_join(work, journal_name, sizeof path, path));
  TRY(output_make_folder(work));
  const Status status = journal_open(path, identity, &journal);
  journal_close(journal);
  return status;
}

Status export_output_prepare(const ExportOutput *output, const ExportOptions *options,
                             const ExportSources *sources, Arena *arena)
{
  char identity[17];
  const bool was_there = path_exists(output->work);
  const bool is_replaced_folder =
      !chip_format_is_arrays(output->format) && path_is_folder(output->path);
  TRY(check_replaceable(output, options->overwrite));
  TRY(output_check_writable(is_replaced_folder ? output->aside : output->path));
  TRY(identity_of(options, sources, arena, identity));
  const Status status = mark(output->work, identity);
  if (status != STATUS_MISMATCH && status != STATUS_BAD_INPUT) {
    if (status != STATUS_OK && !was_there) export_output_discard(output);
    return status;
  }
  TRY(path_remove_tree(output->work));
  TRY(path_remove_tree(output->set_folder));
  return mark(output->work, identity);
}

static Status rename_to(const char *from, const char *to)
{
  if (rename(from, to) == 0) return STATUS_OK;
  return status_set(STATUS_IO, "cannot rename %s to %s: %s", from, to, strerror(errno));
}

static Status remove_journal(const char *work)
{
  char path[OUTPUT_PATH_BYTES];
  TRY(path_join(work, journal_name, sizeof path, path));
  return path_remove_tree(path);
}

/* The old file goes before its shards do: it would be half a set. */
static Status replace_arrays(const ExportOutput *output)
{
  TRY(path_remove_tree(output->path));
  TRY(path_remove_tree(output->shards));
  TRY(rename_to(output->work, output->shards));
  TRY(rename_to(output->aside, output->path));
  return remove_journal(output->shards);
}

Status export_output_publish_arrays(const ExportOutput *output, const ChipForm *form,
                                    const ChipStory *story, int32_t part_count,
                                    const ShardCount *counts, const SetSum *sum)
{
  TRY(chip_arrays_join(output->aside, path_file_name(output->shards), form, story, part_count,
                       counts, sum));
  return replace_arrays(output);
}

Status export_output_publish_tiles(const ExportOutput *output, const ChipForm *form,
                                   const ChipStory *story, int32_t part_count,
                                   const ShardCount *counts, const SetSum *sum)
{
  const bool replaces = path_exists(output->path);
  TRY(chip_tiles_join(output->set_folder, form, story, sum, output->work, part_count, counts));
  TRY(path_remove_tree(output->aside));
  if (replaces) TRY(rename_to(output->path, output->aside));
  const Status status = rename_to(output->set_folder, output->path);
  if (status != STATUS_OK) {
    if (replaces) (void)rename(output->aside, output->path);
    return status;
  }
  TRY(path_remove_tree(output->aside));
  return path_remove_tree(output->work);
}

void export_output_discard(const ExportOutput *output)
{
  char sentence[1024]; /* removing may fail, which is not what went wrong */
  (void)snprintf(sentence, sizeof sentence, "%s", status_message());
  (void)path_remove_tree(output->work);
  if (!chip_format_is_arrays(output->format))
    (void)path_remove_tree(output->set_folder);
  else
    (void)path_remove_tree(output->aside);
  (void)status_set(STATUS_IO, "%s", sentence);
}
