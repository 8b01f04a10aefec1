#include "model_package.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/path.h"
#include "model_definition.h"
#include "model_weights.h"
#include "store/package.h"

enum { NAME_BYTES = 256 };

static Status make_array(size_t count, size_t size, const char *what, void *array_pointer)
{
  void *memory;
  TRY(memory_allocate(count, size, what, &memory));
  memcpy(array_pointer, &memory, sizeof memory);
  return STATUS_OK;
}

static const struct {
  const char *name;
  const char *title;
} kinds[] = {
    [MODEL_UNET] = {"unet", "U-Net"},
    [MODEL_MASK_RCNN] = {"mask_rcnn", "Mask R-CNN"},
    [MODEL_FASTER_RCNN] = {"faster_rcnn", "Faster R-CNN"},
};

const char *model_kind_name(ModelKind kind)
{
  return kinds[kind].name;
}

const char *model_kind_title(ModelKind kind)
{
  return kinds[kind].title;
}

const ParameterList *model_parameters(const Model *model)
{
  return model->kind == MODEL_UNET ? graph_parameters(model->graph) : &model->parts.parameters;
}

static Status build(Model *model)
{
  const Unet unet = {
      .encoder = model->encoder, .bands = model->bands, .classes = model->class_count};
  const MaskRcnn detector = {.encoder = model->encoder,
                             .bands = model->bands,
                             .classes = model->class_count + 1,
                             .masks = model->kind == MODEL_MASK_RCNN,
                             .norm_eps = model->detector.norm_eps,
                             .trained_layers = 5};
  return model->kind == MODEL_UNET ? unet_build(unet, &model->graph)
                                   : detector_parts_open(detector, &model->parts);
}

static Status allocate(Model *model)
{
  const size_t bands = (size_t)model->bands;
  TRY(build(model));
  const ParameterList *parameters = model_parameters(model);
  TRY(make_array((size_t)model->class_count, sizeof *model->classes, "classes", &model->classes));
  TRY(make_array(bands, sizeof *model->means, "means", &model->means));
  TRY(make_array(bands, sizeof(double), "standard deviations", &model->standard_deviations));
  TRY(make_array(bands, sizeof *model->extract_bands, "bands", &model->extract_bands));
  for (int32_t i = 0; i < model->bands; ++i)
    model->extract_bands[i] = i;
  TRY(make_array((size_t)parameters->trained_count, sizeof(float), "weights", &model->trained));
  return make_array((size_t)parameters->statistic_count, sizeof(float), "statistics",
                    &model->statistics);
}

Status model_allocate(Model *model)
{
  model->graph = NULL;
  model->parts = (DetectorParts){0};
  model->classes = NULL;
  model->means = model->standard_deviations = NULL;
  model->extract_bands = NULL;
  model->trained = model->statistics = NULL;
  const Status status = allocate(model);
  if (status != STATUS_OK) model_close(model);
  return status;
}

void model_close(Model *model)
{
  graph_close(model->graph);
  detector_parts_close(&model->parts);
  memory_free(model->classes);
  memory_free(model->means);
  memory_free(model->standard_deviations);
  memory_free(model->extract_bands);
  memory_free(model->trained);
  memory_free(model->statistics);
  *model = (Model){0};
}

/* Opening: rank 0 reads the package and tells the definition to all; each builds its own graph;
 * then the weights follow. */

static Status read_package(const char *path, Package **package, char **definition)
{
  TRY(package_open(path, package));
  return document_format(package_definition(*package), DOCUMENT_ONE_LINE, definition);
}

static Status check_use(ModelUse use, const Model *model)
{
  const bool maps = model->kind == MODEL_UNET;
  if (use == MODEL_FOR_ANY || maps == (use == MODEL_FOR_MAPS)) return STATUS_OK;
  return status_set(STATUS_MISMATCH,
                    maps ? "this is a %s, which makes maps and finds no objects; use classify, or "
                           "a Mask R-CNN"
                         : "this is a %s, which finds objects and makes no maps; use detect, or a "
                           "U-Net",
                    model_kind_title(model->kind));
}

static Status read_definition(const char *path, const char *text, ModelUse use, Model *model)
{
  Document *definition;
  TRY(document_parse(text, strlen(text), path, &definition));
  Status status = model_definition_read(definition, model);
  if (status == STATUS_OK) status = check_use(use, model);
  document_close(definition);
  return status_prefix(status, "%s", path);
}

static Status read_weights(const Package *package, Model *model)
{
  WeightFile *weights;
  TRY(package_open_weights(package, &weights));
  const Status status = model_take_weights(model_parameters(model), weights, MODEL_START_WHOLE,
                                           model->trained, model->statistics, NULL);
  weights_close(weights);
  return status;
}

static Status share_definition(const Job *job, const char *path, ModelUse use,
                               const char *text_of_root, Model *model)
{
  char *text;
  TRY(comm_broadcast_text(job->comm, text_of_root, &text));
  const Status status = read_definition(path, text, use, model);
  memory_free(text);
  return comm_agree(job->comm, status);
}

