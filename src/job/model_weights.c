#include "model_weights.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

enum { SHAPE_BYTES = 96, NAME_BYTES = 256 };

/* The first parameter of every network here, behind the prefix of its encoder. */
static const char first_weight[] = "conv1.weight";

/* What tells classes apart, and has no meaning for others. */
static const char *const head_weights[] = {"segmentation_head.0.weight",
                                           "roi_heads.box_predictor.cls_score.weight"};
static const char *const heads[] = {"segmentation_head.", "roi_heads.box_predictor.",
                                    "roi_heads.mask_predictor.mask_fcn_logits."};
static const char *const encoder_prefixes[] = {"encoder.", "backbone.body.", "backbone.", ""};

static bool begins_with(const char *text, const char *start)
{
  return strncmp(text, start, strlen(start)) == 0;
}

static bool ends_with(const char *text, const char *end)
{
  const size_t length = strlen(text);
  return length >= strlen(end) && strcmp(text + length - strlen(end), end) == 0;
}

static void format_shape(int32_t rank, const int64_t *dims, char text[SHAPE_BYTES])
{
  size_t used = 0;
  text[0] = '\0';
  for (int32_t i = 0; i < rank && used < SHAPE_BYTES - 24; ++i)
    used += (size_t)snprintf(text + used, SHAPE_BYTES - used, "%s%lld", i > 0 ? " x " : "",
                             (long long)dims[i]);
  if (rank == 0) (void)snprintf(text, SHAPE_BYTES, "a single number");
}

static bool same_shape(const Parameter *parameter, const Weight *weight)
{
  if (parameter->rank != weight->rank) return false;
  return memcmp(parameter->dims, weight->dims, (size_t)weight->rank * sizeof *weight->dims) == 0;
}

static Status refuse_shape(const Parameter *parameter, const WeightFile *file, size_t index)
{
  const Weight *weight = weights_at(file, index);
  char wanted[SHAPE_BYTES];
  char found[SHAPE_BYTES];
  format_shape(parameter->rank, parameter->dims, wanted);
  format_shape(weight->rank, weight->dims, found);
  return status_set(STATUS_MISMATCH, "%s: %s is %s, the network wants %s", weights_path(file),
                    weight->name, found, wanted);
}

static Status check_values(const Parameter *parameter, const WeightFile *file, const float *values)
{
  const bool variance = ends_with(parameter->name, ".running_var");
  for (int64_t i = 0; i < parameter->count; ++i)
    if (!isfinite(values[i]) || (variance && values[i] < 0))
      return status_set(STATUS_BAD_INPUT, "%s: %s holds %g at place %lld; the weights are damaged",
                        weights_path(file), parameter->name, (double)values[i], (long long)i);
  return STATUS_OK;
}

/* outputs x file_bands x taps to outputs x bands x taps. */
static void adapt_bands(const float *source, int64_t outputs, int64_t file_bands, int64_t taps,
                        int64_t bands, float *values)
{
  const float scale = (float)file_bands / (float)bands;
  for (int64_t o = 0; o < outputs; ++o)
    for (int64_t band = 0; band < bands; ++band)
      for (int64_t tap = 0; tap < taps; ++tap) {
        const float *first = source + o * file_bands * taps + tap;
        float value = 0;
        if (bands == 1)
          for (int64_t i = 0; i < file_bands; ++i)
            value += first[i * taps];
        else
          value = scale * first[band % file_bands * taps];
        values[(o * bands + band) * taps + tap] = value;
      }
}

static Status take_first_convolution(const Parameter *parameter, const WeightFile *file,
                                     size_t index, float *values)
{
  const Weight *weight = weights_at(file, index);
  Weight like = *weight;
  if (weight->rank == 4 && weight->dims[1] >= 1) like.dims[1] = parameter->dims[1];
  if (!same_shape(parameter, &like)) return refuse_shape(parameter, file, index);
  void *source;
  TRY(memory_allocate((size_t)weight->element_count, sizeof(float), "the first convolution",
                      &source));
  const Status status = weights_read_f32(file, index, source, (size_t)weight->element_count);
  if (status == STATUS_OK)
    adapt_bands(source, weight->dims[0], weight->dims[1], weight->dims[2] * weight->dims[3],
                parameter->dims[1], values);
  memory_free(source);
  return status;
}

