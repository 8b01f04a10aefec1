#include "picture.h"

#include <math.h>

#include "base/memory.h"
#include "camera.h"
#include "ground.h"

/* Each pixel is sampled 2 x 2 times; a rim around the block feeds the lens's blur. */
enum {
  RIM_PX = CAMERA_RIM_PX,
  SIDE_PX = PICTURE_BLOCK_PX + 2 * RIM_PX,
  SIDE = 2 * SIDE_PX,
  OBJECTS_MAX = 24000
};

typedef struct Sample {
  Colour colour;
  float height_m;
  float shade;
  float light;   /* share of the sun that is not kept off */
  int32_t owner; /* index of the object in the layout, -1: ground */
} Sample;

struct Picture {
  const World *world;
  double cell_m;
  Layout layout;
  Sample *samples;      /* SIDE x SIDE */
  Colour *light;        /* SIDE x SIDE: what reaches the lens */
  double left_m, top_m; /* of the first sample's corner */
};

/* Samples within a rectangle of the world. */
typedef struct Span {
  int32_t first_row, last_row, first_column, last_column; /* last: one past */
} Span;

static Status fill(Picture *picture)
{
  void *memory = NULL;
  TRY(layout_open(&picture->layout, OBJECTS_MAX));
  TRY(memory_allocate((size_t)SIDE * SIDE, sizeof *picture->samples, "samples of a block",
                      &memory));
  picture->samples = memory;
  TRY(memory_allocate((size_t)SIDE * SIDE, sizeof *picture->light, "light of a block", &memory));
  picture->light = memory;
  return STATUS_OK;
}

Status picture_open(const World *world, double cell_m, Picture **picture)
{
  void *memory = NULL;
  *picture = NULL;
  TRY(memory_allocate(1, sizeof **picture, "picture", &memory));
  Picture *opening = memory;
  opening->world = world;
  opening->cell_m = cell_m;
  const Status status = fill(opening);
  if (status == STATUS_OK)
    *picture = opening;
  else
    picture_close(opening);
  return status;
}

void picture_close(Picture *picture)
{
  if (picture == NULL) return;
  layout_close(&picture->layout);
  memory_free(picture->samples);
  memory_free(picture->light);
  memory_free(picture);
}

static Point sample_place(const Picture *picture, int32_t row, int32_t column)
{
  const double step_m = 0.5 * picture->cell_m;
  return (Point){picture->left_m + (column + 0.5) * step_m, picture->top_m + (row + 0.5) * step_m};
}

static Span span_of(const Picture *picture, Point least, Point most)
{
  const double per_m = 2.0 / picture->cell_m;
  const double left = (least.x_m - picture->left_m) * per_m,
               top = (least.y_m - picture->top_m) * per_m;
  const double right = (most.x_m - picture->left_m) * per_m,
               bottom = (most.y_m - picture->top_m) * per_m;
  return (Span){
      (int32_t)fmin(fmax(floor(top), 0), SIDE), (int32_t)fmin(fmax(ceil(bottom), 0), SIDE),
      (int32_t)fmin(fmax(floor(left), 0), SIDE), (int32_t)fmin(fmax(ceil(right), 0), SIDE)};
}

/* Once a pixel: the ground has no sharp edges. */
static void lay_ground(Picture *picture)
{
  Cell cell = {0};
  for (int32_t row = 0; row < SIDE; row += 2)
    for (int32_t column = 0; column < SIDE; column += 2) {
      const Point centre =
          point_add(sample_place(picture, row, column), (Point){1.0, 1.0}, 0.25 * picture->cell_m);
      const StreetPoint street = street_from_world(picture->world, centre);
      if (!street_cell_holds(&cell, street)) cell = street_cell_at(picture->world, street);
      const Sample sample = {.colour = ground_colour(picture->world, &cell, street, centre),
                             .shade = 1.0F,
                             .light = 1.0F,
                             .owner = -1};
      Sample *upper = &picture->samples[row * SIDE + column];
      upper[0] = upper[1] = upper[SIDE] = upper[SIDE + 1] = sample;
    }
}

