#include <math.h>

#include "support/backends.h"

enum { PARAMETERS = 257, STEPS = 6 };

static void sgd_follows_momentum_and_decay(void **state)
{
  const SgdStep step = {.rate = 0.25F, .momentum = 0.5F, .weight_decay = 0.125F};
  const float w[2] = {8, -2}, g[2] = {1, 4}, v[2] = {2, -8}, scale[1] = {0.5F};
  /* v = v / 2 + (g / 2 + w / 8), w -= v / 4 */
  const float new_v[2] = {2.5F, -2.25F}, new_w[2] = {7.375F, -1.4375F};
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    float *weights = room_upload_floats(room, w, 2), *velocity = room_upload_floats(room, v, 2);
    on->ops->sgd_step(on->device, room_upload(room, &step, sizeof step), 2,
                      room_upload_floats(room, scale, 1), room_upload_floats(room, g, 2), weights,
                      velocity);
    expect_floats((Expectation){on, ELEMENT_F32, "v", 0}, 2,
                  room_download_floats(room, velocity, 2), new_v);
    expect_floats((Expectation){on, ELEMENT_F32, "w", 0}, 2, room_download_floats(room, weights, 2),
                  new_w);
    room_close(room);
  }
}

/* The first step moves by the rate, whatever the gradient's size; decay comes on top. */
static void adamw_moves_by_the_rate_at_first(void **state)
{
  const AdamwStep step = {.rate = 0.25F,
                          .beta1 = 0.5F,
                          .beta2 = 0.75F,
                          .eps = 0,
                          .weight_decay = 0.5F,
                          .correction1 = 0.5F,
                          .correction2 = 0.25F};
  const float w[3] = {8, -2, 0}, g[3] = {4, -0x1p-20F, 1024}, zeros[3] = {0, 0, 0};
  const float new_w[3] = {7 - 0.25F, -1.75F + 0.25F, -0.25F};
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    float *weights = room_upload_floats(room, w, 3);
    float *m = room_upload_floats(room, zeros, 3), *v = room_upload_floats(room, zeros, 3);
    on->ops->adamw_step(on->device, room_upload(room, &step, sizeof step), 3,
                        room_upload_floats(room, (float[]){1}, 1), room_upload_floats(room, g, 3),
                        weights, m, v);
    expect_floats((Expectation){on, ELEMENT_F32, "w", 0}, 3, room_download_floats(room, weights, 3),
                  new_w);
    expect_floats((Expectation){on, ELEMENT_F32, "m", 0}, 1, room_download_floats(room, m, 3),
                  (float[]){2});
    expect_floats((Expectation){on, ELEMENT_F32, "v", 0}, 1, room_download_floats(room, v, 3),
                  (float[]){4});
    room_close(room);
  }
}

typedef struct Clip {
  float norm, scale;
} Clip;

static Clip clip(Room *room, const TestBackend *on, const float *gradients, int64_t count,
                 float limit)
{
  float *both = room_device(room, 2 * sizeof(float));
  void *scratch = room_device(room, on->ops->clip_scratch_bytes(count));
  on->ops->clip_scale(on->device, count, gradients, limit, both, both + 1, scratch);
  const float *got = room_download_floats(room, both, 2);
  return (Clip){.norm = got[0], .scale = got[1]};
}

static void clipping_leaves_the_limit(void **state)
{
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    const float *g = room_upload_floats(room, (float[]){3, 0, -4}, 3);
    assert_true(clip(room, on, g, 3, 2).norm == 5.0F);
    assert_true(fabsf(clip(room, on, g, 3, 2).scale - 0.4F) < 2e-7F);
    assert_true(clip(room, on, g, 3, 5.5F).scale == 1.0F);
    assert_true(clip(room, on, g, 3, 0).scale == 1.0F);
    assert_true(clip(room, on, g, 3, 0).norm == 5.0F);
    const float *zeros = room_upload_floats(room, (float[]){0, 0}, 2);
    assert_true(clip(room, on, zeros, 2, 1).norm == 0.0F);
    assert_true(clip(room, on, zeros, 2, 1).scale == 1.0F);
    room_close(room);
  }
}

static void a_nan_among_the_gradients_is_seen_in_the_norm(void **state)
{
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    const float *g = room_upload_floats(room, (float[]){3, NAN, -4}, 3);
    assert_true(isnan(clip(room, on, g, 3, 2).norm));
    room_close(room);
  }
}

