/* Height and width in a byte each, then a text of runs: what is read fills the image, and is itself
 * together with itself. */
#include <string.h>

#include "base/memory.h"
#include "fuzzer.h"
#include "mask_runs.h"

static void check(MaskRuns *runs)
{
  const int64_t area_px = mask_runs_area_px(runs);
  const DetectionBox box = mask_runs_box(runs);
  if (area_px < 0 || area_px > (int64_t)runs->height_px * runs->width_px) __builtin_trap();
  if ((double)area_px > box.width * box.height) __builtin_trap();
  if (mask_runs_iou(runs, runs, false) != (area_px == 0 ? 0 : 1)) __builtin_trap();
  MaskRuns both;
  int64_t counts[2] = {0, (int64_t)runs->height_px * runs->width_px};
  if (mask_runs_of_counts(counts, 2, runs->height_px, runs->width_px, &both) != STATUS_OK)
    __builtin_trap();
  if (mask_runs_unite(runs, &both) != STATUS_OK) __builtin_trap();
  if (mask_runs_area_px(runs) != counts[1]) __builtin_trap();
  mask_runs_free(&both);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count)
{
  void *text;
  MaskRuns runs;
  if (byte_count < 2) return 0;
  if (memory_allocate(byte_count - 1, 1, "a text", &text) != STATUS_OK) return 0;
  memcpy(text, bytes + 2, byte_count - 2);
  if (mask_runs_of_text(text, bytes[0], bytes[1], &runs) == STATUS_OK) check(&runs);
  mask_runs_free(&runs);
  memory_free(text);
  return 0;
}
