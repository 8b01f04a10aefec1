#include "store/package.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/output.h"
#include "base/path.h"
#include "folder_list.h"
#include "weight_file.h"

enum { MODEL_NAME_BYTES = 1024 };

/* In a zip or in a folder: exactly one of zip and folder is there. */
struct Package {
  char *path;
  Source *source;
  Zip *zip;
  Arena *arena;
  const char *folder; /* that holds the .emd */
  const char **names; /* of the files; in a zip those of the directory */
  size_t count;
  const char *definition_name;
  size_t prefix_bytes; /* of the .emd's folder inside the zip */
  Document *definition;
};

/* The definition: the .emd with the fewest folders above it, which must be one. */
static Status find_definition(Package *package)
{
  size_t least_depth = SIZE_MAX;
  bool ambiguous = false;
  for (size_t i = 0; i < package->count; ++i) {
    const char *name = package->names[i];
    if (!path_has_ending(name, ".emd")) continue;
    size_t depth = 0;
    for (const char *c = name; *c != '\0'; ++c)
      depth += *c == '/';
    ambiguous = depth == least_depth || (ambiguous && depth > least_depth);
    if (depth >= least_depth) continue;
    least_depth = depth;
    package->definition_name = name;
  }
  if (package->definition_name == NULL)
    return status_set(STATUS_BAD_INPUT, "%s: no .emd (model definition) lies in it", package->path);
  if (ambiguous)
    return status_set(STATUS_BAD_INPUT, "%s: several .emd lie in it; give the path of one",
                      package->path);
  package->prefix_bytes =
      (size_t)(path_file_name(package->definition_name) - package->definition_name);
  return STATUS_OK;
}

static Status parse_definition(Package *package)
{
  void *text;
  size_t byte_count;
  TRY(package_read(package, path_file_name(package->definition_name), DOCUMENT_BYTES_MAX, &text,
                   &byte_count));
  Status status = document_parse(text, byte_count, package->definition_name, &package->definition);
  memory_free(text);
  if (status == STATUS_OK && document_kind(package->definition) != DOCUMENT_OBJECT)
    status = status_set(STATUS_BAD_INPUT, "%s: no JSON object", package->definition_name);
  return status_prefix(status, "%s", package->path);
}

static Status list_zip(Package *package)
{
  void *piece;
  TRY(zip_open(package->source, &package->zip));
  TRY(arena_allocate(package->arena, zip_count(package->zip) * sizeof *package->names, &piece));
  package->names = piece;
  for (size_t i = 0; i < zip_count(package->zip); ++i) {
    const ZipEntry *entry = zip_at(package->zip, i);
    if (!zip_is_folder(entry)) package->names[package->count++] = entry->name;
  }
  return STATUS_OK;
}

static Status open_zip(Package *package)
{
  TRY(list_zip(package));
  TRY(find_definition(package));
  return parse_definition(package);
}

static Status open_folder(Package *package, const char *folder)
{
  char *copy;
  TRY(arena_copy_text(package->arena, folder, &copy));
  package->folder = copy;
  TRY(folder_list(copy, PACKAGE_MEMBERS_MAX, package->arena, &package->names, &package->count));
  TRY(find_definition(package));
  return parse_definition(package);
}

/* An .emd by name: its neighbours are not listed, since a download folder may hold anything. */
static Status open_emd(Package *package, const char *path)
{
  void *piece;
  char *copy;
  const size_t folder_bytes = (size_t)(path_file_name(path) - path);
  TRY(arena_copy_text(package->arena, folder_bytes == 0 ? "." : path, &copy));
  if (folder_bytes > 0) copy[folder_bytes] = '\0';
  package->folder = copy;
  TRY(arena_copy_text(package->arena, path_file_name(path), &copy));
  TRY(arena_allocate(package->arena, sizeof *package->names, &piece));
  package->names = piece;
  package->names[package->count++] = copy;
  package->definition_name = copy;
  return parse_definition(package);
}

