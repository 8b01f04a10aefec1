#include "cuda_libraries.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/check.h"

/* SITE is a folder with empty libraries, laid out as pip and toolkits do; their names are of no other. */

static bool is_open(const char *name)
{
  return dlopen(name, RTLD_NOW | RTLD_NOLOAD) != NULL;
}

static void a_named_folder_that_has_it_is_taken(void **state)
{
  assert_false(is_open(SITE "/named/libcudnn.so.9"));
  assert_int_equal(setenv("QUADRAT_CUDA_LIBRARIES", "", 1), 0);
  cuda_libraries_open_named();
  assert_false(is_open(SITE "/named/libcudnn.so.9"));
  assert_int_equal(setenv("QUADRAT_CUDA_LIBRARIES", ":/nowhere:" SITE "/named:", 1), 0);
  cuda_libraries_open_named();
  assert_true(is_open(SITE "/named/libcudnn.so.9"));
}

static void wheels_are_found_in_an_environment(void **state)
{
  assert_int_equal(setenv("VIRTUAL_ENV", "/nowhere", 1), 0);
  assert_false(cuda_libraries_open_one("libquadrat_site.so.1"));
  assert_int_equal(setenv("VIRTUAL_ENV", SITE, 1), 0);
  assert_true(cuda_libraries_open_one("libquadrat_site.so.1"));
  assert_false(cuda_libraries_open_one("libquadrat_site.so.2"));
}

static void a_toolkits_folder_is_found_by_its_variable(void **state)
{
  assert_false(cuda_libraries_open_one("libcudnn_named.so.9"));
  assert_int_equal(setenv("CUDNN_PATH", SITE, 1), 0);
  assert_true(cuda_libraries_open_one("libcudnn_named.so.9"));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_named_folder_that_has_it_is_taken),
      cmocka_unit_test(wheels_are_found_in_an_environment),
      cmocka_unit_test(a_toolkits_folder_is_found_by_its_variable),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
