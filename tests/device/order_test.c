/* What comes after what: on the CPU, and on a GPU or the emulated one, whose streams run as late and
 * in as odd an order as they may. */
#include "device/inbox.h"
#include "device/outbox.h"
#include "device/recording.h"
#include "support/check.h"

enum { COUNT = 1000, STEPS = 40 };

typedef struct Fixture {
  Device *device;
  int32_t *host; /* of the device, as all */
  int32_t *here, *there;
} Fixture;

static bool open_fixture(int gpu, Fixture *f)
{
  void *memory;
  if (gpu >= device_gpu_count(NULL)) return false;
  CHECK_OK(device_open(gpu, &f->device));
  CHECK_OK(device_allocate_host(f->device, COUNT * sizeof(int32_t), "numbers", &memory));
  f->host = memory;
  CHECK_OK(device_allocate(f->device, COUNT * sizeof(int32_t), "numbers", &memory));
  f->here = memory;
  CHECK_OK(device_allocate(f->device, COUNT * sizeof(int32_t), "numbers", &memory));
  f->there = memory;
  return true;
}

static void close_fixture(Fixture *f)
{
  device_release_host(f->device, f->host);
  device_release(f->device, f->here);
  device_release(f->device, f->there);
  device_close(f->device);
}

#define FOR_EACH_DEVICE(f)                                                                         \
  Fixture f;                                                                                       \
  for (int gpu = -1; gpu < 1; ++gpu)                                                               \
    if (open_fixture(gpu, &f))

static void fill(int32_t *numbers, int32_t value)
{
  for (int32_t i = 0; i < COUNT; ++i)
    numbers[i] = value + i;
}

static void expect_filled(const int32_t *numbers, int32_t value)
{
  for (int32_t i = 0; i < COUNT; ++i)
    assert_int_equal(numbers[i], value + i);
}

static void batches_come_whole_and_in_order_though_the_host_writes_ahead(void **state)
{
  int32_t *results[STEPS];
  FOR_EACH_DEVICE(f)
  {
    const size_t half = COUNT / 2 * sizeof(int32_t);
    Inbox *inbox;
    CHECK_OK(inbox_open(f.device, &inbox));
    inbox_reserve(inbox, half);
    inbox_reserve(inbox, half);
    CHECK_OK(inbox_allocate(inbox));
    for (int32_t step = 0; step < STEPS; ++step) {
      void *memory;
      CHECK_OK(device_allocate_host(f.device, 2 * half, "results", &memory));
      results[step] = memory;
    }
    for (int32_t step = 0; step < STEPS; ++step) {
      CHECK_OK(inbox_wait(inbox));
      fill(f.host, 7 * step);
      inbox_put(inbox, f.here, f.host, half);
      inbox_put(inbox, f.here + COUNT / 2, f.host + COUNT / 2, half);
      inbox_take(inbox);
      device_copy(f.device, f.there, f.here, 2 * half);
      device_download(f.device, results[step], f.there, 2 * half);
    }
    CHECK_OK(device_synchronize(f.device));
    for (int32_t step = 0; step < STEPS; ++step) {
      expect_filled(results[step], 7 * step);
      device_release_host(f.device, results[step]);
    }
    inbox_close(inbox);
    close_fixture(&f);
  }
}

static void results_come_while_the_next_step_writes_over_them(void **state)
{
  FOR_EACH_DEVICE(f)
  {
    const size_t bytes = COUNT * sizeof(int32_t);
    Outbox *outbox;
    void *results[2], *inputs;
    CHECK_OK(outbox_open(f.device, &outbox));
    outbox_reserve(outbox, bytes);
    CHECK_OK(outbox_allocate(outbox));
    for (int i = 0; i < 2; ++i)
      CHECK_OK(device_allocate_host(f.device, bytes, "results", &results[i]));
    CHECK_OK(device_allocate_host(f.device, STEPS * bytes, "inputs", &inputs));
    for (int32_t step = 0; step < STEPS; ++step)
      fill((int32_t *)inputs + step * COUNT, step);
    for (int32_t step = 0; step < STEPS; ++step) {
      device_upload(f.device, f.here, (int32_t *)inputs + step * COUNT, bytes);
      outbox_put(outbox, results[step % 2], f.here, bytes);
      outbox_send(outbox, step % 2);
      if (step == 0) continue;
      CHECK_OK(outbox_wait(outbox, (step - 1) % 2));
      expect_filled(results[(step - 1) % 2], step - 1);
    }
    CHECK_OK(outbox_wait(outbox, (STEPS - 1) % 2));
    expect_filled(results[(STEPS - 1) % 2], STEPS - 1);
    outbox_close(outbox);
    for (int i = 0; i < 2; ++i)
      device_release_host(f.device, results[i]);
    device_release_host(f.device, inputs);
    close_fixture(&f);
  }
}

static Status copy_on(void *context)
{
  const Fixture *f = context;
  device_copy(f->device, f->there, f->here, COUNT * sizeof(int32_t));
  device_clear(f->device, f->here, sizeof(int32_t));
  return STATUS_OK;
}

static void a_recording_does_its_work_at_each_play_and_not_before(void **state)
{
  const size_t bytes = COUNT * sizeof(int32_t);
  FOR_EACH_DEVICE(f)
  {
    Recording *recording;
    const bool records = device_kind(f.device) != DEVICE_CPU;
    device_clear(f.device, f.there, bytes);
    const Status status = recording_make(f.device, copy_on, &f, &recording);
    assert_int_equal(status, records ? STATUS_OK : STATUS_UNSUPPORTED);
    for (int32_t step = 0; records && step < 3; ++step) {
      fill(f.host, 5 * step + 1);
      device_upload(f.device, f.here, f.host, bytes);
      recording_play(recording);
      CHECK_OK(device_synchronize(f.device));
      device_download(f.device, f.host, f.there, bytes);
      CHECK_OK(device_synchronize(f.device));
      expect_filled(f.host, 5 * step + 1);
    }
    if (!records) assert_null(recording);
    recording_close(recording);
    close_fixture(&f);
  }
}

static Status wait_on(void *context)
{
  const Fixture *f = context;
  (void)copy_on(context);
  device_fail(f->device, device_synchronize(f->device));
  return STATUS_OK;
}

static Status give_up_on(void *context)
{
  (void)copy_on(context);
  return status_set(STATUS_MISMATCH, "no");
}

static void a_recording_that_fails_has_done_nothing_and_leaves_the_device_as_it_was(void **state)
{
  const size_t bytes = COUNT * sizeof(int32_t);
  FOR_EACH_DEVICE(f)
  {
    Recording *recording;
    const bool records = device_kind(f.device) != DEVICE_CPU;
    fill(f.host, 3);
    device_upload(f.device, f.there, f.host, bytes);
    if (records) {
      assert_int_equal(recording_make(f.device, wait_on, &f, &recording), STATUS_DEVICE);
      assert_int_equal(recording_make(f.device, give_up_on, &f, &recording), STATUS_MISMATCH);
      assert_string_equal(status_message(), "no");
      assert_null(recording);
    }
    memset(f.host, 0, bytes);
    device_download(f.device, f.host, f.there, bytes);
    CHECK_OK(device_synchronize(f.device));
    expect_filled(f.host, 3);
    close_fixture(&f);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(batches_come_whole_and_in_order_though_the_host_writes_ahead),
      cmocka_unit_test(results_come_while_the_next_step_writes_over_them),
      cmocka_unit_test(a_recording_does_its_work_at_each_play_and_not_before),
      cmocka_unit_test(a_recording_that_fails_has_done_nothing_and_leaves_the_device_as_it_was),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
