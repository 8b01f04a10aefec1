#include "matrix_product.h"

/* The three matrices, and the bias, as the library describes them. */
typedef struct Matrices {
  dnnl_memory_desc_t a, b, bias, dst;
} Matrices;

static dnnl_memory_desc_t matrix(int64_t rows, int64_t columns, dnnl_data_type_t type, bool turned)
{
  const dnnl_dims_t sizes = {rows, columns};
  dnnl_memory_desc_t description;
  (void)dnnl_memory_desc_init_by_tag(&description, 2, sizes, type, turned ? dnnl_ba : dnnl_ab);
  return description;
}

static Matrices matrices_of(const MatrixProduct *p)
{
  const dnnl_data_type_t type = onednn_data_type(p->element);
  return (Matrices){.a = matrix(p->rows, p->inner, type, p->a_turned),
                    .b = matrix(p->inner, p->columns, type, p->b_turned),
                    .bias = matrix(1, p->columns, dnnl_f32, false),
                    .dst = matrix(p->rows, p->columns, onednn_data_type(p->dst_element), false)};
}

static Status finish(const OneDnn *library, const MatrixProduct *p, const Matrices *m,
                     dnnl_primitive_desc_t made, Call *call)
{
  const double flop = 2.0 * (double)p->rows * (double)p->inner * (double)p->columns;
  TRY(onednn_refuse_reference(made, flop, p->element));
  TRY(onednn_status(dnnl_primitive_create(&call->primitive, made), "product of matrices"));
  TRY(call_add(call, library, DNNL_ARG_SRC, &m->a));
  TRY(call_add(call, library, DNNL_ARG_WEIGHTS, &m->b));
  if (p->bias) TRY(call_add(call, library, DNNL_ARG_BIAS, &m->bias));
  return call_add(call, library, DNNL_ARG_DST, &m->dst);
}

Status matrix_product_open(const OneDnn *library, const MatrixProduct *product, Call *call)
{
  const Matrices m = matrices_of(product);
  dnnl_matmul_desc_t operation;
  dnnl_primitive_attr_t attributes = NULL;
  dnnl_primitive_desc_t made = NULL;

  dnnl_status_t status =
      dnnl_matmul_desc_init(&operation, &m.a, &m.b, product->bias ? &m.bias : NULL, &m.dst);
  if (status == dnnl_success) status = onednn_attributes(product->sum, &attributes);
  if (status == dnnl_success)
    status = dnnl_primitive_desc_create(&made, &operation, attributes, library->engine, NULL);
  Status result = onednn_status(status, "product of matrices");
  if (result == STATUS_OK) result = finish(library, product, &m, made, call);

  if (made != NULL) (void)dnnl_primitive_desc_destroy(made);
  if (attributes != NULL) (void)dnnl_primitive_attr_destroy(attributes);
  return result;
}
