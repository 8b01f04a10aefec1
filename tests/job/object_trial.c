#include "object_trial.h"

#include "support/check.h"

static uint64_t mix(uint64_t hash, int64_t value)
{
  hash = (hash ^ (uint64_t)value) * 0x9E3779B97F4A7C15U;
  return hash ^ (hash >> 31);
}

static uint64_t hash_object(uint64_t hash, const WholeObject *object)
{
  hash = mix(mix(hash, object->first_tile), object->first_index);
  hash = mix(mix(hash, object->mask->area_px), object->owner_tile);
  hash = mix(mix(hash, object->member_count), object->is_union + 2 * object->is_fragment);
  return mix(hash, (int64_t)(object->score * 0x1p40));
}

static uint64_t hash_shape(const WholeObject *object)
{
  const ObjectMask *mask = object->mask;
  uint64_t hash = mix(mix(1, object->class_index), mask->window.x_px);
  hash = mix(mix(hash, mask->window.y_px), mask->window.height_px);
  for (int i = 0; i < 4; ++i)
    hash = mix(hash, (int64_t)(object->box[i] * 0x1p20));
  for (int64_t row = 0; row <= mask->window.height_px; ++row)
    hash = mix(hash, mask->row_start[row]);
  for (int64_t r = 0; r < object_mask_runs(mask); ++r)
    hash = mix(mix(hash, mask->runs[r].first_px), mask->runs[r].end_px);
  return mix(hash, (int64_t)(object->score * 0x1p53));
}

/* Adds step for each pixel of the object to the count of its shape. */
static void count_pixels(const Trial *trial, const ObjectMask *mask, int64_t step)
{
  const Oracle *oracle = trial->oracle;
  for (int64_t row = 0; row < mask->window.height_px; ++row) {
    const int32_t *labels =
        oracle->labels + (mask->window.y_px + row) * oracle->width_px + mask->window.x_px;
    for (int64_t r = mask->row_start[row]; r < mask->row_start[row + 1]; ++r)
      for (int64_t x = mask->runs[r].first_px; x < mask->runs[r].end_px; ++x)
        trial->pixels[labels[x]] += step;
  }
}

/* The shape that most pixels of the object are of, and how many. */
static int32_t main_shape(const Trial *trial, const ObjectMask *mask, int64_t *most_px)
{
  const int32_t *labels = trial->oracle->labels;
  int32_t most = 0;
  count_pixels(trial, mask, 1);
  for (int64_t row = 0; row < mask->window.height_px; ++row)
    for (int64_t r = mask->row_start[row]; r < mask->row_start[row + 1]; ++r) {
      const int64_t y = mask->window.y_px + row;
      for (int64_t x = mask->runs[r].first_px; x < mask->runs[r].end_px; ++x) {
        const int32_t label = labels[y * trial->oracle->width_px + mask->window.x_px + x];
        if (trial->pixels[label] > trial->pixels[most]) most = label;
      }
    }
  *most_px = trial->pixels[most];
  count_pixels(trial, mask, -1);
  return most;
}

static Status judge(void *context, const WholeObject *object, bool *wanted)
{
  Trial *trial = context;
  int64_t common_px;
  if (object->class_index == ORACLE_BLANKET_CLASS) return STATUS_OK;
  if (trial->has_junk && object->score < ORACLE_JUNK_SCORE) {
    ++trial->junk;
    return STATUS_OK;
  }
  const int32_t shape = main_shape(trial, object->mask, &common_px);
  const int64_t shape_px = trial->oracle->shapes[shape].area_px;
  const int64_t object_px = object->mask->area_px;
  const double iou = (double)common_px / (double)(shape_px + object_px - common_px);
  ++trial->given;
  ++trial->objects[shape];
  trial->mixed += object_px != common_px;
  trial->partial += shape_px != common_px;
  trial->complete[shape] += object_px == common_px && shape_px == common_px;
  if (iou > trial->best_iou[shape]) trial->best_iou[shape] = iou;
  trial->sequence = hash_object(trial->sequence, object);
  trial->set += hash_object(1, object);
  trial->shapes += hash_shape(object);
  return STATUS_OK;
}

Window trial_raster(const Oracle *oracle)
{
  return (Window){0, 0, oracle->width_px, oracle->height_px};
}

Trial trial_run(const Oracle *oracle, const OracleDetector *detector, const TilePlan *plan,
                MergeOptions options, bool pass_empty)
{
  const size_t room = (size_t)oracle->shape_count + 1;
  Trial trial = {.oracle = oracle,
                 .has_junk = detector->junk_count > 0,
                 .objects = calloc(room, sizeof *trial.objects),
                 .complete = calloc(room, sizeof *trial.complete),
                 .best_iou = calloc(room, sizeof *trial.best_iou),
                 .pixels = calloc(room, sizeof *trial.pixels)};
  ObjectMerge *merge;
  assert_true(trial.objects != NULL && trial.complete != NULL && trial.best_iou != NULL &&
              trial.pixels != NULL);
  CHECK_OK(object_merge_open(trial_raster(oracle), plan, options, judge, &trial, &merge));
  trial.found = oracle_detect(oracle, detector, plan, pass_empty, merge);
  CHECK_OK(object_merge_finish(merge, &trial.counts));
  object_merge_close(merge);
  return trial;
}

void trial_close(Trial *trial)
{
  free(trial->objects);
  free(trial->complete);
  free(trial->best_iou);
  free(trial->pixels);
}
