#include <stdio.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/path.h"
#include "store/checksum.h"
#include "store/package.h"
#include "support/check.h"
#include "zip_bytes.h"

static char folder[] = "/tmp/quadrat-package-XXXXXX";
static char path[256];

static int make_folder(void **state)
{
  if (mkdtemp(folder) == NULL) return -1;
  return path_join(folder, "model.dlpk", sizeof path, path) == STATUS_OK ? 0 : -1;
}

static int remove_folder(void **state)
{
  return path_remove_tree(folder) == STATUS_OK ? 0 : -1;
}

static const float bias[3] = {1, 2.5F, -4};
static const WeightGiven given[1] = {
    {.name = "head.bias", .type = WEIGHT_F32, .rank = 1, .dims = {3}, .values = bias}};

static Document *definition(const char *model_file)
{
  Document *emd;
  CHECK_OK(document_new_object(&emd));
  CHECK_OK(document_set_text(emd, "ModelFile", model_file));
  CHECK_OK(document_set_int(emd, "ImageHeight", 256));
  return emd;
}

static void write_package(const char *to)
{
  const PackageItem items[3] = {
      {.name = "model.safetensors", .weights = given, .weight_count = 1},
      {.name = "metrics/metrics.json", .bytes = "{}", .byte_count = 2},
      {.name = "Inference.py", .bytes = "import os", .byte_count = 9},
  };
  Document *emd = definition("model.safetensors");
  CHECK_OK(package_write(to, "model.emd", emd, items, 3));
  document_close(emd);
}

static void check_weights(const Package *package)
{
  WeightFile *weights;
  float values[3];
  CHECK_OK(package_open_weights(package, &weights));
  assert_int_equal(weights_count(weights), 1);
  CHECK_OK(weights_read_f32(weights, 0, values, 3));
  assert_memory_equal(values, bias, sizeof bias);
  weights_close(weights);
}

static void what_is_packed_is_found_again(void **state)
{
  Package *package;
  int64_t height;
  void *bytes;
  size_t byte_count;
  write_package(path);
  CHECK_OK(package_open(path, &package));
  assert_string_equal(package_definition_name(package), "model.emd");
  CHECK_OK(document_get_int(package_definition(package), "ImageHeight", &height, NULL));
  assert_int_equal(height, 256);
  assert_int_equal(package_member_count(package), 4);
  assert_string_equal(package_member_name(package, 0), "Inference.py");
  assert_string_equal(package_member_name(package, 1), "metrics/metrics.json");
  CHECK_OK(package_read(package, ".\\metrics\\metrics.json", 100, &bytes, &byte_count));
  assert_int_equal(byte_count, 2);
  assert_string_equal(bytes, "{}");
  memory_free(bytes);
  CHECK_FAILS(STATUS_BAD_INPUT, "at most 1",
              package_read(package, "metrics/metrics.json", 1, &bytes, &byte_count));
  check_weights(package);
  package_close(package);
}

static void weights_open_reads_through_a_package(void **state)
{
  WeightFile *weights;
  float values[3];
  write_package(path);
  CHECK_OK(weights_open(path, &weights));
  CHECK_OK(weights_read_f32(weights, 0, values, 3));
  assert_memory_equal(values, bias, sizeof bias);
  weights_close(weights);
}

static void the_same_input_gives_the_same_bytes(void **state)
{
  uint64_t first;
  uint64_t second;
  write_package(path);
  CHECK_OK(checksum_file(path, &first));
  write_package(path);
  CHECK_OK(checksum_file(path, &second));
  assert_true(first == second);
}

static void unzip_accepts_what_we_write(void **state)
{
  char command[512];
  if (system("python3 -c 'import zipfile' 2>/dev/null") != 0) skip();
  write_package(path);
  (void)snprintf(command, sizeof command,
                 "python3 -c 'import zipfile; z = zipfile.ZipFile(\"%s\"); "
                 "assert z.testzip() is None; assert len(z.namelist()) == 4'",
                 path);
  assert_int_equal(system(command), 0);
}

