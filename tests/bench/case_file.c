#include "case_file.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "bench.h"

enum { PATH_BYTES = 4096, NAME_BYTES = 128, TEXT_BYTES = 64, ENTRIES_MOST = 4096 };

typedef struct CaseEntry {
  char name[NAME_BYTES];
  char text[TEXT_BYTES]; /* of a value; "" for a tensor */
  int64_t first, count;  /* of a tensor's values */
} CaseEntry;

struct CaseFile {
  char folder[PATH_BYTES];
  int32_t count;
  int64_t value_count;
  CaseEntry *entries;
  float *values;
};

static FILE *open_in(const CaseFile *file, const char *name)
{
  enum { LONGER_BYTES = PATH_BYTES + 16 };
  char path[LONGER_BYTES];
  (void)snprintf(path, sizeof path, "%s/%s", file->folder, name);
  FILE *stream = fopen(path, "rb");
  if (stream == NULL) bench_check(status_set(STATUS_BAD_INPUT, "%s cannot be opened", path));
  return stream;
}

static void read_line(CaseFile *file, const char *line)
{
  CaseEntry *entry = &file->entries[file->count];
  if (file->count == ENTRIES_MOST)
    bench_check(status_set(STATUS_BAD_INPUT, "%s/case.txt has too many lines", file->folder));
  *entry = (CaseEntry){.first = file->value_count};
  if (sscanf(line, "tensor %127s %ld", entry->name, &entry->count) == 2 && entry->count >= 0)
    file->value_count += entry->count;
  else if (sscanf(line, "%127s %63s", entry->name, entry->text) != 2)
    bench_check(status_set(STATUS_BAD_INPUT, "%s/case.txt: “%s”", file->folder, line));
  ++file->count;
}

static void read_entries(CaseFile *file)
{
  enum { LINE_BYTES = 256 };
  char line[LINE_BYTES];
  FILE *stream = open_in(file, "case.txt");
  while (fgets(line, sizeof line, stream) != NULL)
    read_line(file, line);
  (void)fclose(stream);
}

CaseFile *case_open(const char *folder)
{
  CaseFile *file = bench_host(1, sizeof *file);
  *file = (CaseFile){.entries = bench_host(ENTRIES_MOST, sizeof *file->entries)};
  (void)snprintf(file->folder, sizeof file->folder, "%s", folder);
  read_entries(file);
  file->values = bench_host((size_t)file->value_count + 1, sizeof(float));
  FILE *stream = open_in(file, "case.f32");
  if (fread(file->values, sizeof(float), (size_t)file->value_count, stream) !=
      (size_t)file->value_count)
    bench_check(status_set(STATUS_BAD_INPUT, "%s/case.f32 is too short", folder));
  (void)fclose(stream);
  return file;
}

void case_close(CaseFile *file)
{
  memory_free(file->values);
  memory_free(file->entries);
  memory_free(file);
}

static const CaseEntry *find(const CaseFile *file, const char *name)
{
  for (int32_t i = 0; i < file->count; ++i)
    if (strcmp(file->entries[i].name, name) == 0) return &file->entries[i];
  bench_check(status_set(STATUS_BAD_INPUT, "%s/case.txt has no %s", file->folder, name));
  return NULL;
}

const char *case_text(const CaseFile *file, const char *name)
{
  return find(file, name)->text;
}

int32_t case_int(const CaseFile *file, const char *name)
{
  return (int32_t)strtol(case_text(file, name), NULL, 10);
}

const float *case_tensor(const CaseFile *file, int64_t *count, const char *format, ...)
{
  char name[NAME_BYTES];
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(name, sizeof name, format, arguments);
  va_end(arguments);
  const CaseEntry *entry = find(file, name);
  *count = entry->count;
  return file->values + entry->first;
}
