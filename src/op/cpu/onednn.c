#include "onednn.h"

#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "cpu_backend.h"

static const double reference_flop_most = 2e8; /* what a reference kernel does in 0.2 s */

Status onednn_status(dnnl_status_t status, const char *what)
{
  static const char *const names[] = {"success",       "out of memory", "invalid arguments",
                                      "unimplemented", "iterator ends", "runtime error",
                                      "not required"};
  if (status == dnnl_success) return STATUS_OK;
  const size_t index = (size_t)status;
  return status_set(status == dnnl_out_of_memory ? STATUS_NO_MEMORY : STATUS_DEVICE,
                    "oneDNN, %s: %s", what,
                    index < sizeof names / sizeof *names ? names[index] : "unknown error");
}

#define TRY_ONEDNN(call, what) TRY(onednn_status((call), (what)))

/* Processors without bfloat16 products emulate them, slower than float32. */
Element preferred_element_cpu(const Device *device)
{
  const dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
  return (isa & dnnl_cpu_isa_avx512_core_bf16) == dnnl_cpu_isa_avx512_core_bf16 ? ELEMENT_BF16
                                                                                : ELEMENT_F32;
}

static const char *instructions(void)
{
  static const struct {
    dnnl_cpu_isa_t isa;
    const char *name;
  } known[] = {{dnnl_cpu_isa_avx512_core_amx, "AMX"},
               {dnnl_cpu_isa_avx512_core_bf16, "AVX-512 with bfloat16"},
               {dnnl_cpu_isa_avx512_core, "AVX-512"},
               {dnnl_cpu_isa_avx2, "AVX2"},
               {dnnl_cpu_isa_avx, "AVX"},
               {dnnl_cpu_isa_sse41, "SSE4.1"}};
  const dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
  for (size_t i = 0; i < sizeof known / sizeof *known; ++i)
    if ((isa & known[i].isa) == known[i].isa) return known[i].name;
  return "this processor's plain instructions";
}

void library_cpu(char text[BACKEND_LIBRARY_BYTES])
{
  const dnnl_version_t *version = dnnl_version();
  (void)snprintf(text, BACKEND_LIBRARY_BYTES, "oneDNN %d.%d.%d, %s", version->major, version->minor,
                 version->patch, instructions());
}

Status onednn_open(OneDnn *library)
{
  TRY_ONEDNN(dnnl_engine_create(&library->engine, dnnl_cpu, 0), "engine");
  return onednn_status(
      dnnl_stream_create(&library->stream, library->engine, dnnl_stream_default_flags), "stream");
}

void onednn_close(OneDnn *library)
{
  if (library->stream != NULL) (void)dnnl_stream_destroy(library->stream);
  if (library->engine != NULL) (void)dnnl_engine_destroy(library->engine);
  *library = (OneDnn){0};
}

void call_close(Call *call)
{
  if (call->primitive != NULL) (void)dnnl_primitive_destroy(call->primitive);
  for (int i = 0; i < call->count; ++i)
    (void)dnnl_memory_destroy(call->arguments[i].memory);
  *call = (Call){0};
}

void call_run(const Call *call, const OneDnn *library, Device *device, void *const *handles)
{
  Status status = STATUS_OK;
  for (int i = 0; i < call->count && status == STATUS_OK; ++i)
    status =
        onednn_status(dnnl_memory_set_data_handle(call->arguments[i].memory, handles[i]), "memory");
  if (status == STATUS_OK)
    status = onednn_status(
        dnnl_primitive_execute(call->primitive, library->stream, call->count, call->arguments),
        "a primitive");
  if (status != STATUS_OK) device_fail(device, status);
}

Status call_add(Call *call, const OneDnn *library, int argument,
                const dnnl_memory_desc_t *description)
{
  dnnl_memory_t memory;
  TRY_ONEDNN(dnnl_memory_create(&memory, description, library->engine, DNNL_MEMORY_NONE), "memory");
  call->arguments[call->count++] = (dnnl_exec_arg_t){argument, memory};
  return STATUS_OK;
}

