#include "base/bundle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/output.h"
#include "base/path.h"
#include "support/check.h"

/* A space, as folders of people have. */
static char folder[] = "/tmp/quadrat bundle-XXXXXX";

static void write_file(const char *name, const char *text)
{
  char path[BUNDLE_PATH_BYTES];
  CHECK_OK(path_join(folder, name, sizeof path, path));
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  assert_true(fputs(text, file) >= 0);
  assert_int_equal(fclose(file), 0);
}

static int make_folder(void **state)
{
  char path[BUNDLE_PATH_BYTES];
  if (mkdtemp(folder) == NULL) return -1;
  CHECK_OK(path_join(folder, "share/quadrat", sizeof path, path));
  CHECK_OK(output_make_folder(path));
  CHECK_OK(path_join(folder, "openmpi", sizeof path, path));
  CHECK_OK(output_make_folder(path));
  return 0;
}

static int remove_folder(void **state)
{
  return path_remove_tree(folder) == STATUS_OK ? 0 : -1;
}

static void a_folder_without_the_file_is_no_bundle(void **state)
{
  assert_int_equal(setenv("BUNDLE_A", "before", 1), 0);
  write_file("openmpi/bundle.environment", "BUNDLE_A=after\n");
  CHECK_OK(bundle_enter_at(folder));
  assert_string_equal(getenv("BUNDLE_A"), "before");
}

static void paths_begin_at_the_root_and_beat_what_is_there(void **state)
{
  char expected[BUNDLE_PATH_BYTES];
  assert_int_equal(setenv("BUNDLE_A", "/foreign", 1), 0);
  assert_int_equal(setenv("BUNDLE_B", "/foreign", 1), 0);
  assert_int_equal(setenv("BUNDLE_C", "/foreign", 1), 0);
  write_file("share/quadrat/bundle.environment",
             "# data\n\nBUNDLE_A=./share/proj\nBUNDLE_B=disable\nBUNDLE_C=\nBUNDLE_E=a=b");
  write_file("openmpi/bundle.environment", "BUNDLE_D=./openmpi\n");
  CHECK_OK(bundle_enter_at(folder));
  CHECK_OK(path_join(folder, "share/proj", sizeof expected, expected));
  assert_string_equal(getenv("BUNDLE_A"), expected);
  assert_string_equal(getenv("BUNDLE_B"), "disable");
  assert_null(getenv("BUNDLE_C"));
  assert_string_equal(getenv("BUNDLE_E"), "a=b");
  CHECK_OK(path_join(folder, "openmpi", sizeof expected, expected));
  assert_string_equal(getenv("BUNDLE_D"), expected);
}

static void a_wrong_line_is_named(void **state)
{
  write_file("share/quadrat/bundle.environment", "BUNDLE_A=1\nno such thing\n");
  CHECK_FAILS(STATUS_BAD_INPUT, "bundle.environment, line 2: neither", bundle_enter_at(folder));
  write_file("share/quadrat/bundle.environment", "=1\n");
  CHECK_FAILS(STATUS_BAD_INPUT, "line 1: neither", bundle_enter_at(folder));
  char long_line[1200];
  memset(long_line, 'x', sizeof long_line);
  memcpy(long_line, "BUNDLE_A=", strlen("BUNDLE_A="));
  long_line[sizeof long_line - 1] = '\0';
  write_file("share/quadrat/bundle.environment", long_line);
  CHECK_FAILS(STATUS_BAD_INPUT, "line 1: the line is too long", bundle_enter_at(folder));
}

static void the_root_is_over_the_programs_folder(void **state)
{
  char root[BUNDLE_PATH_BYTES], program[BUNDLE_PATH_BYTES] = "";
  CHECK_OK(bundle_root(root));
  assert_true(readlink("/proc/self/exe", program, sizeof program - 1) > 0);
  const size_t length = strlen(root);
  assert_memory_equal(program, root, length);
  const char *below = program + length;
  assert_int_equal(below[0], '/');
  assert_non_null(strchr(below + 1, '/'));
  assert_ptr_equal(strchr(below + 1, '/'), strrchr(below, '/'));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_folder_without_the_file_is_no_bundle),
      cmocka_unit_test(paths_begin_at_the_root_and_beat_what_is_there),
      cmocka_unit_test(a_wrong_line_is_named),
      cmocka_unit_test(the_root_is_over_the_programs_folder),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
