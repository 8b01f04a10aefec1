#pragma once

#include <oneapi/dnnl/dnnl.h>

#include "device/device.h"
#include "op/backend.h"
#include "tensor/shape.h"

/* Up to the next line of the caches, where parts of packed weights and of scratch begin. */
static inline size_t aligned(size_t bytes)
{
  return (bytes + 63) / 64 * 64;
}

/* The door to oneDNN: images as it describes them, and a primitive with its arguments. Only files
 * of this folder see it. */
typedef struct OneDnn {
  dnnl_engine_t engine;
  dnnl_stream_t stream;
} OneDnn;

Status onednn_open(OneDnn *library);
void onednn_close(OneDnn *library);
Status onednn_status(dnnl_status_t status, const char *what);
dnnl_data_type_t onednn_data_type(Element element);
/* What follows an operation: sum adds to what the output holds. The library's relu is not used: it
 * makes 0 of NaN. */
dnnl_status_t onednn_attributes(bool sum, dnnl_primitive_attr_t *attributes);
/* Errors: STATUS_UNSUPPORTED where the library has chosen its reference kernel, hundreds of times
 * slower, for so many operations. */
Status onednn_refuse_reference(const_dnnl_primitive_desc_t made, double flop, Element element);

/* A primitive and the memories that it is called with; their order is that of call_add. */
enum { CALL_ARGUMENTS_MOST = 5 };

typedef struct Call {
  dnnl_primitive_t primitive;
  dnnl_exec_arg_t arguments[CALL_ARGUMENTS_MOST];
  int count;
  size_t scratch_bytes; /* that call_run_in wants */
} Call;

void call_close(Call *call);
Status call_add(Call *call, const OneDnn *library, int argument,
                const dnnl_memory_desc_t *description);
/* Handles in the order of the arguments. */
void call_run(const Call *call, const OneDnn *library, Device *device, void *const *handles);

/* The same for a primitive that convolution_open made: handles without scratch, aligned to 64 bytes. */
void call_run_in(const Call *call, const OneDnn *library, Device *device, void *const *handles,
                 void *scratch);

/* Scratch is shared by all calls: the largest wish counts. */
static inline void want_scratch(OpBytes *bytes, size_t wanted)
{
  if (wanted > bytes->scratch) bytes->scratch = wanted;
}

/* Convolutions and transposed ones, in all directions. weight's layout is the library's own choice.
 */
typedef enum ConvolutionKind {
  CONVOLUTION_FORWARD,         /* src, weights, [bias,] dst */
  CONVOLUTION_BACKWARD_DATA,   /* diff_dst, weights, diff_src */
  CONVOLUTION_BACKWARD_WEIGHT, /* src, diff_dst, diff_weights [, diff_bias] */
  TRANSPOSED_FORWARD,          /* as CONVOLUTION_FORWARD */
  TRANSPOSED_BACKWARD_WEIGHT   /* as CONVOLUTION_BACKWARD_WEIGHT */
} ConvolutionKind;

typedef struct Convolution {
  ConvolutionKind kind;
  Shape src; /* of the forward direction */
  Shape dst;
  int32_t groups;
  int32_t kernel_height, kernel_width;
  int32_t stride, pad, dilation;
  bool bias;
  bool sum; /* adds to what the output holds */
} Convolution;

/* weights: the layout chosen, and its size; freed by nobody. What the library needs while it runs is
 * the caller's to give: left alone it would keep some for each primitive. Errors: STATUS_UNSUPPORTED
 * where only the reference kernel of the library, hundreds of times slower, would take a large
 * convolution. */
Status convolution_open(const OneDnn *library, const Convolution *convolution, Call *call,
                        dnnl_memory_desc_t *weights);

/* For each of points: tiles x in_channels by in_channels x out_channels, as a convolution of 1 x 1
 * with points groups: src tiles x points x in_channels, dst tiles x points x out_channels in
 * float32, plain weights points x out_channels x in_channels. */
typedef struct Products {
  Element element; /* of src and the packed weights */
  int32_t points;
  int32_t tiles; /* a multiple of PRODUCT_COLUMNS */
  int32_t in_channels;
  int32_t out_channels;
  bool one_thread; /* else all there are */
} Products;

enum { PRODUCT_COLUMNS = 16 };

/* Arguments of call: src, packed weights, dst, scratch. weights: the layout chosen. */
Status products_open(const OneDnn *library, const Products *products, Call *call,
                     dnnl_memory_desc_t *weights, size_t *scratch_bytes);
