#include "model/unet_trial.h"
#include "support/formula.h"

/* Deterministic by default: the same steps give the same bits. */
static const double class_weights[] = {1.0, 2.0};

static const TestBackend *gpu(void)
{
  FOR_EACH_TWIN(on)
  if (device_kind(on->device) == DEVICE_CUDA) return on;
  fail_msg("there is no GPU");
}

/* The gradients after one forward and backward pass, in the trial's room. */
static const float *gradients_of(UnetTrial *t)
{
  const ParameterList *list = graph_parameters(t->graph);
  const float *trained = room_upload_floats(t->room, t->trained, list->trained_count);
  float *statistics = room_upload_floats(t->room, t->statistics, list->statistic_count);
  float *gradients =
      room_upload_floats(t->room, room_numbers(t->room, list->trained_count), list->trained_count);
  network_bind(t->network, trained, statistics, gradients);
  network_pack(t->network);
  network_forward(t->network);
  (void)unet_trial_loss(t);
  unet_trial_loss_backward(t);
  CHECK_OK(network_backward(t->network, NULL, NULL));
  CHECK_OK(device_synchronize(t->on->device));
  return room_download_floats(t->room, gradients, list->trained_count);
}

static void expect_same_gradients(Element element)
{
  const Shape batch = image_shape(4, 128, 128, 3, element);
  UnetTrial *trials[2];
  const float *gradients[2];
  for (int i = 0; i < 2; ++i) {
    trials[i] =
        unet_trial_open(gpu(), (Unet){.encoder = ENCODER_RESNET34, .bands = 3, .classes = 2}, batch,
                        true, formula_fill, class_weights);
    unet_trial_feed(trials[i], "repeat");
    gradients[i] = gradients_of(trials[i]);
  }
  const int64_t count = graph_parameters(trials[0]->graph)->trained_count;
  for (int64_t i = 0; i < count; ++i)
    if (memcmp(&gradients[0][i], &gradients[1][i], sizeof(float)) != 0)
      fail_msg("%s: gradient %d is %.9g once and %.9g once", element_name(element), (int)i,
               (double)gradients[0][i], (double)gradients[1][i]);
  for (int i = 0; i < 2; ++i)
    unet_trial_close(trials[i]);
}

static void gradients_repeat_bit_by_bit(void **state)
{
  expect_same_gradients(ELEMENT_BF16);
  expect_same_gradients(ELEMENT_F32);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(gradients_repeat_bit_by_bit),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
