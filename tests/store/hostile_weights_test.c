#include <stdio.h>

#include "base/random.h"
#include "golden_weights.h"
#include "support/check.h"

static const char *const files[] = {
    "legacy_checkpoint.pth", "legacy_protocol4.pth", "legacy_types.pth",   "legacy_views.pth",
    "types.safetensors",     "zip_big_endian.pth",   "zip_checkpoint.pth", "zip_deflated.pth",
    "zip_protocol4.pth",     "zip_types.pth",        "zip_views.pth",
};
enum { FILE_COUNT = sizeof files / sizeof files[0] };

static void a_file_cut_at_any_byte_is_an_error(void **state)
{
  for (size_t i = 0; i < FILE_COUNT; ++i) {
    size_t byte_count;
    uint8_t *bytes = golden_bytes(files[i], &byte_count);
    assert_int_equal(golden_read_all(bytes, byte_count), STATUS_OK);
    for (size_t cut = 0; cut < byte_count; ++cut)
      if (golden_read_all(bytes, cut) == STATUS_OK)
        fail_msg("%s cut to %zu of %zu bytes was taken", files[i], cut, byte_count);
    free(bytes);
  }
}

static void no_change_of_a_byte_does_harm(void **state)
{
  for (size_t i = 0; i < FILE_COUNT; ++i) {
    size_t byte_count;
    uint8_t *bytes = golden_bytes(files[i], &byte_count);
    for (size_t at = 0; at < byte_count; ++at) {
      const uint8_t kept = bytes[at];
      const uint8_t changes[4] = {0x00, 0xFF, (uint8_t)(kept ^ 0x80), (uint8_t)(kept + 1)};
      for (size_t change = 0; change < 4; ++change) {
        bytes[at] = changes[change];
        (void)golden_read_all(bytes, byte_count);
      }
      bytes[at] = kept;
    }
    free(bytes);
  }
}

static void a_changed_value_in_a_zip_is_found_by_its_checksum(void **state)
{
  size_t byte_count;
  uint8_t *bytes = golden_bytes("zip_parameter.pth", &byte_count);
  float values[4];
  float first = (float)golden_number(0, 0) / 4;
  uint8_t *found = memmem(bytes, byte_count, &first, sizeof first);
  assert_non_null(found);
  *found ^= 1;
  WeightFile *file;
  CHECK_OK(weights_open_memory(bytes, byte_count, "changed", &file));
  CHECK_FAILS(STATUS_BAD_INPUT, "checksum is wrong", weights_read_f32(file, 0, values, 4));
  weights_close(file);
  free(bytes);
}

/* A safetensors file of this header and data of byte_count zeros. */
static Status open_header(const char *header, size_t data_bytes)
{
  static uint8_t bytes[4096];
  const size_t length = strlen(header);
  WeightFile *file;
  memset(bytes, 0, sizeof bytes);
  bytes[0] = (uint8_t)length;
  bytes[1] = (uint8_t)(length >> 8);
  memcpy(bytes + 8, header, length);
  const Status status = weights_open_memory(bytes, 8 + length + data_bytes, "made", &file);
  weights_close(file);
  return status;
}

#define ROW(name, type, shape, begin, end)                                                         \
  "\"" name "\":{\"dtype\":\"" type "\",\"shape\":[" shape "],\"data_offsets\":[" begin "," end "]}"

static void safetensors_must_cover_their_data_exactly(void **state)
{
  CHECK_OK(open_header("{" ROW("a", "F32", "2", "0", "8") "," ROW("b", "U8", "", "8", "9") "}", 9));
  CHECK_FAILS(
      STATUS_BAD_INPUT, "overlaps",
      open_header("{" ROW("a", "F32", "2", "0", "8") "," ROW("b", "F32", "2", "4", "12") "}", 12));
  CHECK_FAILS(
      STATUS_BAD_INPUT, "hole",
      open_header("{" ROW("a", "F32", "2", "0", "8") "," ROW("b", "U8", "1", "9", "10") "}", 10));
  CHECK_FAILS(STATUS_BAD_INPUT, "hole", open_header("{" ROW("a", "F32", "2", "1", "9") "}", 9));
  CHECK_FAILS(STATUS_BAD_INPUT, "follow", open_header("{" ROW("a", "F32", "2", "0", "8") "}", 9));
  CHECK_FAILS(STATUS_BAD_INPUT, "behind the end",
              open_header("{" ROW("a", "F32", "2", "0", "8") "}", 7));
}

