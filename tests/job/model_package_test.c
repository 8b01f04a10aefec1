#include "model_package.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/path.h"
#include "model_weights.h"
#include "store/package.h"
#include "support/ranks.h"

static char folder[64];
static char package_path[256];
static Log quiet;
static Arena *arena;
static Job job;

static const char *in_folder(const char *name, char path[256])
{
  CHECK_OK(path_join(folder, name, 256, path));
  return path;
}

static int make_folder(void **state)
{
  (void)snprintf(folder, sizeof folder, "/tmp/quadrat-model-XXXXXX");
  if (comm_rank(ranks_world) == 0 && mkdtemp(folder) == NULL) return -1;
  if (comm_broadcast(ranks_world, 0, folder, sizeof folder) != STATUS_OK) return -1;
  quiet = log_open(comm_rank(ranks_world), comm_rank_count(ranks_world), true);
  if (arena_open(&arena) != STATUS_OK) return -1;
  job = (Job){.comm = ranks_world, .log = &quiet, .arena = arena, .command = "test"};
  (void)in_folder("model.dlpk", package_path);
  return 0;
}

static int remove_folder(void **state)
{
  arena_close(arena);
  if (comm_barrier(ranks_world) != STATUS_OK) return -1;
  if (comm_rank(ranks_world) != 0) return 0;
  return path_remove_tree(folder) == STATUS_OK ? 0 : -1;
}

static int64_t trained_count(const Model *model)
{
  return model_parameters(model)->trained_count;
}

/* Bands of different scale, classes whose values are not their indices. */
static Model make_model(int32_t bands, int32_t classes, uint32_t seed)
{
  Model model = {.encoder = ENCODER_RESNET18,
                 .bands = bands,
                 .class_count = classes,
                 .pixel = PIXEL_U16,
                 .tile_size_px = 192,
                 .cell_size_m = 0.25,
                 .batches_tracked = 1234567890123};
  CHECK_OK(model_allocate(&model));
  for (int64_t i = 0; i < trained_count(&model); ++i)
    model.trained[i] = (float)((uint32_t)(i + seed) * 2654435761U >> 8) * 0x1p-24F;
  for (int64_t i = 0; i < model_parameters(&model)->statistic_count; ++i)
    model.statistics[i] = 0.5F + (float)(i % 64);
  for (int32_t i = 0; i < bands; ++i) {
    model.means[i] = 100.5 + i;
    model.standard_deviations[i] = 1.0 / 3 + i;
  }
  for (int32_t i = 0; i < classes; ++i) {
    char name[32];
    (void)snprintf(name, sizeof name, "Häuser %d", (int)i);
    model.classes[i] = class_entry(7 * i, name);
    model.classes[i].rgb[1] = (uint8_t)i;
  }
  return model;
}

static void write_on_rank_0(const Model *model, const char *path)
{
  if (comm_rank(ranks_world) == 0) CHECK_OK(model_write(model, path, NULL, NULL));
  CHECK_OK(comm_barrier(ranks_world));
}

static void what_is_written_is_read_on_every_rank(void **state)
{
  Model read;
  Model model = make_model(4, 3, 1);
  model.extract_bands[0] = 3;
  model.extract_bands[3] = 0;
  write_on_rank_0(&model, package_path);
  CHECK_OK(model_open(&job, package_path, MODEL_FOR_MAPS, &read));
  assert_int_equal(read.encoder, ENCODER_RESNET18);
  assert_int_equal(read.bands, 4);
  assert_int_equal(read.class_count, 3);
  assert_int_equal(read.pixel, PIXEL_U16);
  assert_int_equal(read.tile_size_px, 192);
  assert_true(read.cell_size_m == 0.25);
  assert_true(read.batches_tracked == 1234567890123);
  assert_memory_equal(read.means, model.means, 4 * sizeof(double));
  assert_memory_equal(read.standard_deviations, model.standard_deviations, 4 * sizeof(double));
  assert_memory_equal(read.extract_bands, model.extract_bands, 4 * sizeof(int32_t));
  for (int32_t i = 0; i < 3; ++i) {
    assert_int_equal(read.classes[i].value, 7 * i);
    assert_string_equal(read.classes[i].name, model.classes[i].name);
    assert_memory_equal(read.classes[i].rgb, model.classes[i].rgb, 3);
  }
  assert_memory_equal(read.trained, model.trained, (size_t)trained_count(&model) * sizeof(float));
  assert_memory_equal(read.statistics, model.statistics,
                      (size_t)model_parameters(&model)->statistic_count * sizeof(float));
  model_close(&read);
  model_close(&model);
}

