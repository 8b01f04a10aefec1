#include "packed_weights.h"

#include <string.h>

#include "base/memory.h"
#include "span.h"

enum { ROWS = 32, COLUMNS = 32 }; /* of a block, whose source and target fit the first cache */

/* What the index along one dimension adds to an element's offset. */
static int32_t offset_along(const dnnl_memory_desc_t *layout, int dimension, int64_t index)
{
  const dnnl_blocking_desc_t *blocking = &layout->format_desc.blocking;
  int64_t offset = 0;
  int64_t stride = 1;
  for (int i = blocking->inner_nblks - 1; i >= 0; --i) {
    const int64_t size = blocking->inner_blks[i];
    if (blocking->inner_idxs[i] == dimension) {
      offset += index % size * stride;
      index /= size;
    }
    stride *= size;
  }
  return (int32_t)(offset + index * blocking->strides[dimension]);
}

static Status check(const dnnl_memory_desc_t *layout)
{
  const bool known = layout->format_kind == dnnl_blocked && layout->extra.flags == 0 &&
                     layout->offset0 == 0 && (layout->ndims == 4 || layout->ndims == 5) &&
                     (layout->data_type == dnnl_f32 || layout->data_type == dnnl_bf16);
  const bool small = dnnl_memory_desc_get_size(layout) < INT32_MAX &&
                     layout->dims[layout->ndims - 1] * layout->dims[layout->ndims - 2] <= SPAN_MOST;
  if (known && small) return STATUS_OK;
  return status_set(STATUS_UNSUPPORTED, "oneDNN wants weights in a layout that is not known");
}

static int32_t *list_offsets(const dnnl_memory_desc_t *layout, int dimension, int32_t *to)
{
  for (int64_t i = 0; i < layout->dims[dimension]; ++i)
    *to++ = offset_along(layout, dimension, i);
  return to;
}

static void list_taps(const dnnl_memory_desc_t *layout, int32_t *to)
{
  const int rows = layout->ndims - 2;
  for (int64_t r = 0; r < layout->dims[rows]; ++r)
    for (int64_t c = 0; c < layout->dims[rows + 1]; ++c)
      *to++ = offset_along(layout, rows, r) + offset_along(layout, rows + 1, c);
}

Status packed_weights_open(const dnnl_memory_desc_t *layout, PackedWeights *weights)
{
  TRY(check(layout));
  const bool grouped = layout->ndims == 5;
  const dnnl_dim_t *sizes = layout->dims + grouped;
  PackedWeights w = {.element = layout->data_type == dnnl_bf16 ? ELEMENT_BF16 : ELEMENT_F32,
                     .groups = grouped ? (int32_t)layout->dims[0] : 1,
                     .out_channels = (int32_t)sizes[0],
                     .in_channels = (int32_t)sizes[1],
                     .taps = (int32_t)(sizes[2] * sizes[3]),
                     .bytes = dnnl_memory_desc_get_size(layout)};
  for (int i = 0; i < layout->ndims; ++i)
    w.padded = w.padded || layout->padded_dims[i] != layout->dims[i];
  const size_t count =
      (size_t)w.groups + (size_t)w.out_channels + (size_t)w.in_channels + (size_t)w.taps;
  void *memory;
  TRY(memory_allocate(count, sizeof *w.offsets, "layout of weights", &memory));
  w.offsets = memory;
  int32_t *next = w.offsets;
  *next = 0;
  next = grouped ? list_offsets(layout, 0, next) : next + 1;
  next = list_offsets(layout, grouped, next);
  next = list_offsets(layout, grouped + 1, next);
  list_taps(layout, next);
  *weights = w;
  return STATUS_OK;
}

void packed_weights_close(PackedWeights *weights)
{
  memory_free(weights->offsets);
  *weights = (PackedWeights){0};
}

/* One group as rows of plain weights that lie one behind the other: columns x taps. */
typedef struct Table {
  int32_t row_count, column_count, taps;
  int64_t row_stride; /* of plain weights */
  const int32_t *rows, *columns;
  int32_t tap_offsets[SPAN_MOST];
} Table;