static Status fill(Package *package, const char *path)
{
  TRY(memory_copy_text(path, &package->path));
  TRY(arena_open(&package->arena));
  if (package->source != NULL) return open_zip(package);
  if (path_is_folder(path)) return open_folder(package, path);
  TRY(source_open_file(path, &package->source));
  uint8_t mark[2] = {0};
  const int64_t bytes = source_bytes(package->source);
  if (bytes >= 2) TRY(source_read(package->source, 0, mark, sizeof mark));
  return mark[0] == 'P' && mark[1] == 'K' ? open_zip(package) : open_emd(package, path);
}

/* Takes the source. */
static Status open_any(Source *source, const char *path, Package **package)
{
  void *memory;
  *package = NULL;
  Status status = memory_allocate(1, sizeof **package, "package", &memory);
  if (status != STATUS_OK) {
    source_close(source);
    return status;
  }
  Package *opening = memory;
  opening->source = source;
  status = fill(opening, path);
  if (status == STATUS_OK)
    *package = opening;
  else
    package_close(opening);
  return status;
}

Status package_open(const char *path, Package **package)
{
  return open_any(NULL, path, package);
}

Status package_open_memory(const void *bytes, size_t byte_count, const char *name,
                           Package **package)
{
  Source *source;
  *package = NULL;
  TRY(source_open_memory(bytes, byte_count, name, &source));
  return open_any(source, name, package);
}

void package_close(Package *package)
{
  if (package == NULL) return;
  document_close(package->definition);
  zip_close(package->zip);
  source_close(package->source);
  arena_close(package->arena);
  memory_free(package->path);
  memory_free(package);
}

const Document *package_definition(const Package *package)
{
  return package->definition;
}

const char *package_definition_name(const Package *package)
{
  return package->definition_name;
}

size_t package_member_count(const Package *package)
{
  return package->count;
}

const char *package_member_name(const Package *package, size_t index)
{
  return package->names[index];
}

/* Where a name of the definition leads: below the .emd's folder, nowhere else. */
static Status resolve(const Package *package, const char *name, size_t bytes, char *resolved)
{
  const int written = snprintf(resolved, bytes, "%s", name);
  for (char *c = resolved; *c != '\0'; ++c)
    if (*c == '\\') *c = '/';
  const size_t skipped = strncmp(resolved, "./", 2) == 0 ? 2 : 0;
  memmove(resolved, resolved + skipped, strlen(resolved) - skipped + 1);
  if (written < 0 || (size_t)written >= bytes || !zip_is_safe_name(resolved))
    return status_set(STATUS_BAD_INPUT,
                      "%s: the name “%.200s” is not one of a file inside the package",
                      package->path, name);
  return STATUS_OK;
}

static const ZipEntry *find_entry(const Package *package, const char *resolved)
{
  char path[2 * MODEL_NAME_BYTES];
  const int written = snprintf(path, sizeof path, "%.*s%s", (int)package->prefix_bytes,
                               package->definition_name, resolved);
  return written < 0 || (size_t)written >= sizeof path ? NULL : zip_find(package->zip, path);
}

static Status missing(const Package *package, const char *name)
{
  return status_set(STATUS_BAD_INPUT, "%s: the file “%.200s” is not in the package", package->path,
                    name);
}

static Status file_path(const Package *package, const char *resolved, size_t bytes, char *path)
{
  char below[2 * MODEL_NAME_BYTES];
  const int written = snprintf(below, sizeof below, "%.*s%s", (int)package->prefix_bytes,
                               package->definition_name, resolved);
  if (written < 0 || (size_t)written >= sizeof below) return missing(package, resolved);
  TRY(path_join(package->folder, below, bytes, path));
  return path_exists(path) ? STATUS_OK : missing(package, resolved);
}

