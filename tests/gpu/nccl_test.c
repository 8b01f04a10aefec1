#include "nccl_driver.h"
#include "support/backends.h"

/* NCCL with one rank: every call of the driver, and that sums wait for the compute stream's work
 * and its later work for them. */
enum { COUNT = 1 << 20 };

static const TestBackend *gpu(void)
{
  FOR_EACH_TWIN(on)
  if (device_kind(on->device) == DEVICE_CUDA) return on;
  fail_msg("there is no GPU");
}

static const NcclDriver *driver(void)
{
  const NcclDriver *found = device_plugin_symbol(NCCL_DRIVER_SYMBOL);
  assert_non_null(found);
  return found;
}

static Nccl *open_alone(const TestBackend *on)
{
  unsigned char id[NCCL_ID_BYTES];
  Nccl *nccl = NULL;
  CHECK_OK(driver()->make_id(id));
  CHECK_OK(driver()->open(device_driver(on->device), id, 0, 1, 60.0, &nccl));
  return nccl;
}

static void the_sum_of_one_rank_is_its_own(void **state)
{
  const TestBackend *on = gpu();
  Room *room = room_open(on);
  Nccl *nccl = open_alone(on);
  float *numbers = room_numbers(room, COUNT);
  for (int i = 0; i < COUNT; ++i)
    numbers[i] = (float)i;
  float *values = room_upload_floats(room, numbers, COUNT);
  for (int turn = 0; turn < 3; ++turn) { /* doubled on the compute stream before each sum */
    on->ops->add_forward(on->device, image_shape(1, 1, COUNT / 8, 8, ELEMENT_F32), values, values,
                         values);
    CHECK_OK(driver()->sum(nccl, values, COUNT / 2));
    CHECK_OK(driver()->sum(nccl, values + COUNT / 2, COUNT / 2));
    CHECK_OK(driver()->join(nccl));
  }
  CHECK_OK(driver()->check(nccl));
  const float *got = room_download_floats(room, values, COUNT);
  for (int i = 0; i < COUNT; ++i)
    if (got[i] != 8.0F * (float)i) fail_msg("value %d is %g", i, (double)got[i]);
  driver()->close(nccl);
  room_close(room);
}

static void a_communicator_that_was_aborted_leaves_the_device_usable(void **state)
{
  const TestBackend *on = gpu();
  Room *room = room_open(on);
  Nccl *nccl = open_alone(on);
  float *values = room_upload_floats(room, room_numbers(room, 8), 8);
  CHECK_OK(driver()->sum(nccl, values, 8));
  driver()->abort(nccl);
  CHECK_OK(device_synchronize(on->device));
  room_close(room);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_sum_of_one_rank_is_its_own),
      cmocka_unit_test(a_communicator_that_was_aborted_leaves_the_device_usable),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
