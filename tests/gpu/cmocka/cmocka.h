#pragma once

/* As much of cmocka as our tests use, for machines that have a GPU but no cmocka. Tests run one
 * after the other in one process; the first failed check ends its test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct CMUnitTest {
  const char *name;
  void (*run)(void **state);
};

/* One for all files of a program: checks fail in tests/support, too. */
__attribute__((weak)) jmp_buf cmocka_failed;

__attribute__((format(printf, 3, 4))) static inline _Noreturn void
cmocka_fail(const char *file, int line, const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  printf("%s:%d: ", file, line);
  vprintf(format, arguments);
  printf("\n");
  va_end(arguments);
  (void)fflush(stdout);
  longjmp(cmocka_failed, 1);
}

static inline int cmocka_run(const struct CMUnitTest *tests, size_t count)
{
  volatile int failures = 0;
  for (volatile size_t i = 0; i < count; ++i) {
    void *state = NULL;
    printf("%s\n", tests[i].name);
    (void)fflush(stdout);
    if (setjmp(cmocka_failed) == 0)
      tests[i].run(&state);
    else
      printf("FAILED: %s (%d)\n", tests[i].name, ++failures);
  }
  printf("%zu tests, %d failed\n", count, failures);
  return failures;
}

#define cmocka_unit_test(function)                                                                 \
  {                                                                                                \
    .name = #function, .run = function                                                             \
  }
#define cmocka_run_group_tests(tests, setup, teardown)                                             \
  cmocka_run(tests, sizeof(tests) / sizeof *(tests))
#define cmocka_run_group_tests_name(name, tests, setup, teardown)                                  \
  cmocka_run(tests, sizeof(tests) / sizeof *(tests))

#define print_error(...) ((void)fprintf(stderr, __VA_ARGS__))
#define fail_msg(...) cmocka_fail(__FILE__, __LINE__, __VA_ARGS__)
#define assert_true(c) ((c) ? (void)0 : fail_msg("%s", #c))
#define assert_false(c) ((c) ? fail_msg("not: %s", #c) : (void)0)
#define assert_null(p) assert_true((p) == NULL)
#define assert_non_null(p) assert_true((p) != NULL)
#define assert_int_equal(a, b)                                                                     \
  do {                                                                                             \
    const intmax_t cmocka_a = (intmax_t)(a);                                                       \
    const intmax_t cmocka_b = (intmax_t)(b);                                                       \
    if (cmocka_a != cmocka_b) fail_msg("%s is %jd, not %jd", #a, cmocka_a, cmocka_b);              \
  } while (0)
#define assert_string_equal(a, b)                                                                  \
  (strcmp((a), (b)) == 0 ? (void)0 : fail_msg("“%s”, expected “%s”", (a), (b)))
#define assert_memory_equal(a, b, bytes) assert_true(memcmp((a), (b), (bytes)) == 0)
#define assert_memory_not_equal(a, b, bytes) assert_true(memcmp((a), (b), (bytes)) != 0)
#define assert_in_range(value, least, most)                                                        \
  do {                                                                                             \
    const uintmax_t cmocka_value = (uintmax_t)(value);                                             \
    if (cmocka_value < (uintmax_t)(least) || cmocka_value > (uintmax_t)(most))                     \
      fail_msg("%s is %ju", #value, cmocka_value);                                                 \
  } while (0)
