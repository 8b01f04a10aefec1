#include "base/memory.h"
#include "device/device.h"
#include "support/check.h"

static Device *device;

static int open_counting(void **state)
{
  if (device_open(-1, &device) != STATUS_OK) return -1;
  device_count_only(device);
  return 0;
}

static int close_counting(void **state)
{
  device_close(device);
  return 0;
}

static size_t counted(const char *what, bool host)
{
  int32_t count;
  const DeviceCount *counts = device_counts(device, &count);
  size_t bytes = 0;
  for (int32_t i = 0; i < count; ++i)
    if (strcmp(counts[i].what, what) == 0 && counts[i].host == host) bytes += counts[i].bytes;
  return bytes;
}

static void *taken(size_t bytes, const char *what)
{
  void *memory;
  CHECK_OK(device_allocate(device, bytes, what, &memory));
  assert_non_null(memory);
  return memory;
}

/* The CPU's driver rounds to pages of 4 KiB, and from 2 MiB on to huge ones. */
static void what_is_allocated_is_counted_by_its_name_as_the_driver_rounds_it(void **state)
{
  void *a = taken(1, "weights");
  void *b = taken(4097, "weights");
  void *c = taken((2 << 20) + 1, "activations");
  assert_int_equal(counted("weights", false), 3 * 4096);
  assert_int_equal(counted("activations", false), 4 << 20);
  device_release(device, b);
  assert_int_equal(counted("weights", false), 4096);
  device_release(device, a);
  device_release(device, c);
  device_release(device, NULL);
  assert_int_equal(counted("weights", false), 0);
  assert_int_equal(counted("activations", false), 0);
}

static void memory_of_the_host_is_counted_apart_and_can_be_touched(void **state)
{
  void *memory;
  CHECK_OK(device_allocate_host(device, 8192, "weights", &memory));
  memset(memory, 1, 8192);
  assert_int_equal(counted("weights", true), 8192);
  assert_int_equal(counted("weights", false), 0);
  device_release_host(device, memory);
  assert_int_equal(counted("weights", true), 0);
}

static void more_than_any_machine_has_is_counted_and_costs_nothing(void **state)
{
  const size_t huge = (size_t)1 << 43; /* 8 TiB */
  const size_t before = memory_resident_bytes();
  void *a = taken(huge, "activations");
  void *b = taken(huge, "activations");
  assert_ptr_not_equal(a, b);
  assert_int_equal(counted("activations", false), 2 * huge);
  assert_true(memory_resident_bytes() < before + (64 << 20));
  device_release(device, a);
  device_release(device, b);
}

static void copies_and_clears_touch_nothing(void **state)
{
  char here[16] = "kept";
  void *there = taken(16, "weights");
  device_upload(device, there, here, sizeof here);
  device_download(device, here, there, sizeof here);
  device_copy(device, there, there, 16);
  device_clear(device, there, 16);
  CHECK_OK(device_synchronize(device));
  assert_string_equal(here, "kept");
  device_release(device, there);
}

static void many_pieces_are_told_apart(void **state)
{
  void *pieces[200];
  for (size_t i = 0; i < 200; ++i)
    pieces[i] = taken(4096 * (i + 1), "pieces");
  assert_int_equal(counted("pieces", false), 4096 * 200 * 201 / 2);
  for (size_t i = 0; i < 200; i += 2)
    device_release(device, pieces[i]);
  assert_int_equal(counted("pieces", false), 4096 * 100 * 101);
  for (size_t i = 1; i < 200; i += 2)
    device_release(device, pieces[i]);
  assert_int_equal(counted("pieces", false), 0);
}

static void the_process_knows_what_it_takes(void **state)
{
  const size_t bytes = 64 << 20;
  void *memory;
  const size_t before = memory_resident_bytes();
  assert_in_range(before, 1 << 20, memory_peak_bytes());
  CHECK_OK(memory_allocate(bytes, 1, "bytes", &memory));
  const size_t with = memory_resident_bytes();
  assert_in_range(with, before + bytes - (4 << 20), before + bytes + (16 << 20));
  memory_free(memory);
  assert_true(memory_peak_bytes() + (1 << 20) >= with);
  assert_true(memory_available_bytes() > 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(
          what_is_allocated_is_counted_by_its_name_as_the_driver_rounds_it, open_counting,
          close_counting),
      cmocka_unit_test_setup_teardown(memory_of_the_host_is_counted_apart_and_can_be_touched,
                                      open_counting, close_counting),
      cmocka_unit_test_setup_teardown(more_than_any_machine_has_is_counted_and_costs_nothing,
                                      open_counting, close_counting),
      cmocka_unit_test_setup_teardown(copies_and_clears_touch_nothing, open_counting,
                                      close_counting),
      cmocka_unit_test_setup_teardown(many_pieces_are_told_apart, open_counting, close_counting),
      cmocka_unit_test(the_process_knows_what_it_takes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
