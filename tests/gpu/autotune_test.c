#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

#include "base/path.h"
#include "support/backends.h"

/* An engine chosen by its time computes what any other does, and is found again by the next run. */

enum { SIDE_PX = 40, CHANNELS = 16 };

static char folder[] = "/tmp/quadrat-autotune-XXXXXX";

/* y of a convolution whose sums are exact in any order. */
static const float *output_of(Room *room, const TestBackend *on, Element element)
{
  const Conv2d conv = {.in_channels = CHANNELS,
                       .out_channels = CHANNELS,
                       .kernel_height = 3,
                       .kernel_width = 3,
                       .stride = 1,
                       .pad = 1,
                       .dilation = 1,
                       .groups = 1,
                       .bias = true,
                       .relu = true};
  const Shape shape = image_shape(2, SIDE_PX, SIDE_PX, CHANNELS, element);
  const int64_t weight_count = conv2d_weight_count(conv);
  const TestImage x = room_image(room, shape, room_eighths(room, "x", shape_elements(shape)));
  const TestImage y = room_image(room, shape, NULL);
  const float *weight =
      room_upload_floats(room, room_eighths(room, "w", weight_count), weight_count);
  const float *bias = room_upload_floats(room, room_eighths(room, "b", CHANNELS), CHANNELS);
  Conv2dPlan plan;
  Conv2dKernel *kernel = NULL;
  OpBytes bytes = {0};
  CHECK_OK(conv2d_plan(conv, x.shape, on->ops->channel_multiple, false, false, &plan));
  CHECK_OK(on->ops->conv2d_open(on->device, &plan, &kernel, &bytes));
  void *packed = room_device(room, bytes.packed);
  on->ops->conv2d_pack(kernel, weight, bias, packed);
  on->ops->conv2d_forward(kernel, packed, x.memory, NULL, y.memory,
                          room_device(room, bytes.scratch));
  CHECK_OK(device_synchronize(on->device));
  on->ops->conv2d_close(kernel);
  return room_numbers_of(room, y);
}

static void expect_right(const TestBackend *gpu, Element element, const char *what)
{
  const int64_t count = 2 * SIDE_PX * SIDE_PX * CHANNELS;
  Room *naive = room_open(backends_naive());
  Room *room = room_open(gpu);
  expect_floats((Expectation){gpu, element, what, 0}, count, output_of(room, gpu, element),
                output_of(naive, backends_naive(), element));
  room_close(room);
  room_close(naive);
}

static bool has_plans(void)
{
  bool found = false;
  DIR *listing = opendir(folder);
  assert_non_null(listing);
  for (const struct dirent *entry = readdir(listing); entry != NULL; entry = readdir(listing))
    found |= path_has_ending(entry->d_name, ".plans");
  (void)closedir(listing);
  return found;
}

static void a_timed_engine_is_right_and_is_kept(void **state)
{
  assert_non_null(mkdtemp(folder));
  assert_int_equal(setenv("QUADRAT_CACHE", folder, 1), 0); /* read by the first convolution */
  FOR_EACH_TWIN(on)
  {
    if (device_kind(on->device) != DEVICE_CUDA) continue;
    on->ops->autotune(on->device, true);
    expect_right(on, ELEMENT_BF16, "timed");
    expect_right(on, ELEMENT_F32, "timed");
    assert_true(has_plans());
    TestBackend again = *on;
    CHECK_OK(device_open(0, &again.device));
    again.ops->autotune(again.device, true);
    expect_right(&again, ELEMENT_BF16, "from the file");
    expect_right(&again, ELEMENT_F32, "from the file");
    device_close(again.device);
    CHECK_OK(path_remove_tree(folder));
    return;
  }
  fail_msg("there is no GPU");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_timed_engine_is_right_and_is_kept),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