static void an_unpacked_package_opens_as_folder_and_as_emd(void **state)
{
  char unpacked[256];
  char emd[512];
  Package *package;
  write_package(path);
  CHECK_OK(path_join(folder, "unpacked", sizeof unpacked, unpacked));
  CHECK_OK(package_open(path, &package));
  CHECK_OK(package_extract(package, unpacked));
  package_close(package);
  CHECK_OK(package_open(unpacked, &package));
  assert_int_equal(package_member_count(package), 4);
  check_weights(package);
  package_close(package);
  CHECK_OK(path_join(unpacked, "model.emd", sizeof emd, emd));
  CHECK_OK(package_open(emd, &package));
  check_weights(package);
  package_close(package);
  WeightFile *weights;
  CHECK_OK(weights_open(emd, &weights));
  weights_close(weights);
}

static void a_definition_whose_model_file_is_missing_is_refused(void **state)
{
  Document *emd = definition("other.pth");
  const PackageItem items[1] = {{.name = "model.safetensors", .bytes = "", .byte_count = 0}};
  CHECK_FAILS(STATUS_BAD_INPUT, "other.pth", package_write(path, "a.emd", emd, items, 1));
  document_close(emd);
}

static void names_that_leave_the_package_are_not_written(void **state)
{
  Document *emd = definition("m");
  const char *const names[4] = {"/etc/m", "../m", "a/../../m", "C:/m"};
  for (size_t i = 0; i < 4; ++i) {
    const PackageItem items[2] = {{.name = "m", .bytes = "", .byte_count = 0},
                                  {.name = names[i], .bytes = "", .byte_count = 0}};
    CHECK_FAILS(STATUS_BAD_INPUT, "no name for a file",
                package_write(path, "a.emd", emd, items, 2));
  }
  const PackageItem twice[2] = {{.name = "m", .bytes = "", .byte_count = 0},
                                {.name = "m", .bytes = "", .byte_count = 0}};
  CHECK_FAILS(STATUS_BAD_INPUT, "two files", package_write(path, "a.emd", emd, twice, 2));
  document_close(emd);
}

static const char emd_text[] = "{\"ModelFile\": \"m.pth\"}";

/* A zip with a definition and one more member. */
static Status open_with(const char *name, ZipLie lie)
{
  ZipBytes zip = {.count = 0};
  Package *package;
  zip_bytes_add(&zip, "a.emd", emd_text, strlen(emd_text), ZIP_TRUTH);
  zip_bytes_add(&zip, name, "abcd", 4, lie);
  zip_bytes_end(&zip);
  const Status status = package_open_memory(zip.bytes, zip.count, "made.dlpk", &package);
  package_close(package);
  return status;
}

static void the_builder_of_these_tests_makes_valid_archives(void **state)
{
  CHECK_OK(open_with("b", ZIP_TRUTH));
}

static void names_that_leave_the_folder_are_refused(void **state)
{
  const char *const names[8] = {"../b",  "a/../../b", "/etc/passwd", "C:\\b",
                                "..\\b", "a//b",      "./b",         "a/./b"};
  for (size_t i = 0; i < 8; ++i)
    CHECK_FAILS(STATUS_BAD_INPUT, "leave its folder", open_with(names[i], ZIP_TRUTH));
  CHECK_FAILS(STATUS_BAD_INPUT, "control character", open_with("a\nb", ZIP_TRUTH));
}

static void links_and_encrypted_members_are_refused(void **state)
{
  ZipLie lie = ZIP_TRUTH;
  lie.attributes = 0120777U << 16;
  CHECK_FAILS(STATUS_BAD_INPUT, "is a link", open_with("b", lie));
  lie = ZIP_TRUTH;
  lie.flags = 1;
  CHECK_FAILS(STATUS_BAD_INPUT, "encrypted", open_with("b", lie));
}

static void members_that_overlap_or_repeat_are_refused(void **state)
{
  ZipLie lie = ZIP_TRUTH;
  CHECK_FAILS(STATUS_BAD_INPUT, "twice", open_with("a.emd", lie));
  lie.header_at = 0;
  CHECK_FAILS(STATUS_BAD_INPUT, "named otherwise", open_with("b.emd", lie));
  /* The first member's data hold the second's header and data. */
  ZipBytes inner = {.count = 0};
  zip_bytes_add(&inner, "b", "abcd", 4, ZIP_TRUTH);
  ZipBytes zip = {.count = 0};
  Package *package;
  zip_bytes_add(&zip, "a.emd", emd_text, strlen(emd_text), ZIP_TRUTH);
  const size_t inner_at = zip.count + 30 + 1;
  zip_bytes_add(&zip, "c", inner.bytes, inner.count, ZIP_TRUTH);
  const size_t kept = zip.count;
  lie.header_at = (int64_t)inner_at;
  zip_bytes_add(&zip, "b", "abcd", 4, lie);
  zip.count = kept;
  zip_bytes_end(&zip);
  CHECK_FAILS(STATUS_BAD_INPUT, "overlaps",
              package_open_memory(zip.bytes, zip.count, "made.dlpk", &package));
}

