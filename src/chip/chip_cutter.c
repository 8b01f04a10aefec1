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
  memory_free(cutter);
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
  if (labelled == 0 && !cutter->options.all_tiles) return CHIP_UNLABELLED;
  return (double)labelled >= least ? CHIP_KEPT : CHIP_FEW_LABELS;
}

static bool enough_data(const Cutter *cutter)
{
  const int64_t valid = count_valid(cutter);
  return valid > 0 &&
         (double)valid >= cutter->options.minimum_valid_share * (double)pixels_of(cutter);
}

static void clear_labels(Cutter *cutter)
{
  for (int64_t i = 0; i < pixels_of(cutter); ++i)
    if (cutter->valid[i] == 0) cutter->labels[i] = 0;
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
  TRY(label_source_burn(options->labels, grid, PIXEL_U16, cutter->labels));
  *outcome = judge_labels(cutter);
  if (*outcome != CHIP_KEPT) return STATUS_OK;
  TRY(read_image(cutter, window, angle_degrees, grid));
  clear_labels(cutter);
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
                 .class_pixels = cutter->class_pixels};
  return STATUS_OK;
}
