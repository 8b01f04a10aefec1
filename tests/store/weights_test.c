#include <stdio.h>

#include "golden_weights.h"
#include "support/check.h"

static void check_all_types(const char *name, const char *format)
{
  WeightFile *file = golden_open(name);
  assert_string_equal(weights_format(file), format);
  assert_int_equal(weights_count(file), 10);
  golden_check(file, "f32", WEIGHT_F32, 4, (int64_t[]){2, 3, 2, 2}, 0);
  golden_check(file, "f64", WEIGHT_F64, 1, (int64_t[]){4}, 1);
  golden_check(file, "f16", WEIGHT_F16, 1, (int64_t[]){5}, 2);
  golden_check(file, "bf16", WEIGHT_BF16, 2, (int64_t[]){3, 2}, 3);
  golden_check(file, "i64", WEIGHT_I64, 0, NULL, 4);
  golden_check(file, "i32", WEIGHT_I32, 1, (int64_t[]){3}, 5);
  golden_check(file, "i16", WEIGHT_I16, 1, (int64_t[]){3}, 6);
  golden_check(file, "i8", WEIGHT_I8, 1, (int64_t[]){3}, 7);
  golden_check(file, "u8", WEIGHT_U8, 1, (int64_t[]){3}, 8);
  golden_check(file, "bool", WEIGHT_BOOL, 1, (int64_t[]){4}, 9);
  weights_close(file);
}

static void every_type_is_read_from_every_format(void **state)
{
  check_all_types("zip_types.pth", "torch zip");
  check_all_types("zip_protocol4.pth", "torch zip");
  check_all_types("legacy_types.pth", "torch legacy");
  check_all_types("legacy_protocol4.pth", "torch legacy");
  check_all_types("types.safetensors", "safetensors");
}

static void a_prefix_module_that_all_names_share_goes(void **state)
{
  size_t index;
  WeightFile *file = golden_open("zip_types.pth");
  assert_false(weights_find(file, "module.f32", &index));
  assert_true(weights_find(file, "f32", &index));
  assert_int_equal(index, 0);
  weights_close(file);
}

static void check_values(const WeightFile *file, const char *name, int32_t rank,
                         const int64_t *dims, const float *wanted, size_t count)
{
  size_t index;
  float values[64];
  assert_true(weights_find(file, name, &index));
  const Weight *weight = weights_at(file, index);
  assert_int_equal(weight->rank, rank);
  for (int32_t i = 0; i < rank; ++i)
    assert_int_equal(weight->dims[i], dims[i]);
  assert_int_equal(weight->element_count, count);
  CHECK_OK(weights_read_f32(file, index, values, 64));
  for (size_t i = 0; i < count; ++i)
    assert_true(values[i] == wanted[i]);
}

static float base_at(size_t row, size_t column)
{
  return (float)golden_number(0, 6 * row + column) / 4;
}

static void check_views(const char *name)
{
  WeightFile *file = golden_open(name);
  float transposed[24];
  float sliced[6];
  float expanded[6];
  for (size_t i = 0; i < 24; ++i)
    transposed[i] = base_at(i % 4, i / 4);
  for (size_t i = 0; i < 6; ++i)
    sliced[i] = base_at(1 + i / 3, 1 + 2 * (i % 3));
  for (size_t i = 0; i < 6; ++i)
    expanded[i] = (float)golden_number(1, i % 3) / 4;
  golden_check(file, "base", WEIGHT_F32, 2, (int64_t[]){4, 6}, 0);
  golden_check(file, "shared", WEIGHT_F32, 1, (int64_t[]){24}, 0);
  check_values(file, "transposed", 2, (int64_t[]){6, 4}, transposed, 24);
  check_values(file, "sliced", 2, (int64_t[]){2, 3}, sliced, 6);
  check_values(file, "expanded", 2, (int64_t[]){2, 3}, expanded, 6);
  check_values(file, "empty", 2, (int64_t[]){0, 3}, NULL, 0);
  weights_close(file);
}

static void views_strides_and_shared_storages_are_gathered(void **state)
{
  check_views("zip_views.pth");
  check_views("legacy_views.pth");
}

static void deflated_members_and_the_other_byte_order_are_read(void **state)
{
  check_views("zip_deflated.pth");
  check_views("zip_big_endian.pth");
}

static void check_checkpoint(const char *name)
{
  WeightFile *file = golden_open(name);
  assert_int_equal(weights_count(file), 6);
  golden_check(file, "1.running_mean", WEIGHT_F32, 1, (int64_t[]){2}, 3);
  golden_check(file, "1.running_var", WEIGHT_F32, 1, (int64_t[]){2}, 4);
  size_t index;
  int64_t tracked;
  assert_true(weights_find(file, "1.num_batches_tracked", &index));
  CHECK_OK(weights_read_i64(file, index, &tracked, 1));
  assert_int_equal(tracked, 12);
  assert_true(weights_find(file, "0.weight", &index));
  assert_int_equal(weights_at(file, index)->rank, 4);
  weights_close(file);
}

static void a_checkpoint_is_entered_and_its_other_objects_are_passed_over(void **state)
{
  check_checkpoint("zip_checkpoint.pth");
  check_checkpoint("legacy_checkpoint.pth");
}