static Status read_whole(const Source *source, size_t limit_bytes, void **bytes, size_t *byte_count)
{
  const size_t wanted = (size_t)source_bytes(source);
  void *memory;
  if (wanted > limit_bytes)
    return status_set(STATUS_BAD_INPUT, "%s has %zu bytes; at most %zu are read",
                      source_name(source), wanted, limit_bytes);
  TRY(memory_allocate(wanted + 1, 1, source_name(source), &memory));
  const Status status = source_read(source, 0, memory, wanted);
  if (status != STATUS_OK) {
    memory_free(memory);
    return status;
  }
  *bytes = memory;
  *byte_count = wanted;
  return STATUS_OK;
}

static Status read_file(const char *path, size_t limit_bytes, void **bytes, size_t *byte_count)
{
  Source *source;
  TRY(source_open_file(path, &source));
  const Status status = read_whole(source, limit_bytes, bytes, byte_count);
  source_close(source);
  return status;
}

static Status read_entry(const Package *package, const ZipEntry *entry, size_t limit_bytes,
                         void **bytes, size_t *byte_count)
{
  const int64_t limit = limit_bytes < INT64_MAX ? (int64_t)limit_bytes : INT64_MAX - 1;
  return zip_read(package->zip, entry, limit, bytes, byte_count);
}

Status package_read(const Package *package, const char *name, size_t limit_bytes, void **bytes,
                    size_t *byte_count)
{
  char resolved[MODEL_NAME_BYTES];
  char path[OUTPUT_PATH_BYTES];
  *bytes = NULL;
  *byte_count = 0;
  TRY(resolve(package, name, sizeof resolved, resolved));
  if (package->zip != NULL) {
    const ZipEntry *entry = find_entry(package, resolved);
    if (entry == NULL || zip_is_folder(entry)) return missing(package, name);
    return read_entry(package, entry, limit_bytes, bytes, byte_count);
  }
  TRY(file_path(package, resolved, sizeof path, path));
  return read_file(path, limit_bytes, bytes, byte_count);
}

Status package_read_member(const Package *package, size_t index, size_t limit_bytes, void **bytes,
                           size_t *byte_count)
{
  char path[OUTPUT_PATH_BYTES];
  const char *name = package->names[index];
  *bytes = NULL;
  *byte_count = 0;
  if (package->zip != NULL)
    return read_entry(package, zip_find(package->zip, name), limit_bytes, bytes, byte_count);
  TRY(path_join(package->folder, name, sizeof path, path));
  return read_file(path, limit_bytes, bytes, byte_count);
}

Status package_member_bytes(const Package *package, size_t index, int64_t *bytes)
{
  char path[OUTPUT_PATH_BYTES];
  if (package->zip != NULL) {
    *bytes = zip_find(package->zip, package->names[index])->bytes;
    return STATUS_OK;
  }
  TRY(path_join(package->folder, package->names[index], sizeof path, path));
  return path_size_bytes(path, bytes);
}

static Status open_weights_file(const Package *package, const char *name, WeightFile **weights)
{
  const int64_t unpacked_bytes_max = INT64_C(1) << 32;
  char resolved[MODEL_NAME_BYTES];
  char path[OUTPUT_PATH_BYTES];
  Source *source;
  TRY(resolve(package, name, sizeof resolved, resolved));
  if (package->zip != NULL) {
    const ZipEntry *entry = find_entry(package, resolved);
    if (entry == NULL || zip_is_folder(entry)) return missing(package, name);
    TRY(zip_check(package->zip, entry));
    TRY(zip_open_source(package->zip, entry, unpacked_bytes_max, &source));
  } else {
    TRY(file_path(package, resolved, sizeof path, path));
    TRY(source_open_file(path, &source));
  }
  return weights_open_source(source, NULL, weights);
}

Status package_open_weights(const Package *package, WeightFile **weights)
{
  const char *name;
  *weights = NULL;
  TRY(status_prefix(document_get_text(package->definition, "ModelFile", &name, NULL), "%s, %s",
                    package->path, package->definition_name));
  return open_weights_file(package, name, weights);
}
