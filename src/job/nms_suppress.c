#include "nms_suppress.h"

#include <math.h>
#include <stdlib.h>

#include "base/interrupt.h"
#include "base/memory.h"

typedef struct Candidate {
  double confidence; /* -infinity where there is none */
  double area;
  int64_t index;
} Candidate;

typedef struct Suppression {
  const PolygonLayer *layer;
  NmsRule rule;
  Candidate *order; /* best first */
  int64_t *ranks;   /* places in order */
  bool *kept;
} Suppression;

static int by_merit(const void *left, const void *right)
{
  const Candidate *a = left;
  const Candidate *b = right;
  if (a->confidence != b->confidence) return a->confidence > b->confidence ? -1 : 1;
  if (a->area != b->area) return a->area > b->area ? -1 : 1;
  return a->index < b->index ? -1 : a->index > b->index;
}

static double overlap_of(NmsRule rule, const PolygonItem *a, const PolygonItem *b, double shared)
{
  const double smaller = fmin(a->area, b->area);
  return shared / (rule.overlap == NMS_SMALLER ? smaller : a->area + b->area - shared);
}

/* Boxes say at once of most pairs that they cannot share enough. */
static Status exceeds(const Suppression *job, int64_t stays, int64_t goes, bool *answer)
{
  double shared;
  const PolygonItem *a = polygon_layer_item(job->layer, stays);
  const PolygonItem *b = polygon_layer_item(job->layer, goes);
  const double most = fmin(extent_shared_area(a->box, b->box), fmin(a->area, b->area));
  *answer = overlap_of(job->rule, a, b, most) > job->rule.max_overlap;
  if (!*answer) return STATUS_OK;
  TRY(polygon_layer_shared_area(job->layer, stays, job->layer, goes, &shared));
  *answer = overlap_of(job->rule, a, b, shared) > job->rule.max_overlap;
  return STATUS_OK;
}

static bool compete(const Suppression *job, int64_t stays, int64_t goes)
{
  return job->kept[goes] && job->ranks[goes] > job->ranks[stays] &&
         (job->rule.across_classes || polygon_layer_item(job->layer, stays)->class_index ==
                                          polygon_layer_item(job->layer, goes)->class_index);
}

static Status suppress_near(const Suppression *job, int64_t stays)
{
  int64_t *near, count;
  bool goes;
  Status status =
      polygon_layer_near(job->layer, polygon_layer_item(job->layer, stays)->box, &near, &count);
  for (int64_t i = 0; status == STATUS_OK && i < count; ++i) {
    if (!compete(job, stays, near[i])) continue;
    status = exceeds(job, stays, near[i], &goes);
    if (status == STATUS_OK && goes) job->kept[near[i]] = false;
  }
  memory_free(near);
  return status;
}

static Status order_all(Suppression *job, int64_t count)
{
  void *memory;
  TRY(memory_allocate((size_t)count, sizeof(Candidate), "polygons", &memory));
  job->order = memory;
  TRY(memory_allocate((size_t)count, sizeof(int64_t), "polygons", &memory));
  job->ranks = memory;
  for (int64_t i = 0; i < count; ++i) {
    const PolygonItem *item = polygon_layer_item(job->layer, i);
    const double confidence = isnan(item->confidence) ? -INFINITY : item->confidence;
    job->order[i] = (Candidate){confidence, item->area, i};
    job->kept[i] = true;
  }
  if (count > 1) qsort(job->order, (size_t)count, sizeof(Candidate), by_merit);
  for (int64_t i = 0; i < count; ++i)
    job->ranks[job->order[i].index] = i;
  return STATUS_OK;
}

static Status suppress_all(Suppression *job)
{
  const int64_t count = polygon_layer_count(job->layer);
  TRY(order_all(job, count));
  for (int64_t i = 0; i < count; ++i) {
    if (interrupt_requested()) return status_set(STATUS_INTERRUPTED, "stopped by a signal");
    if (job->kept[job->order[i].index]) TRY(suppress_near(job, job->order[i].index));
  }
  return STATUS_OK;
}

Status nms_suppress(const PolygonLayer *layer, NmsRule rule, bool *kept)
{
  Suppression job = {.layer = layer, .rule = rule, .kept = kept};
  const Status status = suppress_all(&job);
  memory_free(job.order);
  memory_free(job.ranks);
  return status;
}
