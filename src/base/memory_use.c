#include "base/memory.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 4096, LINE_BYTES = 4352 };

/* The number behind a word at the start of a line: "VmHWM:   12 kB" in bytes. */
static size_t read_kib(const char *path, const char *word)
{
  char line[LINE_BYTES];
  unsigned long long kib = 0;
  FILE *file = fopen(path, "re");
  if (file == NULL) return 0;
  const size_t length = strlen(word);
  while (fgets(line, sizeof line, file) != NULL)
    if (strncmp(line, word, length) == 0 && sscanf(line + length, ": %llu", &kib) == 1) break;
  (void)fclose(file);
  return (size_t)kib * 1024;
}

size_t memory_resident_bytes(void)
{
  return read_kib("/proc/self/status", "VmRSS");
}

size_t memory_peak_bytes(void)
{
  return read_kib("/proc/self/status", "VmHWM");
}

/* A file that holds one number; "max" and what cannot be read are no limit. */
static size_t read_number(const char *folder, const char *name)
{
  char path[LINE_BYTES];
  unsigned long long value = 0;
  const int written = snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = written > 0 && (size_t)written < sizeof path ? fopen(path, "re") : NULL;
  if (file == NULL) return SIZE_MAX;
  const bool is_number = fscanf(file, "%llu", &value) == 1;
  (void)fclose(file);
  return is_number ? (size_t)value : SIZE_MAX;
}

/* The folder of this process's control group (version 2). */
static bool find_group(char folder[PATH_BYTES])
{
  char line[LINE_BYTES];
  bool found = false;
  FILE *file = fopen("/proc/self/cgroup", "re");
  if (file == NULL) return false;
  while (!found && fgets(line, sizeof line, file) != NULL) {
    line[strcspn(line, "\n")] = '\0';
    if (strncmp(line, "0::", 3) != 0) continue;
    const int written = snprintf(folder, PATH_BYTES, "/sys/fs/cgroup%s", line + 3);
    found = written > 0 && written < PATH_BYTES;
  }
  (void)fclose(file);
  return found;
}

/* The least that the group and those above it leave. */
static size_t group_leaves(void)
{
  static const char root[] = "/sys/fs/cgroup";
  char folder[PATH_BYTES];
  size_t least = SIZE_MAX;
  if (!find_group(folder)) return SIZE_MAX;
  while (strlen(folder) >= strlen(root)) {
    const size_t most = read_number(folder, "memory.max");
    const size_t used = read_number(folder, "memory.current");
    if (most != SIZE_MAX && used != SIZE_MAX) {
      const size_t left = most > used ? most - used : 0;
      if (left < least) least = left;
    }
    char *slash = strrchr(folder, '/');
    if (slash == NULL) break;
    *slash = '\0';
  }
  return least;
}

size_t memory_available_bytes(void)
{
  const size_t system = read_kib("/proc/meminfo", "MemAvailable");
  const size_t group = group_leaves();
  return group < system ? group : system;
}