void call_run_in(const Call *call, const OneDnn *library, Device *device, void *const *handles,
                 void *scratch)
{
  void *all[CALL_ARGUMENTS_MOST];
  const int given = call->count - (call->scratch_bytes > 0 ? 1 : 0);
  for (int i = 0; i < call->count; ++i)
    all[i] = i < given ? handles[i] : scratch;
  call_run(call, library, device, all);
}

dnnl_data_type_t onednn_data_type(Element element)
{
  return element == ELEMENT_BF16 ? dnnl_bf16 : dnnl_f32;
}

static dnnl_memory_desc_t image(Shape shape)
{
  const dnnl_dims_t sizes = {shape.images, shape.channels, shape.height, shape.width};
  dnnl_memory_desc_t description;
  (void)dnnl_memory_desc_init_by_tag(&description, 4, sizes, onednn_data_type(shape.element),
                                     dnnl_acdb);
  return description;
}

/* In the layout that the library likes best. */
static dnnl_memory_desc_t weights_of(int32_t groups, int32_t out_channels, int32_t in_channels,
                                     int32_t height, int32_t width, dnnl_data_type_t type)
{
  const dnnl_dims_t whole = {out_channels, in_channels, height, width};
  const dnnl_dims_t grouped = {groups, out_channels / groups, in_channels / groups, height, width};
  dnnl_memory_desc_t description;
  (void)dnnl_memory_desc_init_by_tag(&description, groups == 1 ? 4 : 5,
                                     groups == 1 ? whole : grouped, type, dnnl_format_tag_any);
  return description;
}

/* Sizes of a convolution as the library wants them. */
typedef struct Geometry {
  dnnl_dims_t strides;
  dnnl_dims_t dilations;
  dnnl_dims_t pad_before;
  dnnl_dims_t pad_after;
  dnnl_memory_desc_t src, weights, bias, dst;
} Geometry;

static bool is_transposed(const Convolution *c)
{
  return c->kind == TRANSPOSED_FORWARD || c->kind == TRANSPOSED_BACKWARD_WEIGHT;
}

static bool is_of_weight(const Convolution *c)
{
  return c->kind == CONVOLUTION_BACKWARD_WEIGHT || c->kind == TRANSPOSED_BACKWARD_WEIGHT;
}

/* The padding behind that makes the sizes fit, whichever side is the smaller one. */
static int64_t pad_after(const Convolution *c, int32_t src_side, int32_t dst_side, int32_t kernel)
{
  const int64_t small = is_transposed(c) ? src_side : dst_side;
  const int64_t large = is_transposed(c) ? dst_side : src_side;
  return (small - 1) * c->stride + (int64_t)c->dilation * (kernel - 1) + 1 - large - c->pad;
}

static Geometry geometry_of(const Convolution *c)
{
  Geometry g = {.strides = {c->stride, c->stride},
                .dilations = {c->dilation - 1, c->dilation - 1},
                .pad_before = {c->pad, c->pad},
                .pad_after = {pad_after(c, c->src.height, c->dst.height, c->kernel_height),
                              pad_after(c, c->src.width, c->dst.width, c->kernel_width)}};
  const dnnl_dims_t bias_size = {c->dst.channels};
  g.src = image(c->src);
  g.dst = image(c->dst);
  g.weights =
      weights_of(c->groups, c->dst.channels, c->src.channels, c->kernel_height, c->kernel_width,
                 is_of_weight(c) ? dnnl_f32 : onednn_data_type(c->src.element));
  (void)dnnl_memory_desc_init_by_tag(&g.bias, 1, bias_size, dnnl_f32, dnnl_a);
  return g;
}

/* Room for the description of either operation. */
typedef union Operation {
  dnnl_convolution_desc_t convolution;
  dnnl_deconvolution_desc_t transposed;
} Operation;

