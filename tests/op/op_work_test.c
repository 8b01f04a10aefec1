#include "op/backend.h"
#include "op/op_work.h"
#include "support/check.h"

/* Counts against numbers that were worked out by hand. */

static Device *device;
static OpWorkList *list;

static int open_counting(void **state)
{
  return device_open(-1, &device) == STATUS_OK && op_work_open(device, &list) == STATUS_OK ? 0 : -1;
}

static int close_counting(void **state)
{
  device_close(device);
  op_work_close(list);
  return 0;
}

static const OpWork *noted(int32_t count)
{
  int32_t found;
  const OpWork *items = op_work_items(list, &found);
  CHECK_OK(op_work_status(list));
  assert_int_equal(found, count);
  return items;
}

static void expect_bytes(const OpWork *work, OpKind kind, double read_bytes, double written_bytes)
{
  assert_int_equal(work->kind, kind);
  assert_true(work->read_bytes == read_bytes);
  assert_true(work->written_bytes == written_bytes);
}

static Conv2dKernel *open_conv(Conv2d conv, Shape x, bool backward)
{
  Conv2dPlan plan;
  Conv2dKernel *kernel;
  OpBytes bytes;
  const Backend *ops = backend_of(device);
  CHECK_OK(conv2d_plan(conv, x, ops->channel_multiple, backward, true, &plan));
  CHECK_OK(ops->conv2d_open(device, &plan, &kernel, &bytes));
  return kernel;
}

/* 3 bands padded to 8, 5 classes to 8; 2 x 4 x 4 px; 3 x 3 weights. */
static const Conv2d three_to_five = {.in_channels = 3,
                                     .out_channels = 5,
                                     .kernel_height = 3,
                                     .kernel_width = 3,
                                     .stride = 1,
                                     .pad = 1,
                                     .dilation = 1,
                                     .groups = 1};
static const Shape eight_channels = {2, 4, 4, 8, ELEMENT_BF16};

static void a_convolution_counts_its_channels_and_those_in_memory(void **state)
{
  const Backend *ops = backend_of(device);
  Conv2dKernel *kernel = open_conv(three_to_five, eight_channels, false);
  ops->conv2d_forward(kernel, NULL, NULL, NULL, NULL, NULL);
  const OpWork *work = noted(1);
  assert_true(work->flop == 2.0 * 32 * 5 * 3 * 9);
  assert_true(work->padded_flop == 2.0 * 32 * 8 * 8 * 9);
  expect_bytes(work, OP_CONV_FORWARD, 32 * 8 * 2 + 8 * 8 * 9 * 2, 32 * 8 * 2);
  assert_true(work->rows == 32 && work->columns == 8 && work->depth == 72);
  ops->conv2d_close(kernel);
}

static void a_residual_is_read_and_where_it_is_y_itself_kept_aside_first(void **state)
{
  char y;
  const Backend *ops = backend_of(device);
  Conv2d conv = three_to_five;
  conv.bias = conv.add = conv.relu = true;
  Conv2dKernel *kernel = open_conv(conv, eight_channels, false);
  ops->conv2d_forward(kernel, NULL, NULL, &y, &y, NULL);
  const OpWork *work = noted(2);
  expect_bytes(&work[0], OP_MOVE, 512, 512);
  expect_bytes(&work[1], OP_CONV_FORWARD, 512 + 1152 + 512, 512);
  assert_true(work[1].fused_bytes == 1024);
  ops->conv2d_close(kernel);
}

static void gradients_cost_as_much_as_the_pass_forward(void **state)
{
  const Backend *ops = backend_of(device);
  Conv2dKernel *kernel = open_conv(three_to_five, eight_channels, true);
  ops->conv2d_backward_weight(kernel, NULL, NULL, NULL, NULL, NULL);
  ops->conv2d_backward_data(kernel, NULL, NULL, NULL, WRITE_ADD, NULL);
  const OpWork *work = noted(4);
  const double floats = 5 * 3 * 9 * 4;
  expect_bytes(&work[0], OP_CONV_BACKWARD_WEIGHT, 512 + 512, 1152);
  expect_bytes(&work[1], OP_WEIGHTS, 1152 + floats, floats);
  expect_bytes(&work[2], OP_CONV_BACKWARD_DATA, 512 + 1152, 512);
  expect_bytes(&work[3], OP_MOVE, 1024, 512); /* added to what is there */
  assert_true(work[0].flop == 2.0 * 32 * 5 * 3 * 9 && work[2].flop == work[0].flop);
  assert_true(work[0].rows == 8 && work[0].columns == 72 && work[0].depth == 32);
  ops->conv2d_close(kernel);
}

