#include "model_weights.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

static const char encoder_prefix[] = "encoder.";
static const char head_weight[] = "segmentation_head.0.weight";
enum { PREFIX_BYTES = sizeof encoder_prefix - 1, SHAPE_BYTES = 96 };

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

/* What the file calls a parameter: torchvision's ResNet has no "encoder." before its names. */
static const char *name_in_file(const Parameter *parameter, bool bare)
{
  return bare ? parameter->name + PREFIX_BYTES : parameter->name;
}

static Status take_one(const Parameter *parameter, const WeightFile *file, ModelStart start,
                       bool bare, float *values)
{
  const char *name = name_in_file(parameter, bare);
  size_t index;
  if (!weights_find(file, name, &index))
    return status_set(STATUS_MISMATCH,
                      "%s has no tensor %s; it is of another network than this U-Net with this "
                      "encoder",
                      weights_path(file), name);
  const bool first =
      start == MODEL_START_ENCODER && strcmp(parameter->name, "encoder.conv1.weight") == 0;
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
  size_t index;
  const int32_t own = parameter_find(parameters, head_weight);
  if (own < 0 || !weights_find(file, head_weight, &index)) return STATUS_OK;
  const Weight *weight = weights_at(file, index);
  if (weight->rank == 4 && weight->dims[0] != parameters->items[own].dims[0])
    return status_set(
        STATUS_MISMATCH, "%s tells %lld classes apart, this network %lld; take its encoder alone",
        weights_path(file), (long long)weight->dims[0], (long long)parameters->items[own].dims[0]);
  return STATUS_OK;
}

/* Counters of batches mean nothing here; an auxiliary head does not change the map. */
static bool may_be_ignored(const char *name)
{
  return ends_with(name, ".num_batches_tracked") || begins_with(name, "classification_head.");
}

static Status check_none_too_many(const ParameterList *parameters, const WeightFile *file)
{
  for (size_t i = 0; i < weights_count(file); ++i) {
    const char *name = weights_at(file, i)->name;
    if (parameter_find(parameters, name) < 0 && !may_be_ignored(name))
      return status_set(STATUS_MISMATCH,
                        "%s holds a tensor %s, which this U-Net with this encoder lacks",
                        weights_path(file), name);
  }
  return STATUS_OK;
}

static Status find_bands(const WeightFile *file, bool bare, int32_t *bands)
{
  size_t index;
  const char *name = bare ? "conv1.weight" : "encoder.conv1.weight";
  if (!weights_find(file, name, &index))
    return status_set(STATUS_MISMATCH,
                      "%s has neither a tensor encoder.conv1.weight (U-Net) nor conv1.weight "
                      "(ResNet), but for example %s",
                      weights_path(file),
                      weights_count(file) > 0 ? weights_at(file, 0)->name : "none at all");
  const Weight *weight = weights_at(file, index);
  *bands = weight->rank == 4 && weight->dims[1] <= INT32_MAX ? (int32_t)weight->dims[1] : 0;
  return STATUS_OK;
}

static Status take_all(const Graph *graph, const WeightFile *file, ModelStart start, float *trained,
                       float *statistics, ModelStartReport *report)
{
  const ParameterList *parameters = graph_parameters(graph);
  size_t index;
  const bool bare =
      start == MODEL_START_ENCODER && !weights_find(file, "encoder.conv1.weight", &index);
  TRY(find_bands(file, bare, &report->file_bands));
  if (start == MODEL_START_WHOLE) {
    TRY(check_head(parameters, file));
    TRY(check_none_too_many(parameters, file));
  }
  for (int32_t i = 0; i < parameters->count; ++i) {
    const Parameter *parameter = &parameters->items[i];
    if (start == MODEL_START_ENCODER && !begins_with(parameter->name, encoder_prefix)) {
      report->left += 1;
      continue;
    }
    float *block = parameter->trained ? trained : statistics;
    TRY(take_one(parameter, file, start, bare, block + parameter->offset));
    report->loaded += 1;
  }
  report->ignored = (int32_t)weights_count(file) - report->loaded;
  return STATUS_OK;
}

Status model_take_weights(const Graph *graph, const WeightFile *file, ModelStart start,
                          float *trained, float *statistics, ModelStartReport *report)
{
  ModelStartReport told = {0};
  const Status status = take_all(graph, file, start, trained, statistics, &told);
  if (report != NULL) *report = told;
  return status;
}

Status model_load_weights(const Graph *graph, const char *path, ModelStart start, float *trained,
                          float *statistics, ModelStartReport *report)
{
  WeightFile *file;
  TRY(weights_open(path, &file));
  const Status status = model_take_weights(graph, file, start, trained, statistics, report);
  weights_close(file);
  return status;
}
