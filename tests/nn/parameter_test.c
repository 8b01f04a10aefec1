#include "nn/parameter.h"

#include <math.h>
#include <omp.h>

#include "base/memory.h"
#include "support/check.h"

enum { OUT = 96, IN = 40, SIDE = 5, COUNT = OUT * IN * SIDE * SIDE };

static void add_weight(ParameterList *list, const char *module, Initial initial)
{
  const Parameter weight = {.rank = 4,
                            .dims = {OUT, IN, SIDE, SIDE},
                            .trained = true,
                            .initial = initial,
                            .fan_in = IN * SIDE * SIDE,
                            .fan_out = OUT * SIDE * SIDE};
  CHECK_OK(parameter_add(list, module, "weight", &weight));
}

static void add_vector(ParameterList *list, const char *name, bool trained, Initial initial)
{
  const Parameter vector = {.rank = 1, .dims = {OUT}, .trained = trained, .initial = initial};
  CHECK_OK(parameter_add(list, "norm", name, &vector));
}

/* One weight of each kind of start, and a batch norm's. */
static ParameterList open_list(void)
{
  ParameterList list = {0};
  CHECK_OK(arena_open(&list.names));
  add_weight(&list, "normal", INITIAL_KAIMING_NORMAL_OUT);
  add_vector(&list, "weight", true, INITIAL_ONE);
  add_vector(&list, "bias", true, INITIAL_ZERO);
  add_vector(&list, "running_mean", false, INITIAL_ZERO);
  add_vector(&list, "running_var", false, INITIAL_ONE);
  add_weight(&list, "uniform", INITIAL_KAIMING_UNIFORM_IN);
  add_weight(&list, "xavier", INITIAL_XAVIER_UNIFORM);
  return list;
}

static void close_list(ParameterList *list)
{
  memory_free(list->items);
  arena_close(list->names);
}

typedef struct Blocks {
  float *trained;
  float *statistics;
} Blocks;

static Blocks initialise(const ParameterList *list, uint64_t seed)
{
  Blocks blocks = {malloc((size_t)list->trained_count * sizeof(float)),
                   malloc((size_t)list->statistic_count * sizeof(float))};
  parameters_initialise(list, seed, blocks.trained, blocks.statistics);
  return blocks;
}

static void free_blocks(Blocks blocks)
{
  free(blocks.trained);
  free(blocks.statistics);
}

typedef struct Moments {
  double mean, deviation, largest;
} Moments;

static Moments moments_of(const ParameterList *list, const Blocks *blocks, const char *name)
{
  const Parameter *p = &list->items[parameter_find(list, name)];
  const float *values = (p->trained ? blocks->trained : blocks->statistics) + p->offset;
  Moments m = {0};
  for (int64_t i = 0; i < p->count; ++i) {
    m.mean += (double)values[i] / (double)p->count;
    m.largest = fmax(m.largest, fabs((double)values[i]));
  }
  for (int64_t i = 0; i < p->count; ++i)
    m.deviation += pow((double)values[i] - m.mean, 2) / (double)p->count;
  m.deviation = sqrt(m.deviation);
  return m;
}

/* Five standard errors of the mean and of the deviation. */
static void expect_moments(Moments m, double deviation)
{
  assert_true(fabs(m.mean) < 5 * deviation / sqrt(COUNT));
  assert_true(fabs(m.deviation / deviation - 1) < 5 / sqrt(2.0 * COUNT));
}

static void starts_are_spread_as_the_papers_say(void **state)
{
  ParameterList list = open_list();
  Blocks blocks = initialise(&list, 7);
  const double fan_in = IN * SIDE * SIDE;
  const double fan_out = OUT * SIDE * SIDE;

  const Moments normal = moments_of(&list, &blocks, "normal.weight");
  expect_moments(normal, sqrt(2 / fan_out));
  assert_true(normal.largest > 4 * sqrt(2 / fan_out)); /* it has a normal's tails */

  const Moments uniform = moments_of(&list, &blocks, "uniform.weight");
  expect_moments(uniform, sqrt(2 / fan_in));
  assert_true(uniform.largest <= sqrt(6 / fan_in) && uniform.largest > 0.999 * sqrt(6 / fan_in));

  const Moments xavier = moments_of(&list, &blocks, "xavier.weight");
  const double limit = sqrt(6 / (fan_in + fan_out));
  expect_moments(xavier, limit / sqrt(3));
  assert_true(xavier.largest <= limit && xavier.largest > 0.999 * limit);

  free_blocks(blocks);
  close_list(&list);
}

static void a_norm_starts_as_the_identity(void **state)
{
  ParameterList list = open_list();
  Blocks blocks = initialise(&list, 7);
  const char *const names[] = {"norm.weight", "norm.bias", "norm.running_mean", "norm.running_var"};
  const double means[] = {1, 0, 0, 1};
  for (int i = 0; i < 4; ++i) {
    const Moments m = moments_of(&list, &blocks, names[i]);
    assert_true(fabs(m.mean - means[i]) < 1e-12 && m.deviation < 1e-12);
  }
  free_blocks(blocks);
  close_list(&list);
}

static void the_same_seed_gives_the_same_numbers_on_any_number_of_threads(void **state)
{
  ParameterList list = open_list();
  const size_t bytes = (size_t)list.trained_count * sizeof(float);
  const int threads = omp_get_max_threads();
  Blocks first = initialise(&list, 7);
  for (int count = 1; count <= 5; count += 2) {
    omp_set_num_threads(count);
    Blocks again = initialise(&list, 7);
    assert_memory_equal(first.trained, again.trained, bytes);
    free_blocks(again);
  }
  omp_set_num_threads(threads);
  Blocks other = initialise(&list, 8);
  assert_memory_not_equal(first.trained, other.trained, bytes);
  free_blocks(other);
  free_blocks(first);
  close_list(&list);
}

static void a_parameters_numbers_depend_on_its_name_alone(void **state)
{
  ParameterList list = open_list();
  Blocks blocks = initialise(&list, 7);
  const Parameter *uniform = &list.items[parameter_find(&list, "uniform.weight")];
  Parameter alone = *uniform;
  float *values = malloc(COUNT * sizeof(float));
  alone.offset = 0;
  parameter_initialise(&alone, 7, values);
  assert_memory_equal(values, blocks.trained + uniform->offset, COUNT * sizeof(float));
  alone.name = "uniform2.weight";
  parameter_initialise(&alone, 7, values);
  assert_memory_not_equal(values, blocks.trained + uniform->offset, COUNT * sizeof(float));
  free(values);
  free_blocks(blocks);
  close_list(&list);
}

static void a_name_is_found_whole_or_not_at_all(void **state)
{
  ParameterList list = open_list();
  assert_int_equal(parameter_find(&list, "norm.bias"), 2);
  assert_int_equal(parameter_find(&list, "norm"), -1);
  assert_int_equal(parameter_find(&list, "norm.bias2"), -1);
  close_list(&list);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(starts_are_spread_as_the_papers_say),
      cmocka_unit_test(a_norm_starts_as_the_identity),
      cmocka_unit_test(the_same_seed_gives_the_same_numbers_on_any_number_of_threads),
      cmocka_unit_test(a_parameters_numbers_depend_on_its_name_alone),
      cmocka_unit_test(a_name_is_found_whole_or_not_at_all),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
