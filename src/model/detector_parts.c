#include <string.h>

#include "base/memory.h"
#include "model/detector.h"

static Status build(DetectorParts *parts)
{
  TRY(mask_rcnn_trunk_build(parts->model, &parts->graphs[0]));
  TRY(mask_rcnn_box_head_build(parts->model, &parts->graphs[1]));
  return parts->model.masks ? mask_rcnn_mask_head_build(parts->model, &parts->graphs[2])
                            : STATUS_OK;
}

static void append(DetectorParts *parts, int32_t graph)
{
  ParameterList *all = &parts->parameters;
  const ParameterList *list = graph_parameters(parts->graphs[graph]);
  parts->trained_first[graph] = all->trained_count;
  parts->statistic_first[graph] = all->statistic_count;
  for (int32_t i = 0; i < list->count; ++i) {
    Parameter *added = &all->items[all->count++];
    *added = list->items[i];
    added->offset += added->trained ? all->trained_count : all->statistic_count;
  }
  all->trained_count += list->trained_count;
  all->statistic_count += list->statistic_count;
}

static Status join(DetectorParts *parts)
{
  int32_t count = 0;
  for (int32_t i = 0; i < DETECTOR_GRAPHS; ++i)
    if (parts->graphs[i] != NULL) count += graph_parameters(parts->graphs[i])->count;
  void *items;
  TRY(memory_allocate((size_t)count, sizeof(Parameter), "parameters", &items));
  parts->parameters.items = items;
  parts->parameters.capacity = count;
  for (int32_t i = 0; i < DETECTOR_GRAPHS; ++i)
    if (parts->graphs[i] != NULL) append(parts, i);
  return STATUS_OK;
}

Status detector_parts_open(MaskRcnn model, DetectorParts *parts)
{
  *parts = (DetectorParts){.model = model};
  Status status = build(parts);
  if (status == STATUS_OK) status = join(parts);
  if (status != STATUS_OK) detector_parts_close(parts);
  return status;
}

void detector_parts_close(DetectorParts *parts)
{
  for (int32_t i = 0; i < DETECTOR_GRAPHS; ++i)
    graph_close(parts->graphs[i]);
  memory_free(parts->parameters.items);
  *parts = (DetectorParts){0};
}
