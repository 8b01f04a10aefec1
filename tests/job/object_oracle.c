#include "object_oracle.h"

#include <math.h>

#include "base/random.h"
#include "support/check.h"

typedef enum Kind {
  KIND_RECTANGLE,
  KIND_DISC,
  KIND_RING,
  KIND_L,
  KIND_U,
  KIND_BAR,
  KIND_SPIRAL,
  KIND_COMB,
  KIND_HOUSES, /* a row of rectangles that touch, each a shape of its own */
  KIND_COUNT
} Kind;

/* Where a shape is tried; u and v are turned or mirrored coordinates in a box of size x size. */
typedef struct Sketch {
  Kind kind;
  int32_t x_px;
  int32_t y_px;
  int32_t size_px;
  int32_t width_px; /* of strokes */
  int32_t turn;     /* 0 … 7 */
} Sketch;

static bool in_spiral(int32_t u, int32_t v, int32_t size, int32_t stroke)
{
  const int32_t pitch = 2 * stroke + 1;
  const int32_t to_left = u;
  const int32_t to_top = v;
  const int32_t to_right = size - 1 - u;
  const int32_t to_bottom = size - 1 - v;
  int32_t depth = to_left < to_top ? to_left : to_top;
  depth = to_right < depth ? to_right : depth;
  depth = to_bottom < depth ? to_bottom : depth;
  const int32_t turn = depth / pitch;
  const bool on_ring = depth % pitch < stroke;
  /* Each ring is opened at its left upper corner and led on to the next one inside. */
  const int32_t start = turn * pitch;
  const bool at_gap =
      u >= start && u < start + stroke && v >= start + stroke && v < start + pitch && v < size / 2;
  const bool at_bridge = v >= start + pitch && v < start + pitch + stroke && u >= start &&
                         u < start + pitch + stroke && v < size / 2 && u < size / 2;
  return (on_ring && !at_gap) || at_bridge;
}

static bool in_disc(int32_t u, int32_t v, int32_t size, int32_t across)
{
  const int64_t x = 2 * (int64_t)u - size + 1;
  const int64_t y = 2 * (int64_t)v - size + 1;
  return across > 0 && x * x + y * y <= (int64_t)across * across;
}

static bool in_sketch(const Sketch *sketch, int32_t u, int32_t v)
{
  const int32_t size = sketch->size_px;
  const int32_t stroke = sketch->width_px;
  switch (sketch->kind) {
  case KIND_RECTANGLE: return v < size / 2 + 2;
  case KIND_DISC: return in_disc(u, v, size, size);
  case KIND_RING: return in_disc(u, v, size, size) && !in_disc(u, v, size, size - 2 * stroke - 2);
  case KIND_L: return u < stroke || v < stroke;
  case KIND_U: return u < stroke || v < stroke || u >= size - stroke;
  case KIND_BAR: return u - v < stroke && v - u < stroke;
  case KIND_SPIRAL: return in_spiral(u, v, size, stroke);
  case KIND_COMB: return v < stroke || u % (2 * stroke + 1) < stroke;
  default: return false;
  }
}

static bool sketch_holds(const Sketch *sketch, int32_t x, int32_t y)
{
  const int32_t last = sketch->size_px - 1;
  int32_t u = x - sketch->x_px;
  int32_t v = y - sketch->y_px;
  if ((sketch->turn & 1) != 0) u = last - u;
  if ((sketch->turn & 2) != 0) v = last - v;
  return (sketch->turn & 4) != 0 ? in_sketch(sketch, v, u) : in_sketch(sketch, u, v);
}

/* Shapes never take a pixel from another, so each stays as it was meant. */
static bool is_free(const Oracle *oracle, const Sketch *sketch)
{
  int64_t area_px = 0;
  for (int32_t y = sketch->y_px; y < sketch->y_px + sketch->size_px; ++y)
    for (int32_t x = sketch->x_px; x < sketch->x_px + sketch->size_px; ++x) {
      if (!sketch_holds(sketch, x, y)) continue;
      if (oracle->labels[(int64_t)y * oracle->width_px + x] != 0) return false;
      ++area_px;
    }
  return area_px > 0; /* small spirals are nothing */
}

