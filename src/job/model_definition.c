#include "model_definition.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

enum { DEFINITION_VERSION = 1, DEFAULT_TILE_PX = 256, TILE_MOST_PX = 1 << 16 };

/* Reading. What our own object below "Quadrat" does not say is taken from ArcGIS' keys. */

static Status read_encoder(const Document *definition, const Document *own, Encoder *encoder)
{
  const char *name = "";
  bool present;
  TRY(document_get_text(own, "encoder", &name, &present));
  const Document *parameters;
  if (!present) {
    TRY(document_get_object(definition, "ModelParameters", &parameters, &present));
    if (present) TRY(document_get_text(parameters, "backbone", &name, &present));
  }
  if (encoder_find(name, encoder)) return STATUS_OK;
  return status_set(STATUS_MISMATCH, "the model's encoder is “%s”; " ENCODER_CHOICES " are known",
                    name);
}

/* ArcGIS' words for what a model is. */
static const struct {
  const char *type;
  const char *name;
  const char *configuration;
} arcgis[] = {
    [MODEL_UNET] = {"ImageClassification", "UnetClassifier", "_unet"},
    [MODEL_MASK_RCNN] = {"InstanceDetection", "MaskRCNN", "_maskrcnn_inferencing"},
    [MODEL_FASTER_RCNN] = {"ObjectDetection", "FasterRCNN", "_fasterrcnn_inferencing"},
};

static bool find_kind(const char *architecture, const char *type, const char *name, ModelKind *kind)
{
  for (ModelKind k = MODEL_UNET; k <= MODEL_FASTER_RCNN; ++k) {
    const bool own = strcmp(architecture, model_kind_name(k)) == 0;
    const bool theirs = *architecture == '\0' && strcmp(type, arcgis[k].type) == 0 &&
                        (k != MODEL_FASTER_RCNN || strcmp(name, arcgis[k].name) == 0);
    if (!own && !theirs) continue;
    *kind = k;
    return strcmp(type, arcgis[k].type) == 0 || *type == '\0';
  }
  return false;
}

static Status read_kind(const Document *definition, const Document *own, ModelKind *kind)
{
  const char *type = "";
  const char *name = "";
  const char *architecture = "";
  int64_t version = 0;
  bool present;
  TRY(document_get_int(own, "version", &version, &present));
  if (version > DEFINITION_VERSION)
    return status_set(STATUS_UNSUPPORTED,
                      "the package has version %lld, this program reads up to %d; use a later one",
                      (long long)version, (int)DEFINITION_VERSION);
  TRY(document_get_text(definition, "ModelType", &type, &present));
  TRY(document_get_text(definition, "ModelName", &name, &present));
  TRY(document_get_text(own, "architecture", &architecture, &present));
  if (*type == '\0' && *architecture == '\0') type = arcgis[MODEL_UNET].type;
  if (find_kind(architecture, type, name, kind)) return STATUS_OK;
  return status_set(
      STATUS_MISMATCH,
      "the model is of type %s, architecture %s; known are ImageClassification by a "
      "U-Net, InstanceDetection by a Mask R-CNN and ObjectDetection by a Faster R-CNN",
      type, architecture);
}

static Status read_bands(const Document *definition, const Document *own, int32_t *bands)
{
  int64_t count = 0;
  size_t extracted = 0;
  bool present;
  TRY(document_get_int(own, "bands", &count, &present));
  if (!present) {
    TRY(document_get_ints(definition, "ExtractBands", NULL, 0, &extracted, &present));
    count = (int64_t)extracted;
  }
  if (count < 1 || count > MODEL_BANDS_MOST)
    return status_set(STATUS_BAD_INPUT, "the model reads %lld bands; 1 to %d are possible",
                      (long long)count, (int)MODEL_BANDS_MOST);
  *bands = (int32_t)count;
  return STATUS_OK;
}

/* A map tells at least two classes apart; an object is told from the background. */
static Status read_class_count(const Document *definition, ModelKind kind, int32_t *count)
{
  const size_t least = kind == MODEL_UNET ? 2 : 1;
  const Document *classes;
  TRY(document_get_list(definition, "Classes", &classes, NULL));
  const size_t found = document_count(classes);
  if (found < least || found > MODEL_CLASSES_MOST)
    return status_set(STATUS_BAD_INPUT, "the model has %zu classes; %zu to %d are possible", found,
                      least, (int)MODEL_CLASSES_MOST);
  *count = (int32_t)found;
  return STATUS_OK;
}

