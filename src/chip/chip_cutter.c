#include "chip/chip_cutter.h"

#include <string.h>

#include "base/memory.h"
#include "turned_read.h"

struct Cutter {
  CutterOptions options;
  void *image;
  uint8_t *valid;
  uint16_t *labels;
  BandSum *bands;
  int64_t *class_pixels;
  ChipObjects burned;  /* as the labels have them */
  ChipObjects objects; /* what is left of them on data */
  int64_t object_outcomes[OBJECT_OUTCOME_COUNT];
  TurnedReader turned;
};

static int64_t pixels_of(const Cutter *cutter)
{
  return (int64_t)cutter->options.form->width_px * cutter->options.form->height_px;
}

static Status allocate(Cutter *cutter)
{
  const ChipForm *form = cutter->options.form;
  const size_t pixels = (size_t)pixels_of(cutter);
  void *pieces[4];
  TRY(memory_allocate(pixels, (size_t)form->band_count * pixel_bytes(form->pixel), "a chip",
                      &cutter->image));
  TRY(memory_allocate(pixels, 1, "a chip", &pieces[0]));
  cutter->valid = pieces[0];
  TRY(memory_allocate(pixels, sizeof *cutter->labels, "a chip's labels", &pieces[1]));
  cutter->labels = pieces[1];
  TRY(memory_allocate((size_t)form->band_count, sizeof *cutter->bands, "band sums", &pieces[2]));
  cutter->bands = pieces[2];
  TRY(memory_allocate((size_t)form->class_count, sizeof *cutter->class_pixels, "class counts",
                      &pieces[3]));
  cutter->class_pixels = pieces[3];
  return STATUS_OK;
}

Status cutter_open(const CutterOptions *options, Cutter **cutter)
{
  void *memory;
  *cutter = NULL;
  TRY(memory_allocate(1, sizeof **cutter, "cutter", &memory));
  Cutter *opening = memory;
  opening->options = *options;
  const Status status = allocate(opening);
  if (status == STATUS_OK)
    *cutter = opening;
  else
    cutter_close(opening);
  return status;
}

void cutter_close(Cutter *cutter)
{
  if (cutter == NULL) return;
  turned_reader_end(&cutter->turned);
  memory_free(cutter->image);
  memory_free(cutter->valid);
  memory_free(cutter->labels);
  memory_free(cutter->bands);
  memory_free(cutter->class_pixels);
  chip_objects_free(&cutter->burned);
  chip_objects_free(&cutter->objects);
  memory_free(cutter);
}

static bool has_objects(const Cutter *cutter)
{
  return chip_format_has_objects(cutter->options.form->format);
}

static int64_t count_labelled(const Cutter *cutter)
{
  int64_t count = 0;
  for (int64_t i = 0; i < pixels_of(cutter); ++i)
    count += cutter->labels[i] != 0;
  return count;
}

static int64_t count_valid(const Cutter *cutter)
{
  int64_t count = 0;
  for (int64_t i = 0; i < pixels_of(cutter); ++i)
    count += cutter->valid[i] != 0;
  return count;
}

static ChipOutcome judge_labels(const Cutter *cutter)
{
  const int64_t labelled = count_labelled(cutter);
  const double least = cutter->options.minimum_label_share * (double)pixels_of(cutter);
  const bool none = has_objects(cutter) ? cutter->objects.count == 0 : labelled == 0;
  if (none && !cutter->options.all_tiles) return CHIP_UNLABELLED;
  return (double)labelled >= least ? CHIP_KEPT : CHIP_FEW_LABELS;
}

static bool enough_data(const Cutter *cutter)
{
  const int64_t valid = count_valid(cutter);
  return valid > 0 &&
         (double)valid >= cutter->options.minimum_valid_share * (double)pixels_of(cutter);
}

/* A LabelObjectTaker. */
static Status take_object(void *context, const LabelObject *label, const uint8_t *mask)
{
  Cutter *cutter = context;
  const Window window = label->window;
  uint8_t *copy;
  if (!(label->area_map > 0)) {
    ++cutter->object_outcomes[OBJECT_NO_AREA];
    return STATUS_OK;
  }
  if (label->share < cutter->options.minimum_overlap) {
    ++cutter->object_outcomes[OBJECT_SMALL_SHARE];
    return STATUS_OK;
  }
  if (window_is_empty(window)) {
    ++cutter->object_outcomes[OBJECT_NO_PIXEL];
    return STATUS_OK;
  }
  TRY(chip_objects_add_window(&cutter->burned, (uint16_t)label->class_value, (int32_t)window.x_px,
                              (int32_t)window.y_px, (int32_t)window.width_px,
                              (int32_t)window.height_px, &copy));
  ChipObject *object = &cutter->burned.items[cutter->burned.count - 1];
  object->feature = label->feature;
  object->area_map = label->area_map;
  memcpy(copy, mask, (size_t)window_pixels(window));
  if (!chip_objects_fit(&cutter->burned)) ++cutter->object_outcomes[OBJECT_NO_PIXEL];
  return STATUS_OK;
}

