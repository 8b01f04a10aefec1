#include <string.h>

#include "cpu_backend.h"
#include "op/detection_loss_element.h"
#include "op/segmentation_loss.h"
#include "span.h"

/* Sums are taken in chunks of rows that do not depend on the number of threads, in double. */
enum { CHUNK_ROWS = 64 };

static int64_t chunk_count(const BoxHead *head)
{
  return (head->logits.images + CHUNK_ROWS - 1) / CHUNK_ROWS;
}

/* Copies the logits of a row, of the classes alone. */
static void load_logits(const BoxHead *head, const void *logits, int64_t row, float *z)
{
  float room[CLASS_COUNT_MOST];
  const float *span =
      span_load(head->logits.element, logits, row * head->logits.channels, head->class_count, room);
  memcpy(z, span, (size_t)head->class_count * sizeof *z);
}

/* The deltas of a row's class. */
static int64_t delta_of(const BoxHead *head, int64_t row, int32_t of_class)
{
  return row * head->deltas.channels + 4 * (int64_t)of_class;
}

static void add_row(const BoxHead *head, const void *logits, const void *deltas, int32_t of_class,
                    const float *targets, int64_t row, double *sums)
{
  float z[CLASS_COUNT_MOST], room[4];
  if (!box_row_counts(head, of_class)) return;
  load_logits(head, logits, row, z);
  sums[0] += (double)cross_entropy_element(head->class_count, of_class, z);
  sums[2] += 1;
  if (of_class == 0) return;
  const float *own =
      span_load(head->deltas.element, deltas, delta_of(head, row, of_class), 4, room);
  sums[1] += (double)box_code_loss(own, box_code_load(targets, row));
  sums[3] += 1;
}

size_t box_loss_scratch_bytes_cpu(const BoxHead *head)
{
  return (size_t)chunk_count(head) * BOX_SUMS * sizeof(double);
}

void box_loss_sums_cpu(Device *device, const BoxHead *head, const void *logits, const void *deltas,
                       const int32_t *classes, const float *targets, float *sums, void *scratch)
{
  const int64_t rows = head->logits.images;
  double *chunks = scratch;
#pragma omp parallel for schedule(static)
  for (int64_t chunk = 0; chunk < chunk_count(head); ++chunk) {
    double totals[BOX_SUMS] = {0};
    for (int64_t row = chunk * CHUNK_ROWS; row < rows && row < (chunk + 1) * CHUNK_ROWS; ++row)
      add_row(head, logits, deltas, classes[row], targets, row, totals);
    memcpy(chunks + chunk * BOX_SUMS, totals, sizeof totals);
  }
  for (int32_t i = 0; i < BOX_SUMS; ++i) {
    double total = 0;
    for (int64_t chunk = 0; chunk < chunk_count(head); ++chunk)
      total += chunks[chunk * BOX_SUMS + i];
    sums[i] = (float)total;
  }
}

static void clear_row(Shape shape, int64_t row, void *memory)
{
  const size_t bytes = (size_t)shape.channels * element_bytes(shape.element);
  memset((uint8_t *)memory + (size_t)row * bytes, 0, bytes);
}

void box_loss_backward_cpu(Device *device, const BoxHead *head, const void *logits,
                           const void *deltas, const int32_t *classes, const float *targets,
                           const float *sums, const float *scale, void *dlogits, void *ddeltas)
{
  const float share = mean_scale(loss_scale_value(scale), sums[2]);
#pragma omp parallel for schedule(static)
  for (int64_t row = 0; row < head->logits.images; ++row) {
    float z[CLASS_COUNT_MOST], room[4], slopes[4];
    const int32_t of_class = classes[row];
    clear_row(head->logits, row, dlogits);
    clear_row(head->deltas, row, ddeltas);
    if (!box_row_counts(head, of_class)) continue;
    load_logits(head, logits, row, z);
    cross_entropy_slopes(head->class_count, of_class, share, z);
    span_store(head->logits.element, dlogits, row * head->logits.channels, head->class_count, z);
    if (of_class == 0) continue;
    const int64_t first = delta_of(head, row, of_class);
    const float *own = span_load(head->deltas.element, deltas, first, 4, room);
    box_code_slopes(own, box_code_load(targets, row), share, slopes);
    span_store(head->deltas.element, ddeltas, first, 4, slopes);
  }
}