static void groups_whose_channels_are_padded_are_computed_as_one(void **state)
{
  const Backend *ops = backend_of(device);
  Conv2d conv = three_to_five;
  conv.in_channels = conv.out_channels = conv.groups = 6;
  Conv2dKernel *padded = open_conv(conv, eight_channels, false);
  ops->conv2d_forward(padded, NULL, NULL, NULL, NULL, NULL);
  conv.in_channels = conv.out_channels = conv.groups = 8;
  Conv2dKernel *whole = open_conv(conv, eight_channels, false);
  ops->conv2d_forward(whole, NULL, NULL, NULL, NULL, NULL);
  const OpWork *work = noted(2);
  assert_true(work[0].flop == 2.0 * 32 * 6 * 9);
  assert_true(work[0].padded_flop == 2.0 * 32 * 8 * 8 * 9);
  assert_true(work[1].padded_flop == 2.0 * 32 * 8 * 9);
  ops->conv2d_close(padded);
  ops->conv2d_close(whole);
}

static void a_decoder_writes_the_enlarged_and_joined_image_first(void **state)
{
  const Backend *ops = backend_of(device);
  const DecoderConv2d conv = {.a_channels = 16, .skip_channels = 8, .out_channels = 8};
  const Shape a = {1, 2, 2, 16, ELEMENT_BF16}, skip = {1, 4, 4, 8, ELEMENT_BF16};
  DecoderConv2dPlan plan;
  DecoderConv2dKernel *kernel;
  OpBytes bytes;
  CHECK_OK(decoder_conv2d_plan(conv, a, skip, 8, true, &plan));
  CHECK_OK(ops->decoder_conv2d_open(device, &plan, &kernel, &bytes));
  ops->decoder_conv2d_forward(kernel, NULL, NULL, NULL, NULL, NULL);
  const OpWork *work = noted(3);
  expect_bytes(&work[0], OP_MOVE, 4 * 16 * 2, 16 * 16 * 2);
  expect_bytes(&work[1], OP_MOVE, 16 * 8 * 2, 16 * 8 * 2);
  expect_bytes(&work[2], OP_CONV_FORWARD, 16 * 24 * 2 + 8 * 24 * 9 * 2, 16 * 8 * 2);
  assert_true(work[2].flop == 2.0 * 16 * 8 * 24 * 9);
  ops->decoder_conv2d_close(kernel);
}

static void a_transposed_convolution_is_one_product_and_a_move(void **state)
{
  const Backend *ops = backend_of(device);
  const ConvTranspose2d conv = {.in_channels = 16, .out_channels = 8};
  const Shape x = {1, 2, 2, 16, ELEMENT_BF16};
  ConvTranspose2dPlan plan;
  ConvTranspose2dKernel *kernel;
  OpBytes bytes;
  CHECK_OK(conv_transpose2d_plan(conv, x, 8, true, &plan));
  CHECK_OK(ops->conv_transpose2d_open(device, &plan, &kernel, &bytes));
  ops->conv_transpose2d_forward(kernel, NULL, NULL, NULL, NULL);
  const OpWork *work = noted(2);
  assert_true(work[0].flop == 2.0 * 4 * 16 * 4 * 8);
  expect_bytes(&work[1], OP_MOVE, 16 * 8 * 2, 16 * 8 * 2);
  ops->conv_transpose2d_close(kernel);
}

/* Forward: x twice, y; with a residual that too. Backward: x and dy twice, dx; with a residual y too,
 * and dadd. Frozen: backward y and dy, no x. */