/* Classes rise, so that a larger value ends up above. */
static void label_object(Cutter *cutter, const ChipObject *object, const uint8_t *mask)
{
  const int64_t width = cutter->options.form->width_px;
  for (int64_t y = 0; y < object->height_px; ++y)
    for (int64_t x = 0; x < object->width_px; ++x)
      if (mask[y * object->width_px + x] != 0)
        cutter->labels[(object->y_px + y) * width + object->x_px + x] = object->class_value;
}

/* Objects without what is not valid; labels follow. before: valid is not known yet. */
static Status settle_objects(Cutter *cutter, bool before)
{
  const int64_t width = cutter->options.form->width_px;
  memset(cutter->labels, 0, (size_t)pixels_of(cutter) * sizeof *cutter->labels);
  chip_objects_clear(&cutter->objects);
  for (int32_t i = 0; i < cutter->burned.count; ++i) {
    const ChipObject *from = &cutter->burned.items[i];
    const uint8_t *mask = cutter->burned.mask_bytes + from->mask_offset;
    uint8_t *copy;
    TRY(chip_objects_add_window(&cutter->objects, from->class_value, from->x_px, from->y_px,
                                from->width_px, from->height_px, &copy));
    ChipObject *object = &cutter->objects.items[cutter->objects.count - 1];
    object->feature = from->feature;
    object->area_map = from->area_map;
    for (int64_t p = 0; p < (int64_t)from->width_px * from->height_px; ++p) {
      const int64_t row = from->y_px + p / from->width_px;
      const int64_t column = from->x_px + p % from->width_px;
      copy[p] = mask[p] != 0 && (before || cutter->valid[row * width + column] != 0);
    }
    label_object(cutter, object, copy);
    if (!chip_objects_fit(&cutter->objects)) ++cutter->object_outcomes[OBJECT_NO_PIXEL];
  }
  return STATUS_OK;
}

static Status burn_labels(Cutter *cutter, const Grid *grid)
{
  if (!has_objects(cutter))
    return label_source_burn(cutter->options.labels, grid, PIXEL_U16, cutter->labels);
  chip_objects_clear(&cutter->burned);
  TRY(label_source_burn_objects(cutter->options.labels, grid, take_object, cutter));
  return settle_objects(cutter, true);
}

static Status clear_labels(Cutter *cutter)
{
  if (has_objects(cutter)) return settle_objects(cutter, false);
  for (int64_t i = 0; i < pixels_of(cutter); ++i)
    if (cutter->valid[i] == 0) cutter->labels[i] = 0;
  return STATUS_OK;
}

static Status read_image(Cutter *cutter, Window window, double angle_degrees, const Grid *grid)
{
  const CutterOptions *options = &cutter->options;
  const int32_t band_count = options->form->band_count;
  if (angle_degrees == 0)
    return raster_read(options->raster, window, options->bands, band_count, cutter->image,
                       cutter->valid);
  return turned_read(&cutter->turned, options->raster, grid, options->bands, band_count,
                     cutter->image, cutter->valid);
}

static Status measure(Cutter *cutter)
{
  const ChipForm *form = cutter->options.form;
  band_sum_of_chip(form->pixel, cutter->image, cutter->valid, pixels_of(cutter), form->band_count,
                   cutter->bands);
  return chip_count_classes(form, cutter->labels, cutter->valid, cutter->class_pixels);
}

/* What costs least decides first: the mask, then labels, then the image. */
static Status fill(Cutter *cutter, Window window, double angle_degrees, const Grid *grid,
                   ChipOutcome *outcome)
{
  const CutterOptions *options = &cutter->options;
  *outcome = CHIP_OUTSIDE_MASK;
  if (options->mask != NULL && !mask_layer_holds(options->mask, grid)) return STATUS_OK;
  TRY(burn_labels(cutter, grid));
  *outcome = judge_labels(cutter);
  if (*outcome != CHIP_KEPT) return STATUS_OK;
  TRY(read_image(cutter, window, angle_degrees, grid));
  TRY(clear_labels(cutter));
  *outcome = enough_data(cutter) ? judge_labels(cutter) : CHIP_LITTLE_DATA;
  return *outcome == CHIP_KEPT ? measure(cutter) : STATUS_OK;
}

Status cutter_cut(Cutter *cutter, Window window, double angle_degrees, Chip *chip,
                  ChipOutcome *outcome)
{
  const CutterOptions *options = &cutter->options;
  const Grid *raster = raster_grid(options->raster);
  const Grid grid = angle_degrees == 0 ? grid_subgrid(raster, window)
                                       : grid_turned(raster, window, angle_degrees);
  memset(cutter->object_outcomes, 0, sizeof cutter->object_outcomes);
  TRY(fill(cutter, window, angle_degrees, &grid, outcome));
  const Window box =
      angle_degrees == 0 ? window : grid_window_of_extent(raster, grid_extent(&grid));
  *chip = (Chip){.place = {.raster = options->raster_number,
                           .x_px = box.x_px,
                           .y_px = box.y_px,
                           .width_px = box.width_px,
                           .height_px = box.height_px},
                 .grid = grid,
                 .image = cutter->image,
                 .valid = cutter->valid,
                 .labels = cutter->labels,
                 .bands = cutter->bands,
                 .class_pixels = cutter->class_pixels,
                 .objects = has_objects(cutter) ? &cutter->objects : NULL,
                 .object_outcomes = has_objects(cutter) ? cutter->object_outcomes : NULL};
  return STATUS_OK;
}
