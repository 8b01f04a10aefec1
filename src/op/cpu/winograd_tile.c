#include "winograd_tile.h"

#include <string.h>

#include "bf16_cpu.h"
#include "span.h"

/* One value of as many channels as are transformed together. */
typedef float Lanes __attribute__((vector_size(4 * WINOGRAD_LANES)));
typedef uint32_t WordLanes __attribute__((vector_size(4 * WINOGRAD_LANES)));
typedef uint16_t HalfLanes __attribute__((vector_size(2 * WINOGRAD_LANES)));

WinogradScheme winograd_scheme(Element element)
{
  const int outputs = element == ELEMENT_F32 ? 4 : 2;
  return (WinogradScheme){
      .outputs = outputs, .side = outputs + 2, .points = (outputs + 2) * (outputs + 2)};
}

/* The points of m = 4 are 0, ±5/8, ±3/2 and infinity: with them the result is twice as exact as
 * with the paper's 0, ±1, ±2 (measured; on the choice of points see Barabasz et al., "Error
 * analysis and improving the accuracy of Winograd convolution for deep neural networks", 2020). */
#define POINT_A 0.625
#define POINT_B 1.5
#define SQUARE_A (POINT_A * POINT_A)
#define SQUARE_B (POINT_B * POINT_B)
#define SHARE_0 (1 / (SQUARE_A * SQUARE_B))
#define SHARE_A (0.5 / (SQUARE_A * (SQUARE_A - SQUARE_B)))
#define SHARE_B (0.5 / (SQUARE_B * (SQUARE_B - SQUARE_A)))

static const float a1 = (float)POINT_A, a2 = (float)SQUARE_A, a3 = (float)(SQUARE_A * POINT_A);
static const float b1 = (float)POINT_B, b2 = (float)SQUARE_B, b3 = (float)(SQUARE_B * POINT_B);
static const float sum_of_squares = (float)(SQUARE_A + SQUARE_B);
static const float product_of_squares = (float)(SQUARE_A * SQUARE_B);

/* G: a row for each point. */
static const float filter_rows_of_4[6][3] = {
    {(float)SHARE_0, 0, 0},
    {(float)SHARE_A, (float)(SHARE_A *POINT_A), (float)(SHARE_A *SQUARE_A)},
    {(float)SHARE_A, (float)(-SHARE_A *POINT_A), (float)(SHARE_A *SQUARE_A)},
    {(float)SHARE_B, (float)(SHARE_B *POINT_B), (float)(SHARE_B *SQUARE_B)},
    {(float)SHARE_B, (float)(-SHARE_B *POINT_B), (float)(SHARE_B *SQUARE_B)},
    {0, 0, 1}};
static const float filter_rows_of_2[4][3] = {
    {1, 0, 0}, {0.5F, 0.5F, 0.5F}, {0.5F, -0.5F, 0.5F}, {0, 0, 1}};

static inline void load_f32(const void *from, int64_t at, Lanes *to)
{
  memcpy(to, (const float *)from + at, sizeof *to);
}

static inline void load_bf16(const void *from, int64_t at, Lanes *to)
{
  HalfLanes half;
  memcpy(&half, (const uint16_t *)from + at, sizeof half);
  const WordLanes word = __builtin_convertvector(half, WordLanes) << 16;
  memcpy(to, &word, sizeof *to);
}

static inline void store_f32(void *to, int64_t at, const Lanes *from)
{
  memcpy((float *)to + at, from, sizeof *from);
}

