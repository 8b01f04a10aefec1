#include <math.h>

#include "model/unet.h"
#include "resnet.h"
#include "support/check.h"
#include "support/gpu_work.h"

/* Counts of whole networks against numbers that were worked out by hand or are known, and the times
 * that are made of counts. */

static void expect_near(double found, double expected, double tolerance)
{
  if (!(fabs(found - expected) <= tolerance)) fail_msg("%.9g is not %.9g", found, expected);
}

static NetworkOptions tiles(bool training, int32_t images, int32_t side_px)
{
  return (NetworkOptions){.training = training,
                          .rank_count = 1,
                          .element = ELEMENT_BF16,
                          .images = images,
                          .height = side_px,
                          .width = side_px};
}

static double flop_of(const GpuWork *work, OpKind kind)
{
  double flop = 0;
  for (int32_t i = 0; i < work->count; ++i)
    if (work->items[i].kind == kind) flop += work->items[i].flop;
  return flop;
}

static void count_resnet50(bool training, GpuWork *work)
{
  Graph *graph;
  Value features[RESNET_FEATURES];
  const ResnetTraining trained = {.trained_layers = 5, .norm_eps = 1e-5F};
  CHECK_OK(graph_open(3, &graph));
  resnet_build(graph, ENCODER_RESNET50, trained, graph_input(graph), "", features);
  CHECK_OK(graph_finish(graph, features[RESNET_FEATURES - 1]));
  CHECK_OK(gpu_work_graph(graph, tiles(training, 1, 224), work));
  graph_close(graph);
}

/* 4.09 G multiplications and additions, as is known of it, less 2 048 000 of its classifier. */
static void resnet_50_has_its_known_number_of_operations(void **state)
{
  GpuWork work;
  count_resnet50(false, &work);
  assert_true(flop_of(&work, OP_CONV_FORWARD) == 2.0 * 4087136256.0);
  gpu_work_close(&work);
}

/* Only the first layer needs no gradient of its image. */
static void a_training_step_has_three_times_as_many_less_the_first_layers(void **state)
{
  GpuWork work;
  count_resnet50(true, &work);
  const double first = 2.0 * 112 * 112 * 64 * 3 * 49;
  const double forward = flop_of(&work, OP_CONV_FORWARD);
  assert_true(forward == 2.0 * 4087136256.0);
  assert_true(flop_of(&work, OP_CONV_BACKWARD_WEIGHT) == forward);
  assert_true(flop_of(&work, OP_CONV_BACKWARD_DATA) == forward - first);
  assert_int_equal(work.ready[work.ready_count - 1].first, 0);
  assert_int_equal(work.ready[work.ready_count - 1].ops, work.backward_end);
  gpu_work_close(&work);
}

static void count_unet(bool training, int32_t images, int32_t side_px, GpuWork *work)
{
  Graph *graph;
  const Unet unet = {.encoder = ENCODER_RESNET34, .bands = 3, .classes = 2};
  CHECK_OK(unet_build(unet, &graph));
  CHECK_OK(gpu_work_unet(graph, tiles(training, images, side_px), 3, 2, work));
  graph_close(graph);
}

/* Per pixel: encoder 2352 + 13 824 + 17 408 + 26 624 + 12 800, decoder 3 x 9216 + 11 520 + 6912,
 * head 288; twice that. */
static void a_unet_of_resnet_34_takes_239_kflop_per_pixel(void **state)
{
  GpuWork work;
  count_unet(false, 2, 128, &work);
  assert_true(flop_of(&work, OP_CONV_FORWARD) == 238752.0 * 2 * 128 * 128);
  gpu_work_close(&work);
}

/* 24 436 514 parameters, read and written by AdamW: 7 tensors of float32; clipping reads one. */
static void the_optimisers_bytes_follow_from_the_parameters(void **state)
{
  GpuWork work;
  double bytes = 0;
  count_unet(true, 1, 64, &work);
  for (int32_t i = 0; i < work.count; ++i)
    if (work.items[i].kind == OP_OPTIMIZER)
      bytes += work.items[i].read_bytes + work.items[i].written_bytes;
  assert_true(bytes == 8.0 * 4 * (double)work.gradients);
  assert_in_range(work.gradients, 24000000, 25000000);
  gpu_work_close(&work);
}

static void tiles_of_any_size_take_no_memory(void **state)
{
  GpuWork work;
  count_unet(true, 64, 1024, &work);
  assert_true(work.device_bytes > (size_t)40 << 30);
  assert_true(work.backward_first > 0 && work.backward_end > work.backward_first);
  gpu_work_close(&work);
}

static void a_detectors_regions_are_counted_by_their_capacity(void **state)
{
  DetectorParts parts;
  GpuWork work;
  double heads = 0;
  const MaskRcnn model = {.encoder = ENCODER_RESNET18,
                          .bands = 3,
                          .classes = 2,
                          .masks = true,
                          .norm_eps = 1e-5F,
                          .trained_layers = 5};
  DetectorOptions options = detector_options_default(false);
  options.element = ELEMENT_BF16;
  options.images = 1;
  options.height_px = options.width_px = 128;
  CHECK_OK(detector_parts_open(model, &parts));
  CHECK_OK(gpu_work_detector(&parts, options, &work));
  for (int32_t i = 0; i < work.count; ++i) /* the box head's first layer: 1000 regions */
    if (work.items[i].rows == 1000 && work.items[i].depth == 256 * 49) heads += work.items[i].flop;
  assert_true(heads == 2.0 * 1000 * 256 * 49 * 1024);
  gpu_work_close(&work);
  detector_parts_close(&parts);
}

/* Times. */

