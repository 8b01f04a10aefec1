#include "chip_file.h"

#include <stdio.h>

#include "store/checksum.h"

/* Rows of the small tables that one chunk holds. */
static const int64_t table_chunk_rows = 256;
enum { MASK_CHUNK_BYTES = 32768 };

const char *chip_array_name(ChipArray array)
{
  static const char *const names[CHIP_ARRAY_COUNT] = {
      [CHIP_ARRAY_IMAGES] = "images",
      [CHIP_ARRAY_VALID] = "valid",
      [CHIP_ARRAY_LABELS] = "labels",
      [CHIP_ARRAY_PLACES] = "places",
      [CHIP_ARRAY_GRIDS] = "pixel_to_map",
      [CHIP_ARRAY_CLASSES] = "class_pixels",
      [CHIP_ARRAY_BANDS] = "band_sums",
      [CHIP_ARRAY_CHECKSUMS] = "checksums",
      [CHIP_ARRAY_OBJECT_COUNTS] = "object_counts",
      [CHIP_ARRAY_OBJECT_CHECKSUMS] = "object_checksums",
      [CHIP_ARRAY_OBJECTS] = "objects",
      [CHIP_ARRAY_OBJECT_BOXES] = "object_boxes",
      [CHIP_ARRAY_OBJECT_AREAS] = "object_areas",
      [CHIP_ARRAY_OBJECT_MASKS] = "object_masks",
  };
  return names[array];
}

int chip_array_count(ChipFormat format)
{
  return chip_format_has_objects(format) ? CHIP_ARRAY_COUNT : CHIP_ARRAY_OBJECT_COUNTS;
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

/* Bits of masks: small chunks, since a chip is read alone. */
static ArrayLayout mask_layout(const ChipForm *form)
{
  return (ArrayLayout){.type = ARRAY_U8,
                       .rank = 1,
                       .chunk_dims = {MASK_CHUNK_BYTES},
                       .deflate_level = form->deflate_level};
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
  case CHIP_ARRAY_OBJECT_COUNTS: return table_layout(ARRAY_I64, 2, 2, 0);
  case CHIP_ARRAY_OBJECTS: return table_layout(ARRAY_I64, 2, 6, 0);
  case CHIP_ARRAY_OBJECT_BOXES: return table_layout(ARRAY_F32, 2, 4, 0);
  case CHIP_ARRAY_OBJECT_AREAS: return table_layout(ARRAY_F64, 1, 0, 0);
  case CHIP_ARRAY_OBJECT_MASKS: return mask_layout(form);
  case CHIP_ARRAY_CHECKSUMS:
  case CHIP_ARRAY_OBJECT_CHECKSUMS: break;
  }
  return table_layout(ARRAY_I64, 1, 0, 0);
}

int64_t chip_array_rows(ChipArray array, const ChipForm *form, ShardCount count)
{
  if (array <= CHIP_ARRAY_LABELS && !chip_format_is_arrays(form->format)) return 0;
  if (array == CHIP_ARRAY_OBJECT_MASKS) return count.mask_bytes;
  return array >= CHIP_ARRAY_OBJECTS ? count.objects : count.chips;
}

ArrayLayout chip_array_layout(ChipArray array, const ChipForm *form, ShardCount count)
{
  ArrayLayout layout = layout_of(array, form);
  layout.dims[0] = chip_array_rows(array, form, count);
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

bool chip_format_is_arrays(ChipFormat format)
{
  return format == CHIP_FORMAT_CHIPS || format == CHIP_FORMAT_INSTANCES;
}

bool chip_format_has_objects(ChipFormat format)
{
  return format >= CHIP_FORMAT_INSTANCES;
}

const char *chip_format_name(ChipFormat format)
{
  switch (format) {
  case CHIP_FORMAT_CHIPS: break;
  case CHIP_FORMAT_CLASSIFIED_TILES: return "Classified_Tiles";
  case CHIP_FORMAT_INSTANCES: return "instances";
  case CHIP_FORMAT_RCNN_MASKS: return "RCNN_Masks";
  case CHIP_FORMAT_PASCAL_VOC: return "PASCAL_VOC_rectangles";
  case CHIP_FORMAT_COCO: return "COCO";
  }
  return "chips";
}

int chip_set_version(ChipFormat format)
{
  return chip_format_has_objects(format) ? CHIP_SET_VERSION_OBJECTS : CHIP_SET_VERSION;
}