static void a_norm_passes_over_its_tensors_twice_and_a_frozen_one_once(void **state)
{
  const Backend *ops = backend_of(device);
  const BatchNorm2dParameters none = {0};
  const double x_bytes = 512;
  for (int i = 0; i < 4; ++i) {
    const bool frozen = i % 2 != 0, add = i / 2 != 0;
    const BatchNorm2d norm = {.channels = 8, .frozen = frozen, .add = add, .relu = true};
    BatchNorm2dPlan plan;
    BatchNorm2dKernel *kernel;
    OpBytes bytes;
    double read_bytes[2] = {0}, written_bytes[2] = {0};
    CHECK_OK(batch_norm2d_plan(norm, eight_channels, &plan));
    CHECK_OK(ops->batch_norm2d_open(device, &plan, &kernel, &bytes));
    for (int backward = 0; backward < 2; ++backward) {
      int32_t count;
      op_work_clear(list);
      if (backward)
        ops->batch_norm2d_backward(kernel, none, NULL, NULL, NULL, NULL, NULL, NULL, WRITE_SET,
                                   NULL, NULL, NULL);
      else
        ops->batch_norm2d_forward(kernel, none, NULL, NULL, NULL, NULL, NULL);
      const OpWork *work = op_work_items(list, &count);
      for (int32_t k = 0; k < count; ++k) {
        read_bytes[backward] += work[k].read_bytes;
        written_bytes[backward] += work[k].written_bytes;
      }
    }
    assert_true(read_bytes[0] == ((frozen ? 1 : 2) + add) * x_bytes);
    assert_true(written_bytes[0] == x_bytes);
    assert_true(read_bytes[1] == (frozen ? 2 : add ? 6 : 4) * x_bytes);
    assert_true(written_bytes[1] == (1 + add) * x_bytes);
    ops->batch_norm2d_close(kernel);
  }
}

static void the_optimiser_counts_its_blocks(void **state)
{
  const Backend *ops = backend_of(device);
  ops->sgd_step(device, &(SgdStep){0}, 10, NULL, NULL, NULL, NULL);
  ops->adamw_step(device, &(AdamwStep){0}, 10, NULL, NULL, NULL, NULL, NULL);
  const OpWork *work = noted(2);
  expect_bytes(&work[0], OP_OPTIMIZER, 120, 80);
  expect_bytes(&work[1], OP_OPTIMIZER, 160, 120);
}

/* A tile of a map asks the regions of its own image only, so work grows with the images. */
static void regions_of_two_images_cost_twice_as_much(void **state)
{
  const Backend *ops = backend_of(device);
  double instructions[2];
  for (int32_t images = 1; images <= 2; ++images) {
    const Shape map = {images, 64, 64, 256, ELEMENT_BF16};
    RoiAlign align;
    Shape y;
    int32_t count;
    CHECK_OK(roi_align_plan(1, &map, 256, 7, 2, 512 * images, &align, &y));
    op_work_clear(list);
    ops->roi_align_backward(device, &align, NULL, y, NULL, NULL, WRITE_SET, NULL);
    instructions[images - 1] = op_work_items(list, &count)->instructions;
    assert_int_equal(count, 1);
  }
  assert_true(instructions[1] == 2 * instructions[0]);
}

static void copies_are_noted_between_the_ops(void **state)
{
  char here[64] = "";
  device_upload(device, here, here, 64);
  device_clear(device, here, 32);
  backend_of(device)->argmax(device, eight_channels, NULL, 5, NULL);
  device_download(device, here, here, 16);
  const OpWork *work = noted(4);
  expect_bytes(&work[0], OP_TRANSFER, 64, 0);
  expect_bytes(&work[1], OP_MOVE, 0, 32);
  expect_bytes(&work[2], OP_PIXELS, 512, 32);
  expect_bytes(&work[3], OP_TRANSFER, 16, 0);
}

/* A count that is only in device memory is as large as it may be. */
static void counts_are_not_read_from_memory_that_is_not_there(void **state)
{
  void *memory;
  CHECK_OK(device_allocate(device, sizeof(int32_t), "a count", &memory));
  assert_int_equal(device_known_count(device, memory, 77), 77);
  device_release(device, memory);
}

#define counted(test) cmocka_unit_test_setup_teardown(test, open_counting, close_counting)

int main(void)
{
  const struct CMUnitTest tests[] = {
      counted(a_convolution_counts_its_channels_and_those_in_memory),
      counted(a_residual_is_read_and_where_it_is_y_itself_kept_aside_first),
      counted(gradients_cost_as_much_as_the_pass_forward),
      counted(groups_whose_channels_are_padded_are_computed_as_one),
      counted(a_decoder_writes_the_enlarged_and_joined_image_first),
      counted(a_transposed_convolution_is_one_product_and_a_move),
      counted(a_norm_passes_over_its_tensors_twice_and_a_frozen_one_once),
      counted(the_optimiser_counts_its_blocks),
      counted(regions_of_two_images_cost_twice_as_much),
      counted(copies_are_noted_between_the_ops),
      counted(counts_are_not_read_from_memory_that_is_not_there),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
