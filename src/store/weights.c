#include "store/weights.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/path.h"
#include "weight_file.h"

/* What a file is, by its first bytes. */
typedef enum Content {
  CONTENT_UNKNOWN,
  CONTENT_EMPTY,
  CONTENT_SAFETENSORS,
  CONTENT_ZIP,
  CONTENT_PICKLE,
  CONTENT_TAR,
  CONTENT_JSON
} Content;

static Status find_content(const Source *source, Content *content)
{
  enum { TAR_MARK_AT = 257, HEAD_BYTES = 262 };
  uint8_t head[HEAD_BYTES] = {0};
  const int64_t bytes = source_bytes(source);
  TRY(source_read(source, 0, head, (size_t)(bytes < HEAD_BYTES ? bytes : HEAD_BYTES)));
  *content = CONTENT_UNKNOWN;
  if (bytes == 0)
    *content = CONTENT_EMPTY;
  else if (bytes > 8 && head[8] == '{' && le64(head) <= (uint64_t)bytes - 8)
    *content = CONTENT_SAFETENSORS;
  else if (memcmp(head, "PK", 2) == 0)
    *content = CONTENT_ZIP;
  else if (head[0] == 0x80)
    *content = CONTENT_PICKLE;
  else if (memcmp(head + TAR_MARK_AT, "ustar", 5) == 0)
    *content = CONTENT_TAR;
  else if (head[0] == '{' || memcmp(head, "\xEF\xBB\xBF{", 4) == 0)
    *content = CONTENT_JSON;
  return STATUS_OK;
}

static Status read_tensors(WeightFile *file)
{
  Content content;
  TRY(find_content(file->source, &content));
  switch (content) {
  case CONTENT_SAFETENSORS: return safetensors_read(file);
  case CONTENT_ZIP: return pth_read_zip(file);
  case CONTENT_PICKLE: return pth_read_legacy(file);
  case CONTENT_TAR:
    return status_set(STATUS_UNSUPPORTED,
                      "%s: a tar file of a PyTorch before 0.1.10 is not read; load it in PyTorch "
                      "and save its state_dict again",
                      file->path);
  case CONTENT_EMPTY: return status_set(STATUS_BAD_INPUT, "%s: the file is empty", file->path);
  default:
    return status_set(STATUS_BAD_INPUT,
                      "%s: neither safetensors nor a PyTorch file nor a model package, or damaged",
                      file->path);
  }
}

bool weight_count_elements(Weight *weight)
{
  int64_t count = 1;
  bool fits = true;
  for (int32_t i = 0; i < weight->rank; ++i)
    if (weight->dims[i] == 0) count = 0;
  for (int32_t i = 0; count > 0 && fits && i < weight->rank; ++i)
    fits = !__builtin_mul_overflow(count, weight->dims[i], &count);
  weight->element_count = count;
  return fits;
}

void weight_contiguous_strides(const Weight *weight, int64_t strides[WEIGHT_RANK_MAX])
{
  int64_t stride = 1;
  for (int32_t i = weight->rank - 1; i >= 0; --i) {
    strides[i] = stride;
    if (weight->element_count > 0) stride *= weight->dims[i];
  }
}

/* DataParallel puts "module." before every name. */
static void strip_prefix(WeightFile *file)
{
  static const char prefix[] = "module.";
  for (size_t i = 0; i < file->count; ++i)
    if (strncmp(file->tensors[i].weight.name, prefix, strlen(prefix)) != 0) return;
  for (size_t i = 0; i < file->count; ++i)
    file->tensors[i].weight.name += strlen(prefix);
}

static int by_name(const void *left, const void *right)
{
  return strcmp((*(const StoredTensor *const *)left)->weight.name,
                (*(const StoredTensor *const *)right)->weight.name);
}

static Status sort_names(WeightFile *file)
{
  void *piece;
  TRY(arena_allocate(file->arena, file->count * sizeof *file->sorted, &piece));
  file->sorted = piece;
  for (size_t i = 0; i < file->count; ++i)
    file->sorted[i] = &file->tensors[i];
  if (file->count > 0) qsort(file->sorted, file->count, sizeof *file->sorted, by_name);
  for (size_t i = 1; i < file->count; ++i)
    if (by_name(&file->sorted[i - 1], &file->sorted[i]) == 0)
      return status_set(STATUS_BAD_INPUT, "%s: the name “%.200s” stands in it twice", file->path,
                        file->sorted[i]->weight.name);
  return STATUS_OK;
}

