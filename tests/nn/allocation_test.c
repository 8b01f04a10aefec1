#include <stdatomic.h>

#include "network_trial.h"
#include "nn/optimizer.h"
#include "odd_graphs.h"

/* Everything is settled before the first step: afterwards neither a pass nor a step of the
 * optimiser asks for memory, and device memory is what network_bytes and optimizer_bytes said.
 * oneDNN itself makes some small lists for each call of a primitive and frees them; nothing that
 * grows with the images.
 *
 * Counted are malloc and its kin, of this program and of all its libraries, and device_allocate.
 * A sanitizer brings its own malloc, and then only the latter is. */
typedef struct Requests {
  atomic_long own;     /* asked for by Quadrat */
  atomic_long largest; /* bytes of the largest request of anybody */
  atomic_long live;    /* requests less what was freed */
  size_t device_bytes;
  int device_count;
} Requests;

static Requests requests;

#if !QUADRAT_SANITIZED
extern char __executable_start, etext; /* from the linker: where this program's code lies */

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *memory, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);
void __libc_free(void *memory);

static void count(const char *caller, size_t bytes)
{
  if (caller >= &__executable_start && caller < &etext) ++requests.own;
  if ((long)bytes > requests.largest) requests.largest = (long)bytes;
  ++requests.live;
}
/* Within this file too, a caller must be told from its own caller. */
#define NOT_INLINED __attribute__((noinline))
#define COUNT(bytes) count(__builtin_return_address(0), (bytes))

NOT_INLINED void *malloc(size_t bytes)
{
  COUNT(bytes);
  return __libc_malloc(bytes);
}

NOT_INLINED void *calloc(size_t items, size_t bytes)
{
  COUNT(items * bytes);
  return __libc_calloc(items, bytes);
}

NOT_INLINED void *realloc(void *memory, size_t bytes)
{
  COUNT(bytes);
  if (memory != NULL) --requests.live;
  return __libc_realloc(memory, bytes);
}

NOT_INLINED void *aligned_alloc(size_t alignment, size_t bytes)
{
  COUNT(bytes);
  return __libc_memalign(alignment, bytes);
}

NOT_INLINED int posix_memalign(void **memory, size_t alignment, size_t bytes)
{
  COUNT(bytes);
  *memory = __libc_memalign(alignment, bytes);
  return *memory == NULL ? 12 : 0;
}

void free(void *memory)
{
  if (memory != NULL) --requests.live;
  __libc_free(memory);
}
#endif

Status __real_device_allocate(Device *device, size_t bytes, const char *what, void **memory);
Status __wrap_device_allocate(Device *device, size_t bytes, const char *what, void **memory);

Status __wrap_device_allocate(Device *device, size_t bytes, const char *what, void **memory)
{
  requests.device_bytes += bytes;
  ++requests.device_count;
  return __real_device_allocate(device, bytes, what, memory);
}

static void requests_are_counted(void **state)
{
  requests = (Requests){0};
  void *volatile memory = malloc(12345);
#if !QUADRAT_SANITIZED
  assert_int_equal(requests.own, 1);
  assert_int_equal(requests.live, 1);
  assert_int_equal(requests.largest, 12345);
#endif
  free(memory);
  assert_int_equal(requests.live, 0);
}

enum { IMAGES = 2, HEIGHT = 48, WIDTH = 32, PIXELS = IMAGES * HEIGHT * WIDTH };

static NetworkOptions options_of(bool training, Element element)
{
  return (NetworkOptions){
      .training = training, .element = element, .images = IMAGES, .height = HEIGHT, .width = WIDTH};
}

static void step(NetworkTrial *t, Optimizer *optimizer, int64_t number)
{
  network_pack(t->network);
  network_forward(t->network);
  optimizer_clear_gradients(optimizer);
  CHECK_OK(network_backward(t->network, NULL, NULL));
  optimizer_step(optimizer, number);
  CHECK_OK(device_synchronize(t->on->device));
}

static void expect_nothing_asked(const TestBackend *on, const char *what)
{
  const bool is_host = device_kind(on->device) == DEVICE_CPU; /* a GPU's driver has its own ways */
  if (requests.own != 0 || requests.device_count != 0 ||
      (is_host && (requests.live != 0 || requests.largest > PIXELS)))
    fail_msg("%s: %s asked %ld times for memory and %d times for the device's; the libraries for "
             "%ld bytes at most, and %ld requests more are alive",
             on->name, what, (long)requests.own, requests.device_count, (long)requests.largest,
             (long)requests.live);
}