static void lay_table(const PackedWeights *w, PlainWeights plain, Table *t)
{
  const bool rows_are_out = plain.in_stride == w->taps;
  const int32_t *out = w->offsets + w->groups;
  const int32_t *in = out + w->out_channels;
  const int32_t *taps = in + w->in_channels;
  t->row_count = rows_are_out ? w->out_channels : w->in_channels;
  t->column_count = rows_are_out ? w->in_channels : w->out_channels;
  t->row_stride = rows_are_out ? plain.out_stride : plain.in_stride;
  t->rows = rows_are_out ? out : in;
  t->columns = rows_are_out ? in : out;
  t->taps = w->taps;
  for (int32_t i = 0; i < w->taps; ++i)
    t->tap_offsets[i] = taps[plain.turned ? w->taps - 1 - i : i];
}

/* Rows and columns of one block. */
typedef struct Block {
  int32_t first_row, end_row, first_column, end_column;
} Block;

static int32_t columns_of_block(const Table *t)
{
  const int32_t fit = SPAN_MOST / t->taps;
  return fit < COLUMNS ? fit : COLUMNS;
}

static int32_t blocks_of(int32_t count, int32_t size)
{
  return (count + size - 1) / size;
}

static Block block_at(const Table *t, int64_t index)
{
  const int32_t width = columns_of_block(t);
  const int32_t across = blocks_of(t->column_count, width);
  Block b = {.first_row = (int32_t)(index / across) * ROWS,
             .first_column = (int32_t)(index % across) * width};
  b.end_row = b.first_row + ROWS < t->row_count ? b.first_row + ROWS : t->row_count;
  b.end_column =
      b.first_column + width < t->column_count ? b.first_column + width : t->column_count;
  return b;
}

static void pack_f32(const Table *t, Block b, const float *from, float *to)
{
  for (int32_t row = b.first_row; row < b.end_row; ++row) {
    const float *next = from + row * t->row_stride + (int64_t)b.first_column * t->taps;
    for (int32_t column = b.first_column; column < b.end_column; ++column)
      for (int32_t tap = 0; tap < t->taps; ++tap)
        to[t->rows[row] + t->columns[column] + t->tap_offsets[tap]] = *next++;
  }
}

static void pack_bf16(const Table *t, Block b, const float *from, uint16_t *to)
{
  for (int32_t row = b.first_row; row < b.end_row; ++row) {
    uint16_t rounded[SPAN_MOST];
    const uint16_t *next = rounded;
    span_store(ELEMENT_BF16, rounded, 0, (int64_t)(b.end_column - b.first_column) * t->taps,
               from + row * t->row_stride + (int64_t)b.first_column * t->taps);
    for (int32_t column = b.first_column; column < b.end_column; ++column)
      for (int32_t tap = 0; tap < t->taps; ++tap)
        to[t->rows[row] + t->columns[column] + t->tap_offsets[tap]] = *next++;
  }
}

void packed_weights_pack(const PackedWeights *w, PlainWeights plain, const float *from, void *to)
{
  Table t;
  lay_table(w, plain, &t);
  const int64_t blocks =
      (int64_t)blocks_of(t.row_count, ROWS) * blocks_of(t.column_count, columns_of_block(&t));
  if (w->padded) memset(to, 0, w->bytes);
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < w->groups * blocks; ++i) {
    const int64_t group = i / blocks;
    const Block block = block_at(&t, i % blocks);
    const float *source = from + group * plain.group_stride;
    if (w->element == ELEMENT_BF16)
      pack_bf16(&t, block, source, (uint16_t *)to + w->offsets[group]);
    else
      pack_f32(&t, block, source, (float *)to + w->offsets[group]);
  }
}

static void unpack(const Table *t, Block b, const float *from, bool add, float *to)
{
  for (int32_t row = b.first_row; row < b.end_row; ++row) {
    float *next = to + row * t->row_stride + (int64_t)b.first_column * t->taps;
    for (int32_t column = b.first_column; column < b.end_column; ++column)
      for (int32_t tap = 0; tap < t->taps; ++tap, ++next)
        *next = (add ? *next : 0) + from[t->rows[row] + t->columns[column] + t->tap_offsets[tap]];
  }
}

void packed_weights_unpack(const PackedWeights *w, const float *from, PlainWeights plain, bool add,
                           float *to)
{
  Table t;
  lay_table(w, plain, &t);
  const int64_t blocks =
      (int64_t)blocks_of(t.row_count, ROWS) * blocks_of(t.column_count, columns_of_block(&t));
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < w->groups * blocks; ++i) {
    const int64_t group = i / blocks;
    unpack(&t, block_at(&t, i % blocks), from + w->offsets[group], add,
           to + group * plain.group_stride);
  }
}
