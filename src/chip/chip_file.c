#include "chip_file.h"

#include <stdio.h>

#include "store/checksum.h"

/* Rows of the small tables that one chunk holds. */
static const int64_t table_chunk_rows = 256;

const char *chip_array_name(ChipArray array)
{
  static const char *const names[CHIP_ARRAY_COUNT] = {
      [CHIP_ARRAY_IMAGES] = "images",      [CHIP_ARRAY_VALID] = "valid",
      [CHIP_ARRAY_LABELS] = "labels",      [CHIP_ARRAY_PLACES] = "places",
      [CHIP_ARRAY_GRIDS] = "pixel_to_map", [CHIP_ARRAY_CLASSES] = "class_pixels",
      [CHIP_ARRAY_BANDS] = "band_sums",    [CHIP_ARRAY_CHECKSUMS] = "checksums",
  };
  return names[array];
}

ArrayType chip_array_type(PixelType pixel)
{
  static const ArrayType types[PIXEL_TYPE_COUNT] = {[PIXEL_U8] = ARRAY_U8,
                                                    [PIXEL_U16] = ARRAY_U16,
                                                    [PIXEL_I16] = ARRAY_I16,
                                                    [PIXEL_F32] = ARRAY_F32};
  return types[pixel];
}

bool chip_pixel_type(ArrayType type, PixelType *pixel)
{
  for (int i = 0; i < PIXEL_TYPE_COUNT; ++i) {
    if (chip_array_type((PixelType)i) != type) continue;
    *pixel = (PixelType)i;
    return true;
  }
  return false;
}

static ArrayLayout image_layout(ArrayType type, const ChipForm *form, int32_t rank)
{
  return (ArrayLayout){
      .type = type,
      .rank = rank,
      .dims = {0, form->height_px, form->width_px, rank == 4 ? form->band_count : 0},
      .chunk_dims = {1, form->height_px, form->width_px, rank == 4 ? form->band_count : 0},
      .deflate_level = form->deflate_level};
}

static ArrayLayout table_layout(ArrayType type, int32_t rank, int64_t columns, int64_t depth)
{
  return (ArrayLayout){.type = type,
                       .rank = rank,
                       .dims = {0, columns, depth},
                       .chunk_dims = {table_chunk_rows, columns, depth}};
}

static ArrayLayout layout_of(ChipArray array, const ChipForm *form)
{
  switch (array) {
  case CHIP_ARRAY_IMAGES: return image_layout(chip_array_type(form->pixel), form, 4);
  case CHIP_ARRAY_VALID: return image_layout(ARRAY_U8, form, 3);
  case CHIP_ARRAY_LABELS:
    return image_layout(chip_form_is_wide(form) ? ARRAY_U16 : ARRAY_U8, form, 3);
  case CHIP_ARRAY_PLACES: return table_layout(ARRAY_I64, 2, 5, 0);
  case CHIP_ARRAY_GRIDS: return table_layout(ARRAY_F64, 2, 6, 0);
  case CHIP_ARRAY_CLASSES: return table_layout(ARRAY_I64, 2, form->class_count, 0);
  case CHIP_ARRAY_BANDS: return table_layout(ARRAY_F64, 3, form->band_count, BAND_SUM_NUMBERS);
  case CHIP_ARRAY_CHECKSUMS: break;
  }
  return table_layout(ARRAY_I64, 1, 0, 0);
}

ArrayLayout chip_array_layout(ChipArray array, const ChipForm *form, int64_t chip_count)
{
  ArrayLayout layout = layout_of(array, form);
  const bool is_image = array <= CHIP_ARRAY_LABELS;
  layout.dims[0] = is_image && form->format == CHIP_FORMAT_CLASSIFIED_TILES ? 0 : chip_count;
  layout.extendible = true;
  return layout;
}

void chip_shard_name(int32_t number, char name[CHIP_SHARD_NAME_BYTES])
{
  (void)snprintf(name, CHIP_SHARD_NAME_BYTES, "part-%04d.h5", number);
}

bool chip_form_is_wide(const ChipForm *form)
{
  return class_largest_value(form->classes, form->class_count) > UINT8_MAX;
}

uint64_t chip_checksum(const ChipForm *form, const void *image, const uint8_t *valid,
                       const void *stored_labels)
{
  const size_t pixels = (size_t)form->width_px * (size_t)form->height_px;
  Checksum sum = checksum_start(0);
  checksum_add(&sum, image, pixels * (size_t)form->band_count * pixel_bytes(form->pixel));
  checksum_add(&sum, valid, pixels);
  checksum_add(&sum, stored_labels, pixels * (chip_form_is_wide(form) ? 2 : 1));
  return checksum_value(&sum);
}
