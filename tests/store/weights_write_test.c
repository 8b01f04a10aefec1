#include <stdio.h>
#include <unistd.h>

#include "base/path.h"
#include "golden_weights.h"
#include "support/check.h"

static char folder[] = "/tmp/quadrat-weights-XXXXXX";
static char path[256];

static int make_folder(void **state)
{
  if (mkdtemp(folder) == NULL) return -1;
  return path_join(folder, "out", sizeof path, path) == STATUS_OK ? 0 : -1;
}

static int remove_folder(void **state)
{
  return path_remove_tree(folder) == STATUS_OK ? 0 : -1;
}

static float weight[6];
static float bias[3];
static int64_t tracked;

/* The tensors of written.safetensors, not in its order. */
static const WeightGiven given[4] = {
    {.name = "b.weight", .type = WEIGHT_F32, .rank = 2, .dims = {2, 3}, .values = weight},
    {.name = "a.bias", .type = WEIGHT_F32, .rank = 1, .dims = {3}, .values = bias},
    {.name = "c.empty", .type = WEIGHT_F32, .rank = 2, .dims = {0, 2}, .values = weight},
    {.name = "b.num_batches_tracked", .type = WEIGHT_I64, .rank = 0, .values = &tracked},
};
static const WeightNote notes[1] = {{.key = "epoch", .text = "3"}};

static void fill_given(void)
{
  for (size_t j = 0; j < 6; ++j)
    weight[j] = (float)golden_number(0, j) / 4;
  for (size_t j = 0; j < 3; ++j)
    bias[j] = (float)golden_number(1, j) / 4;
  tracked = golden_number(2, 0);
}

static void safetensors_are_those_of_its_own_writer_to_the_byte(void **state)
{
  size_t wanted_bytes;
  uint8_t *wanted = golden_bytes("written.safetensors", &wanted_bytes);
  uint8_t written[1024];
  fill_given();
  CHECK_OK(safetensors_write(path, given, 4, notes, 1));
  FILE *file = fopen(path, "rb");
  assert_non_null(file);
  assert_int_equal(fread(written, 1, sizeof written, file), wanted_bytes);
  (void)fclose(file);
  assert_memory_equal(written, wanted, wanted_bytes);
  free(wanted);
}

static void check_given(const WeightFile *file)
{
  assert_int_equal(weights_count(file), 4);
  golden_check(file, "b.weight", WEIGHT_F32, 2, (int64_t[]){2, 3}, 0);
  golden_check(file, "a.bias", WEIGHT_F32, 1, (int64_t[]){3}, 1);
  golden_check(file, "b.num_batches_tracked", WEIGHT_I64, 0, NULL, 2);
  golden_check(file, "c.empty", WEIGHT_F32, 2, (int64_t[]){0, 2}, 0);
}

static void what_is_written_reads_back(void **state)
{
  WeightFile *file;
  fill_given();
  CHECK_OK(safetensors_write(path, given, 4, notes, 1));
  CHECK_OK(weights_open(path, &file));
  check_given(file);
  assert_string_equal(weights_note(file, "epoch"), "3");
  weights_close(file);
  CHECK_OK(pth_write(path, given, 4));
  CHECK_OK(weights_open(path, &file));
  assert_string_equal(weights_format(file), "torch zip");
  check_given(file);
  weights_close(file);
}

static void two_tensors_of_one_name_are_refused_and_nothing_is_left(void **state)
{
  char missing[512];
  const WeightGiven twice[2] = {given[0], given[0]};
  CHECK_OK(path_join(folder, "twice", sizeof missing, missing));
  CHECK_FAILS(STATUS_BAD_INPUT, "b.weight", safetensors_write(missing, twice, 2, NULL, 0));
  CHECK_FAILS(STATUS_BAD_INPUT, "b.weight", pth_write(missing, twice, 2));
  assert_false(path_exists(missing));
}

static void a_folder_that_is_missing_is_an_error(void **state)
{
  CHECK_FAILS(STATUS_IO, "No such file", safetensors_write("/nowhere/a", given, 4, NULL, 0));
  CHECK_FAILS(STATUS_IO, "No such file", pth_write("/nowhere/a", given, 4));
}

/* Where a Python with torch is at hand, it has the last word. */
static void torch_loads_what_we_write(void **state)
{
  char command[2048];
  if (system("python3 -c 'import torch, safetensors' 2>/dev/null") != 0) skip();
  fill_given();
  CHECK_OK(pth_write(path, given, 4));
  (void)snprintf(command, sizeof command, "python3 %s %s", golden_path("check.py"), path);
  assert_int_equal(system(command), 0);
  CHECK_OK(safetensors_write(path, given, 4, notes, 1));
  assert_int_equal(system(command), 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(safetensors_are_those_of_its_own_writer_to_the_byte),
      cmocka_unit_test(what_is_written_reads_back),
      cmocka_unit_test(two_tensors_of_one_name_are_refused_and_nothing_is_left),
      cmocka_unit_test(a_folder_that_is_missing_is_an_error),
      cmocka_unit_test(torch_loads_what_we_write),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
