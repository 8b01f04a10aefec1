#include "count_backend.h"
#include "note.h"

/* Of each pixel's logits one class is read or written: a sector of the memory. */
enum { SECTOR_BYTES = 32 };
static const double scan_cycles = 2500; /* a sum over the threads of a block */
enum { BLOCK = 256 };

static double mask_pixels(const MaskHead *head)
{
  return (double)shape_pixels(head->logits);
}

void mask_targets_count(Device *device, const Regions *positives, const int32_t *matches,
                        const Truth *truth, int32_t height_px, int32_t width_px, int32_t mask_px,
                        float *targets)
{
  const double pixels = (double)positives->capacity * mask_px * mask_px;
  note(device, moved(OP_MASKS, pixels * SECTOR_BYTES, pixels * sizeof(float)));
}

void mask_loss_sums_count(Device *device, const MaskHead *head, const void *logits,
                          const Regions *positives, const int32_t *classes, const float *targets,
                          float *sums, void *scratch)
{
  OpWork work = moved(OP_MASKS, mask_pixels(head) * (SECTOR_BYTES + sizeof(float)), 0);
  work.launches = 2;
  note(device, work);
}

void mask_loss_backward_count(Device *device, const MaskHead *head, const void *logits,
                              const Regions *positives, const int32_t *classes,
                              const float *targets, const float *row_count, const float *scale,
                              void *dlogits)
{
  note(device,
       moved(OP_MASKS, mask_pixels(head) * (SECTOR_BYTES + sizeof(float)), bytes_of(head->logits)));
}

void mask_select_count(Device *device, const MaskHead *head, const void *logits,
                       const Regions *regions, const int32_t *classes, float *masks)
{
  note(device,
       moved(OP_MASKS, mask_pixels(head) * SECTOR_BYTES, mask_pixels(head) * sizeof(float)));
}

/* As many pixels as there is room for; one block adds up the windows' sizes. */
void mask_paste_count(Device *device, const Regions *regions, const float *masks, int32_t mask_px,
                      const float *image_sizes, float threshold, PastedMasks *pasted)
{
  const double rows = regions->capacity;
  OpWork work =
      moved(OP_MASKS, rows * mask_px * mask_px * sizeof(float), (double)pasted->pixels_most);
  work.launches = 3;
  work.wait_cycles = (1 + rows / BLOCK) * scan_cycles;
  note(device, work);
}
