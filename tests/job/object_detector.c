#include "base/random.h"
#include "object_oracle.h"
#include "support/check.h"

/* One tile: which thing covers each pixel, and what the things are. */
typedef struct View {
  Window window;   /* what the tile sees */
  int32_t *things; /* 0: none */
  int32_t *queue;
  int32_t *shape_of; /* 1 … thing_count */
  Window *box_of;
  int32_t thing_count;
} View;

static View open_view(Window window)
{
  const size_t pixels = (size_t)window_pixels(window);
  View view = {.window = window};
  view.things = calloc(pixels, sizeof *view.things);
  view.queue = calloc(pixels, sizeof *view.queue);
  view.shape_of = calloc(pixels + 1, sizeof *view.shape_of);
  view.box_of = calloc(pixels + 1, sizeof *view.box_of);
  assert_true(view.things != NULL && view.queue != NULL && view.shape_of != NULL &&
              view.box_of != NULL);
  return view;
}

static void close_view(View *view)
{
  free(view->things);
  free(view->queue);
  free(view->shape_of);
  free(view->box_of);
}

static int32_t label_at(const Oracle *oracle, const View *view, int32_t place)
{
  const int64_t x = view->window.x_px + place % view->window.width_px;
  const int64_t y = view->window.y_px + place / view->window.width_px;
  return oracle->labels[y * oracle->width_px + x];
}

static void take_pixel(View *view, int32_t place, int32_t thing)
{
  const int64_t x = view->window.x_px + place % view->window.width_px;
  const int64_t y = view->window.y_px + place / view->window.width_px;
  Window *box = view->box_of + thing;
  view->things[place] = thing;
  if (!window_contains_pixel(*box, x, y)) *box = window_cover(*box, (Window){x, y, 1, 1});
}

/* The connected piece that a pixel is in. */
static void fill_piece(const Oracle *oracle, View *view, int32_t first, int32_t thing,
                       bool diagonals)
{
  const int32_t width = (int32_t)view->window.width_px;
  const int32_t height = (int32_t)view->window.height_px;
  int32_t count = 0;
  take_pixel(view, first, thing);
  view->queue[count++] = first;
  while (count > 0) {
    const int32_t place = view->queue[--count];
    for (int32_t n = 0; n < 9; ++n) {
      const int32_t x = place % width + n % 3 - 1;
      const int32_t y = place / width + n / 3 - 1;
      if (x < 0 || y < 0 || x >= width || y >= height || (!diagonals && n % 2 == 0)) continue;
      const int32_t next = y * width + x;
      if (view->things[next] != 0 || label_at(oracle, view, next) != view->shape_of[thing])
        continue;
      take_pixel(view, next, thing);
      view->queue[count++] = next;
    }
  }
}

static void find_things(const Oracle *oracle, OracleMode mode, View *view)
{
  const int32_t pixels = (int32_t)window_pixels(view->window);
  int32_t *thing_of = calloc((size_t)oracle->shape_count + 1, sizeof *thing_of);
  assert_non_null(thing_of);
  for (int32_t place = 0; place < pixels; ++place) {
    const int32_t shape = label_at(oracle, view, place);
    if (shape == 0 || view->things[place] != 0) continue;
    const bool is_new = mode != ORACLE_SHAPES || thing_of[shape] == 0;
    if (is_new) view->shape_of[thing_of[shape] = ++view->thing_count] = shape;
    if (mode == ORACLE_SHAPES)
      take_pixel(view, place, thing_of[shape]);
    else
      fill_piece(oracle, view, place, thing_of[shape], mode == ORACLE_PIECES_8);
  }
  free(thing_of);
}

/* What covers a place; 0 beyond what the tile sees. */
static int32_t thing_at(const View *view, int64_t x, int64_t y)
{
  if (!window_contains_pixel(view->window, x, y)) return 0;
  return view->things[(y - view->window.y_px) * view->window.width_px + x - view->window.x_px];
}