/* [-1, -1, -1] is ArcGIS' way to say that nobody chose one. */
static Status read_colour(const Document *item, ClassEntry *entry)
{
  int64_t rgb[3];
  size_t count = 0;
  bool present;
  TRY(document_get_ints(item, "Color", rgb, 3, &count, &present));
  if (!present || count != 3) return STATUS_OK;
  for (size_t i = 0; i < 3; ++i)
    if (rgb[i] < 0 || rgb[i] > 255) return STATUS_OK;
  entry->has_colour = true;
  for (size_t i = 0; i < 3; ++i)
    entry->rgb[i] = (uint8_t)rgb[i];
  return STATUS_OK;
}

static Status read_class(const Document *item, ClassEntry *entry)
{
  int64_t value;
  const char *name;
  bool present;
  TRY(document_get_int(item, "Value", &value, &present));
  if (!present) TRY(document_get_int(item, "ClassValue", &value, NULL));
  TRY(document_get_text(item, "Name", &name, &present));
  if (!present) TRY(document_get_text(item, "ClassName", &name, NULL));
  if (value < 0 || value > CLASS_LARGEST_VALUE)
    return status_set(STATUS_BAD_INPUT, "the class %s has the value %lld; 0 to %d are possible",
                      name, (long long)value, (int)CLASS_LARGEST_VALUE);
  *entry = class_entry((int32_t)value, name);
  return read_colour(item, entry);
}

static Status read_classes(const Document *definition, Model *model)
{
  const Document *classes;
  TRY(document_get_list(definition, "Classes", &classes, NULL));
  for (int32_t i = 0; i < model->class_count; ++i) {
    TRY(read_class(document_item(classes, (size_t)i), &model->classes[i]));
    const ClassEntry *other = class_find(model->classes, i, model->classes[i].value);
    if (other != NULL)
      return status_set(STATUS_BAD_INPUT, "the classes %s and %s have the same value %d",
                        other->name, model->classes[i].name, (int)other->value);
  }
  return STATUS_OK;
}

static Status read_statistic(const Document *statistics, const char *key, int32_t bands,
                             double *values)
{
  size_t count;
  TRY(document_get_reals(statistics, key, values, (size_t)bands, &count, NULL));
  if (count != (size_t)bands)
    return status_set(STATUS_BAD_INPUT, "%s has %zu values for %d bands", key, count, (int)bands);
  return STATUS_OK;
}

static Status read_normalisation(const Document *definition, Model *model)
{
  const Document *statistics;
  bool present;
  TRY(document_get_object(definition, "NormalizationStats", &statistics, &present));
  if (!present || document_kind(document_child(statistics, "band_mean_values")) != DOCUMENT_LIST)
    return status_set(STATUS_MISMATCH, "the definition has no NormalizationStats with "
                                       "band_mean_values and band_std_values; without them "
                                       "the network's input is not defined");
  const int32_t bands = model->bands;
  TRY(read_statistic(statistics, "band_mean_values", bands, model->means));
  TRY(read_statistic(statistics, "band_std_values", bands, model->standard_deviations));
  for (int32_t i = 0; i < bands; ++i)
    if (!isfinite(model->means[i]) || !isfinite(model->standard_deviations[i]) ||
        model->standard_deviations[i] <= 0)
      return status_set(STATUS_BAD_INPUT,
                        "band %d has the mean %g and the standard deviation %g; these are no "
                        "statistics",
                        (int)i + 1, model->means[i], model->standard_deviations[i]);
  return STATUS_OK;
}

static Status read_extract_bands(const Document *definition, Model *model)
{
  void *memory;
  size_t count = 0;
  bool present;
  const size_t bands = (size_t)model->bands;
  TRY(memory_allocate(bands, sizeof(int64_t), "ExtractBands", &memory));
  int64_t *numbers = memory;
  Status status = document_get_ints(definition, "ExtractBands", numbers, bands, &count, &present);
  if (status == STATUS_OK && present && count != bands)
    status = status_set(STATUS_BAD_INPUT, "ExtractBands names %zu bands, the model reads %zu",
                        count, bands);
  for (size_t i = 0; status == STATUS_OK && present && i < bands; ++i) {
    if (numbers[i] < 0 || numbers[i] > CLASS_LARGEST_VALUE)
      status =
          status_set(STATUS_BAD_INPUT, "ExtractBands names the band %lld", (long long)numbers[i]);
    else
      model->extract_bands[i] = (int32_t)numbers[i];
  }
  memory_free(memory);
  return status;
}

