#pragma once

#include "onednn.h"

/* dst (rows x columns) = a (rows x inner) times b (inner x columns), all plain and row by row, or
 * turned: a as inner x rows, b as columns x inner. a and b have one element type. */
typedef struct MatrixProduct {
  Element element;
  Element dst_element;
  int64_t rows, inner, columns;
  bool a_turned, b_turned;
  bool bias; /* one float32 per column */
  bool sum;  /* adds to what dst holds */
} MatrixProduct;

/* Arguments of call: a, b, [bias,] dst. Errors: STATUS_UNSUPPORTED where only the reference kernel
 * of the library would take a large product. */
Status matrix_product_open(const OneDnn *library, const MatrixProduct *product, Call *call);