static void a_gpu_is_found_by_its_name_and_its_drivers(void **state)
{
  assert_ptr_equal(gpu_model_find("h200"), gpu_model_find("NVIDIA H200 SXM"));
  assert_ptr_equal(gpu_model_find("t4"), gpu_model_find("Tesla T4"));
  assert_null(gpu_model_find("NVIDIA A10"));
  assert_null(gpu_model_find(""));
}

static double seconds_of(OpWork work, GpuBound bound)
{
  const GpuTime time = gpu_op_time(gpu_model_find("h200"), &gpu_program_recorded, &work);
  assert_int_equal(time.bound, bound);
  return time.seconds;
}

/* With a pause of 1 us before a kernel. */
static void an_op_takes_what_takes_longest_of_it(void **state)
{
  const OpWork moves = {.kind = OP_MOVE, .launches = 1, .read_bytes = 4.8e9};
  expect_near(seconds_of(moves, GPU_BOUND_MEMORY), 1e-3 / 0.85 + 1e-6, 1e-9);
  const OpWork waits = {.kind = OP_LISTS, .launches = 1, .read_bytes = 1e6, .wait_cycles = 1.98e6};
  expect_near(seconds_of(waits, GPU_BOUND_WAITING), 1e-3 + 1e-6, 1e-9);
  const OpWork small = {.kind = OP_NORM, .launches = 3};
  expect_near(seconds_of(small, GPU_BOUND_LAUNCH), 3e-6, 1e-9);
}

/* 1 x 1 px of 4096 to 4096 channels over 65 536 px fills all tiles; with 8 channels for a result
 * three quarters of the shorter side of a tile are for nothing. */
static void products_are_computed_in_whole_tiles(void **state)
{
  OpWork work = {
      .kind = OP_CONV_FORWARD, .launches = 1, .rows = 65536, .columns = 4096, .depth = 4096};
  work.padded_flop = 2 * work.rows * work.columns * work.depth;
  const double full_s = seconds_of(work, GPU_BOUND_ARITHMETIC) - 1e-6;
  expect_near(full_s, work.padded_flop / (0.55 * 795e12), 1e-9);
  work.columns = 8;
  work.padded_flop /= 512;
  expect_near(seconds_of(work, GPU_BOUND_ARITHMETIC) - 1e-6, full_s / 128, 1e-9);
}

static void kernels_that_are_issued_one_by_one_can_keep_the_device_waiting(void **state)
{
  OpWork work[10];
  for (int i = 0; i < 10; ++i)
    work[i] = (OpWork){.kind = OP_MOVE, .launches = 1};
  const GpuModel *gpu = gpu_model_find("h200");
  expect_near(gpu_seconds(gpu, &gpu_program_issued, work, 10), 10 * 4e-6, 1e-9);
  expect_near(gpu_seconds(gpu, &gpu_program_recorded, work, 10), 10 * 1e-6, 1e-9);
  work[0] = (OpWork){.kind = OP_TRANSFER, .launches = 1, .read_bytes = 64e6};
  const double transfer_s = 1e-3 / 0.85 + 1e-6;
  expect_near(gpu_seconds(gpu, &gpu_program_recorded, work, 10), transfer_s, 1e-9);
}

/* Two ops of 1 ms each; half of the elements are complete after the first. 450 GB/s, of which NCCL
 * reaches 0.6, over two GPUs: every byte once. */
static void sums_hide_behind_what_is_still_computed(void **state)
{
  const GpuModel *gpu = gpu_model_find("h200");
  const OpWork work[2] = {{.kind = OP_LISTS, .wait_cycles = 1.98e6},
                          {.kind = OP_LISTS, .wait_cycles = 1.98e6}};
  const GpuReady ready[2] = {{.ops = 1, .first = 1000000}, {.ops = 2, .first = 0}};
  GpuBuckets buckets = {.elements = 2000000, .bucket_elements = 1000000, .gpus = 2};
  const double bucket_s = 20e-6 + 4e6 / (0.6 * 450e9);
  GpuSums sums = gpu_sums(gpu, work, 0, 2, ready, 2, buckets);
  assert_int_equal(sums.buckets, 2);
  expect_near(sums.seconds, 2 * bucket_s, 1e-9);
  expect_near(sums.late_s, bucket_s, 1e-9);
  expect_near(sums.hidden, 0.5, 1e-6);
  buckets.bucket_elements = 2000000; /* one bucket waits for all */
  expect_near(gpu_sums(gpu, work, 0, 2, ready, 2, buckets).hidden, 0, 1e-6);
  buckets.gpus = 1;
  sums = gpu_sums(gpu, work, 0, 2, ready, 2, buckets);
  expect_near(sums.seconds, 0, 1e-12);
  expect_near(sums.hidden, 1, 1e-6);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(resnet_50_has_its_known_number_of_operations),
      cmocka_unit_test(a_training_step_has_three_times_as_many_less_the_first_layers),
      cmocka_unit_test(a_unet_of_resnet_34_takes_239_kflop_per_pixel),
      cmocka_unit_test(the_optimisers_bytes_follow_from_the_parameters),
      cmocka_unit_test(tiles_of_any_size_take_no_memory),
      cmocka_unit_test(a_detectors_regions_are_counted_by_their_capacity),
      cmocka_unit_test(a_gpu_is_found_by_its_name_and_its_drivers),
      cmocka_unit_test(an_op_takes_what_takes_longest_of_it),
      cmocka_unit_test(products_are_computed_in_whole_tiles),
      cmocka_unit_test(kernels_that_are_issued_one_by_one_can_keep_the_device_waiting),
      cmocka_unit_test(sums_hide_behind_what_is_still_computed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
