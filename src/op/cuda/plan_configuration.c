#include "plan_configuration.h"

static Status get(cudnnBackendDescriptor_t from, cudnnBackendAttributeName_t name,
                  cudnnBackendAttributeType_t type, int64_t most, int64_t *count, void *values)
{
  return cudnn_status(cudnnBackendGetAttribute(from, name, type, most, count, values),
                      "read an engine's configuration");
}

static Status read_engine(cudnnBackendDescriptor_t configuration, CudnnBag *bag, PlanChoice *choice)
{
  cudnnBackendDescriptor_t engine;
  int64_t count = 0;
  TRY(cudnn_create(bag, CUDNN_BACKEND_ENGINE_DESCRIPTOR, &engine));
  TRY(get(configuration, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count,
          &engine));
  return get(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &count, &choice->engine);
}

static Status read_knobs(cudnnBackendDescriptor_t configuration, CudnnBag *bag, PlanChoice *choice)
{
  cudnnBackendDescriptor_t knobs[PLAN_KNOBS_MOST];
  int64_t count = 0;
  for (int32_t i = 0; i < PLAN_KNOBS_MOST; ++i)
    TRY(cudnn_create(bag, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, &knobs[i]));
  TRY(get(configuration, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_TYPE_BACKEND_DESCRIPTOR,
          PLAN_KNOBS_MOST, &count, knobs));
  if (count > PLAN_KNOBS_MOST)
    return status_set(STATUS_UNSUPPORTED, "an engine with %d knobs, more than %d", (int)count,
                      (int)PLAN_KNOBS_MOST);
  for (int64_t i = 0; i < count; ++i) {
    cudnnBackendKnobType_t knob;
    int64_t one = 0;
    TRY(get(knobs[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1, &one, &knob));
    TRY(get(knobs[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, 1, &one,
            &choice->values[i]));
    choice->knobs[i] = (int32_t)knob;
  }
  choice->knob_count = (int32_t)count;
  return STATUS_OK;
}

Status plan_choice_read(cudnnBackendDescriptor_t configuration, PlanChoice *choice)
{
  CudnnBag bag = {.count = 0};
  *choice = (PlanChoice){.engine = 0};
  Status status = read_engine(configuration, &bag, choice);
  if (status == STATUS_OK) status = read_knobs(configuration, &bag, choice);
  cudnn_bag_empty(&bag);
  return status;
}

static Status make_engine(int64_t index, cudnnBackendDescriptor_t operations,
                          cudnnBackendDescriptor_t properties, CudnnBag *bag,
                          cudnnBackendDescriptor_t *engine)
{
  TRY(cudnn_create(bag, CUDNN_BACKEND_ENGINE_DESCRIPTOR, engine));
  TRY(cudnn_set_descriptor(*engine, CUDNN_ATTR_ENGINE_OPERATION_GRAPH, operations));
  TRY(cudnn_set_int64(*engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, index));
  TRY(cudnn_set_descriptor(*engine, CUDNN_ATTR_ENGINE_DEVICEPROP, properties));
  return cudnn_finalize(*engine, "an engine by its number");
}

static Status make_knob(int32_t type, int64_t value, CudnnBag *bag, cudnnBackendDescriptor_t *knob)
{
  const cudnnBackendKnobType_t cudnn_type = (cudnnBackendKnobType_t)type;
  TRY(cudnn_create(bag, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, knob));
  TRY(cudnn_set(*knob, CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1, &cudnn_type));
  TRY(cudnn_set_int64(*knob, CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, value));
  return cudnn_finalize(*knob, "a knob of an engine");
}

Status plan_choice_configure(const PlanChoice *choice, cudnnBackendDescriptor_t operations,
                             cudnnBackendDescriptor_t properties, CudnnBag *bag,
                             cudnnBackendDescriptor_t *configuration)
{
  cudnnBackendDescriptor_t engine;
  cudnnBackendDescriptor_t knobs[PLAN_KNOBS_MOST];
  TRY(make_engine(choice->engine, operations, properties, bag, &engine));
  for (int32_t i = 0; i < choice->knob_count; ++i)
    TRY(make_knob(choice->knobs[i], choice->values[i], bag, &knobs[i]));
  TRY(cudnn_create(bag, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, configuration));
  TRY(cudnn_set_descriptor(*configuration, CUDNN_ATTR_ENGINECFG_ENGINE, engine));
  if (choice->knob_count > 0)
    TRY(cudnn_set(*configuration, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                  choice->knob_count, knobs));
  return cudnn_finalize(*configuration, "a configuration of an engine");
}