static Status read_sizes(const Document *definition, const Document *own, Model *model)
{
  int64_t height = DEFAULT_TILE_PX;
  int64_t width = 0;
  bool present;
  TRY(document_get_int(definition, "ImageHeight", &height, &present));
  width = height;
  TRY(document_get_int(definition, "ImageWidth", &width, &present));
  if (height != width || height < 1 || height > TILE_MOST_PX)
    return status_set(STATUS_BAD_INPUT, "ImageWidth x ImageHeight is %lld x %lld; tiles are square",
                      (long long)width, (long long)height);
  model->tile_size_px = (int32_t)height;
  model->cell_size_m = 0;
  TRY(document_get_real(own, "cell_size_m", &model->cell_size_m, &present));
  model->batches_tracked = 0;
  return document_get_int(own, "batches_tracked", &model->batches_tracked, &present);
}

static Status read_pixel_type(const Document *own, PixelType *type)
{
  const char *name = pixel_name(PIXEL_U8);
  bool present;
  TRY(document_get_text(own, "pixel_type", &name, &present));
  if (!pixel_type_of_name(name, type))
    return status_set(STATUS_BAD_INPUT, "pixel_type is “%s”", name);
  return STATUS_OK;
}

static Status read_share(const Document *definition, const char *key, double *value)
{
  bool present;
  TRY(document_get_real(definition, key, value, &present));
  if (!(*value >= 0 && *value <= 1))
    return status_set(STATUS_BAD_INPUT, "%s is %g; it goes from 0 to 1", key, *value);
  return STATUS_OK;
}

static Status read_anchors(const Document *own, int32_t sizes_px[MASK_RCNN_MAPS])
{
  int64_t sizes[MASK_RCNN_MAPS];
  size_t count = MASK_RCNN_MAPS;
  bool present;
  const DetectorOptions usual = detector_options_default(false);
  for (size_t i = 0; i < MASK_RCNN_MAPS; ++i)
    sizes[i] = usual.anchor_sizes_px[i];
  TRY(document_get_ints(own, "anchor_sizes_px", sizes, MASK_RCNN_MAPS, &count, &present));
  for (size_t i = 0; i < MASK_RCNN_MAPS; ++i) {
    if ((present && count != MASK_RCNN_MAPS) || sizes[i] < 1 || sizes[i] > TILE_MOST_PX)
      return status_set(STATUS_BAD_INPUT, "anchor_sizes_px wants %d sizes of 1 to %d px",
                        (int)MASK_RCNN_MAPS, (int)TILE_MOST_PX);
    sizes_px[i] = (int32_t)sizes[i];
  }
  return STATUS_OK;
}

/* torchvision's weights of COCO were trained with eps 0, others with 1e-5. */
static Status read_detector(const Document *definition, const Document *own,
                            ModelDetector *detector)
{
  double eps = 1e-5;
  bool present;
  *detector = (ModelDetector){.threshold = 0.5, .nms_overlap = 0.5};
  TRY(document_get_real(own, "norm_eps", &eps, &present));
  if (!(eps >= 0 && eps < 1)) return status_set(STATUS_BAD_INPUT, "norm_eps is %g", eps);
  detector->norm_eps = (float)eps;
  TRY(read_anchors(own, detector->anchor_sizes_px));
  TRY(read_share(definition, "Threshold", &detector->threshold));
  return read_share(own, "nms_overlap", &detector->nms_overlap);
}

static Status read_rest(const Document *definition, const Document *own, Model *model)
{
  TRY(read_pixel_type(own, &model->pixel));
  TRY(read_sizes(definition, own, model));
  TRY(read_classes(definition, model));
  TRY(read_extract_bands(definition, model));
  return read_normalisation(definition, model);
}

Status model_definition_read(const Document *definition, Model *model)
{
  *model = (Model){0};
  const Document *own = document_child(definition, "Quadrat");
  TRY(read_kind(definition, own, &model->kind));
  TRY(read_encoder(definition, own, &model->encoder));
  TRY(read_bands(definition, own, &model->bands));
  TRY(read_class_count(definition, model->kind, &model->class_count));
  if (model->kind != MODEL_UNET) TRY(read_detector(definition, own, &model->detector));
  TRY(model_allocate(model));
  const Status status = read_rest(definition, own, model);
  if (status != STATUS_OK) model_close(model);
  return status;
}

/* Writing. */

static Status put_identity(const Model *model, const char *weights_name, Document *definition)
{
  Document *parameters;
  TRY(document_set_text(definition, "Framework", "Quadrat"));
  TRY(document_set_text(definition, "ModelConfiguration", arcgis[model->kind].configuration));
  TRY(document_set_text(definition, "ModelType", arcgis[model->kind].type));
  TRY(document_set_text(definition, "ModelName", arcgis[model->kind].name));
  TRY(document_set_text(definition, "ModelFile", weights_name));
  TRY(document_set_text(definition, "ModelFormat", "NHWC"));
  TRY(document_set_object(definition, "ModelParameters", &parameters));
  return document_set_text(parameters, "backbone", encoder_name(model->encoder));
}