/* The classes of other shapes that touch this pixel, as bits. */
static uint64_t classes_around(const Oracle *oracle, int32_t x, int32_t y)
{
  const int32_t own = oracle->labels[(int64_t)y * oracle->width_px + x];
  uint64_t classes = 0;
  for (int32_t ny = y - 1; ny <= y + 1; ++ny)
    for (int32_t nx = x - 1; nx <= x + 1; ++nx) {
      if (nx < 0 || ny < 0 || nx >= oracle->width_px || ny >= oracle->height_px) continue;
      const int32_t other = oracle->labels[(int64_t)ny * oracle->width_px + nx];
      if (other != 0 && other < own) classes |= (uint64_t)1 << oracle->shapes[other].apart_class;
    }
  return classes;
}

/* The lowest class that none of the shapes it touches has so far. */
static void choose_apart_class(Oracle *oracle, int32_t id, int32_t top_px, int32_t bottom_px)
{
  uint64_t taken = 0;
  for (int32_t y = top_px; y < bottom_px; ++y)
    for (int32_t x = 0; x < oracle->width_px; ++x)
      if (oracle->labels[(int64_t)y * oracle->width_px + x] == id)
        taken |= classes_around(oracle, x, y);
  while ((taken >> oracle->shapes[id].apart_class & 1) != 0)
    ++oracle->shapes[id].apart_class;
}

/* Marks what hangs together (4-neighbours) with the pixel, as -id; how many pixels. */
static int64_t mark_connected(Oracle *oracle, int64_t first, int64_t *queue)
{
  const int64_t width = oracle->width_px;
  const int32_t id = oracle->labels[first];
  int64_t found = 0;
  queue[found++] = first;
  oracle->labels[first] = -id;
  for (int64_t next = 0; next < found; ++next) {
    const int64_t x = queue[next] % width;
    const int64_t y = queue[next] / width;
    const int64_t beside[4] = {x > 0 ? queue[next] - 1 : first,
                               x < width - 1 ? queue[next] + 1 : first,
                               y > 0 ? queue[next] - width : first,
                               y < oracle->height_px - 1 ? queue[next] + width : first};
    for (int n = 0; n < 4; ++n) {
      if (oracle->labels[beside[n]] != id) continue;
      oracle->labels[beside[n]] = -id;
      queue[found++] = beside[n];
    }
  }
  return found;
}

/* Takes the last shape back if it is not connected (spirals whose inmost turn is too narrow). */
static bool keep_if_connected(Oracle *oracle, int64_t first)
{
  const int32_t id = oracle->shape_count;
  OracleShape *shape = oracle->shapes + id;
  int64_t *queue = calloc((size_t)shape->area_px, sizeof *queue);
  assert_non_null(queue);
  const int64_t found = mark_connected(oracle, first, queue);
  const bool is_connected = found == shape->area_px;
  for (int64_t n = 0; n < found; ++n)
    oracle->labels[queue[n]] = is_connected ? id : 0;
  free(queue);
  if (is_connected) return true;
  for (int64_t n = first; n < (int64_t)oracle->width_px * oracle->height_px; ++n)
    if (oracle->labels[n] == id) oracle->labels[n] = 0;
  *shape = (OracleShape){0};
  --oracle->shape_count;
  return false;
}

static void add_shape(Oracle *oracle, const Sketch *sketch, Random *random)
{
  OracleShape *shape = oracle->shapes + ++oracle->shape_count;
  int64_t first = -1;
  shape->class_index = (int32_t)random_below(random, 3);
  shape->score = random_uniform(random);
  for (int32_t y = sketch->y_px; y < sketch->y_px + sketch->size_px; ++y)
    for (int32_t x = sketch->x_px; x < sketch->x_px + sketch->size_px; ++x)
      if (sketch_holds(sketch, x, y)) {
        const int64_t place = (int64_t)y * oracle->width_px + x;
        if (first < 0) first = place;
        oracle->labels[place] = oracle->shape_count;
        ++shape->area_px;
      }
  if (keep_if_connected(oracle, first))
    choose_apart_class(oracle, oracle->shape_count, sketch->y_px, sketch->y_px + sketch->size_px);
}