static void sizes_that_do_not_fit_are_refused(void **state)
{
  ZipLie lie = ZIP_TRUTH;
  lie.packed_bytes = 1000000;
  lie.bytes = 1000000;
  CHECK_FAILS(STATUS_BAD_INPUT, "outside the archive", open_with("b", lie));
  lie = ZIP_TRUTH;
  lie.bytes = 5;
  CHECK_FAILS(STATUS_BAD_INPUT, "two sizes differ", open_with("b", lie));
  lie = ZIP_TRUTH;
  lie.method = 8;
  lie.bytes = 6000;
  CHECK_FAILS(STATUS_BAD_INPUT, "more than deflate can pack", open_with("b", lie));
  lie = ZIP_TRUTH;
  lie.header_at = 0x7FFFFFFF;
  CHECK_FAILS(STATUS_BAD_INPUT, "outside the archive", open_with("b", lie));
}

static void a_name_that_differs_in_the_local_header_is_refused(void **state)
{
  ZipLie lie = ZIP_TRUTH;
  lie.local_name = "c";
  CHECK_FAILS(STATUS_BAD_INPUT, "named otherwise", open_with("b", lie));
}

static void an_unknown_method_is_an_error_only_where_it_is_read(void **state)
{
  ZipBytes zip = {.count = 0};
  ZipLie lie = ZIP_TRUTH;
  Package *package;
  void *bytes;
  size_t byte_count;
  lie.method = 9;
  zip_bytes_add(&zip, "a.emd", emd_text, strlen(emd_text), ZIP_TRUTH);
  zip_bytes_add(&zip, "b", "abcd", 4, lie);
  zip_bytes_end(&zip);
  CHECK_OK(package_open_memory(zip.bytes, zip.count, "made.dlpk", &package));
  CHECK_FAILS(STATUS_UNSUPPORTED, "method 9", package_read(package, "b", 10, &bytes, &byte_count));
  package_close(package);
}

/* Names of definitions, parted by '|'; the one that is taken, or the words of the refusal. */
static void check_definition(const char *first, const char *second, const char *taken)
{
  ZipBytes zip = {.count = 0};
  Package *package;
  zip_bytes_add(&zip, first, emd_text, strlen(emd_text), ZIP_TRUTH);
  if (second != NULL) zip_bytes_add(&zip, second, emd_text, strlen(emd_text), ZIP_TRUTH);
  zip_bytes_end(&zip);
  const Status status = package_open_memory(zip.bytes, zip.count, "made.dlpk", &package);
  if (status == STATUS_OK)
    assert_string_equal(package_definition_name(package), taken);
  else
    assert_non_null(strstr(status_message(), taken));
  package_close(package);
}

static void the_definition_at_the_root_wins(void **state)
{
  check_definition("deep/a.emd", "b.emd", "b.emd");
  check_definition("b.emd", "deep/a.emd", "b.emd");
  check_definition("deep/a.EMD", NULL, "deep/a.EMD");
  check_definition("a.emd", "b.emd", "several .emd");
  check_definition("x/a.emd", "y/b.emd", "several .emd");
  check_definition("readme.txt", NULL, "no .emd");
}

static void a_definition_below_the_root_finds_its_files_beside_it(void **state)
{
  ZipBytes zip = {.count = 0};
  Package *package;
  void *bytes;
  size_t byte_count;
  zip_bytes_add(&zip, "deep/a.emd", emd_text, strlen(emd_text), ZIP_TRUTH);
  zip_bytes_add(&zip, "deep/m.pth", "abcd", 4, ZIP_TRUTH);
  zip_bytes_end(&zip);
  CHECK_OK(package_open_memory(zip.bytes, zip.count, "made.dlpk", &package));
  CHECK_OK(package_read(package, "m.pth", 10, &bytes, &byte_count));
  assert_string_equal(bytes, "abcd");
  memory_free(bytes);
  CHECK_FAILS(STATUS_BAD_INPUT, "not in the package",
              package_read(package, "a.pth", 10, &bytes, &byte_count));
  CHECK_FAILS(STATUS_BAD_INPUT, "not one of a file inside",
              package_read(package, "../deep/m.pth", 10, &bytes, &byte_count));
  package_close(package);
}

