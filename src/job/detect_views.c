#include "detect_views.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

enum { MIRROR_COLUMNS = 1, MIRROR_ROWS = 2, EXCHANGE = 4 };

static const double least_overlap = 0.5;

int32_t detect_view_count(int32_t width_px, int32_t height_px)
{
  return width_px == height_px ? DETECT_VIEWS_MOST : DETECT_VIEWS_MOST / 2;
}

void detect_view_show(int32_t view, int32_t width_px, int32_t height_px, size_t pixel_bytes,
                      const void *tile, void *shown)
{
  const bool exchanged = (view & EXCHANGE) != 0;
  const int32_t width = exchanged ? height_px : width_px;
  const int32_t height = exchanged ? width_px : height_px;
  for (int32_t row = 0; row < height; ++row)
    for (int32_t column = 0; column < width; ++column) {
      const int32_t x = (view & MIRROR_COLUMNS) != 0 ? width - 1 - column : column;
      const int32_t y = (view & MIRROR_ROWS) != 0 ? height - 1 - row : row;
      const int64_t from = exchanged ? (int64_t)x * width_px + y : (int64_t)y * width_px + x;
      memcpy((char *)shown + (size_t)((int64_t)row * width + column) * pixel_bytes,
             (const char *)tile + (size_t)from * pixel_bytes, pixel_bytes);
    }
}

/* A span of columns (or rows) of the view, in the tile. */
static void mirror(bool is_mirrored, float length, float *first, float *end)
{
  const float start = *first;
  if (!is_mirrored) return;
  *first = length - *end;
  *end = length - start;
}

static void return_box(int32_t view, int32_t width_px, int32_t height_px, DetectFound *found)
{
  const bool exchanged = (view & EXCHANGE) != 0;
  mirror((view & MIRROR_COLUMNS) != 0, (float)(exchanged ? height_px : width_px), &found->x1,
         &found->x2);
  mirror((view & MIRROR_ROWS) != 0, (float)(exchanged ? width_px : height_px), &found->y1,
         &found->y2);
  if (!exchanged) return;
  const float x1 = found->x1;
  const float x2 = found->x2;
  found->x1 = found->y1;
  found->x2 = found->y2;
  found->y1 = x1;
  found->y2 = x2;
}

/* The mask's window in the tile, from its window in the view. */
static void return_window(int32_t view, int32_t width_px, int32_t height_px, DetectFound *found)
{
  const bool exchanged = (view & EXCHANGE) != 0;
  const int32_t width = exchanged ? height_px : width_px;
  const int32_t height = exchanged ? width_px : height_px;
  if ((view & MIRROR_COLUMNS) != 0)
    found->mask_x_px = width - found->mask_x_px - found->mask_width_px;
  if ((view & MIRROR_ROWS) != 0)
    found->mask_y_px = height - found->mask_y_px - found->mask_height_px;
  if (!exchanged) return;
  const int32_t x = found->mask_x_px;
  const int32_t mask_width = found->mask_width_px;
  found->mask_x_px = found->mask_y_px;
  found->mask_width_px = found->mask_height_px;
  found->mask_y_px = x;
  found->mask_height_px = mask_width;
}

/* The view of a window of the view is the inverse of itself, but where columns and rows are
 * exchanged: then the mirrors change places. */
static int32_t inverse(int32_t view)
{
  if ((view & EXCHANGE) == 0) return view;
  return EXCHANGE | ((view & MIRROR_COLUMNS) != 0 ? MIRROR_ROWS : 0) |
         ((view & MIRROR_ROWS) != 0 ? MIRROR_COLUMNS : 0);
}

Status detect_view_return(int32_t view, int32_t width_px, int32_t height_px, const DetectTile *seen,
                          DetectList *list)
{
  for (int32_t i = 0; i < seen->count; ++i) {
    const DetectThing *thing = &seen->things[i];
    uint8_t *mask;
    DetectFound found = {.class_index = thing->class_index,
                         .score = thing->score,
                         .x1 = thing->x1,
                         .y1 = thing->y1,
                         .x2 = thing->x2,
                         .y2 = thing->y2};
    if (thing->mask != NULL) {
      found.mask_x_px = thing->mask_x_px;
      found.mask_y_px = thing->mask_y_px;
      found.mask_width_px = thing->mask_width_px;
      found.mask_height_px = thing->mask_height_px;
    }
    return_box(view, width_px, height_px, &found);
    return_window(view, width_px, height_px, &found);
    TRY(detect_list_add(list, &found, &mask));
    if (mask != NULL)
      detect_view_show(inverse(view), thing->mask_width_px, thing->mask_height_px, 1, thing->mask,
                       mask);
  }
  return STATUS_OK;
}

/* Merging. */

typedef struct Cluster {
  int32_t count;
  int32_t last_view;
  int32_t views[DETECT_VIEWS_MOST]; /* of the members, the first one first */
  int64_t items[DETECT_VIEWS_MOST];
} Cluster;

typedef struct Clusters {
  const DetectList *views;
  Cluster *items;
  int64_t count;
} Clusters;

static const DetectFound *member(const Clusters *clusters, const Cluster *cluster, int32_t index)
{
  return &clusters->views[cluster->views[index]].items[cluster->items[index]];
}