static void the_norm_of_many_is_exact_and_the_same_each_time(void **state)
{
  enum { COUNT = 1 << 20 };
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    float *numbers = room_numbers(room, COUNT);
    for (int i = 0; i < COUNT; ++i)
      numbers[i] = i % 2 == 0 ? 3 : -3;
    const float *g = room_upload_floats(room, numbers, COUNT);
    assert_true(clip(room, on, g, COUNT, 0).norm == 3072.0F);
    const float *random =
        room_upload_floats(room, room_formula(room, "norm", COUNT - 7), COUNT - 7);
    const Clip first = clip(room, on, random, COUNT - 7, 1),
               again = clip(room, on, random, COUNT - 7, 1);
    assert_true(memcmp(&first, &again, sizeof first) == 0);
    room_close(room);
  }
}

static void an_infinite_gradient_is_seen_under_a_limit(void **state)
{
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    const float *g = room_upload_floats(room, (float[]){3, -INFINITY}, 2);
    assert_true(isinf(clip(room, on, g, 2, 2).norm));
    assert_true(isnan(clip(room, on, g, 2, 2).scale));
    room_close(room);
  }
}

static void a_scale_of_0_leaves_the_step_out(void **state)
{
  const SgdStep sgd = {.rate = 0.5F, .momentum = 0.5F, .weight_decay = 0.5F};
  const AdamwStep adamw = {.rate = 0.5F,
                           .beta1 = 0.5F,
                           .beta2 = 0.5F,
                           .weight_decay = 0.5F,
                           .correction1 = 1,
                           .correction2 = 1};
  const float before[3] = {8, -2, 0.5F}, g[3] = {INFINITY, NAN, 1};
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    const float *scale = room_upload_floats(room, (float[]){0}, 1);
    const float *gradients = room_upload_floats(room, g, 3);
    float *blocks[3];
    for (int i = 0; i < 3; ++i)
      blocks[i] = room_upload_floats(room, before, 3);
    on->ops->sgd_step(on->device, room_upload(room, &sgd, sizeof sgd), 3, scale, gradients,
                      blocks[0], blocks[1]);
    on->ops->adamw_step(on->device, room_upload(room, &adamw, sizeof adamw), 3, scale, gradients,
                        blocks[0], blocks[1], blocks[2]);
    for (int i = 0; i < 3; ++i)
      expect_floats((Expectation){on, ELEMENT_F32, "left as it was", 0}, 3,
                    room_download_floats(room, blocks[i], 3), before);
    room_close(room);
  }
}

/* What loss_scale_step makes of norm, scale, and the two numbers of its state. */
static void expect_scaling(float norm_limit, const float before[3], const float after[4])
{
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    float *both = room_upload_floats(room, (float[]){before[0], 1}, 2);
    float *scaling = room_upload_floats(room, before + 1, 2);
    on->ops->loss_scale_step(on->device, norm_limit, both, both + 1, scaling);
    const float *got = room_download_floats(room, both, 2);
    assert_true(isfinite(after[0]) ? got[0] == after[0] : !isfinite(got[0]));
    expect_floats((Expectation){on, ELEMENT_F32, "scale", 3e-9}, 1, got + 1, after + 1);
    expect_floats((Expectation){on, ELEMENT_F32, "state", 0}, 2,
                  room_download_floats(room, scaling, 2), after + 2);
    room_close(room);
  }
}

static void a_finite_norm_is_divided_by_the_loss_scale(void **state)
{
  expect_scaling(0, (float[]){512, 1024, 7}, (float[]){0.5F, 0x1p-10F, 1024, 8});
  expect_scaling(1, (float[]){512, 1024, 7}, (float[]){0.5F, 0x1p-10F, 1024, 8});
  expect_scaling(0.25F, (float[]){512, 1024, 7}, (float[]){0.5F, 0x1p-11F, 1024, 8});
  expect_scaling(0, (float[]){0, 65536, 0}, (float[]){0, 0x1p-16F, 65536, 1});
}

static void the_loss_scale_doubles_after_2000_steps_up_to_its_most(void **state)
{
  expect_scaling(0, (float[]){4, 4, 1998}, (float[]){1, 0.25F, 4, 1999});
  expect_scaling(0, (float[]){4, 4, 1999}, (float[]){1, 0.25F, 8, 0});
  expect_scaling(0, (float[]){0x1p24F, 0x1p24F, 1999}, (float[]){1, 0x1p-24F, 0x1p24F, 0});
}

static void a_norm_that_is_not_finite_halves_the_loss_scale_down_to_1(void **state)
{
  expect_scaling(0, (float[]){INFINITY, 1024, 1999}, (float[]){INFINITY, 0, 512, 0});
  expect_scaling(1, (float[]){NAN, 1024, 5}, (float[]){NAN, 0, 512, 0});
  expect_scaling(0, (float[]){NAN, 1, 5}, (float[]){NAN, 0, 1, 0});
}

static float *formula_on(Room *room, const char *name)
{
  return room_upload_floats(room, room_formula(room, name, PARAMETERS), PARAMETERS);
}

static float *zeros_on(Room *room)
{
  return room_upload_floats(room, room_numbers(room, PARAMETERS), PARAMETERS);
}