static void safetensors_shapes_and_types_are_checked(void **state)
{
  CHECK_FAILS(STATUS_BAD_INPUT, "do not fit",
              open_header("{" ROW("a", "F32", "3", "0", "8") "}", 8));
  CHECK_FAILS(STATUS_BAD_INPUT, "do not fit",
              open_header("{" ROW("a", "F32", "1", "0", "8") "}", 8));
  CHECK_FAILS(STATUS_BAD_INPUT, "too many elements",
              open_header("{" ROW("a", "F32", "4294967296,4294967296", "0", "8") "}", 8));
  CHECK_FAILS(STATUS_BAD_INPUT, "do not fit",
              open_header("{" ROW("a", "F32", "4611686018427387904", "0", "0") "}", 0));
  CHECK_FAILS(STATUS_BAD_INPUT, "negative", open_header("{" ROW("a", "U8", "-1", "0", "0") "}", 0));
  CHECK_FAILS(STATUS_BAD_INPUT, "data_offsets",
              open_header("{" ROW("a", "F32", "2", "8", "0") "}", 8));
  CHECK_FAILS(STATUS_UNSUPPORTED, "F8_E4M3",
              open_header("{" ROW("a", "F8_E4M3", "1", "0", "1") "}", 1));
  CHECK_FAILS(STATUS_UNSUPPORTED, "9 dimensions",
              open_header("{" ROW("a", "U8", "1,1,1,1,1,1,1,1,1", "0", "1") "}", 1));
  CHECK_FAILS(
      STATUS_BAD_INPUT, "JSON",
      open_header("{" ROW("a", "U8", "1", "0", "1") "," ROW("a", "U8", "1", "0", "1") "}", 1));
  CHECK_FAILS(STATUS_BAD_INPUT, "more than texts", open_header("{\"__metadata__\":{\"a\":1}}", 0));
  CHECK_FAILS(STATUS_BAD_INPUT, "JSON", open_header("{\"a\":{", 0));
}

static uint8_t legacy[70000];
static size_t legacy_bytes;

/* A legacy file: the three pickles that open it, then these bytes. */
static Status open_legacy(const void *bytes, size_t byte_count)
{
  static const uint8_t opening[] = {0x80, 2,    0x8A, 10,   0x6C, 0xFC, 0x9C, 0x46, 0xF9,
                                    0x20, 0x6A, 0xA8, 0x50, 0x19, '.',  0x80, 2,    'M',
                                    0xE9, 3,    '.',  0x80, 2,    '}',  '.'};
  assert_true(sizeof opening + byte_count <= sizeof legacy);
  memcpy(legacy, opening, sizeof opening);
  memcpy(legacy + sizeof opening, bytes, byte_count);
  legacy_bytes = sizeof opening + byte_count;
  return golden_read_all(legacy, legacy_bytes);
}

static const uint8_t *last_legacy(size_t *byte_count)
{
  *byte_count = legacy_bytes;
  return legacy;
}

#define LEGACY(text) open_legacy(text, sizeof(text) - 1)
#define STORAGE(key, count)                                                                        \
  "(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0" key "U\3cpuK" count "tQ"
#define TENSOR(storage, offset, dims, strides)                                                     \
  "ctorch._utils\n_rebuild_tensor_v2\n(" storage "K" offset "(" dims "t(" strides "t\x89}tR"
/* {"a": tensor}, the keys, and a storage of two numbers. */
#define ONE(tensor)                                                                                \
  "}U\1a" tensor "s.](X\1\0\0\0"                                                                   \
  "0e.\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"

static void a_tensor_must_lie_in_its_storage(void **state)
{
  assert_int_equal(LEGACY(ONE(TENSOR(STORAGE("0", "\2"), "\0", "K\2", "K\1"))), STATUS_OK);
  assert_int_equal(LEGACY(ONE(TENSOR(STORAGE("0", "\2"), "\2", "K\0", "K\1"))), STATUS_OK);
  CHECK_FAILS(STATUS_BAD_INPUT, "beyond its storage",
              LEGACY(ONE(TENSOR(STORAGE("0", "\2"), "\1", "K\2", "K\1"))));
  CHECK_FAILS(STATUS_BAD_INPUT, "beyond its storage",
              LEGACY(ONE(TENSOR(STORAGE("0", "\2"), "\0", "K\2", "K\2"))));
  CHECK_FAILS(
      STATUS_BAD_INPUT, "beyond its storage",
      LEGACY(ONE(TENSOR(STORAGE("0", "\2"), "\0", "K\2\x8A\x8\0\0\0\0\0\0\0\x40", "K\0K\0"))));
  CHECK_FAILS(STATUS_BAD_INPUT, "repeats its storage",
              LEGACY(ONE(TENSOR(STORAGE("0", "\2"), "\0", "J\0\0\0\x40", "K\0"))));
  CHECK_FAILS(STATUS_BAD_INPUT, "beyond its storage",
              LEGACY(ONE(TENSOR(STORAGE("0", "\2"), "\0", "K\2",
                                "\x8A\x8\xff\xff\xff\xff\xff\xff\xff\x7f"))));
  CHECK_FAILS(STATUS_BAD_INPUT, "negative",
              LEGACY(ONE(TENSOR(STORAGE("0", "\2"), "\0", "J\xff\xff\xff\xff", "K\1"))));
  CHECK_FAILS(STATUS_BAD_INPUT, "as many strides",
              LEGACY(ONE(TENSOR(STORAGE("0", "\2"), "\0", "K\2", "K\1K\1"))));
  CHECK_FAILS(STATUS_UNSUPPORTED, "9 dimensions",
              LEGACY(ONE(TENSOR(STORAGE("0", "\2"), "\0", "K\1K\1K\1K\1K\1K\1K\1K\1K\1", "K\1"))));
}

