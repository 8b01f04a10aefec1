#include "mask_runs_private.h"

#include <string.h>

#include "base/memory.h"
#include "base/require.h"

Status mask_runs_check_size(int32_t height_px, int32_t width_px)
{
  if (height_px >= 1 && width_px >= 1 && (int64_t)height_px * width_px <= INT32_MAX)
    return STATUS_OK;
  return status_set(STATUS_BAD_INPUT, "an image of %d x %d px cannot hold a mask", width_px,
                    height_px);
}

Status mask_runs_make(int64_t count, int32_t height_px, int32_t width_px, MaskRuns *runs)
{
  void *memory;
  *runs = (MaskRuns){.height_px = height_px};
  TRY(mask_runs_check_size(height_px, width_px));
  TRY(memory_allocate((size_t)count, sizeof(uint32_t), "runs of a mask", &memory));
  *runs = (MaskRuns){height_px, width_px, count, memory};
  return STATUS_OK;
}

void mask_runs_free(MaskRuns *runs)
{
  memory_free(runs->counts);
  *runs = (MaskRuns){.count = 0};
}

/* How often neighbours differ, the first pixel's being one outside. */
static int64_t walk_pixels(const uint8_t *pixels, int32_t height_px, int32_t width_px,
                           uint32_t *counts)
{
  int64_t run = 0;
  uint32_t length = 0;
  bool inside = false;
  for (int32_t x = 0; x < width_px; ++x)
    for (int32_t y = 0; y < height_px; ++y) {
      if ((pixels[(int64_t)y * width_px + x] != 0) != inside) {
        if (counts != NULL) counts[run] = length;
        ++run;
        length = 0;
        inside = !inside;
      }
      ++length;
    }
  if (counts != NULL) counts[run] = length;
  return run + 1;
}

Status mask_runs_of_pixels(const uint8_t *pixels, int32_t height_px, int32_t width_px,
                           MaskRuns *runs)
{
  TRY(mask_runs_check_size(height_px, width_px));
  TRY(mask_runs_make(walk_pixels(pixels, height_px, width_px, NULL), height_px, width_px, runs));
  (void)walk_pixels(pixels, height_px, width_px, runs->counts);
  return STATUS_OK;
}

Status mask_runs_of_counts(const int64_t *counts, int64_t count, int32_t height_px,
                           int32_t width_px, MaskRuns *runs)
{
  int64_t sum = 0;
  *runs = (MaskRuns){.count = 0};
  TRY(mask_runs_check_size(height_px, width_px));
  const int64_t whole = (int64_t)height_px * width_px;
  for (int64_t i = 0; i < count; ++i) {
    if (counts[i] < 0 || counts[i] > whole - sum)
      return status_set(STATUS_BAD_INPUT,
                        "run %lld of a mask has %lld px; the image of %d x %d px has room for %lld",
                        (long long)i, (long long)counts[i], width_px, height_px,
                        (long long)(whole - sum));
    sum += counts[i];
  }
  if (sum != whole)
    return status_set(STATUS_BAD_INPUT,
                      "the runs of a mask make %lld px, the image of %d x %d px has %lld",
                      (long long)sum, width_px, height_px, (long long)whole);
  TRY(mask_runs_make(count, height_px, width_px, runs));
  for (int64_t i = 0; i < count; ++i)
    runs->counts[i] = (uint32_t)counts[i];
  return STATUS_OK;
}

enum { TEXT_BITS = 5, TEXT_MORE = 0x20, TEXT_SIGN = 0x10, TEXT_GROUPS_MOST = 8 };

/* One number of a text, least significant bits first; moves text behind it. */
static bool read_number(const char **text, int64_t *number)
{
  int64_t value = 0;
  for (int group = 0; group < TEXT_GROUPS_MOST; ++group) {
    const int c = **text - '0';
    if (c < 0 || c > 63) return false;
    ++*text;
    value |= (int64_t)(c & 0x1F) << (TEXT_BITS * group);
    if ((c & TEXT_MORE) != 0) continue;
    if ((c & TEXT_SIGN) != 0) value -= (int64_t)1 << (TEXT_BITS * (group + 1));
    *number = value;
    return true;
  }
  return false;
}

static Status read_text(const char *text, int64_t *counts, int64_t *count)
{
  const char *next = text;
  *count = 0;
  while (*next != '\0') {
    int64_t number;
    if (!read_number(&next, &number))
      return status_set(STATUS_BAD_INPUT, "“%.40s” is no text of run lengths: character %lld", text,
                        (long long)(next - text));
    if (*count > 2) number += counts[*count - 2];
    if (number < 0 || number > INT32_MAX)
      return status_set(STATUS_BAD_INPUT, "“%.40s” is no text of run lengths: run %lld is %lld px",
                        text, (long long)*count, (long long)number);
    counts[(*count)++] = number;
  }
  return STATUS_OK;
}