/* The tolerance is a rounding per step of values up to 2. */
static void expect_weights(const TestBackend *on, Room *room, const Golden *golden,
                           const char *name, int step, const float *w)
{
  const GoldenTensor *expected = golden_find(golden, "%s.w%d", name, step);
  expect_doubles((Expectation){on, ELEMENT_F32, expected->name, 2e-6}, PARAMETERS,
                 room_download_floats(room, w, PARAMETERS), expected->values);
}

static void sgd_steps_are_those_of_pytorch(void **state)
{
  Golden *golden = golden_open("op_optimizer_step.txt");
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    float *w = formula_on(room, "sgd"), *v = zeros_on(room);
    const float *scale = room_upload_floats(room, (float[]){1}, 1);
    for (int s = 0; s < STEPS; ++s) {
      const SgdStep step = {.rate = 0.1F, .momentum = 0.9F, .weight_decay = 0.01F};
      on->ops->sgd_step(on->device, room_upload(room, &step, sizeof step), PARAMETERS, scale,
                        formula_on(room, room_name(room, "sgd.g%d", s)), w, v);
      expect_weights(on, room, golden, "sgd", s, w);
    }
    room_close(room);
  }
  golden_close(golden);
}

static void adamw_steps_are_those_of_pytorch(void **state)
{
  Golden *golden = golden_open("op_optimizer_step.txt");
  FOR_EACH_BACKEND(on)
  {
    Room *room = room_open(on);
    float *w = formula_on(room, "adamw"), *m = zeros_on(room), *v = zeros_on(room);
    const float *scale = room_upload_floats(room, (float[]){1}, 1);
    for (int s = 0; s < STEPS; ++s) {
      const AdamwStep step = {.rate = 0.01F * (float)(s + 1),
                              .beta1 = 0.9F,
                              .beta2 = 0.99F,
                              .eps = 1e-6F,
                              .weight_decay = 0.1F,
                              .correction1 = (float)(1.0 - pow(0.9, s + 1)),
                              .correction2 = (float)(1.0 - pow(0.99, s + 1))};
      on->ops->adamw_step(on->device, room_upload(room, &step, sizeof step), PARAMETERS, scale,
                          formula_on(room, room_name(room, "adamw.g%d", s)), w, m, v);
      expect_weights(on, room, golden, "adamw", s, w);
    }
    room_close(room);
  }
  golden_close(golden);
}

static void clipped_steps_are_those_of_pytorch(void **state)
{
  Golden *golden = golden_open("op_optimizer_step.txt");
  FOR_EACH_BACKEND(on)
  for (int kept = 0; kept < 2; ++kept) {
    const char *name = kept ? "kept" : "clipped";
    Room *room = room_open(on);
    float *w = formula_on(room, name), *v = zeros_on(room);
    float *norm = room_device(room, sizeof *norm), *scale = room_device(room, sizeof *scale);
    const float *g = formula_on(room, room_name(room, "%s.g0", name));
    on->ops->clip_scale(on->device, PARAMETERS, g, kept ? 100.0F : 2.0F, norm, scale,
                        room_device(room, on->ops->clip_scratch_bytes(PARAMETERS)));
    const SgdStep step = {.rate = 1};
    on->ops->sgd_step(on->device, room_upload(room, &step, sizeof step), PARAMETERS, scale, g, w,
                      v);
    const double expected = golden_value(golden_find(golden, "%s.norm", name), 0);
    expect_doubles((Expectation){on, ELEMENT_F32, "norm", 1e-6 * expected}, 1,
                   room_download_floats(room, norm, 1), &expected);
    expect_weights(on, room, golden, name, 0, w);
    room_close(room);
  }
  golden_close(golden);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sgd_follows_momentum_and_decay),
      cmocka_unit_test(adamw_moves_by_the_rate_at_first),
      cmocka_unit_test(clipping_leaves_the_limit),
      cmocka_unit_test(a_nan_among_the_gradients_is_seen_in_the_norm),
      cmocka_unit_test(an_infinite_gradient_is_seen_under_a_limit),
      cmocka_unit_test(a_scale_of_0_leaves_the_step_out),
      cmocka_unit_test(a_finite_norm_is_divided_by_the_loss_scale),
      cmocka_unit_test(the_loss_scale_doubles_after_2000_steps_up_to_its_most),
      cmocka_unit_test(a_norm_that_is_not_finite_halves_the_loss_scale_down_to_1),
      cmocka_unit_test(the_norm_of_many_is_exact_and_the_same_each_time),
      cmocka_unit_test(sgd_steps_are_those_of_pytorch),
      cmocka_unit_test(adamw_steps_are_those_of_pytorch),
      cmocka_unit_test(clipped_steps_are_those_of_pytorch),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
