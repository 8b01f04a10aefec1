#pragma once

#include <stddef.h>
#include <stdint.h>

/* The one entry of a fuzz target, as libFuzzer names it; replay.c calls it, too. Always returns 0.
 */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count);