/* Whether a pixel and one beside it differ in being of the thing. */
static bool is_outline(const View *view, int32_t thing, int64_t x, int64_t y)
{
  const bool is_in = thing_at(view, x, y) == thing;
  return is_in != (thing_at(view, x - 1, y) == thing) ||
         is_in != (thing_at(view, x + 1, y) == thing) ||
         is_in != (thing_at(view, x, y - 1) == thing) ||
         is_in != (thing_at(view, x, y + 1) == thing);
}

static ObjectMask *mask_of(const View *view, int32_t thing, double outline_share, Random *noise)
{
  const Window box = window_intersect(window_grow(view->box_of[thing], 1), view->window);
  uint8_t *bytes = calloc((size_t)window_pixels(box), 1);
  ObjectMask *mask;
  assert_non_null(bytes);
  for (int64_t y = 0; y < box.height_px; ++y) {
    const int32_t *row = view->things + (box.y_px - view->window.y_px + y) * view->window.width_px +
                         box.x_px - view->window.x_px;
    for (int64_t x = 0; x < box.width_px; ++x) {
      bool is_in = row[x] == thing;
      if (outline_share > 0 && is_outline(view, thing, box.x_px + x, box.y_px + y) &&
          random_uniform(noise) < outline_share)
        is_in = !is_in;
      bytes[y * box.width_px + x] = is_in;
    }
  }
  CHECK_OK(object_mask_from_bytes(bytes, box.width_px, box, &mask));
  free(bytes);
  return mask;
}

static double draw_score(const OracleDetector *detector, Random *noise)
{
  return detector->least_score + (1 - detector->least_score) * random_uniform(noise);
}

static FoundThing describe(const Oracle *oracle, const OracleDetector *detector, const View *view,
                           int32_t thing, Random *noise)
{
  const OracleShape *shape = oracle->shapes + view->shape_of[thing];
  const Window box = view->box_of[thing];
  return (FoundThing){
      .class_index = detector->use_apart_class ? shape->apart_class : shape->class_index,
      .score = detector->noise_seed != 0 ? draw_score(detector, noise) : shape->score,
      .box = {(double)box.x_px, (double)box.y_px, (double)(box.x_px + box.width_px),
              (double)(box.y_px + box.height_px)},
      .mask = mask_of(view, thing, detector->outline_share, noise)};
}

static FoundThing cover(Window window)
{
  ObjectMask *mask;
  CHECK_OK(object_mask_from_window(window, &mask));
  return (FoundThing){.class_index = ORACLE_BLANKET_CLASS, .mask = mask};
}

static int64_t list_things(const Oracle *oracle, const OracleDetector *detector, const View *view,
                           Random *noise, FoundThing *things)
{
  int64_t count = 0;
  for (int32_t thing = 1; thing <= view->thing_count; ++thing) {
    const double whole_px = (double)oracle->shapes[view->shape_of[thing]].area_px;
    FoundThing found = describe(oracle, detector, view, thing, noise);
    if ((double)found.mask->area_px < detector->missed_share * whole_px) {
      object_mask_close((ObjectMask *)(uintptr_t)found.mask);
      continue;
    }
    things[count++] = found;
    if (detector->noise_seed != 0 && random_uniform(noise) < detector->duplicate_share)
      things[count++] = describe(oracle, detector, view, thing, noise);
  }
  if (detector->blanket) things[count++] = cover(view->window);
  return count;
}

/* The pixels of a mask, moved, in what the tile sees; grown by grow_px to all sides. */
static void smear(const ObjectMask *mask, const View *view, Window move, int32_t grow_px,
                  uint8_t *bytes)
{
  for (int64_t row = 0; row < mask->window.height_px; ++row)
    for (int64_t r = mask->row_start[row]; r < mask->row_start[row + 1]; ++r) {
      const RowRun run = mask->runs[r];
      const Window dab = {mask->window.x_px + run.first_px + move.x_px - grow_px,
                          mask->window.y_px + row + move.y_px - grow_px,
                          run.end_px - run.first_px + 2 * grow_px, 1 + 2 * grow_px};
      const Window part = window_intersect(dab, view->window);
      for (int64_t y = 0; y < part.height_px; ++y)
        memset(bytes + (part.y_px - view->window.y_px + y) * view->window.width_px + part.x_px -
                   view->window.x_px,
               1, (size_t)part.width_px);
    }
}

