#include "unet_trial.h"

#include <math.h>
#include <stdio.h>

#include "nn/optimizer.h"
#include "support/golden.h"

/* 50 training steps from the same weights and batches as PyTorch's: the losses stay together. */
enum { STEPS = 50 };

static const double class_weights[] = {1, 2.5};

typedef struct Recipe {
  const char *name;
  OptimizerOptions options;
} Recipe;

static const Recipe sgd = {
    "sgd",
    {.kind = OPTIMIZER_SGD,
     .schedule = {.kind = SCHEDULE_CONSTANT, .rate = 0.003, .step_count = STEPS},
     .momentum = 0.9,
     .weight_decay = 1e-4}};
static const Recipe adamw = {"adamw",
                             {.kind = OPTIMIZER_ADAMW,
                              .schedule = {.kind = SCHEDULE_ONE_CYCLE,
                                           .rate = 1e-4,
                                           .step_count = STEPS,
                                           .cycle_momentum = true},
                              .momentum = 0.9,
                              .weight_decay = 0.01}};

static void expect_within(const char *what, int step, double got, double expected, double share)
{
  if (fabs(got - expected) > share * fabs(expected))
    fail_msg("%s of step %d is %.9g, expected %.9g within %g %%", what, step, got, expected,
             100 * share);
}

static void expect_schedule(const Recipe *recipe)
{
  Golden *golden = golden_open("unet_curves.txt");
  const OptimizerOptions *o = &recipe->options;
  for (int step = 0; step < STEPS; ++step) {
    expect_within("rate", step, schedule_rate(&o->schedule, step),
                  golden_value(golden_find(golden, "%s.rates", recipe->name), step), 1e-7);
    expect_within("momentum", step, schedule_momentum(&o->schedule, step, o->momentum),
                  golden_value(golden_find(golden, "%s.momenta", recipe->name), step), 1e-7);
  }
  golden_close(golden);
}

static void rates_and_momenta_of_each_step_are_pytorchs(void **state)
{
  expect_schedule(&sgd);
  expect_schedule(&adamw);
}

static double train_step(UnetTrial *t, Optimizer *optimizer, int step)
{
  char name[16];
  snprintf(name, sizeof name, "batch%d", step);
  unet_trial_feed(t, name);
  network_pack(t->network);
  network_forward(t->network);
  const double loss = unet_trial_loss(t);
  optimizer_clear_gradients(optimizer);
  unet_trial_loss_backward(t);
  CHECK_OK(network_backward(t->network, NULL, NULL));
  optimizer_step(optimizer, step);
  CHECK_OK(device_synchronize(t->on->device));
  return loss;
}

static void expect_curve(const TestBackend *on, const Recipe *recipe, Element element)
{
  Golden *golden = golden_open("unet_curves.txt");
  const double *expected =
      golden_find(golden, "%s.%s", recipe->name, element_name(element))->values;
  const Shape batch = image_shape(2, 128, 128, 3, element);
  UnetTrial *t = unet_trial_open(on, (Unet){.encoder = ENCODER_RESNET18, .bands = 3, .classes = 2},
                                 batch, true, formula_fill_initial, class_weights);
  Optimizer *optimizer;
  CHECK_OK(optimizer_open(graph_parameters(t->graph), on->device, recipe->options, &optimizer));
  CHECK_OK(optimizer_upload(optimizer, t->trained, t->statistics, NULL));
  network_bind(t->network, optimizer_trained(optimizer), optimizer_statistics(optimizer),
               optimizer_gradients(optimizer));
  for (int step = 0; step < STEPS; ++step)
    expect_within(recipe->name, step, train_step(t, optimizer, step), expected[step], 0.01);
  optimizer_close(optimizer);
  unet_trial_close(t);
  golden_close(golden);
}

static void sgd_follows_pytorchs_losses(void **state)
{
  FOR_EACH_TWIN(on)
  expect_curve(on, &sgd, ELEMENT_F32);
}

static void adamw_in_one_cycle_follows_pytorchs_losses(void **state)
{
  FOR_EACH_TWIN(on)
  expect_curve(on, &adamw, ELEMENT_F32);
}

static void sgd_follows_pytorchs_losses_in_bfloat16(void **state)
{
  FOR_EACH_TWIN(on)
  expect_curve(on, &sgd, ELEMENT_BF16);
}

static void adamw_in_one_cycle_follows_pytorchs_losses_in_bfloat16(void **state)
{
  FOR_EACH_TWIN(on)
  expect_curve(on, &adamw, ELEMENT_BF16);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rates_and_momenta_of_each_step_are_pytorchs),
      cmocka_unit_test(sgd_follows_pytorchs_losses),
      cmocka_unit_test(adamw_in_one_cycle_follows_pytorchs_losses),
      cmocka_unit_test(sgd_follows_pytorchs_losses_in_bfloat16),
      cmocka_unit_test(adamw_in_one_cycle_follows_pytorchs_losses_in_bfloat16),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