enum { SHAPES_MOST = 20000 };

static void try_shape(Oracle *oracle, int32_t size_px, Random *random)
{
  Sketch sketch = {.kind = (Kind)random_below(random, KIND_HOUSES),
                   .size_px = size_px,
                   .width_px = 3 + (int32_t)random_below(random, (uint32_t)size_px / 16 + 1),
                   .turn = (int32_t)random_below(random, 8)};
  sketch.x_px = (int32_t)random_below(random, (uint32_t)(oracle->width_px - size_px + 1));
  sketch.y_px = (int32_t)random_below(random, (uint32_t)(oracle->height_px - size_px + 1));
  if (oracle->shape_count < SHAPES_MOST && is_free(oracle, &sketch))
    add_shape(oracle, &sketch, random);
}

/* Rectangles of one size side by side, touching. */
static void try_houses(Oracle *oracle, Random *random)
{
  const int32_t size = 3 + (int32_t)random_below(random, 18);
  const int32_t count = 2 + (int32_t)random_below(random, 6);
  Sketch sketch = {.kind = KIND_COMB, .size_px = size, .width_px = size}; /* all of its box */
  const bool is_row = random_below(random, 2) == 0;
  const int32_t width = is_row ? count * size : size;
  const int32_t height = is_row ? size : count * size;
  const int32_t x = (int32_t)random_below(random, (uint32_t)(oracle->width_px - width + 1));
  const int32_t y = (int32_t)random_below(random, (uint32_t)(oracle->height_px - height + 1));
  for (int32_t house = 0; house < count && oracle->shape_count < SHAPES_MOST; ++house) {
    sketch.x_px = x + (is_row ? house * size : 0);
    sketch.y_px = y + (is_row ? 0 : house * size);
    if (!is_free(oracle, &sketch)) return;
    add_shape(oracle, &sketch, random);
  }
}

static void open_oracle(int32_t width_px, int32_t height_px, Oracle *oracle)
{
  *oracle = (Oracle){.width_px = width_px, .height_px = height_px};
  oracle->labels = calloc((size_t)width_px * (size_t)height_px, sizeof *oracle->labels);
  oracle->shapes = calloc(SHAPES_MOST + 1, sizeof *oracle->shapes);
  assert_non_null(oracle->labels);
  assert_non_null(oracle->shapes);
}

/* Large ones first, and more of the smaller ones: they also fill holes. */
void oracle_draw(uint64_t seed, int32_t width_px, int32_t height_px, int32_t longest_px,
                 Oracle *oracle)
{
  Random random = random_stream(seed, 0);
  open_oracle(width_px, height_px, oracle);
  for (int32_t size = longest_px; size >= 3; size -= (size + 11) / 12)
    for (int64_t n = 0; n * size * size < (int64_t)width_px * height_px; n += size < 8 ? 10 : 2)
      try_shape(oracle, size, &random);
  for (int32_t n = 0; n < 300; ++n)
    try_houses(oracle, &random);
}

void oracle_from_text(const char *const *rows, int32_t row_count, Oracle *oracle)
{
  int32_t id_of[256] = {0};
  open_oracle((int32_t)strlen(rows[0]), row_count, oracle);
  for (int32_t y = 0; y < row_count; ++y)
    for (int32_t x = 0; x < oracle->width_px; ++x) {
      const unsigned char letter = (unsigned char)rows[y][x];
      if (letter == '.') continue;
      if (id_of[letter] == 0) id_of[letter] = ++oracle->shape_count;
      oracle->labels[y * oracle->width_px + x] = id_of[letter];
      ++oracle->shapes[id_of[letter]].area_px;
    }
  for (int32_t id = 1; id <= oracle->shape_count; ++id)
    choose_apart_class(oracle, id, 0, row_count);
}

void oracle_close(Oracle *oracle)
{
  free(oracle->labels);
  free(oracle->shapes);
  *oracle = (Oracle){0};
}