/* A network on its way to a file's names. */
typedef struct Taking {
  const ParameterList *parameters;
  const WeightFile *file;
  ModelStart start;
  size_t prefix_bytes;     /* of the encoder, in the network's names */
  const char *file_prefix; /* in the file's */
  bool *used;              /* of the file's tensors */
} Taking;

static bool is_encoder(const Taking *taking, const Parameter *parameter)
{
  const char *first = taking->parameters->items[0].name;
  return strncmp(parameter->name, first, taking->prefix_bytes) == 0;
}

static bool is_head(const Parameter *parameter)
{
  for (size_t i = 0; i < sizeof heads / sizeof *heads; ++i)
    if (begins_with(parameter->name, heads[i])) return true;
  return false;
}

/* torchvision's names before its version 0.13, in which its published weights are: fpn.inner_blocks.0.
 * for fpn.inner_blocks.0.0., rpn.head.conv. for rpn.head.conv.0.0., mask_head.mask_fcn1. for
 * mask_head.0.0. */
static bool old_name(const char *name, char old[NAME_BYTES])
{
  static const char *const shortened[] = {"backbone.fpn.inner_blocks.",
                                          "backbone.fpn.layer_blocks.", "rpn.head.conv.",
                                          "roi_heads.mask_head."};
  for (size_t i = 0; i < sizeof shortened / sizeof *shortened; ++i) {
    const size_t stem = strlen(shortened[i]);
    if (!begins_with(name, shortened[i]) || strlen(name) < stem + 4) continue;
    const char number = name[stem];
    const char *rest = name + stem + 4; /* behind "0.0." */
    if (i == 3)
      (void)snprintf(old, NAME_BYTES, "roi_heads.mask_head.mask_fcn%d.%s", number - '0' + 1, rest);
    else if (i == 2)
      (void)snprintf(old, NAME_BYTES, "%s%s", shortened[i], rest);
    else
      (void)snprintf(old, NAME_BYTES, "%s%c.%s", shortened[i], number, rest);
    return true;
  }
  return false;
}

static bool find_in_file(const Taking *taking, const Parameter *parameter, size_t *index)
{
  char name[NAME_BYTES];
  if (is_encoder(taking, parameter))
    (void)snprintf(name, sizeof name, "%s%s", taking->file_prefix,
                   parameter->name + taking->prefix_bytes);
  else
    (void)snprintf(name, sizeof name, "%s", parameter->name);
  if (weights_find(taking->file, name, index)) return true;
  return old_name(parameter->name, name) && weights_find(taking->file, name, index);
}

static Status take_one(Taking *taking, const Parameter *parameter, float *values)
{
  size_t index;
  const WeightFile *file = taking->file;
  if (!find_in_file(taking, parameter, &index))
    return status_set(STATUS_MISMATCH,
                      "%s has no tensor %s; it is of another network, or of another encoder",
                      weights_path(file), parameter->name);
  taking->used[index] = true;
  const bool first =
      taking->start != MODEL_START_WHOLE && parameter == &taking->parameters->items[0];
  if (first && !same_shape(parameter, weights_at(file, index)))
    TRY(take_first_convolution(parameter, file, index, values));
  else if (!same_shape(parameter, weights_at(file, index)))
    return refuse_shape(parameter, file, index);
  else
    TRY(weights_read_f32(file, index, values, (size_t)parameter->count));
  return check_values(parameter, file, values);
}

static Status check_head(const ParameterList *parameters, const WeightFile *file)
{
  for (size_t i = 0; i < sizeof head_weights / sizeof *head_weights; ++i) {
    size_t index;
    const int32_t own = parameter_find(parameters, head_weights[i]);
    if (own < 0 || !weights_find(file, head_weights[i], &index)) continue;
    const Weight *weight = weights_at(file, index);
    if (weight->rank >= 1 && weight->dims[0] != parameters->items[own].dims[0])
      return status_set(
          STATUS_MISMATCH,
          "%s tells %lld classes apart, this network %lld; take its body or its encoder alone",
          weights_path(file), (long long)weight->dims[0],
          (long long)parameters->items[own].dims[0]);
  }
  return STATUS_OK;
}

/* Counters of batches mean nothing here; an auxiliary head does not change the map. */
static bool may_be_ignored(const char *name)
{
  return ends_with(name, ".num_batches_tracked") || begins_with(name, "classification_head.");
}

