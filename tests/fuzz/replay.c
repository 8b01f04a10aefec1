/* Runs a fuzz target without libFuzzer: on every file of the folders given, cut at every so many
 * bytes, and with a fixed number of random changes. Bytes lie in a piece of their exact size, so
 * that a sanitizer sees every step beyond. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "base/random.h"
#include "fuzzer.h"

enum { INPUT_BYTES_MAX = 1 << 16, CUT_COUNT = 256, CHANGE_COUNT = 3000, CHANGES_AT_ONCE = 6 };

static uint8_t input[INPUT_BYTES_MAX];
static uint8_t changed[INPUT_BYTES_MAX];

static void run(const uint8_t *bytes, size_t byte_count)
{
  uint8_t *exact = malloc(byte_count == 0 ? 1 : byte_count);
  if (exact == NULL) return;
  memcpy(exact, bytes, byte_count);
  (void)LLVMFuzzerTestOneInput(exact, byte_count);
  free(exact);
}

/* A byte anew, a bit, a short piece copied elsewhere, or a large number. */
static void change(uint8_t *bytes, uint32_t byte_count, Random *random)
{
  const uint32_t at = random_below(random, byte_count);
  const uint32_t from = random_below(random, byte_count);
  const uint32_t room = byte_count - (at > from ? at : from);
  switch (random_below(random, 4)) {
  case 0: bytes[at] = (uint8_t)random_bits(random); break;
  case 1: bytes[at] ^= (uint8_t)(1U << random_below(random, 8)); break;
  case 2:
    memmove(bytes + at, bytes + from, random_below(random, (room < 16 ? room : 16) + 1));
    break;
  default: memset(bytes + at, random_below(random, 2) == 0 ? 0xFF : 0x00, room < 8 ? room : 8);
  }
}

static void replay(uint32_t byte_count, uint64_t stream)
{
  Random random = random_stream(1, stream);
  const size_t step = byte_count / CUT_COUNT + 1;
  run(input, byte_count);
  for (size_t cut = 0; cut < byte_count; cut += step)
    run(input, cut);
  for (int round = 0; round < CHANGE_COUNT && byte_count > 0; ++round) {
    memcpy(changed, input, byte_count);
    const uint32_t count = 1 + random_below(&random, CHANGES_AT_ONCE);
    for (uint32_t i = 0; i < count; ++i)
      change(changed, byte_count, &random);
    run(changed, byte_count);
  }
}

static int replay_file(const char *folder, const char *name, uint64_t stream)
{
  char path[4096];
  if (path_join(folder, name, sizeof path, path) != STATUS_OK) return 0;
  FILE *file = fopen(path, "rb");
  if (file == NULL || path_is_folder(path)) return 0;
  const size_t byte_count = fread(input, 1, sizeof input, file);
  (void)fclose(file);
  replay((uint32_t)byte_count, stream);
  return 1;
}

static int replay_folder(const char *folder)
{
  int count = 0;
  DIR *listing = opendir(folder);
  if (listing == NULL) return 0;
  for (const struct dirent *entry = readdir(listing); entry != NULL; entry = readdir(listing))
    if (entry->d_name[0] != '.') count += replay_file(folder, entry->d_name, (uint64_t)count);
  (void)closedir(listing);
  return count;
}

int main(int argument_count, char **arguments)
{
  int failed = argument_count < 2;
  for (int i = 1; i < argument_count; ++i) {
    const int count = replay_folder(arguments[i]);
    (void)printf("%s: %d files\n", arguments[i], count);
    failed |= count == 0;
  }
  return failed;
}