static Status share_weights(const Job *job, const Package *package, Model *model)
{
  const ParameterList *parameters = model_parameters(model);
  TRY(comm_agree(job->comm, package != NULL ? read_weights(package, model) : STATUS_OK));
  TRY(comm_broadcast(job->comm, 0, model->trained,
                     (size_t)parameters->trained_count * sizeof(float)));
  return comm_broadcast(job->comm, 0, model->statistics,
                        (size_t)parameters->statistic_count * sizeof(float));
}

Status model_open(const Job *job, const char *path, ModelUse use, Model *model)
{
  *model = (Model){0};
  Package *package = NULL;
  char *definition = NULL;
  Status status = STATUS_OK;
  if (comm_rank(job->comm) == 0) status = read_package(path, &package, &definition);
  status = comm_agree(job->comm, status);
  if (status == STATUS_OK) status = share_definition(job, path, use, definition, model);
  if (status == STATUS_OK) status = share_weights(job, package, model);
  if (status != STATUS_OK) model_close(model);
  memory_free(definition);
  package_close(package);
  return status;
}

/* Writing. */

typedef struct WeightTable {
  Arena *arena;
  WeightGiven *items;
  size_t count;
} WeightTable;

static Status add_counter(const Model *model, const Parameter *variance, WeightTable *table)
{
  const size_t stem = strlen(variance->name) - strlen("running_var");
  const size_t bytes = stem + sizeof "num_batches_tracked";
  void *name;
  TRY(arena_allocate(table->arena, bytes, &name));
  (void)snprintf(name, bytes, "%.*snum_batches_tracked", (int)stem, variance->name);
  table->items[table->count++] =
      (WeightGiven){.name = name, .type = WEIGHT_I64, .values = &model->batches_tracked};
  return STATUS_OK;
}

static Status fill_table(const Model *model, WeightTable *table)
{
  const ParameterList *parameters = model_parameters(model);
  void *items;
  TRY(arena_allocate(table->arena, 2 * (size_t)parameters->count * sizeof *table->items, &items));
  table->items = items;
  for (int32_t i = 0; i < parameters->count; ++i) {
    const Parameter *parameter = &parameters->items[i];
    const float *block = parameter->trained ? model->trained : model->statistics;
    WeightGiven *item = &table->items[table->count++];
    *item = (WeightGiven){.name = parameter->name,
                          .type = WEIGHT_F32,
                          .rank = parameter->rank,
                          .values = block + parameter->offset};
    memcpy(item->dims, parameter->dims, sizeof parameter->dims);
    const size_t length = strlen(parameter->name);
    if (length > 12 && strcmp(parameter->name + length - 12, ".running_var") == 0)
      TRY(add_counter(model, parameter, table));
  }
  return STATUS_OK;
}

/* "out/roofs.dlpk" holds "roofs.emd" and "roofs.safetensors". */
static Status member_name(const char *path, const char *ending, char name[NAME_BYTES])
{
  const char *file = path_file_name(path);
  const char *dot = strrchr(file, '.');
  const int stem = dot == NULL || dot == file ? (int)strlen(file) : (int)(dot - file);
  const int written = snprintf(name, NAME_BYTES, "%.*s%s", stem, file, ending);
  if (written < 0 || written >= NAME_BYTES)
    return status_set(STATUS_BAD_OPTION, "%s: the name is too long; give a shorter one", path);
  return STATUS_OK;
}

typedef struct Texts {
  char *metrics;
  char *provenance;
} Texts;

static size_t add_text(const char *name, const char *text, size_t count, PackageItem *items)
{
  if (text == NULL) return count;
  items[count] = (PackageItem){.name = name, .bytes = text, .byte_count = strlen(text)};
  return count + 1;
}

static Status write_package(const Model *model, const char *path, const WeightTable *table,
                            const Texts *texts)
{
  char definition_name[NAME_BYTES];
  char weights_name[NAME_BYTES];
  Document *definition;
  TRY(member_name(path, ".emd", definition_name));
  TRY(member_name(path, ".safetensors", weights_name));
  const WeightNote note = {"format", "pt"}; /* whose readers know channels first */
  PackageItem items[3] = {{.name = weights_name,
                           .weights = table->items,
                           .weight_count = table->count,
                           .notes = &note,
                           .note_count = 1}};
  size_t count = add_text("metrics.json", texts->metrics, 1, items);
  count = add_text("provenance.json", texts->provenance, count, items);
  TRY(model_definition_make(model, weights_name, &definition));
  const Status status = package_write(path, definition_name, definition, items, count);
  document_close(definition);
  return status;
}

static Status write_all(const Model *model, const char *path, const Document *metrics,
                        const Document *provenance, WeightTable *table, Texts *texts)
{
  TRY(arena_open(&table->arena));
  TRY(fill_table(model, table));
  if (metrics != NULL) TRY(document_format(metrics, DOCUMENT_PRETTY, &texts->metrics));
  if (provenance != NULL) TRY(document_format(provenance, DOCUMENT_PRETTY, &texts->provenance));
  return write_package(model, path, table, texts);
}

Status model_write(const Model *model, const char *path, const Document *metrics,
                   const Document *provenance)
{
  WeightTable table = {0};
  Texts texts = {0};
  const Status status = write_all(model, path, metrics, provenance, &table, &texts);
  memory_free(texts.metrics);
  memory_free(texts.provenance);
  arena_close(table.arena);
  return status;
}
