#include "winograd_cpu.h"

#include <omp.h>
#include <string.h>

#include "base/memory.h"
#include "onednn.h"
#include "packed_weights.h"
#include "span.h"
#include "winograd_tile.h"

/* Tiles are transformed, multiplied and transformed back in chunks. Where a layer's weights fit the
 * cache of one core, each thread takes chunks of its own that fit there too, and never waits;
 * elsewhere all threads share a chunk that is large enough to make reading the weights worth it.
 * Nothing of this depends on the number of threads: sizes of chunks could show in the rounding. */
static const int64_t own_weights_most_bytes = 2 << 20;
static const int64_t own_chunk_bytes = 768 << 10;
static const int64_t gradient_tiles_least = 96;
enum { SHARED_CHUNK_TILES = 256 };

struct Winograd {
  Device *device;
  Conv2dPlan plan;
  WinogradScheme scheme;
  OneDnn library;
  bool shared; /* chunks, by all threads */
  int32_t thread_count;
  Call *products; /* one for each thread that takes chunks of its own, or one */
  int32_t product_count;
  PackedWeights weights;
  size_t bias_offset; /* in packed */
  /* In scratch, for each of products: */
  size_t dst_offset;
  size_t library_offset;
  size_t stride;
  int32_t tile_rows; /* of one image */
  int32_t tile_columns;
  int64_t tile_count;
  int32_t chunk_tiles;
  int64_t chunk_count;
};

static int64_t tiles_of(const Conv2dPlan *plan)
{
  const int32_t side = winograd_scheme(plan->x.element).outputs;
  return (int64_t)plan->y.images * ((plan->y.height + side - 1) / side) *
         ((plan->y.width + side - 1) / side);
}

static bool can_save(const Conv2dPlan *plan)
{
  const Conv2d c = plan->conv;
  const bool known = c.kernel_height == 3 && c.kernel_width == 3 && c.stride == 1 && c.pad == 1 &&
                     c.dilation == 1 && c.groups == 1;
  const bool wide = c.in_channels >= 32 && c.out_channels >= 32 &&
                    c.in_channels % WINOGRAD_LANES == 0 && c.out_channels % WINOGRAD_LANES == 0 &&
                    c.in_channels <= WINOGRAD_CHANNELS_MOST;
  return known && wide;
}

bool winograd_suits_forward(const Conv2dPlan *plan)
{
  return can_save(plan) && !plan->backward;
}

Conv2dPlan winograd_gradient_plan(const Conv2dPlan *plan)
{
  Conv2dPlan gradient = *plan;
  gradient.x = plan->y;
  gradient.y = plan->x;
  gradient.conv.in_channels = plan->conv.out_channels;
  gradient.conv.out_channels = plan->conv.in_channels;
  gradient.conv.bias = gradient.conv.add = gradient.conv.relu = false;
  return gradient;
}

bool winograd_suits_gradient(const Conv2dPlan *plan)
{
  return can_save(plan) && plan->x.element == ELEMENT_F32 && tiles_of(plan) >= gradient_tiles_least;
}

static int64_t round_up(int64_t value, int64_t multiple)
{
  return (value + multiple - 1) / multiple * multiple;
}

static void lay_tiles(Winograd *w)
{
  const Conv2d conv = w->plan.conv;
  const int64_t element = (int64_t)element_bytes(w->plan.x.element);
  const int64_t weights_bytes = element * w->scheme.points * conv.in_channels * conv.out_channels;
  const int64_t tile_bytes =
      w->scheme.points * (element * conv.in_channels + (int64_t)sizeof(float) * conv.out_channels);
  w->shared = weights_bytes > own_weights_most_bytes;
  w->tile_rows = (w->plan.y.height + w->scheme.outputs - 1) / w->scheme.outputs;
  w->tile_columns = (w->plan.y.width + w->scheme.outputs - 1) / w->scheme.outputs;
  w->tile_count = tiles_of(&w->plan);
  const int64_t most = w->shared ? SHARED_CHUNK_TILES : own_chunk_bytes / tile_bytes + 1;
  const int64_t chunks = (w->tile_count + most - 1) / most;
  w->chunk_tiles = (int32_t)round_up((w->tile_count + chunks - 1) / chunks, PRODUCT_COLUMNS);
  w->chunk_count = (w->tile_count + w->chunk_tiles - 1) / w->chunk_tiles;
}

static Status open_products(Winograd *w, OpBytes *bytes)
{
  const Conv2d conv = w->plan.conv;
  const Products products = {.element = w->plan.x.element,
                             .points = w->scheme.points,
                             .tiles = w->chunk_tiles,
                             .in_channels = conv.in_channels,
                             .out_channels = conv.out_channels,
                             .one_thread = !w->shared};
  const size_t points = (size_t)w->scheme.points * (size_t)w->chunk_tiles;
  size_t library_bytes = 0;
  dnnl_memory_desc_t packed;
  for (; w->product_count < (w->shared ? 1 : w->thread_count); ++w->product_count)
    TRY(products_open(&w->library, &products, &w->products[w->product_count], &packed,
                      &library_bytes));
  TRY(packed_weights_open(&packed, &w->weights));
  w->bias_offset = aligned(w->weights.bytes);
  w->dst_offset = aligned(points * (size_t)conv.in_channels * element_bytes(products.element));
  w->library_offset = w->dst_offset + aligned(points * (size_t)conv.out_channels * sizeof(float));
  w->stride = w->library_offset + aligned(library_bytes);
  bytes->packed = w->bias_offset + aligned((size_t)conv.out_channels * sizeof(float));
  bytes->scratch = (size_t)w->product_count * w->stride;
  return STATUS_OK;
}