static void expect_quiet_training(const TestBackend *on, const Graph *graph, Element element)
{
  const OptimizerOptions adamw = {.kind = OPTIMIZER_ADAMW,
                                  .schedule = {.kind = SCHEDULE_CONSTANT, .rate = 1e-4},
                                  .momentum = 0.9,
                                  .norm_limit = 1};
  NetworkTrial *t = network_trial_open(on, graph, options_of(true, element));
  Optimizer *optimizer;
  CHECK_OK(optimizer_open(graph_parameters(graph), on->device, adamw, &optimizer));
  CHECK_OK(optimizer_upload(optimizer, t->host_trained, t->host_statistics, NULL));
  network_bind(t->network, optimizer_trained(optimizer), optimizer_statistics(optimizer),
               optimizer_gradients(optimizer));
  (void)network_trial_forward(t);
  step(t, optimizer, 0);
  requests = (Requests){0};
  for (int i = 1; i < 4; ++i)
    step(t, optimizer, i);
  expect_nothing_asked(on, "training");
  optimizer_close(optimizer);
  network_trial_close(t);
}

static void training_asks_for_no_memory_after_the_first_step(void **state)
{
  Graph *graphs[] = {odd_graph_open(), residual_graph_open()};
  for (int i = 0; i < 2; ++i) {
    FOR_EACH_TWIN(on)
    FOR_EACH_ELEMENT(element)
    expect_quiet_training(on, graphs[i], element);
    graph_close(graphs[i]);
  }
}

static void expect_quiet_inference(const TestBackend *on, const Graph *graph, Element element)
{
  NetworkTrial *t = network_trial_open(on, graph, options_of(false, element));
  (void)network_trial_forward(t);
  requests = (Requests){0};
  for (int i = 0; i < 3; ++i)
    network_forward(t->network);
  CHECK_OK(device_synchronize(on->device));
  expect_nothing_asked(on, "inference");
  network_trial_close(t);
}

static void inference_asks_for_no_memory_after_the_first_batch(void **state)
{
  Graph *graphs[] = {odd_graph_open(), residual_graph_open()};
  for (int i = 0; i < 2; ++i) {
    FOR_EACH_TWIN(on)
    FOR_EACH_ELEMENT(element)
    expect_quiet_inference(on, graphs[i], element);
    graph_close(graphs[i]);
  }
}

static void a_network_takes_the_device_memory_that_it_said(void **state)
{
  Graph *graph = residual_graph_open();
  FOR_EACH_TWIN(on)
  for (int training = 0; training < 2; ++training) {
    Network *network;
    requests = (Requests){0};
    CHECK_OK(network_trial_try(on, graph, options_of(training == 1, ELEMENT_BF16), &network));
    assert_int_equal(requests.device_bytes, 0);
    CHECK_OK(network_allocate(network));
    assert_int_equal(requests.device_bytes, network_bytes(network));
    network_close(network);
  }
  graph_close(graph);
}

static void an_optimizer_takes_the_device_memory_that_it_said(void **state)
{
  Graph *graph = residual_graph_open();
  FOR_EACH_TWIN(on)
  for (int kind = OPTIMIZER_SGD; kind <= OPTIMIZER_ADAMW; ++kind) {
    Optimizer *optimizer;
    requests = (Requests){0};
    CHECK_OK(optimizer_open(graph_parameters(graph), on->device,
                            (OptimizerOptions){.kind = (OptimizerKind)kind}, &optimizer));
    assert_int_equal(requests.device_bytes, optimizer_bytes(optimizer));
    optimizer_close(optimizer);
  }
  graph_close(graph);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(requests_are_counted),
      cmocka_unit_test(training_asks_for_no_memory_after_the_first_step),
      cmocka_unit_test(inference_asks_for_no_memory_after_the_first_batch),
      cmocka_unit_test(a_network_takes_the_device_memory_that_it_said),
      cmocka_unit_test(an_optimizer_takes_the_device_memory_that_it_said),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
