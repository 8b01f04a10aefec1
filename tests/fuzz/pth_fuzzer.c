#include "fuzzer.h"
#include "weights_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count)
{
  read_weights(bytes, byte_count);
  return 0;
}
