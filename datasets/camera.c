#include "camera.h"

#include <math.h>
#include <stdbool.h>

/* Six samples a way: a lens's blur, and the sharpening that a camera adds to it. */
enum { TAPS = 6 };
static const float taps[TAPS] = {-0.05F, 0.10F, 0.45F, 0.45F, 0.10F, -0.05F};

static Colour blur(const CameraView *view, int32_t row, int32_t column)
{
  const int32_t top = 2 * (row + CAMERA_RIM_PX) - 2, left = 2 * (column + CAMERA_RIM_PX) - 2;
  Colour sum = {0, 0, 0};
  for (int32_t i = 0; i < TAPS; ++i) {
    const Colour *samples = &view->light[(top + i) * CAMERA_SIDE + left];
    Colour line = {0, 0, 0};
    for (int32_t j = 0; j < TAPS; ++j) {
      line.red += taps[j] * samples[j].red;
      line.green += taps[j] * samples[j].green;
      line.blue += taps[j] * samples[j].blue;
    }
    sum.red += taps[i] * line.red;
    sum.green += taps[i] * line.green;
    sum.blue += taps[i] * line.blue;
  }
  return sum;
}

/* The mosaic is sewn of photos of some 70 m, each exposed for itself and darker towards its rim. */
static Colour exposure(const CameraView *view, double x_m, double y_m)
{
  const double x = x_m / 70.0, y = y_m / 70.0;
  const int32_t column = (int32_t)floor(x), row = (int32_t)floor(y);
  const uint32_t salt = world_salt(view->world, SALT_EXPOSURE);
  double nearest = 1e9, second = 1e9;
  uint32_t hash = 0;
  for (int32_t i = row - 1; i <= row + 1; ++i)
    for (int32_t j = column - 1; j <= column + 1; ++j) {
      const double dx = j + 0.2 + 0.6 * (double)noise_uniform(j, i, salt) - x;
      const double dy = i + 0.2 + 0.6 * (double)noise_uniform(j, i, salt + 1U) - y;
      const double away = dx * dx + dy * dy;
      if (away < nearest) {
        second = nearest;
        nearest = away;
        hash = noise_hash(j, i, salt + 2U);
      } else if (away < second) {
        second = away;
      }
    }
  const float blend = noise_step(0.0F, 0.06F, (float)(sqrt(second) - sqrt(nearest)));
  const float gain = 1.0F + 0.09F * blend * ((float)(hash & 0xFFU) / 127.5F - 1.0F) -
                     0.05F * (float)fmin(nearest, 1.5);
  const float warmth = 0.025F * blend * ((float)(hash >> 8 & 0xFFU) / 127.5F - 1.0F);
  return (Colour){gain * (1.0F + warmth), gain, gain * (1.0F - warmth)};
}

/* Gamma as in colour_from_screen, a little haze, then noise that grows with the light. */
static float develop(float light, uint32_t hash, float grey_noise)
{
  const float level = 255.0F * sqrtf(fmaxf(0.985F * light + 0.004F, 0.0F));
  return level + (1.1F + 0.006F * level) * noise_bell(hash) + grey_noise;
}

static void expose_pixel(const CameraView *view, int32_t row, int32_t column, float pixel[3])
{
  const int64_t column_world = view->column + column, row_world = view->row + row;
  const double x_m = ((double)column_world + 0.5) * view->cell_m;
  const double y_m = ((double)row_world + 0.5) * view->cell_m;
  const Colour gain = exposure(view, x_m, y_m), light = blur(view, row, column);
  const uint32_t salt = world_salt(view->world, SALT_SENSOR);
  const int32_t c = (int32_t)column_world, r = (int32_t)row_world;
  const float grey = 1.6F * noise_bell(noise_hash(c, r, salt + 3U));
  pixel[0] = develop(light.red * gain.red, noise_hash(c, r, salt), grey);
  pixel[1] = develop(light.green * gain.green, noise_hash(c, r, salt + 1U), grey);
  pixel[2] = develop(light.blue * gain.blue, noise_hash(c, r, salt + 2U), grey);
}

enum { JPEG = 8 };