static dnnl_status_t describe_forward(const Geometry *g, bool transposed, bool bias,
                                      Operation *operation)
{
  const dnnl_memory_desc_t *bias_or_none = bias ? &g->bias : NULL;
  if (transposed)
    return dnnl_dilated_deconvolution_forward_desc_init(
        &operation->transposed, dnnl_forward_training, dnnl_deconvolution_direct, &g->src,
        &g->weights, bias_or_none, &g->dst, g->strides, g->dilations, g->pad_before, g->pad_after);
  return dnnl_dilated_convolution_forward_desc_init(
      &operation->convolution, dnnl_forward_training, dnnl_convolution_direct, &g->src, &g->weights,
      bias_or_none, &g->dst, g->strides, g->dilations, g->pad_before, g->pad_after);
}

static dnnl_status_t describe_weight(const Geometry *g, bool transposed, bool bias,
                                     Operation *operation)
{
  const dnnl_memory_desc_t *bias_or_none = bias ? &g->bias : NULL;
  if (transposed)
    return dnnl_dilated_deconvolution_backward_weights_desc_init(
        &operation->transposed, dnnl_deconvolution_direct, &g->src, &g->weights, bias_or_none,
        &g->dst, g->strides, g->dilations, g->pad_before, g->pad_after);
  return dnnl_dilated_convolution_backward_weights_desc_init(
      &operation->convolution, dnnl_convolution_direct, &g->src, &g->weights, bias_or_none, &g->dst,
      g->strides, g->dilations, g->pad_before, g->pad_after);
}

static dnnl_status_t describe(const Convolution *c, const Geometry *g, Operation *operation)
{
  if (is_of_weight(c)) return describe_weight(g, is_transposed(c), c->bias, operation);
  if (c->kind == CONVOLUTION_BACKWARD_DATA)
    return dnnl_dilated_convolution_backward_data_desc_init(
        &operation->convolution, dnnl_convolution_direct, &g->src, &g->weights, &g->dst, g->strides,
        g->dilations, g->pad_before, g->pad_after);
  return describe_forward(g, is_transposed(c), c->bias, operation);
}

dnnl_status_t onednn_attributes(bool sum, dnnl_primitive_attr_t *attributes)
{
  dnnl_post_ops_t after;
  dnnl_status_t status = dnnl_primitive_attr_create(attributes);
  if (status != dnnl_success) return status;
  status = dnnl_post_ops_create(&after);
  if (status != dnnl_success) return status;
  if (sum) status = dnnl_post_ops_append_sum(after, 1.0F);
  if (status == dnnl_success) status = dnnl_primitive_attr_set_post_ops(*attributes, after);
  (void)dnnl_post_ops_destroy(after);
  return status;
}

/* The backward directions want to know how the forward one was described. */
static dnnl_status_t make_hint(const OneDnn *library, const Convolution *c,
                               dnnl_primitive_desc_t *hint)
{
  Convolution forward = *c;
  Operation operation;
  forward.kind = is_transposed(c) ? TRANSPOSED_FORWARD : CONVOLUTION_FORWARD;
  forward.sum = false;
  const Geometry g = geometry_of(&forward);
  const dnnl_status_t status = describe_forward(&g, is_transposed(c), c->bias, &operation);
  return status != dnnl_success
             ? status
             : dnnl_primitive_desc_create(hint, &operation, NULL, library->engine, NULL);
}

static double flop(const Convolution *c)
{
  const Shape swept = is_transposed(c) ? c->src : c->dst;
  return 2.0 * (double)shape_pixels(swept) * c->src.channels * c->dst.channels / c->groups *
         c->kernel_height * c->kernel_width;
}

