#include "support/formula.h"

#include <math.h>
#include <stdbool.h>

static int ends_with(const char *name, const char *ending)
{
  const size_t length = strlen(name);
  const size_t part = strlen(ending);
  return length >= part && strcmp(name + length - part, ending) == 0;
}

static int64_t element_count(int rank, const int64_t *dims)
{
  int64_t count = 1;
  for (int axis = 0; axis < rank; ++axis)
    count *= dims[axis];
  return count;
}

static void fill_signed(uint32_t seed, float scale, int64_t count, float *values)
{
  for (int64_t i = 0; i < count; ++i)
    values[i] = scale * formula_signed(seed, (uint32_t)i);
}

static void fill_unit(uint32_t seed, float offset, float scale, int64_t count, float *values)
{
  for (int64_t i = 0; i < count; ++i) {
    const float scaled = scale * formula_unit(seed, (uint32_t)i);
    values[i] = offset + scaled;
  }
}

static void flip_signs(const char *name, int64_t count, float *values)
{
  uint32_t seed = formula_seed("sign");
  for (const char *letter = name; *letter != '\0'; ++letter)
    seed = (seed ^ (uint8_t)*letter) * 0x01000193U;
  for (int64_t i = 0; i < count; ++i)
    if (formula_bits(seed, (uint32_t)i) >> 31 == 1) values[i] = -values[i];
}

void formula_fill(const char *name, int rank, const int64_t *dims, float *values)
{
  const uint32_t seed = formula_seed(name);
  const int64_t count = element_count(rank, dims);
  if (rank == 4) {
    fill_signed(seed, sqrtf(6.0F / (float)(count / dims[0])), count, values);
  } else if (ends_with(name, ".weight")) {
    fill_unit(seed, 0.75F, 0.25F, count, values);
  } else if (ends_with(name, ".running_var")) {
    fill_unit(seed, 0.5F, 1.0F, count, values);
  } else if (ends_with(name, ".bias")) {
    const int before_sum = strstr(name, "bn2") != NULL || strstr(name, "bn3") != NULL ||
                           strstr(name, "downsample") != NULL;
    fill_unit(seed, 2.25F, 0.5F, count, values);
    if (!before_sum) flip_signs(name, count, values);
  } else {
    fill_signed(seed, 0.25F, count, values);
  }
}

void formula_fill_initial(const char *name, int rank, const int64_t *dims, float *values)
{
  if (rank == 4) {
    formula_fill(name, rank, dims, values);
    return;
  }
  const int is_one = strstr(name, "segmentation_head") == NULL &&
                     (ends_with(name, ".weight") || ends_with(name, ".running_var"));
  const int64_t count = element_count(rank, dims);
  for (int64_t i = 0; i < count; ++i)
    values[i] = is_one ? 1.0F : 0.0F;
}

void formula_fill_detector(const char *name, int rank, const int64_t *dims, float *values)
{
  const uint32_t seed = formula_seed(name);
  const int64_t count = element_count(rank, dims);
  if (rank == 4 || rank == 2)
    fill_signed(seed, sqrtf(6.0F / (float)(count / dims[0])), count, values);
  else if (strstr(name, ".body.") != NULL)
    formula_fill(name, rank, dims, values);
  else
    fill_signed(seed, 0.25F, count, values);
}

typedef struct SceneObject {
  int64_t y, x, height, width;
  uint32_t label;
  bool is_ellipse;
} SceneObject;

static SceneObject scene_object(uint32_t seed, const FormulaScene *scene, int32_t image, int32_t k)
{
  enum { DRAWS = 5, LEAST_PX = 12 };
  uint32_t draws[DRAWS];
  for (int32_t i = 0; i < DRAWS; ++i)
    draws[i] = formula_bits(seed, (uint32_t)((image * scene->object_count + k) * DRAWS + i));
  SceneObject object = {.is_ellipse = k % 2 == 1};
  object.height = LEAST_PX + draws[0] % (uint32_t)(scene->height / 2 - LEAST_PX);
  object.width = LEAST_PX + draws[1] % (uint32_t)(scene->width / 2 - LEAST_PX);
  object.y = draws[2] % (uint32_t)(scene->height - object.height + 1);
  object.x = draws[3] % (uint32_t)(scene->width - object.width + 1);
  object.label = 1 + draws[4] % (uint32_t)(scene->class_count - 1);
  return object;
}

