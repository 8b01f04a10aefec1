#include "object_index.h"

#include "base/memory.h"
#include "base/require.h"
#include "object_room.h"

enum { LEVELS = 40, SMALLEST_SHIFT = 5, NONE = -1 };

/* An item in one cell; nodes of a bucket are chained. */
typedef struct Node {
  int32_t item;
  int32_t next; /* node, or NONE */
  int32_t level;
  int64_t column;
  int64_t row;
} Node;

typedef struct Place {
  Window window;
  bool is_used;
} Place;

struct ObjectIndex {
  Node *nodes;
  int64_t node_capacity;
  int64_t node_count; /* taken so far; some may be free again */
  int64_t live_count;
  int32_t free_node; /* chained by next, or NONE */
  int32_t *buckets;
  int64_t bucket_count; /* a power of two */
  Place *places;        /* by item */
  int64_t place_capacity;
  int64_t item_count;
  int64_t level_count[LEVELS]; /* nodes of each */
  int32_t *found;
  int64_t found_capacity;
  int64_t found_count;
};

/* Cells of a level that a window lies in. */
typedef struct Cells {
  int32_t level;
  int64_t left;
  int64_t top;
  int64_t right; /* the last one */
  int64_t bottom;
} Cells;

static int32_t level_of(Window window)
{
  const int64_t longest = window.width_px > window.height_px ? window.width_px : window.height_px;
  int32_t level = 0;
  while (level < LEVELS - 1 && ((int64_t)1 << (level + SMALLEST_SHIFT)) < longest)
    ++level;
  return level;
}

static int64_t cell_of(int64_t place_px, int32_t level)
{
  return place_px < 0 ? 0 : place_px >> (level + SMALLEST_SHIFT);
}

static Cells cells_of(Window window, int32_t level)
{
  return (Cells){.level = level,
                 .left = cell_of(window.x_px, level),
                 .top = cell_of(window.y_px, level),
                 .right = cell_of(window.x_px + window.width_px - 1, level),
                 .bottom = cell_of(window.y_px + window.height_px - 1, level)};
}

static int64_t bucket_of(const ObjectIndex *index, int32_t level, int64_t column, int64_t row)
{
  uint64_t key = (uint64_t)column * 0x9E3779B97F4A7C15U + (uint64_t)row * 0xC2B2AE3D27D4EB4FU +
                 (uint64_t)level * 0x165667B19E3779F9U;
  key ^= key >> 29; /* the low bits must know of the high ones */
  key *= 0xBF58476D1CE4E5B9U;
  key ^= key >> 32;
  return (int64_t)(key & (uint64_t)(index->bucket_count - 1));
}

Status object_index_open(ObjectIndex **index)
{
  void *memory;
  *index = NULL;
  TRY(memory_allocate(1, sizeof(ObjectIndex), "index of objects", &memory));
  *index = memory;
  (*index)->free_node = NONE;
  return STATUS_OK;
}

void object_index_close(ObjectIndex *index)
{
  if (index == NULL) return;
  memory_free(index->nodes);
  memory_free(index->buckets);
  memory_free(index->places);
  memory_free(index->found);
  memory_free(index);
}

static void link_node(ObjectIndex *index, int32_t node)
{
  const Node *added = index->nodes + node;
  const int64_t bucket = bucket_of(index, added->level, added->column, added->row);
  index->nodes[node].next = index->buckets[bucket];
  index->buckets[bucket] = node;
}

/* Twice the buckets. Free nodes have no item and stay out. */
static Status spread(ObjectIndex *index)
{
  const int64_t count = index->bucket_count == 0 ? 1024 : 2 * index->bucket_count;
  void *memory;
  TRY(memory_allocate((size_t)count, sizeof *index->buckets, "index of objects", &memory));
  memory_free(index->buckets);
  index->buckets = memory;
  index->bucket_count = count;
  for (int64_t b = 0; b < count; ++b)
    index->buckets[b] = NONE;
  for (int64_t node = 0; node < index->node_count; ++node)
    if (index->nodes[node].item != NONE) link_node(index, (int32_t)node);
  return STATUS_OK;
}

static Status reserve(ObjectIndex *index, int32_t item)
{
  TRY(object_room((void **)&index->places, &index->place_capacity, item + 1, sizeof *index->places,
                  "index of objects"));
  TRY(object_room((void **)&index->nodes, &index->node_capacity, index->node_count + 4,
                  sizeof *index->nodes, "index of objects"));
  return index->live_count + 4 > index->bucket_count ? spread(index) : STATUS_OK;
}

static int32_t take_node(ObjectIndex *index)
{
  const int32_t node = index->free_node;
  if (node == NONE) return (int32_t)index->node_count++;
  index->free_node = index->nodes[node].next;
  return node;
}

