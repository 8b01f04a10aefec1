#include "support/formula.h"

#include <math.h>

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