static Status prepare(WeightFile *file)
{
  void *piece;
  TRY(memory_copy_text(source_name(file->source), &file->path));
  TRY(arena_open(&file->arena));
  TRY(read_tensors(file));
  strip_prefix(file);
  TRY(sort_names(file));
  const size_t member_count = file->zip == NULL ? 0 : zip_count(file->zip);
  TRY(arena_allocate(file->arena, member_count * sizeof *file->checked, &piece));
  file->checked = piece;
  return STATUS_OK;
}

Status weights_open_source(Source *source, Package *package, WeightFile **file)
{
  *file = NULL;
  void *memory;
  Status status = memory_allocate(1, sizeof **file, "weights", &memory);
  if (status != STATUS_OK) {
    source_close(source);
    package_close(package);
    return status;
  }
  WeightFile *opening = memory;
  opening->owned_source = source;
  opening->source = source;
  opening->package = package;
  status = prepare(opening);
  if (status == STATUS_OK)
    *file = opening;
  else
    weights_close(opening);
  return status;
}

Status weights_open_memory(const void *bytes, size_t byte_count, const char *name,
                           WeightFile **file)
{
  Source *source;
  *file = NULL;
  TRY(source_open_memory(bytes, byte_count, name, &source));
  return weights_open_source(source, NULL, file);
}

static Status open_in_package(const char *path, WeightFile **file)
{
  Package *package;
  TRY(package_open(path, &package));
  const Status status = package_open_weights(package, file);
  if (status == STATUS_OK)
    (*file)->package = package;
  else
    package_close(package);
  return status;
}

static Status is_package_zip(const Source *source, bool *is_package)
{
  Zip *zip;
  TRY(zip_open(source, &zip));
  for (size_t i = 0; i < zip_count(zip); ++i)
    *is_package = *is_package || path_has_ending(zip_at(zip, i)->name, ".emd");
  zip_close(zip);
  return STATUS_OK;
}

static Status is_package_file(const Source *source, bool *is_package)
{
  Content content;
  TRY(find_content(source, &content));
  *is_package = content == CONTENT_JSON;
  return content == CONTENT_ZIP ? is_package_zip(source, is_package) : STATUS_OK;
}

Status weights_open(const char *path, WeightFile **file)
{
  Source *source;
  *file = NULL;
  if (path_is_folder(path)) return open_in_package(path, file);
  TRY(source_open_file(path, &source));
  bool is_package = false;
  const Status status = is_package_file(source, &is_package);
  if (status == STATUS_OK && !is_package) return weights_open_source(source, NULL, file);
  source_close(source);
  return status == STATUS_OK ? open_in_package(path, file) : status;
}

void weights_close(WeightFile *file)
{
  if (file == NULL) return;
  zip_close(file->zip);
  document_close(file->notes);
  arena_close(file->arena);
  source_close(file->owned_source);
  package_close(file->package);
  memory_free(file->path);
  memory_free(file);
}

const char *weights_path(const WeightFile *file)
{
  return file->path;
}

const char *weights_format(const WeightFile *file)
{
  return file->format;
}

size_t weights_count(const WeightFile *file)
{
  return file->count;
}

const Weight *weights_at(const WeightFile *file, size_t index)
{
  return &file->tensors[index].weight;
}

static int against_name(const void *name, const void *tensor)
{
  return strcmp(name, (*(const StoredTensor *const *)tensor)->weight.name);
}

bool weights_find(const WeightFile *file, const char *name, size_t *index)
{
  if (file->count == 0) return false;
  const StoredTensor *const *found =
      bsearch(name, file->sorted, file->count, sizeof *file->sorted, against_name);
  if (found != NULL) *index = (size_t)(*found - file->tensors);
  return found != NULL;
}

const char *weights_note(const WeightFile *file, const char *key)
{
  const char *text = NULL;
  const Document *note = document_child(file->notes, key);
  if (note != NULL) (void)document_as_text(note, &text);
  return text;
}