static Status fill(Winograd *w, OpBytes *bytes)
{
  void *memory;
  lay_tiles(w);
  TRY(onednn_open(&w->library));
  TRY(memory_allocate((size_t)w->thread_count, sizeof *w->products, "convolution", &memory));
  w->products = memory;
  return open_products(w, bytes);
}

Status winograd_open(Device *device, const Conv2dPlan *plan, Winograd **winograd, OpBytes *bytes)
{
  void *memory;
  *winograd = NULL;
  TRY(memory_allocate(1, sizeof **winograd, "convolution", &memory));
  Winograd *opening = memory;
  *opening = (Winograd){.device = device,
                        .plan = *plan,
                        .scheme = winograd_scheme(plan->x.element),
                        .thread_count = omp_get_max_threads()};
  const Status status = fill(opening, bytes);
  if (status == STATUS_OK)
    *winograd = opening;
  else
    winograd_close(opening);
  return status;
}

void winograd_close(Winograd *w)
{
  if (w == NULL) return;
  for (int32_t i = 0; i <= w->product_count && i < w->thread_count && w->products != NULL; ++i)
    call_close(&w->products[i]);
  memory_free(w->products);
  packed_weights_close(&w->weights);
  onednn_close(&w->library);
  memory_free(w);
}

enum { BLOCK_FILTERS = WINOGRAD_LANES * WINOGRAD_LANES };

/* Points of the filters from channels in … to channels out …: point, out, in. */
static void transform_filters(const Winograd *w, const float *weight, PlainWeights plain,
                              int32_t out, int32_t in, float *points)
{
  for (int32_t o = 0; o < WINOGRAD_LANES; ++o) {
    float taps[9 * WINOGRAD_LANES];
    for (int32_t i = 0; i < WINOGRAD_LANES; ++i) {
      const float *filter = weight + (out + o) * plain.out_stride + (in + i) * plain.in_stride;
      for (int32_t t = 0; t < 9; ++t)
        taps[t * WINOGRAD_LANES + i] = filter[plain.turned ? 8 - t : t];
    }
    winograd_filter(w->scheme, taps, points + (ptrdiff_t)o * WINOGRAD_LANES, BLOCK_FILTERS);
  }
}

/* One point of a block of filters, to where the library wants it. */
static void place_point(const Winograd *w, const float *filters, int32_t point, int32_t out,
                        int32_t in, void *packed)
{
  const int32_t *outs = w->weights.offsets + w->weights.groups + out;
  const int32_t *ins = w->weights.offsets + w->weights.groups + w->weights.out_channels + in;
  const int32_t start = w->weights.offsets[point];
  if (w->weights.element == ELEMENT_F32) {
    for (int32_t i = 0; i < BLOCK_FILTERS; ++i)
      ((float *)packed)[start + outs[i / WINOGRAD_LANES] + ins[i % WINOGRAD_LANES]] = filters[i];
    return;
  }
  uint16_t rounded[BLOCK_FILTERS];
  span_store(ELEMENT_BF16, rounded, 0, BLOCK_FILTERS, filters);
  for (int32_t i = 0; i < BLOCK_FILTERS; ++i)
    ((uint16_t *)packed)[start + outs[i / WINOGRAD_LANES] + ins[i % WINOGRAD_LANES]] = rounded[i];
}

void winograd_pack(Winograd *w, const float *weight, PlainWeights plain, const float *bias,
                   void *packed)
{
  const Conv2d conv = w->plan.conv;
  const int32_t across = conv.in_channels / WINOGRAD_LANES;
  const int32_t blocks = conv.out_channels / WINOGRAD_LANES * across;
  if (w->weights.padded) memset(packed, 0, w->weights.bytes);
#pragma omp parallel for schedule(static)
  for (int32_t block = 0; block < blocks; ++block) {
    float points[WINOGRAD_POINTS_MOST * BLOCK_FILTERS];
    const int32_t out = block / across * WINOGRAD_LANES;
    const int32_t in = block % across * WINOGRAD_LANES;
    transform_filters(w, weight, plain, out, in, points);
    for (int32_t p = 0; p < w->scheme.points; ++p)
      place_point(w, points + (ptrdiff_t)p * BLOCK_FILTERS, p, out, in, packed);
  }
  if (conv.bias)
    memcpy((char *)packed + w->bias_offset, bias, (size_t)conv.out_channels * sizeof(float));
}

/* Where a tile's result begins. */
typedef struct Place {
  int64_t image;
  int32_t row, column;
} Place;

