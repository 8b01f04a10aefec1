#include "base/memory.h"
#include "step.h"

/* When tensors live. Step s runs forward at time s and backward at time 2 steps - 1 - s. */

typedef struct Lives {
  int32_t *maker;       /* of each value: the step that makes it, -1 for the input */
  int32_t *last_reader; /* the last step that reads it forward, or its maker */
  int32_t *kept_until;  /* training: the last time at which the backward pass reads it, or -1 */
} Lives;

static int32_t backward_time(const Network *n, int32_t step)
{
  return 2 * n->step_count - 1 - step;
}

static bool reads_input_backward(const Step *step, int32_t input)
{
  return step->backward &&
         (step->kind == NODE_CONV2D || step->kind == NODE_DECODER_CONV2D ||
          step->kind == NODE_CONV_TRANSPOSE2D || (step->kind == NODE_BATCH_NORM2D && input == 0));
}

static bool reads_output_backward(const Step *step)
{
  const bool relu = step->kind == NODE_RELU || (step->kind == NODE_BATCH_NORM2D && step->node.relu);
  return step->backward && relu;
}

static void keep(int32_t *until, int32_t time)
{
  if (time > *until) *until = time;
}

static void trace(const Network *n, Lives lives)
{
  for (Value v = 0; v < n->value_count; ++v)
    lives.maker[v] = lives.last_reader[v] = lives.kept_until[v] = -1;
  for (int32_t s = 0; s < n->step_count; ++s) {
    const Step *step = &n->steps[s];
    lives.maker[step->output] = s;
    keep(&lives.last_reader[step->output], s);
    for (int32_t i = 0; i < step->input_count; ++i) {
      keep(&lives.last_reader[step->inputs[i]], s);
      if (n->options.training && reads_input_backward(step, i))
        keep(&lives.kept_until[step->inputs[i]], backward_time(n, s));
    }
    if (n->options.training && reads_output_backward(step))
      keep(&lives.kept_until[step->output], backward_time(n, s));
  }
  /* the caller reads outputs after the last step */
  for (int32_t i = 0; i < graph_output_count(n->graph); ++i)
    keep(&lives.last_reader[graph_output(n->graph, i)], n->step_count);
}

/* A folded residual that dies here gives its memory to the result: the library adds in place. */
static int32_t residual_in_place(const Network *n, const Lives *lives, int32_t s)
{
  const Step *step = &n->steps[s];
  if (step->kind != NODE_CONV2D || step->norm_weight < 0 || step->input_count < 2) return -1;
  const Value residual = step->inputs[1];
  return residual != 0 && residual != step->inputs[0] && lives->last_reader[residual] == s
             ? residual
             : -1;
}

static void add_value(Network *n, const Lives *lives, Value value, int32_t first)
{
  int32_t last = lives->last_reader[value] < first ? first : lives->last_reader[value];
  keep(&last, lives->kept_until[value]);
  n->places[value] = n->piece_count;
  n->pieces[n->piece_count++] =
      (Piece){.bytes = shape_bytes(n->shapes[value]), .first = first, .last = last};
}

static void add_values(Network *n, const Lives *lives)
{
  add_value(n, lives, 0, 0);
  for (int32_t s = 0; s < n->step_count; ++s) {
    const Value output = n->steps[s].output;
    const int32_t residual = n->options.training ? -1 : residual_in_place(n, lives, s);
    if (residual < 0) {
      add_value(n, lives, output, s);
      continue;
    }
    n->places[output] = n->places[residual];
    keep(&n->pieces[n->places[output]].last, lives->last_reader[output]);
  }
}

static void add_gradient(Network *n, Value value, int32_t first, int32_t last)
{
  n->gradients[value] = n->piece_count;
  n->pieces[n->piece_count++] =
      (Piece){.bytes = shape_bytes(n->shapes[value]), .first = first, .last = last};
}

/* The caller sets the outputs' gradients. Walking back, the first step that meets another gradient
 * sets it, all others add. The input's stays until the caller has read it. */
static void add_gradients(Network *n, const Lives *lives)
{
  for (Value v = 0; v < n->value_count; ++v)
    n->gradients[v] = -1;
  for (int32_t i = 0; i < graph_output_count(n->graph); ++i) {
    const Value output = graph_output(n->graph, i);
    if (n->gradients[output] < 0)
      add_gradient(n, output, n->step_count - 1, backward_time(n, lives->maker[output]));
  }
  for (int32_t s = n->step_count - 1; s >= 0; --s) {
    Step *step = &n->steps[s];
    for (int32_t i = 0; i < step->input_count; ++i) {
      const Value input = step->inputs[i];
      step->writes[i] = WRITE_ADD;
      if (!step->wanted[i] || n->gradients[input] >= 0) continue;
      step->writes[i] = WRITE_SET;
      const int32_t last = input == 0 ? 2 * n->step_count : backward_time(n, lives->maker[input]);
      add_gradient(n, input, backward_time(n, s), last);
    }
  }
}

static Status build(Network *n, int32_t *room)
{
  const Lives lives = {room, room + n->value_count, room + 2 * n->value_count};
  trace(n, lives);
  add_values(n, &lives);
  if (n->options.training) add_gradients(n, &lives);
  return memory_plan_place(n->pieces, n->piece_count, &n->activation_bytes);
}

Status pieces_build(Network *n)
{
  void *room;
  TRY(memory_allocate(3 * (size_t)n->value_count, sizeof(int32_t), "memory plan", &room));
  const Status status = build(n, room);
  memory_free(room);
  return status;
}
