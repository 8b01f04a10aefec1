#pragma once

/* cmocka, with the headers that it wants before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* clang-format off */
#include <cmocka.h>
/* clang-format on */

#include <stdlib.h>
#include <string.h>

#include "base/status.h"

/* Shows the sentence when a call that should work did not. */
#define CHECK_OK(call)                                                                             \
  do {                                                                                             \
    const Status check_status = (call);                                                            \
    if (check_status != STATUS_OK) fail_msg("%s: %s", #call, status_message());                    \
  } while (0)

/* The call fails with this status, and its sentence holds these words. */
#define CHECK_FAILS(expected, words, call)                                                         \
  do {                                                                                             \
    const Status check_status = (call);                                                            \
    assert_int_equal(check_status, expected);                                                      \
    if (strstr(status_message(), words) == NULL)                                                   \
      fail_msg("“%s” does not say “%s”", status_message(), words);                                 \
  } while (0)
