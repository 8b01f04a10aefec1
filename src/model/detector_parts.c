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

static bool is_shortcut(const Parameter *p)
{
  return strstr(p->name, ".downsample.") != NULL;
}

static bool of_one_block(const Parameter *shortcut, const Parameter *other)
{
  const size_t block = (size_t)(strstr(shortcut->name, ".downsample.") - shortcut->name) + 1;
  return strncmp(shortcut->name, other->name, block) == 0;
}

/* A graph has a block's shortcut before the norm that adds it; torchvision's list has it last. */
static void put_shortcuts_last(ParameterList *list)
{
  for (int32_t i = 1; i < list->count; ++i)
    for (int32_t k = i;
         k > 0 && !is_shortcut(&list->items[k]) && is_shortcut(&list->items[k - 1]) &&
         of_one_block(&list->items[k - 1], &list->items[k]);
         --k) {
      const Parameter moved = list->items[k];
      list->items[k] = list->items[k - 1];
      list->items[k - 1] = moved;
    }
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
  put_shortcuts_last(&parts->parameters);
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