static void the_package_holds_pytorch_names_with_their_counters(void **state)
{
  if (comm_rank(ranks_world) != 0) return;
  Model model = make_model(3, 2, 1);
  WeightFile *file;
  size_t index;
  int64_t tracked;
  CHECK_OK(model_write(&model, package_path, NULL, NULL));
  CHECK_OK(weights_open(package_path, &file));
  /* smp's Unet("resnet18") has 120 encoder tensors, 60 of the decoder's and 2 of the head. */
  assert_int_equal(weights_count(file), 182);
  assert_true(weights_find(file, "encoder.layer4.1.bn2.num_batches_tracked", &index));
  assert_int_equal(weights_at(file, index)->rank, 0);
  CHECK_OK(weights_read_i64(file, index, &tracked, 1));
  assert_true(tracked == 1234567890123);
  weights_close(file);
  model_close(&model);
}

static void read_bytes(const char *path, char **bytes, size_t *count)
{
  int64_t size;
  CHECK_OK(path_size_bytes(path, &size));
  *count = (size_t)size;
  *bytes = malloc(*count);
  FILE *file = fopen(path, "rb");
  assert_non_null(file);
  assert_int_equal(fread(*bytes, 1, *count, file), *count);
  (void)fclose(file);
}

static void write_bytes(const char *path, const char *bytes, size_t count)
{
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes, 1, count, file), count);
  (void)fclose(file);
}

static void the_same_model_gives_the_same_bytes(void **state)
{
  if (comm_rank(ranks_world) != 0) return;
  Model model = make_model(3, 2, 1);
  char *first;
  char *second;
  size_t first_count;
  size_t second_count;
  CHECK_OK(model_write(&model, package_path, NULL, NULL));
  read_bytes(package_path, &first, &first_count);
  CHECK_OK(model_write(&model, package_path, NULL, NULL));
  read_bytes(package_path, &second, &second_count);
  assert_int_equal(first_count, second_count);
  assert_memory_equal(first, second, first_count);
  free(first);
  free(second);
  model_close(&model);
}

static void a_damaged_package_is_refused_by_all_ranks(void **state)
{
  char path[256];
  Model model = make_model(3, 2, 1);
  Model read;
  char *bytes = NULL;
  size_t count = 0;
  write_on_rank_0(&model, package_path);
  read_bytes(package_path, &bytes, &count);
  in_folder("damaged.dlpk", path);
  const size_t cuts[3] = {0, count / 2, count - 1};
  for (size_t i = 0; i < 3; ++i) {
    if (comm_rank(ranks_world) == 0) write_bytes(path, bytes, cuts[i]);
    CHECK_FAILS(STATUS_BAD_INPUT, "damaged.dlpk", model_open(&job, path, MODEL_FOR_MAPS, &read));
    assert_null(read.graph);
  }
  CHECK_OK(comm_barrier(ranks_world));
  bytes[count / 2] ^= 1; /* in the weights */
  if (comm_rank(ranks_world) == 0) write_bytes(path, bytes, count);
  CHECK_FAILS(STATUS_BAD_INPUT, "damaged.dlpk", model_open(&job, path, MODEL_FOR_MAPS, &read));
  CHECK_FAILS(STATUS_IO, "absent.dlpk",
              model_open(&job, in_folder("absent.dlpk", path), MODEL_FOR_MAPS, &read));
  free(bytes);
  model_close(&model);
}