static void storages_of_a_legacy_file_must_be_as_stated(void **state)
{
  CHECK_FAILS(STATUS_BAD_INPUT, "another length",
              LEGACY(ONE(TENSOR(STORAGE("0", "\3"), "\0", "K\2", "K\1"))));
  CHECK_FAILS(STATUS_UNSUPPORTED, "has a type",
              LEGACY(ONE(TENSOR(STORAGE("1", "\2"), "\0", "K\2", "K\1"))));
  CHECK_FAILS(STATUS_BAD_INPUT, "missing",
              LEGACY("}U\1a" TENSOR(STORAGE("0", "\2"), "\0", "K\2", "K\1") "s.]."));
}

/* Two numbers, 0.5 and 0.25, in storage "0". */
#define TWO_NUMBERS "\2\0\0\0\0\0\0\0\0\0\0\x3f\0\0\x80\x3e"
#define KEY                                                                                        \
  "X\1\0\0\0"                                                                                      \
  "0"

static void storages_of_a_legacy_file_are_listed_once_and_end_the_file(void **state)
{
#define OBJECT "}U\1a" TENSOR(STORAGE("0", "\2"), "\0", "K\2", "K\1") "s."
  assert_int_equal(LEGACY(OBJECT "](" KEY "e." TWO_NUMBERS), STATUS_OK);
  CHECK_FAILS(STATUS_BAD_INPUT, "listed twice",
              LEGACY(OBJECT "](" KEY KEY "e." TWO_NUMBERS TWO_NUMBERS));
  CHECK_FAILS(STATUS_BAD_INPUT, "1 bytes follow", LEGACY(OBJECT "](" KEY "e." TWO_NUMBERS "x"));
#undef OBJECT
}

static void a_view_of_a_storage_begins_at_its_offset(void **state)
{
#define VIEW(offset, count)                                                                        \
  "(X\7\0\0\0storagectorch\nFloatStorage\n" KEY "U\3cpuK\2(U\1vK" offset "K" count "ttQ"
#define FILE_OF(tensor) LEGACY("}U\1a" tensor "s.](" KEY "e." TWO_NUMBERS)
  size_t byte_count;
  WeightFile *file;
  float value;
  assert_int_equal(FILE_OF(TENSOR(VIEW("\1", "\1"), "\0", "K\1", "K\1")), STATUS_OK);
  const uint8_t *bytes = last_legacy(&byte_count);
  CHECK_OK(weights_open_memory(bytes, byte_count, "view", &file));
  CHECK_OK(weights_read_f32(file, 0, &value, 1));
  assert_true(value == 0.25F);
  weights_close(file);
  CHECK_FAILS(STATUS_BAD_INPUT, "beyond its storage",
              FILE_OF(TENSOR(VIEW("\1", "\1"), "\0", "K\2", "K\1")));
  CHECK_FAILS(STATUS_BAD_INPUT, "lies outside it",
              FILE_OF(TENSOR(VIEW("\1", "\2"), "\0", "K\1", "K\1")));
#undef FILE_OF
#undef VIEW
}

static void a_name_that_stands_twice_is_refused(void **state)
{
  CHECK_FAILS(STATUS_BAD_INPUT, "twice",
              LEGACY("}(U\1a" TENSOR(STORAGE("0", "\2"), "\0", "K\2", "K\1") "U\1a" TENSOR(
                  STORAGE("0", "\2"), "\0", "K\2", "K\1") "u.](U\1"
                                                          "0e.\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"));
}