Status onednn_refuse_reference(const_dnnl_primitive_desc_t made, double flop, Element element)
{
  const char *name = "";
  TRY_ONEDNN(dnnl_primitive_desc_query(made, dnnl_query_impl_info_str, 0, &name), "implementation");
  if (strstr(name, "ref") == NULL || flop < reference_flop_most) return STATUS_OK;
  return status_set(STATUS_UNSUPPORTED,
                    "oneDNN has only its slow reference kernel (%s) for a %s product of %.0f Gflop "
                    "on this processor; choose precision=float32",
                    name, element_name(element), 1e-9 * flop);
}

static Status add_arguments(const OneDnn *library, const Convolution *c,
                            const dnnl_memory_desc_t *weights, const Geometry *g, Call *call)
{
  if (is_of_weight(c)) {
    TRY(call_add(call, library, DNNL_ARG_SRC, &g->src));
    TRY(call_add(call, library, DNNL_ARG_DIFF_DST, &g->dst));
    TRY(call_add(call, library, DNNL_ARG_DIFF_WEIGHTS, weights));
    return c->bias ? call_add(call, library, DNNL_ARG_DIFF_BIAS, &g->bias) : STATUS_OK;
  }
  if (c->kind == CONVOLUTION_BACKWARD_DATA) {
    TRY(call_add(call, library, DNNL_ARG_DIFF_DST, &g->dst));
    TRY(call_add(call, library, DNNL_ARG_WEIGHTS, weights));
    return call_add(call, library, DNNL_ARG_DIFF_SRC, &g->src);
  }
  TRY(call_add(call, library, DNNL_ARG_SRC, &g->src));
  TRY(call_add(call, library, DNNL_ARG_WEIGHTS, weights));
  if (c->bias) TRY(call_add(call, library, DNNL_ARG_BIAS, &g->bias));
  return call_add(call, library, DNNL_ARG_DST, &g->dst);
}

static Status finish(const OneDnn *library, const Convolution *c, const Geometry *g,
                     dnnl_primitive_desc_t made, Call *call, dnnl_memory_desc_t *weights)
{
  TRY(onednn_refuse_reference(made, flop(c), c->src.element));
  *weights = *dnnl_primitive_desc_query_md(
      made, is_of_weight(c) ? dnnl_query_diff_weights_md : dnnl_query_weights_md, 0);
  TRY_ONEDNN(dnnl_primitive_create(&call->primitive, made), "convolution");
  TRY(add_arguments(library, c, weights, g, call));
  const dnnl_memory_desc_t *scratch =
      dnnl_primitive_desc_query_md(made, dnnl_query_scratchpad_md, 0);
  call->scratch_bytes = dnnl_memory_desc_get_size(scratch);
  return call->scratch_bytes == 0 ? STATUS_OK
                                  : call_add(call, library, DNNL_ARG_SCRATCHPAD, scratch);
}

Status convolution_open(const OneDnn *library, const Convolution *convolution, Call *call,
                        dnnl_memory_desc_t *weights)
{
  const Geometry g = geometry_of(convolution);
  const bool backward = is_of_weight(convolution) || convolution->kind == CONVOLUTION_BACKWARD_DATA;
  Operation operation;
  dnnl_primitive_attr_t attributes = NULL;
  dnnl_primitive_desc_t hint = NULL;
  dnnl_primitive_desc_t made = NULL;

  dnnl_status_t status = describe(convolution, &g, &operation);
  if (status == dnnl_success) status = onednn_attributes(convolution->sum, &attributes);
  if (status == dnnl_success)
    status = dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user);
  if (status == dnnl_success && backward) status = make_hint(library, convolution, &hint);
  if (status == dnnl_success)
    status = dnnl_primitive_desc_create(&made, &operation, attributes, library->engine, hint);
  Status result = onednn_status(status, "convolution");
  if (result == STATUS_OK) result = finish(library, convolution, &g, made, call, weights);

  if (made != NULL) (void)dnnl_primitive_desc_destroy(made);
  if (hint != NULL) (void)dnnl_primitive_desc_destroy(hint);
  if (attributes != NULL) (void)dnnl_primitive_attr_destroy(attributes);
  return result;
}

