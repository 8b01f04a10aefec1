#include "chip/loader.h"

#include "chip/object_fixture.h"

enum { SAMPLES = 2, SIZE = 20, BATCHES = 3 };

static uint8_t index_of_value[65536];
static uint16_t class_of_value[65536];
static const int64_t order[SAMPLES * BATCHES] = {0, 2, 4, 1, 3, 0};
static const double means[1] = {0};
static const double deviations[1] = {1};

static LoaderOptions usual(ChipSet *set)
{
  index_of_value[2] = 1;
  index_of_value[7] = 2;
  class_of_value[2] = 1;
  class_of_value[7] = 2;
  const ChipSetInfo *info = chip_set_info(set);
  return (LoaderOptions){.set = set,
                         .order = order,
                         .batch_count = BATCHES,
                         .samples = SAMPLES,
                         .size_px = SIZE,
                         .index_of_value = index_of_value,
                         .means = means,
                         .standard_deviations = deviations,
                         .seed = 3,
                         .stream_step = SAMPLES,
                         .threads = 2,
                         .objects = {class_of_value, 0.1, 1},
                         .objects_most = info->objects_most,
                         .mask_bytes_most = augment_mask_bytes_most(
                             info->objects_most, info->mask_bytes_most, SIZE, NULL)};
}

static ChipSet *open_set(const char *name)
{
  char folder[FIXTURE_PATH_BYTES], path[FIXTURE_PATH_BYTES];
  ChipSet *set;
  fixture_path(name, folder);
  object_fixture_write(folder, CHIP_FORMAT_INSTANCES, path);
  CHECK_OK(chip_set_open(path, &set));
  return set;
}

/* The middle of a chip begins at column 2. */
static void check_sample(const LoadedBatch *batch, int32_t sample, int64_t chip, int32_t most,
                         int64_t bytes_most)
{
  ChipObjects wanted = {0};
  const Pose pose = {.x0 = 2, .xx = 1, .yy = 1};
  float boxes[4 * 301];
  int32_t classes[301], windows[4 * 301];
  int64_t offsets[301];
  uint8_t masks[OBJECT_PIXELS];
  SampleObjects made = {.capacity = most,
                        .mask_capacity = sizeof masks,
                        .boxes = boxes,
                        .classes = classes,
                        .mask_windows = windows,
                        .mask_offsets = offsets,
                        .mask_bytes = masks};
  const ObjectRule rule = {class_of_value, 0.1, 1};
  object_fixture_fill(chip, &wanted);
  CHECK_OK(augment_objects(&wanted, &pose, &rule, SIZE, &made));
  assert_int_equal(batch->object_counts[sample], made.count);
  const ptrdiff_t first = (ptrdiff_t)sample * most;
  assert_memory_equal(batch->boxes + 4 * first, boxes, 4 * (size_t)most * sizeof *boxes);
  assert_memory_equal(batch->object_classes + first, classes, (size_t)most * sizeof *classes);
  assert_memory_equal(batch->mask_windows + 4 * first, windows, 4 * (size_t)most * sizeof *windows);
  assert_memory_equal(batch->mask_offsets + first, offsets, (size_t)most * sizeof *offsets);
  assert_memory_equal(batch->mask_bytes + sample * bytes_most, masks, (size_t)made.mask_byte_count);
  chip_objects_free(&wanted);
}

static void batches_carry_the_objects_of_their_chips(void **state)
{
  ChipSet *set = open_set("carried");
  const LoaderOptions options = usual(set);
  Loader *loader;
  CHECK_OK(loader_open(options, &loader));
  for (int b = 0; b < BATCHES; ++b) {
    LoadedBatch batch;
    CHECK_OK(loader_next(loader, &batch));
    for (int s = 0; s < SAMPLES; ++s)
      check_sample(&batch, s, order[b * SAMPLES + s], options.objects_most,
                   options.mask_bytes_most);
    assert_true(batch.images[0] == (float)(100 + order[b * SAMPLES]));
  }
  loader_close(loader);
  chip_set_close(set);
}

static void a_batch_without_a_table_of_classes_has_none(void **state)
{
  ChipSet *set = open_set("without");
  LoaderOptions options = usual(set);
  Loader *loader;
  LoadedBatch batch;
  options.objects.class_of_value = NULL;
  CHECK_OK(loader_open(options, &loader));
  CHECK_OK(loader_next(loader, &batch));
  assert_null(batch.object_counts);
  assert_null(batch.boxes);
  assert_null(batch.mask_bytes);
  assert_int_equal(batch.labels[0], 2); /* chip 0, column 2: a tree */
  loader_close(loader);
  chip_set_close(set);
}

static void a_chip_with_too_many_objects_is_named(void **state)
{
  ChipSet *set = open_set("many");
  LoaderOptions options = usual(set);
  Loader *loader;
  LoadedBatch batch;
  options.objects_most = 200;
  CHECK_OK(loader_open(options, &loader));
  Status status = STATUS_OK; /* it may be told while earlier batches wait */
  for (int b = 0; b < BATCHES && status == STATUS_OK; ++b)
    status = loader_next(loader, &batch);
  CHECK_FAILS(STATUS_BAD_SHAPE, "chip 3: its 301 objects are more than the 200", status);
  loader_close(loader);
  chip_set_close(set);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(batches_carry_the_objects_of_their_chips),
      cmocka_unit_test(a_batch_without_a_table_of_classes_has_none),
      cmocka_unit_test(a_chip_with_too_many_objects_is_named),
  };
  return cmocka_run_group_tests(tests, fixture_start, fixture_end);
}