static Cluster *find_cluster(const Clusters *clusters, int32_t view, const DetectFound *found)
{
  Cluster *best = NULL;
  double most = 0;
  for (int64_t i = 0; i < clusters->count; ++i) {
    Cluster *cluster = &clusters->items[i];
    const DetectFound *first = member(clusters, cluster, 0);
    if (cluster->last_view == view || first->class_index != found->class_index) continue;
    const double overlap =
        detect_overlap(&clusters->views[cluster->views[0]], first, &clusters->views[view], found);
    if (overlap < least_overlap || overlap <= most) continue;
    most = overlap;
    best = cluster;
  }
  return best;
}

static void add_member(Clusters *clusters, int32_t view, int64_t item)
{
  Cluster *cluster = find_cluster(clusters, view, &clusters->views[view].items[item]);
  if (cluster == NULL) cluster = &clusters->items[clusters->count++];
  cluster->views[cluster->count] = view;
  cluster->items[cluster->count++] = item;
  cluster->last_view = view;
}

static Status add_view(Clusters *clusters, int32_t view)
{
  void *memory;
  const DetectList *list = &clusters->views[view];
  TRY(memory_allocate((size_t)list->count, sizeof(int64_t), "an order of things", &memory));
  const Status status = detect_list_order(list, memory);
  for (int64_t i = 0; status == STATUS_OK && i < list->count; ++i)
    add_member(clusters, view, ((const int64_t *)memory)[i]);
  memory_free(memory);
  return status;
}

static int32_t smaller(int32_t a, int32_t b)
{
  return a < b ? a : b;
}

static int32_t larger(int32_t a, int32_t b)
{
  return a > b ? a : b;
}

static DetectFound merge_boxes(const Clusters *clusters, const Cluster *cluster,
                               DetectPolicy policy)
{
  DetectFound merged = *member(clusters, cluster, 0);
  double sums[5] = {0};
  int32_t right = merged.mask_x_px + merged.mask_width_px;
  int32_t bottom = merged.mask_y_px + merged.mask_height_px;
  for (int32_t i = 0; i < cluster->count; ++i) {
    const DetectFound *found = member(clusters, cluster, i);
    const float values[5] = {found->x1, found->y1, found->x2, found->y2, found->score};
    for (int32_t k = 0; k < 5; ++k)
      sums[k] += (double)values[k];
    if (policy == DETECT_MAX) merged.score = fmaxf(merged.score, found->score);
    if (policy == DETECT_MIN) merged.score = fminf(merged.score, found->score);
    right = larger(right, found->mask_x_px + found->mask_width_px);
    bottom = larger(bottom, found->mask_y_px + found->mask_height_px);
    merged.mask_x_px = smaller(merged.mask_x_px, found->mask_x_px);
    merged.mask_y_px = smaller(merged.mask_y_px, found->mask_y_px);
  }
  merged.x1 = (float)(sums[0] / cluster->count);
  merged.y1 = (float)(sums[1] / cluster->count);
  merged.x2 = (float)(sums[2] / cluster->count);
  merged.y2 = (float)(sums[3] / cluster->count);
  if (policy == DETECT_MEAN) merged.score = (float)(sums[4] / cluster->count);
  merged.mask_width_px = right - merged.mask_x_px;
  merged.mask_height_px = bottom - merged.mask_y_px;
  return merged;
}

/* Votes, then whether there are enough. */
static void merge_masks(const Clusters *clusters, const Cluster *cluster, const DetectFound *merged,
                        uint8_t *mask)
{
  for (int32_t i = 0; i < cluster->count; ++i) {
    const DetectFound *found = member(clusters, cluster, i);
    const uint8_t *from = detect_list_mask(&clusters->views[cluster->views[i]], found);
    for (int32_t row = 0; row < found->mask_height_px; ++row) {
      uint8_t *to = mask +
                    (int64_t)(found->mask_y_px - merged->mask_y_px + row) * merged->mask_width_px +
                    (found->mask_x_px - merged->mask_x_px);
      for (int32_t column = 0; column < found->mask_width_px; ++column)
        to[column] = (uint8_t)(to[column] + from[(int64_t)row * found->mask_width_px + column]);
    }
  }
  const int64_t pixels = (int64_t)merged->mask_width_px * merged->mask_height_px;
  for (int64_t i = 0; i < pixels; ++i)
    mask[i] = 2 * mask[i] >= cluster->count;
}

static Status merge_clusters(const Clusters *clusters, int32_t view_count, DetectPolicy policy,
                             DetectList *merged)
{
  for (int64_t i = 0; i < clusters->count; ++i) {
    const Cluster *cluster = &clusters->items[i];
    uint8_t *mask;
    if (policy != DETECT_MAX && 2 * cluster->count < view_count) continue;
    const DetectFound found = merge_boxes(clusters, cluster, policy);
    TRY(detect_list_add(merged, &found, &mask));
    if (mask != NULL) merge_masks(clusters, cluster, &found, mask);
  }
  return STATUS_OK;
}

Status detect_views_merge(const DetectList *views, int32_t view_count, DetectPolicy policy,
                          DetectList *merged)
{
  void *memory;
  int64_t all = 0;
  for (int32_t view = 0; view < view_count; ++view)
    all += views[view].count;
  TRY(memory_allocate((size_t)all, sizeof(Cluster), "things of several views", &memory));
  Clusters clusters = {.views = views, .items = memory};
  Status status = STATUS_OK;
  for (int32_t view = 0; view < view_count && status == STATUS_OK; ++view) {
    for (int64_t i = 0; i < clusters.count; ++i)
      clusters.items[i].last_view = -1;
    status = add_view(&clusters, view);
  }
  if (status == STATUS_OK) status = merge_clusters(&clusters, view_count, policy, merged);
  memory_free(memory);
  return status;
}