static void draw(Picture *picture, int32_t owner)
{
  const Object *object = &picture->layout.items[owner];
  const double reach_m = 1.25 * object_radius_m(object);
  const Point reach = {reach_m, reach_m};
  const Span span = span_of(picture, point_add(object->centre, reach, -1.0),
                            point_add(object->centre, reach, 1.0));
  for (int32_t row = span.first_row; row < span.last_row; ++row)
    for (int32_t column = span.first_column; column < span.last_column; ++column) {
      Sample *sample = &picture->samples[row * SIDE + column];
      Surface surface;
      if (!object_surface(picture->world, object, sample_place(picture, row, column), &surface) ||
          surface.height_m < sample->height_m)
        continue;
      sample->colour = surface.colour;
      sample->height_m = surface.height_m;
      sample->shade = surface.shade;
      sample->owner = owner;
    }
}

static void shade_span(Picture *picture, int32_t owner, const Shadow *shadow, Span span)
{
  const World *world = picture->world;
  const Object *object = &picture->layout.items[owner];
  const float top_m =
      (float)(object_top_m(object) + (object->kind == OBJECT_TREE ? object->half_length_m : 0.0));
  for (int32_t row = span.first_row; row < span.last_row; ++row)
    for (int32_t column = span.first_column; column < span.last_column; ++column) {
      Sample *sample = &picture->samples[row * SIDE + column];
      if (sample->owner == owner || sample->height_m >= top_m) continue;
      const Point place = sample_place(picture, row, column);
      const Point away = point_add(place, object->centre, -1.0);
      const bool sunward = away.x_m * world->shadow.x_m + away.y_m * world->shadow.y_m < 0.0;
      if (sunward && sample->height_m > 0.2F) continue; /* what is seen stands before the object */
      const Point ground = point_add(place, world->shadow, (double)sample->height_m);
      const float kept = object_shadow_at(world, object, shadow, ground);
      sample->light = fminf(sample->light, 1.0F - kept);
    }
}

/* A high surface meets its sunbeam before the ground would: the span grows sunward by the object's
 * own height. */
static void cast(Picture *picture, int32_t owner)
{
  Shadow shadows[2];
  const Object *object = &picture->layout.items[owner];
  const int count = object_shadows(picture->world, object, shadows);
  const double height_m = object_top_m(object) + object->half_length_m;
  for (int i = 0; i < count; ++i) {
    const Point least = point_add(shadows[i].least, picture->world->shadow, -height_m);
    const Point most = point_add(shadows[i].most, picture->world->shadow, -height_m);
    const Point low = {fmin(least.x_m, shadows[i].least.x_m),
                       fmin(least.y_m, shadows[i].least.y_m)};
    const Point high = {fmax(most.x_m, shadows[i].most.x_m), fmax(most.y_m, shadows[i].most.y_m)};
    shade_span(picture, owner, &shadows[i], span_of(picture, low, high));
  }
}

/* Sun and sky; the sky's light is bluer, and is all that a shadow gets. */
static void light_up(Picture *picture)
{
  for (ptrdiff_t i = 0; i < (ptrdiff_t)SIDE * SIDE; ++i) {
    const Sample *sample = &picture->samples[i];
    const float sun = sample->shade * sample->light;
    const float sky = 0.78F + 0.22F * sample->light;
    picture->light[i] = (Colour){sample->colour.red * (0.26F * sky + 0.78F * sun),
                                 sample->colour.green * (0.30F * sky + 0.78F * sun),
                                 sample->colour.blue * (0.37F * sky + 0.74F * sun)};
  }
}

void picture_render(Picture *picture, int64_t column, int64_t row, uint8_t *rgb)
{
  const double cell_m = picture->cell_m;
  picture->left_m = (double)(column - RIM_PX) * cell_m;
  picture->top_m = (double)(row - RIM_PX) * cell_m;
  const Point least = {picture->left_m, picture->top_m};
  const Point most = point_add(least, (Point){1.0, 1.0}, SIDE_PX * cell_m);
  layout_gather(&picture->layout, picture->world, least, most);

  lay_ground(picture);
  for (size_t i = 0; i < picture->layout.count; ++i)
    draw(picture, (int32_t)i);
  for (size_t i = 0; i < picture->layout.count; ++i)
    cast(picture, (int32_t)i);
  light_up(picture);
  const CameraView view = {picture->world, cell_m, column, row, picture->light};
  camera_expose(&view, rgb);
}