static void a_parameter_is_its_tensor(void **state)
{
  WeightFile *file = golden_open("zip_parameter.pth");
  golden_check(file, "weight", WEIGHT_F32, 2, (int64_t[]){2, 2}, 0);
  weights_close(file);
}

static void what_is_no_state_dict_is_refused_with_a_reason(void **state)
{
  WeightFile *file;
  CHECK_FAILS(STATUS_UNSUPPORTED, "torch.nn.modules.container Sequential",
              weights_open(golden_path("zip_module.pth"), &file));
  assert_null(file);
  CHECK_FAILS(STATUS_UNSUPPORTED, "pickled Python object",
              weights_open(golden_path("legacy_module.pth"), &file));
  CHECK_FAILS(STATUS_UNSUPPORTED, "TorchScript", weights_open(golden_path("script.pth"), &file));
  CHECK_FAILS(STATUS_UNSUPPORTED, "holds no state_dict",
              weights_open(golden_path("zip_no_weights.pth"), &file));
  CHECK_FAILS(STATUS_UNSUPPORTED, "ComplexFloatStorage",
              weights_open(golden_path("zip_complex.pth"), &file));
  CHECK_FAILS(STATUS_UNSUPPORTED, "sparse", weights_open(golden_path("zip_sparse.pth"), &file));
}

static void a_missing_file_and_a_foreign_one_are_told_apart(void **state)
{
  WeightFile *file;
  CHECK_FAILS(STATUS_IO, "No such file", weights_open("/nowhere/a.pth", &file));
  CHECK_FAILS(STATUS_BAD_INPUT, "neither safetensors", weights_open(golden_path("make.py"), &file));
  CHECK_FAILS(STATUS_BAD_INPUT, "empty", weights_open_memory("", 0, "nothing", &file));
  uint8_t tar[512] = {'a'};
  memcpy(tar + 257, "ustar", 5);
  CHECK_FAILS(STATUS_UNSUPPORTED, "tar", weights_open_memory(tar, sizeof tar, "old.pth", &file));
}

static void too_little_room_is_refused(void **state)
{
  float values[24];
  size_t index;
  WeightFile *file = golden_open("zip_views.pth");
  assert_true(weights_find(file, "base", &index));
  CHECK_FAILS(STATUS_BAD_SHAPE, "24 elements", weights_read_f32(file, index, values, 23));
  CHECK_OK(weights_read_f32(file, index, values, 24));
  weights_close(file);
}

static void notes_of_safetensors_are_kept(void **state)
{
  WeightFile *file = golden_open("types.safetensors");
  assert_string_equal(weights_note(file, "format"), "pt");
  assert_null(weights_note(file, "missing"));
  weights_close(file);
}

/* One safetensors file of one tensor, from its header's end and its data. */
static WeightFile *open_one(const char *type, const char *shape, const void *data, size_t bytes)
{
  static char text[512];
  const int header = snprintf(text + 8, sizeof text - 8,
                              "{\"x\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[0,%zu]}}",
                              type, shape, bytes);
  memset(text, 0, 8);
  text[0] = (char)header;
  memcpy(text + 8 + header, data, bytes);
  WeightFile *file;
  CHECK_OK(weights_open_memory(text, 8 + (size_t)header + bytes, "one", &file));
  return file;
}

static void half_precision_has_subnormals_and_infinities(void **state)
{
  const uint16_t halves[6] = {0x0001, 0x83FF, 0x7C00, 0xFC00, 0x7E00, 0x7BFF};
  float values[6];
  WeightFile *file = open_one("F16", "[6]", halves, sizeof halves);
  CHECK_OK(weights_read_f32(file, 0, values, 6));
  assert_true(values[0] == 0x1p-24F);
  assert_true(values[1] == -1023 * 0x1p-24F);
  assert_true(values[2] == __builtin_inff() && values[3] == -__builtin_inff());
  assert_true(values[4] != values[4]);
  assert_true(values[5] == 65504);
  weights_close(file);
}

static void long_integers_keep_all_their_bits(void **state)
{
  const int64_t data[3] = {INT64_MIN, INT64_MAX, 16777217};
  int64_t integers[3];
  float reals[3];
  WeightFile *file = open_one("I64", "[3]", data, sizeof data);
  CHECK_OK(weights_read_i64(file, 0, integers, 3));
  assert_memory_equal(integers, data, sizeof data);
  CHECK_OK(weights_read_f32(file, 0, reals, 3));
  assert_true(reals[0] == -0x1p63F && reals[2] == 16777216);
  weights_close(file);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_type_is_read_from_every_format),
      cmocka_unit_test(a_prefix_module_that_all_names_share_goes),
      cmocka_unit_test(views_strides_and_shared_storages_are_gathered),
      cmocka_unit_test(deflated_members_and_the_other_byte_order_are_read),
      cmocka_unit_test(a_checkpoint_is_entered_and_its_other_objects_are_passed_over),
      cmocka_unit_test(a_parameter_is_its_tensor),
      cmocka_unit_test(what_is_no_state_dict_is_refused_with_a_reason),
      cmocka_unit_test(a_missing_file_and_a_foreign_one_are_told_apart),
      cmocka_unit_test(too_little_room_is_refused),
      cmocka_unit_test(notes_of_safetensors_are_kept),
      cmocka_unit_test(half_precision_has_subnormals_and_infinities),
      cmocka_unit_test(long_integers_keep_all_their_bits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
