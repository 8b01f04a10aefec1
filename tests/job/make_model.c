/* Writes a model package with random weights, for tests of what reads packages.
 *
 *   make_model PATH BANDS CLASSES SEED PIXEL_TYPE [KIND]      KIND: unet, mask_rcnn, faster_rcnn */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model_package.h"
#include "nn/parameter.h"

static ModelKind kind_of(const char *name)
{
  ModelKind kind = MODEL_UNET;
  for (ModelKind k = MODEL_UNET; k <= MODEL_FASTER_RCNN; ++k)
    if (strcmp(name, model_kind_name(k)) == 0) kind = k;
  return kind;
}

/* Random scores lie close together: the threshold lets some of them pass. */
static ModelDetector detector(void)
{
  return (ModelDetector){.norm_eps = 1e-5F,
                         .anchor_sizes_px = {8, 16, 32, 64, 128},
                         .threshold = 0.3,
                         .nms_overlap = 0.3};
}

static Status make(int32_t bands, int32_t classes, uint64_t seed, const char *type, ModelKind kind,
                   Model *model)
{
  *model = (Model){.kind = kind,
                   .detector = detector(),
                   .encoder = ENCODER_RESNET18,
                   .bands = bands,
                   .class_count = classes,
                   .tile_size_px = 128,
                   .cell_size_m = 0.2};
  if (!pixel_type_of_name(type, &model->pixel)) return status_set(STATUS_BAD_OPTION, "%s", type);
  TRY(model_allocate(model));
  parameters_initialise(model_parameters(model), seed, model->trained, model->statistics);
  for (int32_t i = 0; i < bands; ++i) {
    model->means[i] = 120;
    model->standard_deviations[i] = 50;
  }
  for (int32_t i = 0; i < classes; ++i) {
    char name[32];
    const int32_t number = kind == MODEL_UNET ? i : i + 1;
    (void)snprintf(name, sizeof name, number == 0 ? "background" : "class %d", (int)number);
    model->classes[i] = class_entry(10 * number, name);
  }
  return STATUS_OK;
}

int main(int count, char **arguments)
{
  Model model;
  if (count != 6 && count != 7) {
    (void)fprintf(stderr, "usage: make_model PATH BANDS CLASSES SEED PIXEL_TYPE [KIND]\n");
    return 2;
  }
  Status status = make((int32_t)strtol(arguments[2], NULL, 10),
                       (int32_t)strtol(arguments[3], NULL, 10), strtoull(arguments[4], NULL, 10),
                       arguments[5], kind_of(count == 7 ? arguments[6] : ""), &model);
  if (status == STATUS_OK) {
    status = model_write(&model, arguments[1], NULL, NULL);
    model_close(&model);
  }
  if (status != STATUS_OK) (void)fprintf(stderr, "%s\n", status_message());
  return status_exit_code(status);
}