/* As bf16_from_f32. */
static inline void store_bf16(void *to, int64_t at, const Lanes *from)
{
  WordLanes bits;
  memcpy(&bits, from, sizeof bits);
  const WordLanes rounded = (bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16;
  const WordLanes quiet_nan = (bits >> 16) | 0x40U;
  const WordLanes is_nan = (WordLanes)((bits & 0x7FFFFFFFU) > 0x7F800000U);
  const HalfLanes half =
      __builtin_convertvector((rounded & ~is_nan) | (quiet_nan & is_nan), HalfLanes);
  memcpy((uint16_t *)to + at, &half, sizeof half);
}

VECTORIZED static void filter_of(const float (*rows)[3], int side, const float *taps, float *to,
                                 int64_t stride)
{
  Lanes g[9];
  for (int t = 0; t < 9; ++t)
    load_f32(taps, t * WINOGRAD_LANES, &g[t]);
  for (int i = 0; i < side; ++i) {
    Lanes line[3];
    for (int s = 0; s < 3; ++s)
      line[s] = rows[i][0] * g[s] + rows[i][1] * g[3 + s] + rows[i][2] * g[6 + s];
    for (int j = 0; j < side; ++j) {
      const Lanes point = rows[j][0] * line[0] + rows[j][1] * line[1] + rows[j][2] * line[2];
      store_f32(to, (side * i + j) * stride, &point);
    }
  }
}

void winograd_filter(WinogradScheme scheme, const float *taps, float *to, int64_t stride)
{
  filter_of(scheme.outputs == 4 ? filter_rows_of_4 : filter_rows_of_2, scheme.side, taps, to,
            stride);
}

const void *winograd_zeros(void)
{
  static const float zeros[WINOGRAD_CHANNELS_MOST];
  return zeros;
}

/* Bᵀ of one line; values are stride apart. */
static inline void input_line_of_4(const Lanes *d, int stride, Lanes *to, int to_stride)
{
  const Lanes d1 = d[stride], d2 = d[2 * stride], d3 = d[3 * stride], d4 = d[4 * stride];
  const Lanes even_a = d4 - b2 * d2, odd_a = a1 * (d3 - b2 * d1);
  const Lanes even_b = d4 - a2 * d2, odd_b = b1 * (d3 - a2 * d1);
  to[0] = product_of_squares * d[0] - sum_of_squares * d2 + d4;
  to[to_stride] = even_a + odd_a;
  to[2 * to_stride] = even_a - odd_a;
  to[3 * to_stride] = even_b + odd_b;
  to[4 * to_stride] = even_b - odd_b;
  to[5 * to_stride] = product_of_squares * d1 - sum_of_squares * d3 + d[5 * stride];
}

static inline void input_line_of_2(const Lanes *d, int stride, Lanes *to, int to_stride)
{
  const Lanes d1 = d[stride], d2 = d[2 * stride];
  to[0] = d[0] - d2;
  to[to_stride] = d1 + d2;
  to[2 * to_stride] = d2 - d1;
  to[3 * to_stride] = d1 - d[3 * stride];
}

/* Aᵀ of one line. */
static inline void output_line_of_4(const Lanes *m, int stride, Lanes *to, int to_stride)
{
  const Lanes m1 = m[stride], m2 = m[2 * stride], m3 = m[3 * stride], m4 = m[4 * stride];
  const Lanes even_a = m1 + m2, odd_a = m1 - m2;
  const Lanes even_b = m3 + m4, odd_b = m3 - m4;
  to[0] = m[0] + even_a + even_b;
  to[to_stride] = a1 * odd_a + b1 * odd_b;
  to[2 * to_stride] = a2 * even_a + b2 * even_b;
  to[3 * to_stride] = a3 * odd_a + b3 * odd_b + m[5 * stride];
}

static inline void output_line_of_2(const Lanes *m, int stride, Lanes *to, int to_stride)
{
  const Lanes m1 = m[stride], m2 = m[2 * stride];
  to[0] = m[0] + m1 + m2;
  to[to_stride] = m1 - m2 - m[3 * stride];
}

VECTORIZED static void input_of_4(const void *const *pixels, int32_t channels, void *to)
{
  for (int32_t c = 0; c < channels; c += WINOGRAD_LANES) {
    Lanes d[36], t[36];
    for (int p = 0; p < 36; ++p)
      load_f32(pixels[p], c, &d[p]);
    for (int j = 0; j < 6; ++j)
      input_line_of_4(d + j, 6, t + j, 6);
    for (int i = 0; i < 6; ++i) {
      Lanes line[6];
      input_line_of_4(t + 6 * i, 1, line, 1);
      for (int j = 0; j < 6; ++j)
        store_f32(to, (6 * i + j) * channels + c, &line[j]);
    }
  }
}

static inline void input_points_of_2(const void *const *pixels, int32_t channel, Lanes *points)
{
  Lanes d[16], t[16];
  for (int p = 0; p < 16; ++p)
    load_bf16(pixels[p], channel, &d[p]);
  for (int j = 0; j < 4; ++j)
    input_line_of_2(d + j, 4, t + j, 4);
  for (int i = 0; i < 4; ++i)
    input_line_of_2(t + 4 * i, 1, points + 4 * i, 1);
}

VECTORIZED static void input_of_2(const void *const *pixels, int32_t channels, void *to)
{
  for (int32_t c = 0; c < channels; c += WINOGRAD_LANES) {
    Lanes points[16];
    input_points_of_2(pixels, c, points);
    for (int p = 0; p < 16; ++p)
      store_bf16(to, p * channels + c, &points[p]);
  }
}

BF16_TARGET static void input_of_2_hardware(const void *const *pixels, int32_t channels, void *to)
{
  for (int32_t c = 0; c < channels; c += WINOGRAD_LANES) {
    Lanes points[16];
    input_points_of_2(pixels, c, points);
    for (int p = 0; p < 16; ++p)
      bf16_round_lanes((uint16_t *)to + p * channels + c, (const float *)&points[p]);
  }
}

void winograd_input(Element element, const void *const *pixels, int32_t channels, void *to)
{
  if (element == ELEMENT_F32)
    input_of_4(pixels, channels, to);
  else if (bf16_hardware())
    input_of_2_hardware(pixels, channels, to);
  else
    input_of_2(pixels, channels, to);
}

static inline void rectify(Lanes *value)
{
  const WordLanes negative = (WordLanes)(*value < 0.0F); /* not so for NaN, which stays */
  WordLanes bits;
  memcpy(&bits, value, sizeof bits);
  bits &= ~negative;
  memcpy(value, &bits, sizeof bits);
}

/* What comes after the convolution, for one pixel. */
static inline void finish(WinogradFinish how, bool is_f32, int32_t channel, const void *residual,
                          Lanes *value)
{
  Lanes more;
  if (how.bias != NULL) {
    load_f32(how.bias, channel, &more);
    *value += more;
  }
  if (how.add) {
    if (is_f32)
      load_f32(residual, channel, &more);
    else
      load_bf16(residual, channel, &more);
    *value += more;
  }
  if (how.relu) rectify(value);
}

VECTORIZED static void output_of_4(const float *from, int32_t channels, WinogradFinish how,
                                   const void *const *residuals, void *const *pixels)
{
  for (int32_t c = 0; c < channels; c += WINOGRAD_LANES) {
    Lanes m[36], t[24], y[16];
    for (int p = 0; p < 36; ++p)
      load_f32(from, p * channels + c, &m[p]);
    for (int j = 0; j < 6; ++j)
      output_line_of_4(m + j, 6, t + j, 6);
    for (int i = 0; i < 4; ++i)
      output_line_of_4(t + 6 * i, 1, y + 4 * i, 1);
    for (int p = 0; p < 16; ++p) {
      if (pixels[p] == NULL) continue;
      finish(how, true, c, how.add ? residuals[p] : NULL, &y[p]);
      store_f32(pixels[p], c, &y[p]);
    }
  }
}

static inline void output_pixels_of_2(const float *from, int32_t channels, int32_t channel,
                                      Lanes pixels[4])
{
  Lanes m[16], t[8];
  for (int p = 0; p < 16; ++p)
    load_f32(from, p * channels + channel, &m[p]);
  for (int j = 0; j < 4; ++j)
    output_line_of_2(m + j, 4, t + j, 4);
  for (int i = 0; i < 2; ++i)
    output_line_of_2(t + 4 * i, 1, pixels + 2 * i, 1);
}

VECTORIZED static void output_of_2(const float *from, int32_t channels, WinogradFinish how,
                                   const void *const *residuals, void *const *pixels)
{
  for (int32_t c = 0; c < channels; c += WINOGRAD_LANES) {
    Lanes y[4];
    output_pixels_of_2(from, channels, c, y);
    for (int p = 0; p < 4; ++p) {
      if (pixels[p] == NULL) continue;
      finish(how, false, c, how.add ? residuals[p] : NULL, &y[p]);
      store_bf16(pixels[p], c, &y[p]);
    }
  }
}

BF16_TARGET static void output_of_2_hardware(const float *from, int32_t channels,
                                             WinogradFinish how, const void *const *residuals,
                                             void *const *pixels)
{
  for (int32_t c = 0; c < channels; c += WINOGRAD_LANES) {
    Lanes y[4];
    output_pixels_of_2(from, channels, c, y);
    for (int p = 0; p < 4; ++p) {
      if (pixels[p] == NULL) continue;
      finish(how, false, c, how.add ? residuals[p] : NULL, &y[p]);
      bf16_round_lanes((uint16_t *)pixels[p] + c, (const float *)&y[p]);
    }
  }
}

void winograd_output(Element element, const float *from, int32_t channels, WinogradFinish how,
                     const void *const *residuals, void *const *pixels)
{
  if (element == ELEMENT_F32)
    output_of_4(from, channels, how, residuals, pixels);
  else if (bf16_hardware())
    output_of_2_hardware(from, channels, how, residuals, pixels);
  else
    output_of_2(from, channels, how, residuals, pixels);
}