/* groups x C channels of tiles, as an image of rows of PRODUCT_COLUMNS. */
static dnnl_memory_desc_t points_of(const Products *p, int64_t channels, dnnl_data_type_t type)
{
  const dnnl_dims_t sizes = {1, p->points * channels, p->tiles / PRODUCT_COLUMNS, PRODUCT_COLUMNS};
  dnnl_memory_desc_t description;
  (void)dnnl_memory_desc_init_by_tag(&description, 4, sizes, type, dnnl_acdb);
  return description;
}

static dnnl_status_t describe_products(const OneDnn *library, const Geometry *g,
                                       dnnl_primitive_desc_t *made)
{
  dnnl_convolution_desc_t operation;
  dnnl_primitive_attr_t attributes;
  dnnl_status_t status = dnnl_dilated_convolution_forward_desc_init(
      &operation, dnnl_forward_inference, dnnl_convolution_direct, &g->src, &g->weights, NULL,
      &g->dst, g->strides, g->dilations, g->pad_before, g->pad_after);
  if (status == dnnl_success) status = dnnl_primitive_attr_create(&attributes);
  if (status != dnnl_success) return status;
  status = dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user);
  if (status == dnnl_success)
    status = dnnl_primitive_desc_create(made, &operation, attributes, library->engine, NULL);
  (void)dnnl_primitive_attr_destroy(attributes);
  return status;
}

/* A primitive runs on as many threads as there were when it was made. */
static dnnl_status_t make_products(const OneDnn *library, const Products *p, const Geometry *g,
                                   dnnl_primitive_desc_t *made, Call *call)
{
  const int threads = omp_get_max_threads();
  if (p->one_thread) omp_set_num_threads(1);
  dnnl_status_t status = describe_products(library, g, made);
  if (status == dnnl_success) status = dnnl_primitive_create(&call->primitive, *made);
  omp_set_num_threads(threads);
  return status;
}

static Status finish_products(const OneDnn *library, const Geometry *g, dnnl_primitive_desc_t made,
                              Call *call, dnnl_memory_desc_t *packed, size_t *scratch_bytes)
{
  *packed = *dnnl_primitive_desc_query_md(made, dnnl_query_weights_md, 0);
  const dnnl_memory_desc_t *scratch =
      dnnl_primitive_desc_query_md(made, dnnl_query_scratchpad_md, 0);
  *scratch_bytes = dnnl_memory_desc_get_size(scratch);
  TRY(call_add(call, library, DNNL_ARG_SRC, &g->src));
  TRY(call_add(call, library, DNNL_ARG_WEIGHTS, packed));
  TRY(call_add(call, library, DNNL_ARG_DST, &g->dst));
  return call_add(call, library, DNNL_ARG_SCRATCHPAD, scratch);
}

static Geometry geometry_of_products(const Products *p)
{
  const dnnl_data_type_t type = onednn_data_type(p->element);
  Geometry g = {.strides = {1, 1}};
  g.src = points_of(p, p->in_channels, type);
  g.dst = points_of(p, p->out_channels, dnnl_f32);
  g.weights =
      weights_of(p->points, p->points * p->out_channels, p->points * p->in_channels, 1, 1, type);
  return g;
}

Status products_open(const OneDnn *library, const Products *products, Call *call,
                     dnnl_memory_desc_t *weights, size_t *scratch_bytes)
{
  const Geometry g = geometry_of_products(products);
  dnnl_primitive_desc_t made = NULL;
  Status status =
      onednn_status(make_products(library, products, &g, &made, call), "products of tiles");
  if (status == STATUS_OK)
    status = finish_products(library, &g, made, call, weights, scratch_bytes);
  if (made != NULL) (void)dnnl_primitive_desc_destroy(made);
  return status;
}
