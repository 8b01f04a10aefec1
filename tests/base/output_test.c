#include <stdio.h>
#include <unistd.h>

#include "base/output.h"
#include "base/path.h"
#include "support/check.h"

static char folder[] = "/tmp/quadrat-output-XXXXXX";

static int make_folder(void **state)
{
  return mkdtemp(folder) == NULL ? -1 : 0;
}

static int remove_folder(void **state)
{
  return path_remove_tree(folder) == STATUS_OK ? 0 : -1;
}

static void the_aside_name_keeps_folder_and_ending(void **state)
{
  char aside[OUTPUT_PATH_BYTES];
  CHECK_OK(output_aside("a.b/map.tif", aside));
  assert_string_equal(aside, "a.b/.map.part.tif");
  CHECK_OK(output_aside("noending", aside));
  assert_string_equal(aside, ".noending.part");
}

static void a_commit_puts_the_whole_file_in_place(void **state)
{
  char path[OUTPUT_PATH_BYTES];
  char aside[OUTPUT_PATH_BYTES];
  CHECK_OK(path_join(folder, "a.txt", sizeof path, path));
  CHECK_OK(output_aside(path, aside));
  FILE *file = fopen(aside, "w");
  assert_true(fputs("whole", file) >= 0);
  assert_int_equal(fclose(file), 0);
  assert_false(path_exists(path));
  CHECK_OK(output_commit(path));
  assert_true(path_exists(path));
  assert_false(path_exists(aside));
}

static void a_missing_folder_is_refused_before_the_work(void **state)
{
  char path[OUTPUT_PATH_BYTES];
  CHECK_OK(path_join(folder, "missing/a.txt", sizeof path, path));
  CHECK_FAILS(STATUS_IO, "does not exist", output_check_writable(path));
  CHECK_FAILS(STATUS_IO, "it is a folder", output_check_writable(folder));
  CHECK_OK(path_join(folder, "x/y/z", sizeof path, path));
  CHECK_OK(output_make_folder(path));
  assert_true(path_is_folder(path));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_aside_name_keeps_folder_and_ending),
      cmocka_unit_test(a_commit_puts_the_whole_file_in_place),
      cmocka_unit_test(a_missing_folder_is_refused_before_the_work),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
