/* The floor that shares of a CPU's peak are taken of: oneDNN's matmul, 1024 x 1024 x 1024, with weights
 * in its own layout, which is what its convolutions have. Speaks as unet_bench does.
 *
 *   peak_bench [--precision=f32|bf16] [--seconds=1.5] */
#include <oneapi/dnnl/dnnl.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"

enum { SIDE = 1024 };

typedef struct Peak {
  dnnl_engine_t engine;
  dnnl_stream_t stream;
  dnnl_primitive_t matmul;
  dnnl_exec_arg_t arguments[3];
} Peak;

static dnnl_memory_t filled_memory(const Peak *peak, const dnnl_memory_desc_t *description)
{
  dnnl_memory_t memory;
  void *data;
  (void)dnnl_memory_create(&memory, description, peak->engine, DNNL_MEMORY_ALLOCATE);
  (void)dnnl_memory_get_data_handle(memory, &data);
  memset(data, 0, dnnl_memory_desc_get_size(description));
  return memory;
}

static void open_peak(Peak *peak, Element element)
{
  const dnnl_dims_t side = {SIDE, SIDE};
  const dnnl_data_type_t type = element == ELEMENT_BF16 ? dnnl_bf16 : dnnl_f32;
  dnnl_memory_desc_t plain, packed;
  dnnl_matmul_desc_t matmul;
  dnnl_primitive_desc_t made;
  (void)dnnl_engine_create(&peak->engine, dnnl_cpu, 0);
  (void)dnnl_stream_create(&peak->stream, peak->engine, dnnl_stream_default_flags);
  (void)dnnl_memory_desc_init_by_tag(&plain, 2, side, type, dnnl_ab);
  (void)dnnl_memory_desc_init_by_tag(&packed, 2, side, type, dnnl_format_tag_any);
  (void)dnnl_matmul_desc_init(&matmul, &plain, &packed, NULL, &plain);
  (void)dnnl_primitive_desc_create(&made, &matmul, NULL, peak->engine, NULL);
  (void)dnnl_primitive_create(&peak->matmul, made);
  peak->arguments[0] = (dnnl_exec_arg_t){DNNL_ARG_SRC, filled_memory(peak, &plain)};
  peak->arguments[1] = (dnnl_exec_arg_t){
      DNNL_ARG_WEIGHTS,
      filled_memory(peak, dnnl_primitive_desc_query_md(made, dnnl_query_weights_md, 0))};
  peak->arguments[2] = (dnnl_exec_arg_t){DNNL_ARG_DST, filled_memory(peak, &plain)};
}

static void multiply(void *context)
{
  const Peak *peak = context;
  (void)dnnl_primitive_execute(peak->matmul, peak->stream, 3, peak->arguments);
}

int main(int count, char **arguments)
{
  Peak peak = {0};
  Device *device = NULL;
  bench_check(device_open(-1, &device));
  open_peak(&peak, bench_element(bench_text(count, arguments, "precision", "f32")));
  (void)printf("{\"ready\": true, \"batch\": 1, \"flop\": %.9g}\n", 2.0 * SIDE * SIDE * SIDE);
  bench_serve((BenchWork){.device = device, .iterate = multiply, .context = &peak},
              bench_real(count, arguments, "seconds", 1.5));
  return 0;
}