Status mask_runs_of_text(const char *text, int32_t height_px, int32_t width_px, MaskRuns *runs)
{
  void *memory;
  int64_t count;
  *runs = (MaskRuns){.count = 0};
  TRY(memory_allocate(strlen(text), sizeof(int64_t), "runs of a mask", &memory));
  Status status = read_text(text, memory, &count);
  if (status == STATUS_OK) status = mask_runs_of_counts(memory, count, height_px, width_px, runs);
  memory_free(memory);
  return status;
}

/* Two masks run by run: the length of the next stretch where neither changes. */
typedef struct Walk {
  const MaskRuns *masks[2];
  int64_t next[2];
  uint32_t left_px[2];
  bool inside[2];
} Walk;

static Walk walk_begin(const MaskRuns *a, const MaskRuns *b)
{
  Walk walk = {.masks = {a, b}, .inside = {true, true}};
  return walk; /* the first run turns both to outside */
}

/* 0 at the end. */
static uint32_t walk_step(Walk *walk)
{
  uint32_t step = UINT32_MAX;
  for (int i = 0; i < 2; ++i) {
    while (walk->left_px[i] == 0 && walk->next[i] < walk->masks[i]->count) {
      walk->left_px[i] = walk->masks[i]->counts[walk->next[i]++];
      walk->inside[i] = !walk->inside[i];
    }
    if (walk->left_px[i] < step) step = walk->left_px[i];
  }
  walk->left_px[0] -= step;
  walk->left_px[1] -= step;
  return step;
}

/* The runs of both together; counts NULL: only how many. */
static int64_t walk_union(const MaskRuns *a, const MaskRuns *b, uint32_t *counts)
{
  Walk walk = walk_begin(a, b);
  int64_t run = 0;
  uint32_t length = 0;
  bool inside = false;
  for (uint32_t step = walk_step(&walk); step > 0; step = walk_step(&walk)) {
    if ((walk.inside[0] || walk.inside[1]) != inside) {
      if (counts != NULL) counts[run] = length;
      ++run;
      length = 0;
      inside = !inside;
    }
    length += step;
  }
  if (counts != NULL) counts[run] = length;
  return run + 1;
}

Status mask_runs_unite(MaskRuns *runs, const MaskRuns *other)
{
  MaskRuns both;
  require(runs->height_px == other->height_px && runs->width_px == other->width_px);
  TRY(mask_runs_make(walk_union(runs, other, NULL), runs->height_px, runs->width_px, &both));
  (void)walk_union(runs, other, both.counts);
  mask_runs_free(runs);
  *runs = both;
  return STATUS_OK;
}

int64_t mask_runs_area_px(const MaskRuns *runs)
{
  int64_t area_px = 0;
  for (int64_t i = 1; i < runs->count; i += 2)
    area_px += runs->counts[i];
  return area_px;
}

DetectionBox mask_runs_box(const MaskRuns *runs)
{
  const int64_t height_px = runs->height_px;
  int64_t left = runs->width_px, top = height_px, right = -1, bottom = -1, end = 0;
  for (int64_t i = 0; i < runs->count; ++i) {
    const int64_t begin = end;
    end += runs->counts[i];
    if (i % 2 == 0 || runs->counts[i] == 0) continue;
    const int64_t first = begin / height_px, last = (end - 1) / height_px;
    const bool wraps = first < last; /* goes over the foot of a column */
    const int64_t high = wraps ? 0 : begin % height_px;
    const int64_t low = wraps ? height_px - 1 : (end - 1) % height_px;
    if (first < left) left = first;
    if (last > right) right = last;
    if (high < top) top = high;
    if (low > bottom) bottom = low;
  }
  if (right < 0) return (DetectionBox){0, 0, 0, 0};
  return (DetectionBox){(double)left, (double)top, (double)(right - left + 1),
                        (double)(bottom - top + 1)};
}

double mask_runs_iou(const MaskRuns *detection, const MaskRuns *truth, bool crowd)
{
  int64_t shared_px = 0, either_px = 0;
  if (detection->height_px != truth->height_px || detection->width_px != truth->width_px) return -1;
  Walk walk = walk_begin(detection, truth);
  for (uint32_t step = walk_step(&walk); step > 0; step = walk_step(&walk)) {
    either_px += walk.inside[0] || walk.inside[1] ? step : 0;
    shared_px += walk.inside[0] && walk.inside[1] ? step : 0;
  }
  if (shared_px == 0) return 0;
  return (double)shared_px / (double)(crowd ? mask_runs_area_px(detection) : either_px);
}