static void weights_that_are_no_numbers_are_refused(void **state)
{
  Model model = make_model(3, 2, 1);
  Model read;
  model.trained[5] = NAN;
  write_on_rank_0(&model, package_path);
  CHECK_FAILS(STATUS_BAD_INPUT, "encoder.conv1.weight holds nan at place 5",
              model_open(&job, package_path, MODEL_FOR_MAPS, &read));
  model.trained[5] = 0;
  const ParameterList *list = model_parameters(&model);
  const Parameter *variance = &list->items[parameter_find(list, "encoder.bn1.running_var")];
  model.statistics[variance->offset + 2] = -1;
  write_on_rank_0(&model, package_path);
  CHECK_FAILS(STATUS_BAD_INPUT, "encoder.bn1.running_var holds -1 at place 2",
              model_open(&job, package_path, MODEL_FOR_MAPS, &read));
  model_close(&model);
}

/* The definition of a good package, changed in one key. */
typedef struct Change {
  const char *key;
  const char *value; /* JSON; NULL takes the key away */
  Status status;
  const char *words;
} Change;

static void write_changed(const char *path, const Change *change)
{
  char weights[256];
  char json[512];
  Package *package;
  Document *definition;
  Document *value;
  CHECK_OK(package_open(package_path, &package));
  CHECK_OK(document_copy(package_definition(package), &definition));
  if (change->value == NULL)
    document_remove(definition, change->key);
  else {
    (void)snprintf(json, sizeof json, "{\"v\": %s}", change->value);
    CHECK_OK(document_parse(json, strlen(json), "change", &value));
    CHECK_OK(document_set_copy(definition, change->key, document_child(value, "v")));
    document_close(value);
  }
  if (!path_exists(in_folder("extracted", weights))) CHECK_OK(package_extract(package, weights));
  CHECK_OK(document_set_text(definition, "ModelFile", "extracted/model.safetensors"));
  CHECK_OK(document_save(definition, DOCUMENT_PRETTY, path));
  document_close(definition);
  package_close(package);
}

static void a_definition_that_does_not_fit_is_refused_with_its_reason(void **state)
{
  static const Change changes[] = {
      {"ModelType", "\"ObjectDetection\"", STATUS_MISMATCH, "ObjectDetection"},
      {"Classes", "[]", STATUS_BAD_INPUT, "0 classes"},
      {"Classes", "[{\"Value\": 1, \"Name\": \"a\"}]", STATUS_BAD_INPUT, "1 classes"},
      {"Classes",
       "[{\"Value\": 1, \"Name\": \"a\"}, {\"Value\": 2, \"Name\": \"b\"}, {\"Value\": 3, "
       "\"Name\": "
       "\"c\"}]",
       STATUS_MISMATCH, "tells 2 classes apart"},
      {"Classes", "[{\"Value\": 1, \"Name\": \"a\"}, {\"Value\": 1, \"Name\": \"b\"}]",
       STATUS_BAD_INPUT, "the same value 1"},
      {"Classes", "[{\"Value\": 70000, \"Name\": \"a\"}, {\"Value\": 1, \"Name\": \"b\"}]",
       STATUS_BAD_INPUT, "70000"},
      {"NormalizationStats", NULL, STATUS_MISMATCH, "NormalizationStats"},
      {"NormalizationStats", "{\"band_mean_values\": [1, 2], \"band_std_values\": [1, 2, 3]}",
       STATUS_BAD_INPUT, "2 values for 3 bands"},
      {"NormalizationStats", "{\"band_mean_values\": [1, 2, 3], \"band_std_values\": [1, 0, 3]}",
       STATUS_BAD_INPUT, "band 2"},
      {"ExtractBands", "[0, 1]", STATUS_BAD_INPUT, "2 bands"},
      {"ExtractBands", "[0, 1, -1]", STATUS_BAD_INPUT, "band -1"},
      {"ImageWidth", "64", STATUS_BAD_INPUT, "square"},
      {"Quadrat", "{\"version\": 2}", STATUS_UNSUPPORTED, "version 2"},
      {"Quadrat", "{\"encoder\": \"resnet34\"}", STATUS_MISMATCH, "encoder.layer1.2"},
      {"Quadrat", "{\"encoder\": \"vgg16\"}", STATUS_MISMATCH, "vgg16"},
      {"Quadrat", "{\"pixel_type\": \"int8\"}", STATUS_BAD_INPUT, "int8"},
      {"Quadrat", "{\"bands\": 0}", STATUS_BAD_INPUT, "0 bands"},
  };
  char path[256];
  Model model = make_model(3, 2, 1);
  Model read;
  write_on_rank_0(&model, package_path);
  in_folder("changed.emd", path);
  for (size_t i = 0; i < sizeof changes / sizeof *changes; ++i) {
    if (comm_rank(ranks_world) == 0) write_changed(path, &changes[i]);
    CHECK_OK(comm_barrier(ranks_world));
    CHECK_FAILS(changes[i].status, changes[i].words, model_open(&job, path, MODEL_FOR_MAPS, &read));
    assert_null(read.graph);
  }
  model_close(&model);
}