typedef struct Jpeg {
  float cosine[JPEG][JPEG]; /* frequency, place */
  float plane[3][JPEG][JPEG];
} Jpeg;

static void jpeg_start(Jpeg *jpeg)
{
  for (int u = 0; u < JPEG; ++u)
    for (int x = 0; x < JPEG; ++x)
      jpeg->cosine[u][x] =
          (float)((u == 0 ? sqrt(0.125) : 0.5) * cos((2 * x + 1) * u * 0.19634954084936207));
}

static void turn_rows(const Jpeg *jpeg, float plane[JPEG][JPEG], bool back)
{
  for (int row = 0; row < JPEG; ++row) {
    float turned[JPEG];
    for (int u = 0; u < JPEG; ++u) {
      turned[u] = 0.0F;
      for (int x = 0; x < JPEG; ++x)
        turned[u] += plane[row][x] * (back ? jpeg->cosine[x][u] : jpeg->cosine[u][x]);
    }
    for (int u = 0; u < JPEG; ++u)
      plane[row][u] = turned[u];
  }
}

static void transpose(float plane[JPEG][JPEG])
{
  for (int row = 0; row < JPEG; ++row)
    for (int column = row + 1; column < JPEG; ++column) {
      const float value = plane[row][column];
      plane[row][column] = plane[column][row];
      plane[column][row] = value;
    }
}

static void turn_plane(const Jpeg *jpeg, float plane[JPEG][JPEG], bool back)
{
  turn_rows(jpeg, plane, back);
  transpose(plane);
  turn_rows(jpeg, plane, back);
  transpose(plane);
}

/* Steps that grow with frequency, about those of quality 88; colour is rounded twice as coarsely.
 */
static void round_plane(const Jpeg *jpeg, float plane[JPEG][JPEG], float coarseness)
{
  turn_plane(jpeg, plane, false);
  for (int v = 0; v < JPEG; ++v)
    for (int u = 0; u < JPEG; ++u) {
      const float step = coarseness * (3.0F + 1.1F * (float)(u + v));
      plane[v][u] = step * nearbyintf(plane[v][u] / step);
    }
  turn_plane(jpeg, plane, true);
}

static uint8_t to_byte(float value)
{
  return (uint8_t)nearbyintf(fminf(fmaxf(value, 1.0F), 255.0F));
}

static void expose_square(const CameraView *view, Jpeg *jpeg, int32_t top, int32_t left,
                          uint8_t *rgb)
{
  for (int row = 0; row < JPEG; ++row)
    for (int column = 0; column < JPEG; ++column) {
      float p[3];
      expose_pixel(view, top + row, left + column, p);
      const float luma = 0.299F * p[0] + 0.587F * p[1] + 0.114F * p[2];
      jpeg->plane[0][row][column] = luma;
      jpeg->plane[1][row][column] = 0.564F * (p[2] - luma);
      jpeg->plane[2][row][column] = 0.713F * (p[0] - luma);
    }
  round_plane(jpeg, jpeg->plane[0], 1.0F);
  round_plane(jpeg, jpeg->plane[1], 2.0F);
  round_plane(jpeg, jpeg->plane[2], 2.0F);
  for (int row = 0; row < JPEG; ++row)
    for (int column = 0; column < JPEG; ++column) {
      const float luma = jpeg->plane[0][row][column];
      const float blue = jpeg->plane[1][row][column], red = jpeg->plane[2][row][column];
      uint8_t *pixel = &rgb[3 * ((top + row) * CAMERA_BLOCK_PX + left + column)];
      pixel[0] = to_byte(luma + 1.403F * red);
      pixel[1] = to_byte(luma - 0.344F * blue - 0.714F * red);
      pixel[2] = to_byte(luma + 1.773F * blue);
    }
}

void camera_expose(const CameraView *view, uint8_t *rgb)
{
  Jpeg jpeg;
  jpeg_start(&jpeg);
  for (int32_t top = 0; top < CAMERA_BLOCK_PX; top += JPEG)
    for (int32_t left = 0; left < CAMERA_BLOCK_PX; left += JPEG)
      expose_square(view, &jpeg, top, left, rgb);
}