Status object_index_add(ObjectIndex *index, int32_t item, Window window)
{
  require(item >= 0 && !window_is_empty(window) && window.x_px >= 0 && window.y_px >= 0);
  TRY(reserve(index, item));
  require(!index->places[item].is_used);
  const Cells cells = cells_of(window, level_of(window));
  for (int64_t row = cells.top; row <= cells.bottom; ++row)
    for (int64_t column = cells.left; column <= cells.right; ++column) {
      const int32_t node = take_node(index);
      index->nodes[node] = (Node){.item = item, .level = cells.level, .column = column, .row = row};
      link_node(index, node);
      ++index->live_count;
      ++index->level_count[cells.level];
    }
  index->places[item] = (Place){.window = window, .is_used = true};
  if (item + 1 > index->item_count) index->item_count = item + 1;
  return STATUS_OK;
}

static void remove_node(ObjectIndex *index, int32_t item, const Cells *cells, int64_t column,
                        int64_t row)
{
  int32_t *link = index->buckets + bucket_of(index, cells->level, column, row);
  while (*link != NONE) {
    Node *node = index->nodes + *link;
    if (node->item == item && node->column == column && node->row == row) {
      const int32_t freed = *link;
      *link = node->next;
      *node = (Node){.item = NONE, .next = index->free_node};
      index->free_node = freed;
      --index->live_count;
      --index->level_count[cells->level];
      return;
    }
    link = &node->next;
  }
}

void object_index_remove(ObjectIndex *index, int32_t item)
{
  require(item >= 0 && item < index->item_count && index->places[item].is_used);
  const Window window = index->places[item].window;
  const Cells cells = cells_of(window, level_of(window));
  for (int64_t row = cells.top; row <= cells.bottom; ++row)
    for (int64_t column = cells.left; column <= cells.right; ++column)
      remove_node(index, item, &cells, column, row);
  index->places[item].is_used = false;
}

static Status report(ObjectIndex *index, int32_t item)
{
  TRY(object_room((void **)&index->found, &index->found_capacity, index->found_count + 1,
                  sizeof *index->found, "index of objects"));
  index->found[index->found_count++] = item;
  return STATUS_OK;
}

static int64_t later(int64_t a, int64_t b)
{
  return a > b ? a : b;
}

/* An item that lies in several cells is reported in the first that it shares with the window. */
static Status find_in_cell(ObjectIndex *index, Window window, const Cells *cells, int64_t column,
                           int64_t row)
{
  for (int32_t n = index->buckets[bucket_of(index, cells->level, column, row)]; n != NONE;
       n = index->nodes[n].next) {
    const Node *node = index->nodes + n;
    if (node->level != cells->level || node->column != column || node->row != row) continue;
    const Window place = index->places[node->item].window;
    if (!window_overlaps(place, window)) continue;
    const Cells own = cells_of(place, cells->level);
    if (later(own.left, cells->left) == column && later(own.top, cells->top) == row)
      TRY(report(index, node->item));
  }
  return STATUS_OK;
}

static Status find_on_level(ObjectIndex *index, Window window, const Cells *cells)
{
  for (int64_t row = cells->top; row <= cells->bottom; ++row)
    for (int64_t column = cells->left; column <= cells->right; ++column)
      TRY(find_in_cell(index, window, cells, column, row));
  return STATUS_OK;
}

/* Where a window covers more cells than there are items. */
static Status find_among_all(ObjectIndex *index, Window window)
{
  for (int64_t item = 0; item < index->item_count; ++item)
    if (index->places[item].is_used && window_overlaps(index->places[item].window, window))
      TRY(report(index, (int32_t)item));
  return STATUS_OK;
}

Status object_index_find(ObjectIndex *index, Window window, const int32_t **items, int64_t *count)
{
  double cell_count = 0;
  index->found_count = 0;
  for (int32_t level = 0; level < LEVELS; ++level) {
    const Cells cells = cells_of(window, level);
    if (index->level_count[level] > 0)
      cell_count += (double)(cells.right - cells.left + 1) * (double)(cells.bottom - cells.top + 1);
  }
  const bool is_large = cell_count > (double)index->item_count;
  if (is_large) TRY(find_among_all(index, window));
  for (int32_t level = 0; level < LEVELS && !is_large; ++level) {
    const Cells cells = cells_of(window, level);
    if (index->level_count[level] > 0) TRY(find_on_level(index, window, &cells));
  }
  *items = index->found;
  *count = index->found_count;
  return STATUS_OK;
}

Status object_index_holds(ObjectIndex *index, Window window, bool *holds)
{
  const int32_t *items;
  int64_t count;
  TRY(object_index_find(index, window, &items, &count));
  *holds = count > 0;
  return STATUS_OK;
}