static void a_definition_without_our_own_keys_is_enough(void **state)
{
  static const Change change = {"Quadrat", NULL, STATUS_OK, ""};
  char path[256];
  Model model = make_model(3, 2, 1);
  Model read;
  write_on_rank_0(&model, package_path);
  in_folder("foreign.emd", path);
  if (comm_rank(ranks_world) == 0) write_changed(path, &change);
  CHECK_OK(comm_barrier(ranks_world));
  CHECK_OK(model_open(&job, path, MODEL_FOR_MAPS, &read));
  assert_int_equal(read.bands, 3);
  assert_int_equal(read.pixel, PIXEL_U8);
  assert_memory_equal(read.trained, model.trained, (size_t)trained_count(&model) * sizeof(float));
  model_close(&read);
  model_close(&model);
}

static const float *first_weight(const Model *model)
{
  const ParameterList *list = model_parameters(model);
  return model->trained + list->items[parameter_find(list, "encoder.conv1.weight")].offset;
}

static void an_encoder_for_other_bands_is_repeated_and_scaled(void **state)
{
  if (comm_rank(ranks_world) != 0) return;
  Model rgb = make_model(3, 2, 1);
  CHECK_OK(model_write(&rgb, package_path, NULL, NULL));
  const float *source = first_weight(&rgb);
  Model five = make_model(5, 4, 2);
  ModelStartReport report;
  CHECK_OK(model_load_weights(model_parameters(&five), package_path, MODEL_START_ENCODER,
                              five.trained, five.statistics, &report));
  assert_int_equal(report.file_bands, 3);
  assert_int_equal(report.loaded, 100);
  assert_int_equal(report.left, 52);
  for (int32_t output = 0; output < 64; ++output)
    for (int32_t band = 0; band < 5; ++band)
      for (int32_t tap = 0; tap < 49; ++tap)
        assert_true(first_weight(&five)[(output * 5 + band) * 49 + tap] ==
                    source[(output * 3 + band % 3) * 49 + tap] * (3.0F / 5.0F));
  Model grey = make_model(1, 4, 2);
  CHECK_OK(model_load_weights(model_parameters(&grey), package_path, MODEL_START_ENCODER,
                              grey.trained, grey.statistics, NULL));
  for (int32_t output = 0; output < 64; ++output)
    for (int32_t tap = 0; tap < 49; ++tap) {
      const float *of = source + output * 147 + tap;
      assert_true(first_weight(&grey)[output * 49 + tap] == of[0] + of[49] + of[98]);
    }
  model_close(&grey);
  model_close(&five);
  model_close(&rgb);
}