/* Clears a half of what is set within the window. */
static void halve(Window window, const View *view, bool upright, uint8_t *bytes)
{
  const int64_t columns = upright ? window.width_px / 2 : window.width_px;
  const int64_t rows = upright ? window.height_px : window.height_px / 2;
  for (int64_t y = 0; y < rows; ++y)
    memset(bytes + (window.y_px - view->window.y_px + y) * view->window.width_px + window.x_px -
               view->window.x_px,
           0, (size_t)columns);
}

static FoundThing draw_junk(const View *view, const FoundThing *thing, const FoundThing *other,
                            Random *random)
{
  uint8_t *bytes = calloc((size_t)window_pixels(view->window), 1);
  const uint32_t kind = random_below(random, 5);
  const int32_t size_px = (int32_t)(thing->mask->window.width_px + 4);
  Window move = {0};
  FoundThing junk = *thing;
  ObjectMask *mask;
  assert_non_null(bytes);
  if (kind == 0) {
    move.x_px = (int64_t)random_below(random, (uint32_t)size_px) - size_px / 2;
    move.y_px = (int64_t)random_below(random, (uint32_t)size_px) - size_px / 2;
  }
  smear(thing->mask, view, move, kind == 1 ? 1 + (int32_t)random_below(random, 4) : 0, bytes);
  if (kind == 2) smear(other->mask, view, move, 0, bytes);
  if (kind >= 3) halve(thing->mask->window, view, kind == 3, bytes);
  CHECK_OK(object_mask_from_bytes(bytes, view->window.width_px, view->window, &mask));
  free(bytes);
  junk.score = ORACLE_JUNK_SCORE * random_uniform(random);
  junk.mask = mask;
  return junk;
}

/* Behind the things; returns how many there are now. */
static int64_t add_junk(const OracleDetector *detector, const View *view, int64_t tile,
                        FoundThing *things, int64_t count)
{
  Random random = random_stream(detector->noise_seed + 1000, (uint64_t)tile);
  int64_t all = count;
  for (int64_t t = 0; t < count; ++t)
    for (int32_t j = 0; j < detector->junk_count; ++j) {
      const int64_t other = random_below(&random, (uint32_t)count);
      things[all++] = draw_junk(view, things + t, things + other, &random);
    }
  return all;
}

static int64_t detect_in(const Oracle *oracle, const OracleDetector *detector, Window window,
                         int64_t tile, bool pass_empty, ObjectMerge *merge)
{
  View view = open_view(window);
  Random noise = random_stream(detector->noise_seed, (uint64_t)tile);
  find_things(oracle, detector->mode, &view);
  FoundThing *things = calloc(
      (2 * (size_t)view.thing_count + 1) * (1 + (size_t)detector->junk_count), sizeof *things);
  assert_non_null(things);
  int64_t count = list_things(oracle, detector, &view, &noise, things);
  count = add_junk(detector, &view, tile, things, count);
  if (count > 0 || pass_empty) CHECK_OK(object_merge_add(merge, tile, things, count));
  for (int64_t t = 0; t < count; ++t)
    object_mask_close((ObjectMask *)(uintptr_t)things[t].mask);
  free(things);
  close_view(&view);
  return count;
}

int64_t oracle_detect(const Oracle *oracle, const OracleDetector *detector, const TilePlan *plan,
                      bool pass_empty, ObjectMerge *merge)
{
  const Window raster = {0, 0, oracle->width_px, oracle->height_px};
  int64_t count = 0;
  for (int64_t tile = 0; tile < plan->tile_count; ++tile)
    count += detect_in(oracle, detector, window_intersect(raster, tile_plan_tile(plan, tile)), tile,
                       pass_empty, merge);
  return count;
}
