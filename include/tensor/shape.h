#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* Types of elements. Sums, statistics, losses and coordinates stay float32. */
typedef enum Element {
  ELEMENT_F32,
  ELEMENT_BF16,
  ELEMENT_F16, /* on GPUs only: those without bfloat16 */
  ELEMENT_U8,
  ELEMENT_U16,
  ELEMENT_I16,
  ELEMENT_I32
} Element;

size_t element_bytes(Element element);
const char *element_name(Element element); /* "float32", "bfloat16", … */

/* N x H x W x C, channels last: channel varies fastest, then column, then row, then image.
 * channels is what lies in memory. On a GPU it is padded (Backend.channel_multiple); an op's struct
 * says how many mean something, and the rest holds zeros. */
typedef struct Shape {
  int32_t images;
  int32_t height;
  int32_t width;
  int32_t channels;
  Element element;
} Shape;

int64_t shape_pixels(Shape shape);   /* N x H x W */
int64_t shape_elements(Shape shape); /* N x H x W x C */
size_t shape_bytes(Shape shape);
bool shape_equal(Shape a, Shape b);
/* Refuses dimensions below 1 and more than 2^62 bytes. */
Status shape_check(Shape shape, const char *what);