static Status open_definition(const char *text)
{
  ZipBytes zip = {.count = 0};
  Package *package;
  WeightFile *weights;
  zip_bytes_add(&zip, "a.emd", text, strlen(text), ZIP_TRUTH);
  zip_bytes_end(&zip);
  Status status = package_open_memory(zip.bytes, zip.count, "made.dlpk", &package);
  if (status == STATUS_OK) status = package_open_weights(package, &weights);
  package_close(package);
  return status;
}

static void a_definition_must_be_an_object_that_names_a_model_file(void **state)
{
  CHECK_FAILS(STATUS_BAD_INPUT, "not valid JSON", open_definition("{"));
  CHECK_FAILS(STATUS_BAD_INPUT, "no JSON object", open_definition("[1]"));
  CHECK_FAILS(STATUS_BAD_INPUT, "“ModelFile” is missing", open_definition("{}"));
  CHECK_FAILS(STATUS_BAD_INPUT, "m.pth” is not in the package", open_definition(emd_text));
  CHECK_FAILS(STATUS_BAD_INPUT, "inside the package",
              open_definition("{\"ModelFile\": \"/etc/passwd\"}"));
}

static void damage_of_a_package_is_found_at_every_byte_that_counts(void **state)
{
  uint8_t bytes[4096];
  Package *package;
  write_package(path);
  FILE *file = fopen(path, "rb");
  assert_non_null(file);
  const size_t byte_count = fread(bytes, 1, sizeof bytes, file);
  (void)fclose(file);
  assert_in_range(byte_count, 500, sizeof bytes - 1);
  for (size_t cut = 0; cut < byte_count; ++cut)
    assert_int_not_equal(package_open_memory(bytes, cut, "cut", &package), STATUS_OK);
  for (size_t at = 0; at < byte_count; ++at) {
    bytes[at] ^= 0x10;
    if (package_open_memory(bytes, byte_count, "changed", &package) == STATUS_OK) {
      WeightFile *weights;
      if (package_open_weights(package, &weights) == STATUS_OK) weights_close(weights);
    }
    package_close(package);
    bytes[at] ^= 0x10;
  }
}

static void changed_weights_are_found_when_they_are_opened(void **state)
{
  uint8_t bytes[4096];
  Package *package;
  WeightFile *weights;
  write_package(path);
  FILE *file = fopen(path, "rb");
  assert_non_null(file);
  const size_t byte_count = fread(bytes, 1, sizeof bytes, file);
  (void)fclose(file);
  uint8_t *found = memmem(bytes, byte_count, bias, sizeof bias);
  assert_non_null(found);
  *found ^= 1;
  CHECK_OK(package_open_memory(bytes, byte_count, "changed", &package));
  CHECK_FAILS(STATUS_BAD_INPUT, "checksum is wrong", package_open_weights(package, &weights));
  package_close(package);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_packed_is_found_again),
      cmocka_unit_test(weights_open_reads_through_a_package),
      cmocka_unit_test(the_same_input_gives_the_same_bytes),
      cmocka_unit_test(unzip_accepts_what_we_write),
      cmocka_unit_test(an_unpacked_package_opens_as_folder_and_as_emd),
      cmocka_unit_test(a_definition_whose_model_file_is_missing_is_refused),
      cmocka_unit_test(names_that_leave_the_package_are_not_written),
      cmocka_unit_test(the_builder_of_these_tests_makes_valid_archives),
      cmocka_unit_test(names_that_leave_the_folder_are_refused),
      cmocka_unit_test(links_and_encrypted_members_are_refused),
      cmocka_unit_test(members_that_overlap_or_repeat_are_refused),
      cmocka_unit_test(sizes_that_do_not_fit_are_refused),
      cmocka_unit_test(a_name_that_differs_in_the_local_header_is_refused),
      cmocka_unit_test(an_unknown_method_is_an_error_only_where_it_is_read),
      cmocka_unit_test(the_definition_at_the_root_wins),
      cmocka_unit_test(a_definition_below_the_root_finds_its_files_beside_it),
      cmocka_unit_test(a_definition_must_be_an_object_that_names_a_model_file),
      cmocka_unit_test(damage_of_a_package_is_found_at_every_byte_that_counts),
      cmocka_unit_test(changed_weights_are_found_when_they_are_opened),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