/* Ellipses by twice the distances from the middle, in whole numbers. */
static bool scene_object_holds(const SceneObject *o, int64_t row, int64_t column)
{
  if (row < o->y || row >= o->y + o->height || column < o->x || column >= o->x + o->width)
    return false;
  const int64_t down = 2 * (row - o->y) + 1 - o->height;
  const int64_t across = 2 * (column - o->x) + 1 - o->width;
  const int64_t height2 = o->height * o->height;
  const int64_t width2 = o->width * o->width;
  return !o->is_ellipse || across * across * height2 + down * down * width2 <= width2 * height2;
}

static void paint_pixel(uint32_t noise, const FormulaScene *scene, int64_t pixel, uint32_t label,
                        float *x)
{
  const uint32_t colour = formula_seed("colour");
  for (int32_t band = 0; band < scene->bands; ++band) {
    const float hue = formula_signed(colour, label * 64U + (uint32_t)band);
    const float grain = formula_signed(noise, (uint32_t)(pixel * scene->bands + band));
    const float ground = 0.5F + 0.25F * hue;
    x[pixel * scene->bands + band] = ground + 0.125F * grain;
  }
}

void formula_scene(const char *name, FormulaScene scene, float *x, float *boxes, int32_t *labels,
                   uint8_t *masks)
{
  const uint32_t noise = formula_seed(name);
  const uint32_t seed = noise ^ formula_seed("objects");
  const int64_t pixels = (int64_t)scene.height * scene.width;
  for (int32_t image = 0; image < scene.images; ++image)
    for (int32_t k = 0; k < scene.object_count; ++k) {
      const SceneObject o = scene_object(seed, &scene, image, k);
      const int64_t at = (int64_t)image * scene.object_count + k;
      const int64_t box[] = {o.x, o.y, o.x + o.width, o.y + o.height};
      for (int i = 0; i < 4; ++i)
        boxes[4 * at + i] = (float)box[i];
      labels[at] = (int32_t)o.label;
      for (int64_t i = 0; i < pixels; ++i)
        masks[at * pixels + i] = scene_object_holds(&o, i / scene.width, i % scene.width);
    }
  for (int64_t i = 0; i < scene.images * pixels; ++i) {
    const int64_t first = i / pixels * scene.object_count;
    uint32_t label = 0;
    for (int64_t at = first; at < first + scene.object_count; ++at)
      if (masks[at * pixels + i % pixels] == 1) label = (uint32_t)labels[at];
    paint_pixel(noise, &scene, i, label, x);
  }
}

void formula_image(const char *name, int32_t images, int32_t height, int32_t width, int32_t bands,
                   int32_t class_count, float *x, uint8_t *labels)
{
  enum { BLOCK_PX = 8, IGNORED_OF = 16 };
  const uint32_t noise = formula_seed(name);
  const uint32_t block = noise ^ formula_seed("block");
  const uint32_t ignored = noise ^ formula_seed("ignored");
  const uint32_t colour = formula_seed("colour");
  const int32_t rows = (height + BLOCK_PX - 1) / BLOCK_PX;
  const int32_t columns = (width + BLOCK_PX - 1) / BLOCK_PX;
  for (int32_t i = 0; i < images * height * width; ++i) {
    const int32_t row = i / width % height;
    const int32_t image = i / width / height;
    const int32_t place = (image * rows + row / BLOCK_PX) * columns + i % width / BLOCK_PX;
    const uint32_t class = formula_bits(block, (uint32_t)place) % (uint32_t)class_count;
    const int has_label = formula_bits(ignored, (uint32_t)i) % IGNORED_OF != 0;
    labels[i] = has_label ? (uint8_t) class : 255;
    for (int32_t band = 0; band < bands; ++band) {
      const float hue = formula_signed(colour, class * 64U + (uint32_t)band);
      const float grain = formula_signed(noise, (uint32_t)(i * bands + band));
      x[i * bands + band] = hue + grain;
    }
  }
}

FormulaDigest formula_digest(const char *name, int64_t count, const float *values)
{
  const uint32_t seed = formula_seed(name);
  FormulaDigest digest = {0};
  for (int64_t i = 0; i < count; ++i) {
    digest.sum += (double)values[i];
    digest.magnitude += fabs((double)values[i]);
    digest.dot += (double)values[i] * (double)formula_signed(seed, (uint32_t)i);
  }
  return digest;
}