/* Writes the encoder of a model as torchvision does: no prefix, fc at the end. */
static void write_torchvision(const Model *model, const char *path)
{
  static const float fc[10];
  const ParameterList *list = model_parameters(model);
  WeightGiven given[200];
  size_t count = 0;
  for (int32_t i = 0; i < list->count; ++i) {
    const Parameter *parameter = &list->items[i];
    if (strncmp(parameter->name, "encoder.", 8) != 0) continue;
    given[count] = (WeightGiven){
        .name = parameter->name + 8,
        .type = WEIGHT_F32,
        .rank = parameter->rank,
        .values = (parameter->trained ? model->trained : model->statistics) + parameter->offset};
    memcpy(given[count++].dims, parameter->dims, sizeof parameter->dims);
  }
  given[count++] =
      (WeightGiven){.name = "fc.weight", .type = WEIGHT_F32, .rank = 1, .dims = {10}, .values = fc};
  CHECK_OK(pth_write(path, given, count));
}

static void an_encoder_of_torchvision_is_taken_and_the_rest_is_left(void **state)
{
  if (comm_rank(ranks_world) != 0) return;
  char path[256];
  Model pretrained = make_model(3, 2, 1);
  Model model = make_model(3, 4, 2);
  ModelStartReport report;
  write_torchvision(&pretrained, in_folder("resnet18.pth", path));
  const ParameterList *list = model_parameters(&model);
  const Parameter *head = &list->items[parameter_find(list, "segmentation_head.0.weight")];
  const float head_before = model.trained[head->offset];
  CHECK_OK(model_load_weights(model_parameters(&model), path, MODEL_START_ENCODER, model.trained,
                              model.statistics, &report));
  assert_int_equal(report.ignored, 1);
  assert_memory_equal(first_weight(&model), first_weight(&pretrained), 9408 * sizeof(float));
  assert_true(model.trained[head->offset] == head_before);
  CHECK_FAILS(STATUS_MISMATCH, "decoder.blocks.0.conv1.0.weight",
              model_load_weights(model_parameters(&model), path, MODEL_START_WHOLE, model.trained,
                                 model.statistics, &report));
  model_close(&model);
  model_close(&pretrained);
}

static void a_whole_model_with_other_classes_or_bands_is_refused(void **state)
{
  if (comm_rank(ranks_world) != 0) return;
  Model three = make_model(3, 3, 1);
  Model two = make_model(3, 2, 2);
  Model wide = make_model(4, 3, 2);
  CHECK_OK(model_write(&three, package_path, NULL, NULL));
  CHECK_FAILS(STATUS_MISMATCH, "tells 3 classes apart, this network 2",
              model_load_weights(model_parameters(&two), package_path, MODEL_START_WHOLE,
                                 two.trained, two.statistics, NULL));
  CHECK_FAILS(STATUS_MISMATCH, "is 64 x 3 x 7 x 7, the network wants 64 x 4 x 7 x 7",
              model_load_weights(model_parameters(&wide), package_path, MODEL_START_WHOLE,
                                 wide.trained, wide.statistics, NULL));
  model_close(&three);
  model_close(&two);
  model_close(&wide);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(int argument_count, char **arguments)
{
  static const struct CMUnitTest tests[] = {
      CASE(what_is_written_is_read_on_every_rank),
      CASE(the_package_holds_pytorch_names_with_their_counters),
      CASE(the_same_model_gives_the_same_bytes),
      CASE(a_damaged_package_is_refused_by_all_ranks),
      CASE(weights_that_are_no_numbers_are_refused),
      CASE(a_definition_that_does_not_fit_is_refused_with_its_reason),
      CASE(a_definition_without_our_own_keys_is_enough),
      CASE(an_encoder_for_other_bands_is_repeated_and_scaled),
      CASE(an_encoder_of_torchvision_is_taken_and_the_rest_is_left),
      CASE(a_whole_model_with_other_classes_or_bands_is_refused),
  };
  return RANKS_RUN_TESTS(argument_count, arguments, tests);
}