static Place place_of(const Winograd *w, int64_t tile)
{
  const int64_t row = tile / w->tile_columns;
  return (Place){.image = row / w->tile_rows,
                 .row = (int32_t)(row % w->tile_rows) * w->scheme.outputs,
                 .column = (int32_t)(tile % w->tile_columns) * w->scheme.outputs};
}

/* side x side pixels of an image, from a place on; those beyond it are outside's. */
static void find_pixels(Shape shape, const void *memory, Place from, int side, const void *outside,
                        const void **pixels)
{
  const int64_t pixel_bytes = (int64_t)shape.channels * (int64_t)element_bytes(shape.element);
  for (int i = 0; i < side; ++i)
    for (int j = 0; j < side; ++j) {
      const int32_t row = from.row + i;
      const int32_t column = from.column + j;
      const bool inside = from.image < shape.images && row >= 0 && row < shape.height &&
                          column >= 0 && column < shape.width;
      const int64_t pixel = (from.image * shape.height + row) * shape.width + column;
      pixels[side * i + j] = inside ? (const char *)memory + pixel * pixel_bytes : outside;
    }
}

/* One run over the image. */
typedef struct Run {
  const void *packed, *x, *add;
  void *y;
  WinogradFinish finish;
} Run;

/* Tile index of a chunk, behind the last image too: those are zeros. */
static void transform_tile(const Winograd *w, const Run *run, int64_t chunk, int32_t index,
                           void *transformed)
{
  const Shape shape = w->plan.x;
  const int64_t tile_bytes =
      w->scheme.points * (int64_t)shape.channels * (int64_t)element_bytes(shape.element);
  const void *pixels[WINOGRAD_POINTS_MOST];
  Place place = place_of(w, chunk * w->chunk_tiles + index);
  --place.row;
  --place.column;
  find_pixels(shape, run->x, place, w->scheme.side, winograd_zeros(), pixels);
  winograd_input(shape.element, pixels, shape.channels, (char *)transformed + index * tile_bytes);
}

static void restore_tile(const Winograd *w, const Run *run, int64_t chunk, int32_t index,
                         const float *products)
{
  const Shape shape = w->plan.y;
  const int64_t tile = chunk * w->chunk_tiles + index;
  if (tile >= w->tile_count) return;
  const void *residuals[WINOGRAD_POINTS_MOST], *pixels[WINOGRAD_POINTS_MOST];
  const Place place = place_of(w, tile);
  find_pixels(shape, run->y, place, w->scheme.outputs, NULL, pixels);
  if (run->finish.add) find_pixels(shape, run->add, place, w->scheme.outputs, NULL, residuals);
  winograd_output(shape.element, products + index * (int64_t)w->scheme.points * shape.channels,
                  shape.channels, run->finish, residuals, (void *const *)pixels);
}

static void multiply(const Winograd *w, const Run *run, int product, char *scratch)
{
  call_run(&w->products[product], &w->library, w->device,
           (void *[]){scratch, (void *)run->packed, scratch + w->dst_offset,
                      scratch + w->library_offset});
}

static void run_chunk_alone(const Winograd *w, const Run *run, int64_t chunk, int thread,
                            char *scratch)
{
  for (int32_t i = 0; i < w->chunk_tiles; ++i)
    transform_tile(w, run, chunk, i, scratch);
  multiply(w, run, thread, scratch);
  for (int32_t i = 0; i < w->chunk_tiles; ++i)
    restore_tile(w, run, chunk, i, (const float *)(const void *)(scratch + w->dst_offset));
}

static void run_chunk_together(const Winograd *w, const Run *run, int64_t chunk, char *scratch)
{
#pragma omp parallel for schedule(static)
  for (int32_t i = 0; i < w->chunk_tiles; ++i)
    transform_tile(w, run, chunk, i, scratch);
  multiply(w, run, 0, scratch);
#pragma omp parallel for schedule(static)
  for (int32_t i = 0; i < w->chunk_tiles; ++i)
    restore_tile(w, run, chunk, i, (const float *)(const void *)(scratch + w->dst_offset));
}

void winograd_forward(Winograd *w, const void *packed, const void *x, const void *add, void *y,
                      void *scratch)
{
  const Conv2d conv = w->plan.conv;
  const void *bias = (const char *)packed + w->bias_offset;
  const Run run = {
      .packed = packed,
      .x = x,
      .add = add,
      .y = y,
      .finish = {.bias = conv.bias ? bias : NULL, .add = add != NULL, .relu = conv.relu}};
  if (w->shared) {
    for (int64_t chunk = 0; chunk < w->chunk_count; ++chunk)
      run_chunk_together(w, &run, chunk, scratch);
    return;
  }
#pragma omp parallel for schedule(dynamic) num_threads(w->thread_count)
  for (int64_t chunk = 0; chunk < w->chunk_count; ++chunk) {
    const int thread = omp_get_thread_num();
    run_chunk_alone(w, &run, chunk, thread, (char *)scratch + (size_t)thread * w->stride);
  }
}