static void broken_pickles_are_errors(void **state)
{
  CHECK_FAILS(STATUS_BAD_INPUT, "stack is empty", LEGACY("0."));
  CHECK_FAILS(STATUS_BAD_INPUT, "stack is empty", LEGACY("."));
  CHECK_FAILS(STATUS_BAD_INPUT, "mark is missing", LEGACY("t."));
  CHECK_FAILS(STATUS_BAD_INPUT, "stack is empty", LEGACY("NN(0."));
  CHECK_FAILS(STATUS_BAD_INPUT, "memo", LEGACY("h\1."));
  CHECK_FAILS(STATUS_BAD_INPUT, "memo", LEGACY("Nr\xff\xff\xff\x7f."));
  CHECK_FAILS(STATUS_BAD_INPUT, "cut short", LEGACY("X\xff\xff\xff\xff."));
  CHECK_FAILS(STATUS_BAD_INPUT, "cut short", LEGACY("\x8d\xff\xff\xff\xff\xff\xff\xff\xff."));
  CHECK_FAILS(STATUS_BAD_INPUT, "cut short", LEGACY("\x95\xff\xff\xff\xff\xff\xff\xff\xff."));
  CHECK_FAILS(STATUS_BAD_INPUT, "holds none", LEGACY("NNa."));
  CHECK_FAILS(STATUS_BAD_INPUT, "no value", LEGACY("}(Nu."));
  CHECK_FAILS(STATUS_UNSUPPORTED, "0x69", LEGACY("i"));
  CHECK_FAILS(STATUS_UNSUPPORTED, "protocol 9", LEGACY("\x80\x09."));
}

static void code_in_a_pickle_stays_an_inert_word(void **state)
{
  CHECK_FAILS(STATUS_UNSUPPORTED, "os system", LEGACY("cos\nsystem\n(U\4truetR.]."));
  CHECK_FAILS(STATUS_UNSUPPORTED, "builtins eval", LEGACY("cbuiltins\neval\n)\x81}b.]."));
}

static void values_may_refer_to_themselves(void **state)
{
  CHECK_FAILS(STATUS_UNSUPPORTED, "no state_dict", LEGACY("]q\0h\0a.]."));
  CHECK_FAILS(STATUS_UNSUPPORTED, "no state_dict", LEGACY("}q\0U\5modelh\0s.]."));
}

static void deep_nesting_needs_no_stack(void **state)
{
  static char text[65536];
  memset(text, ']', 32000);
  memset(text + 32000, 'a', 31999);
  memcpy(text + 63999, ".].", 3);
  assert_int_equal(open_legacy(text, 64002), STATUS_UNSUPPORTED);
}

static void random_bytes_in_a_pickle_do_no_harm(void **state)
{
  static const char alphabet[] = "(.012BCGJKMNQRTUX]abcdehjlqrstu})\x80\x81\x85\x86\x87\x88\x89\x8A"
                                 "\x8B\x8C\x8D\x8E\x8F\x90\x91\x92\x93\x94\x95\x96\0\1\2\3";
  uint8_t bytes[64];
  Random random = random_stream(1, 0);
  for (int round = 0; round < 20000; ++round) {
    const uint32_t count = 1 + random_below(&random, sizeof bytes);
    for (uint32_t i = 0; i < count; ++i)
      bytes[i] = (uint8_t)alphabet[random_below(&random, sizeof alphabet - 1)];
    (void)open_legacy(bytes, count);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_file_cut_at_any_byte_is_an_error),
      cmocka_unit_test(no_change_of_a_byte_does_harm),
      cmocka_unit_test(a_changed_value_in_a_zip_is_found_by_its_checksum),
      cmocka_unit_test(safetensors_must_cover_their_data_exactly),
      cmocka_unit_test(safetensors_shapes_and_types_are_checked),
      cmocka_unit_test(a_tensor_must_lie_in_its_storage),
      cmocka_unit_test(storages_of_a_legacy_file_must_be_as_stated),
      cmocka_unit_test(storages_of_a_legacy_file_are_listed_once_and_end_the_file),
      cmocka_unit_test(a_view_of_a_storage_begins_at_its_offset),
      cmocka_unit_test(a_name_that_stands_twice_is_refused),
      cmocka_unit_test(broken_pickles_are_errors),
      cmocka_unit_test(code_in_a_pickle_stays_an_inert_word),
      cmocka_unit_test(values_may_refer_to_themselves),
      cmocka_unit_test(deep_nesting_needs_no_stack),
      cmocka_unit_test(random_bytes_in_a_pickle_do_no_harm),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
