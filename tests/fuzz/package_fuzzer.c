#include "base/memory.h"
#include "fuzzer.h"
#include "store/package.h"

static void read_members(const Package *package)
{
  enum { LIMIT_BYTES = 1 << 20 };
  for (size_t i = 0; i < package_member_count(package); ++i) {
    void *bytes;
    size_t byte_count;
    if (package_read_member(package, i, LIMIT_BYTES, &bytes, &byte_count) == STATUS_OK)
      memory_free(bytes);
    if (package_read(package, package_member_name(package, i), LIMIT_BYTES, &bytes, &byte_count) ==
        STATUS_OK)
      memory_free(bytes);
  }
}

static void read_model(const Package *package)
{
  enum { COUNT_MAX = 4096 };
  float values[COUNT_MAX];
  WeightFile *weights;
  if (package_open_weights(package, &weights) != STATUS_OK) return;
  for (size_t i = 0; i < weights_count(weights); ++i)
    (void)weights_read_f32(weights, i, values, COUNT_MAX);
  weights_close(weights);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count)
{
  Package *package;
  if (package_open_memory(bytes, byte_count, "input", &package) != STATUS_OK) return 0;
  read_members(package);
  read_model(package);
  package_close(package);
  return 0;
}