static Status put_extract_bands(const Model *model, Document *definition)
{
  Document *list;
  TRY(document_set_list(definition, "ExtractBands", &list));
  for (int32_t i = 0; i < model->bands; ++i)
    TRY(document_add_int(list, model->extract_bands[i]));
  return STATUS_OK;
}

static Status put_classes(const Model *model, Document *definition)
{
  Document *list;
  TRY(document_set_list(definition, "Classes", &list));
  for (int32_t i = 0; i < model->class_count; ++i) {
    Document *item;
    uint8_t rgb[3];
    class_colour(&model->classes[i], rgb);
    const int64_t colour[3] = {rgb[0], rgb[1], rgb[2]};
    TRY(document_add_object(list, &item));
    TRY(document_set_int(item, "Value", model->classes[i].value));
    TRY(document_set_text(item, "Name", model->classes[i].name));
    TRY(document_set_ints(item, "Color", colour, 3));
  }
  return STATUS_OK;
}

static Status put_cell_size(const Model *model, const char *key, Document *definition)
{
  Document *size;
  TRY(document_set_object(definition, key, &size));
  TRY(document_set_real(size, "x", model->cell_size_m));
  return document_set_real(size, "y", model->cell_size_m);
}

static Status put_contract(const Model *model, Document *definition)
{
  Document *statistics;
  const size_t bands = (size_t)model->bands;
  TRY(document_set_int(definition, "ImageHeight", model->tile_size_px));
  TRY(document_set_int(definition, "ImageWidth", model->tile_size_px));
  TRY(document_set_flag(definition, "SupportsVariableTileSize", true));
  TRY(put_extract_bands(model, definition));
  /* In ArcGIS' sense: normalised by the statistics below, not by ImageNet's. */
  TRY(document_set_flag(definition, "IsMultispectral", true));
  TRY(document_set_flag(definition, "DoNormalize", true));
  TRY(document_set_object(definition, "NormalizationStats", &statistics));
  TRY(document_set_reals(statistics, "band_mean_values", model->means, bands));
  TRY(document_set_reals(statistics, "band_std_values", model->standard_deviations, bands));
  if (model->cell_size_m > 0) {
    TRY(put_cell_size(model, "MinCellSize", definition));
    TRY(put_cell_size(model, "MaxCellSize", definition));
  }
  return put_classes(model, definition);
}

static Status put_detector(const ModelDetector *detector, Document *definition, Document *own)
{
  int64_t sizes[MASK_RCNN_MAPS];
  for (size_t i = 0; i < MASK_RCNN_MAPS; ++i)
    sizes[i] = detector->anchor_sizes_px[i];
  TRY(document_set_real(definition, "Threshold", detector->threshold));
  TRY(document_set_real(own, "norm_eps", (double)detector->norm_eps));
  TRY(document_set_real(own, "nms_overlap", detector->nms_overlap));
  return document_set_ints(own, "anchor_sizes_px", sizes, MASK_RCNN_MAPS);
}

static Status put_own(const Model *model, Document *definition)
{
  Document *own;
  TRY(document_set_object(definition, "Quadrat", &own));
  TRY(document_set_int(own, "version", DEFINITION_VERSION));
  TRY(document_set_text(own, "architecture", model_kind_name(model->kind)));
  TRY(document_set_text(own, "encoder", encoder_name(model->encoder)));
  TRY(document_set_int(own, "bands", model->bands));
  TRY(document_set_text(own, "pixel_type", pixel_name(model->pixel)));
  TRY(document_set_text(own, "normalisation",
                        "(value - band_mean_values) / band_std_values, NoData becomes 0"));
  TRY(document_set_text(own, "class_order",
                        model->kind == MODEL_UNET
                            ? "output channel i is the item i of Classes"
                            : "output channel i + 1 is the item i of Classes, 0 is background"));
  if (model->kind != MODEL_UNET) TRY(put_detector(&model->detector, definition, own));
  TRY(document_set_real(own, "cell_size_m", model->cell_size_m));
  return document_set_int(own, "batches_tracked", model->batches_tracked);
}

static Status put_all(const Model *model, const char *weights_name, Document *definition)
{
  TRY(put_identity(model, weights_name, definition));
  TRY(put_contract(model, definition));
  return put_own(model, definition);
}

Status model_definition_make(const Model *model, const char *weights_name, Document **definition)
{
  *definition = NULL;
  Document *making;
  TRY(document_new_object(&making));
  const Status status = put_all(model, weights_name, making);
  if (status == STATUS_OK)
    *definition = making;
  else
    document_close(making);
  return status;
}
