#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/output.h"
#include "base/path.h"
#include "safetensors_plan.h"
#include "source.h"
#include "store/package.h"
#include "zip_reader.h"
#include "zip_writer.h"

enum { BLOCK_BYTES = 65536 };

static Status copy_source(ZipWriter *writer, const char *name, const Source *source)
{
  uint8_t block[BLOCK_BYTES];
  const int64_t bytes = source_bytes(source);
  TRY(zip_writer_begin(writer, name, bytes));
  for (int64_t at = 0; at < bytes; at += BLOCK_BYTES) {
    const size_t count = (size_t)(bytes - at < BLOCK_BYTES ? bytes - at : BLOCK_BYTES);
    TRY(source_read(source, at, block, count));
    TRY(zip_writer_add(writer, block, count));
  }
  return zip_writer_end(writer);
}

static Status add_file(ZipWriter *writer, const char *name, const char *path)
{
  Source *source;
  TRY(source_open_file(path, &source));
  const Status status = copy_source(writer, name, source);
  source_close(source);
  return status;
}

static Status emit_weights(ZipWriter *writer, const char *name, const SafetensorsPlan *plan)
{
  TRY(zip_writer_begin(writer, name, plan->total_bytes));
  TRY(safetensors_emit(plan, zip_writer_add, writer));
  return zip_writer_end(writer);
}

static Status add_weights(ZipWriter *writer, const PackageItem *item)
{
  SafetensorsPlan plan;
  TRY(safetensors_plan(item->weights, item->weight_count, item->notes, item->note_count, &plan));
  const Status status = emit_weights(writer, item->name, &plan);
  safetensors_plan_close(&plan);
  return status;
}

static Status add_item(ZipWriter *writer, const PackageItem *item)
{
  if (item->path != NULL) return add_file(writer, item->name, item->path);
  if (item->weights != NULL) return add_weights(writer, item);
  return zip_writer_member(writer, item->name, item->bytes, item->byte_count);
}

static int by_name(const void *left, const void *right)
{
  return strcmp((*(const PackageItem *const *)left)->name,
                (*(const PackageItem *const *)right)->name);
}

static Status check_items(const PackageItem *const *items, size_t count)
{
  for (size_t i = 0; i < count; ++i) {
    if (!zip_is_safe_name(items[i]->name) || strchr(items[i]->name, '\\') != NULL)
      return status_set(STATUS_BAD_INPUT, "“%.200s” is no name for a file inside a package",
                        items[i]->name);
    if (i > 0 && strcmp(items[i]->name, items[i - 1]->name) == 0)
      return status_set(STATUS_BAD_INPUT, "two files are named “%.200s”", items[i]->name);
  }
  return STATUS_OK;
}

static Status check_model_file(const char *definition_name, const Document *definition,
                               const PackageItem *items, size_t item_count)
{
  const char *model;
  TRY(status_prefix(document_get_text(definition, "ModelFile", &model, NULL), "%s",
                    definition_name));
  for (size_t i = 0; i < item_count; ++i)
    if (strcmp(items[i].name, model) == 0) return STATUS_OK;
  return status_set(STATUS_BAD_INPUT, "%s: its ModelFile “%.200s” is not among the files",
                    definition_name, model);
}

static Status write_zip(const char *aside, const PackageItem *const *items, size_t count)
{
  ZipWriter *writer;
  TRY(zip_writer_open(aside, &writer));
  Status status = STATUS_OK;
  for (size_t i = 0; i < count && status == STATUS_OK; ++i)
    status = add_item(writer, items[i]);
  if (status == STATUS_OK) status = zip_writer_finish(writer);
  zip_writer_close(writer);
  return status;
}

static Status write_sorted(const char *path, const PackageItem **items, size_t count)
{
  char aside[OUTPUT_PATH_BYTES];
  qsort(items, count, sizeof *items, by_name);
  TRY(check_items(items, count));
  TRY(output_aside(path, aside));
  Status status = write_zip(aside, items, count);
  if (status == STATUS_OK) status = output_commit(path);
  if (status != STATUS_OK) output_discard(path);
  return status;
}

static Status write_items(const char *path, const PackageItem *definition, const PackageItem *items,
                          size_t item_count)
{
  void *memory;
  TRY(memory_allocate(item_count + 1, sizeof(PackageItem *), "members of a package", &memory));
  const PackageItem **sorted = memory;
  sorted[0] = definition;
  for (size_t i = 0; i < item_count; ++i)
    sorted[i + 1] = &items[i];
  const Status status = write_sorted(path, sorted, item_count + 1);
  memory_free(memory);
  return status_prefix(status, "%s", path);
}

Status package_write(const char *path, const char *definition_name, const Document *definition,
                     const PackageItem *items, size_t item_count)
{
  char *text;
  TRY(status_prefix(check_model_file(definition_name, definition, items, item_count), "%s", path));
  if (!path_has_ending(definition_name, ".emd"))
    return status_set(STATUS_BAD_OPTION, "%s: the definition “%.200s” must end with .emd", path,
                      definition_name);
  TRY(document_format(definition, DOCUMENT_PRETTY, &text));
  const PackageItem item = {.name = definition_name, .bytes = text, .byte_count = strlen(text)};
  const Status status = write_items(path, &item, items, item_count);
  memory_free(text);
  return status;
}

static Status emit_bytes(const void *item, WriteSink *sink, void *sink_context)
{
  const PackageItem *member = item;
  return sink(sink_context, member->bytes, member->byte_count);
}

static Status extract_one(const Package *package, size_t index, const char *folder)
{
  char path[OUTPUT_PATH_BYTES];
  char above[OUTPUT_PATH_BYTES];
  PackageItem member = {.name = package_member_name(package, index)};
  void *bytes;
  TRY(path_join(folder, member.name, sizeof path, path));
  memcpy(above, path, sizeof above);
  above[path_file_name(path) - path] = '\0';
  TRY(output_make_folder(above));
  TRY(package_read_member(package, index, SIZE_MAX, &bytes, &member.byte_count));
  member.bytes = bytes;
  const Status status = sink_write_file(path, emit_bytes, &member);
  memory_free(bytes);
  return status;
}

Status package_extract(const Package *package, const char *folder)
{
  TRY(output_make_folder(folder));
  for (size_t i = 0; i < package_member_count(package); ++i)
    TRY(extract_one(package, i, folder));
  return STATUS_OK;
}