static Status check_none_too_many(const Taking *taking)
{
  for (size_t i = 0; i < weights_count(taking->file); ++i) {
    const char *name = weights_at(taking->file, i)->name;
    if (!taking->used[i] && !may_be_ignored(name))
      return status_set(STATUS_MISMATCH,
                        "%s holds a tensor %s, which this network with this encoder lacks",
                        weights_path(taking->file), name);
  }
  return STATUS_OK;
}

/* The network's own prefix first, then what others call a ResNet's body. */
static Status find_encoder(Taking *taking, int32_t *bands)
{
  const char *first = taking->parameters->items[0].name;
  size_t index;
  for (size_t i = 0; i < sizeof encoder_prefixes / sizeof *encoder_prefixes; ++i) {
    char name[NAME_BYTES];
    const bool own = strlen(encoder_prefixes[i]) == taking->prefix_bytes &&
                     begins_with(first, encoder_prefixes[i]);
    (void)snprintf(name, sizeof name, "%s%s", encoder_prefixes[i], first_weight);
    if (!weights_find(taking->file, name, &index)) continue;
    if (taking->file_prefix == NULL || own) taking->file_prefix = encoder_prefixes[i];
  }
  if (taking->file_prefix == NULL)
    return status_set(
        STATUS_MISMATCH, "%s has neither a tensor %s nor conv1.weight (ResNet), but for example %s",
        weights_path(taking->file), first,
        weights_count(taking->file) > 0 ? weights_at(taking->file, 0)->name : "none at all");
  char name[NAME_BYTES];
  (void)snprintf(name, sizeof name, "%s%s", taking->file_prefix, first_weight);
  (void)weights_find(taking->file, name, &index);
  const Weight *weight = weights_at(taking->file, index);
  *bands = weight->rank == 4 && weight->dims[1] <= INT32_MAX ? (int32_t)weight->dims[1] : 0;
  return STATUS_OK;
}

static bool is_wanted(const Taking *taking, const Parameter *parameter)
{
  if (taking->start == MODEL_START_ENCODER) return is_encoder(taking, parameter);
  return taking->start == MODEL_START_WHOLE || !is_head(parameter);
}

static Status take_all(Taking *taking, float *trained, float *statistics, ModelStartReport *report)
{
  const ParameterList *parameters = taking->parameters;
  TRY(find_encoder(taking, &report->file_bands));
  if (taking->start == MODEL_START_WHOLE) TRY(check_head(parameters, taking->file));
  for (int32_t i = 0; i < parameters->count; ++i) {
    const Parameter *parameter = &parameters->items[i];
    if (!is_wanted(taking, parameter)) {
      report->left += 1;
      continue;
    }
    float *block = parameter->trained ? trained : statistics;
    TRY(take_one(taking, parameter, block + parameter->offset));
    report->loaded += 1;
  }
  report->ignored = (int32_t)weights_count(taking->file) - report->loaded;
  return taking->start == MODEL_START_WHOLE ? check_none_too_many(taking) : STATUS_OK;
}

Status model_take_weights(const ParameterList *parameters, const WeightFile *file, ModelStart start,
                          float *trained, float *statistics, ModelStartReport *report)
{
  ModelStartReport told = {0};
  void *used;
  TRY(memory_allocate(weights_count(file) + 1, sizeof(bool), "weights", &used));
  Taking taking = {.parameters = parameters,
                   .file = file,
                   .start = start,
                   .prefix_bytes = strlen(parameters->items[0].name) - strlen(first_weight),
                   .used = used};
  const Status status = take_all(&taking, trained, statistics, &told);
  memory_free(used);
  if (report != NULL) *report = told;
  return status;
}

Status model_load_weights(const ParameterList *parameters, const char *path, ModelStart start,
                          float *trained, float *statistics, ModelStartReport *report)
{
  WeightFile *file;
  TRY(weights_open(path, &file));
  const Status status = model_take_weights(parameters, file, start, trained, statistics, report);
  weights_close(file);
  return status;
}

void model_copy_weights(const ParameterList *from, const float *trained, const float *statistics,
                        const ParameterList *to, float *to_trained, float *to_statistics)
{
  for (int32_t i = 0; i < from->count; ++i) {
    const Parameter *source = &from->items[i];
    const int32_t index = parameter_find(to, source->name);
    if (index < 0) continue;
    const Parameter *target = &to->items[index];
    memcpy((target->trained ? to_trained : to_statistics) + target->offset,
           (source->trained ? trained : statistics) + source->offset,
           (size_t)source->count * sizeof(float));
  }
}
