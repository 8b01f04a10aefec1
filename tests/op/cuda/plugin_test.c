#include "device/device.h"
#include "op/backend.h"
#include "support/check.h"

/* The plug-in beside this program loads, with or without a GPU: all that it wants from the program
 * is exported by it. */
static void the_plugin_loads_and_says_what_it_finds(void **state)
{
  const char *why = NULL;
  const int count = device_gpu_count(&why);
  assert_non_null(why);
  assert_non_null(device_plugin_symbol("quadrat_cuda_device"));
  assert_non_null(device_plugin_symbol("quadrat_cuda_nccl"));
  const Backend *backend = device_plugin_symbol("quadrat_cuda_backend");
  assert_non_null(backend);
  assert_int_equal(backend->channel_multiple, 8);
  if (count > 0) return;
  Device *device = NULL;
  CHECK_FAILS(STATUS_UNSUPPORTED, why, device_open(0, &device));
  assert_null(device);
}

/* An entry that is missing would be called as NULL on a GPU only. */
static void the_table_of_ops_has_no_gap(void **state)
{
  const Backend *backend = device_plugin_symbol("quadrat_cuda_backend");
  assert_non_null(backend);
  void (*entry)(void);
  for (size_t at = offsetof(Backend, preferred_element); at < sizeof *backend; at += sizeof entry) {
    memcpy(&entry, (const char *)backend + at, sizeof entry);
    if (entry == NULL) fail_msg("the entry at byte %zu of the table is empty", at);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_plugin_loads_and_says_what_it_finds),
      cmocka_unit_test(the_table_of_ops_has_no_gap),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
