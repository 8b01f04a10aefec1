#include "chip/split.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/random.h"

/* A square of ground, two chips wide, and the chips whose centre lies in it. */
typedef struct Block {
  int32_t raster;
  int64_t column, row;
  int64_t first, count; /* chips, in the order of blocks */
  double share;         /* mean labelled share */
} Block;

/* A chip and the block that it is in. */
typedef struct Member {
  int64_t chip;
  Block block;
} Member;

typedef struct Draft {
  const ChipPlace *places;
  int64_t chip_count;
  Member *members;
  Block *blocks;
  int64_t block_count;
  bool *validates; /* of each chip */
} Draft;

static int64_t floor_divide(int64_t a, int64_t b)
{
  const int64_t quotient = a / b;
  return quotient - (a % b < 0);
}

static Block block_of(const ChipPlace *place)
{
  const int64_t width = place->width_px > 0 ? 2 * place->width_px : 1;
  const int64_t height = place->height_px > 0 ? 2 * place->height_px : 1;
  return (Block){.raster = place->raster,
                 .column = floor_divide(place->x_px + place->width_px / 2, width),
                 .row = floor_divide(place->y_px + place->height_px / 2, height)};
}

static int compare_places(const Block *a, const Block *b)
{
  if (a->raster != b->raster) return a->raster < b->raster ? -1 : 1;
  if (a->row != b->row) return a->row < b->row ? -1 : 1;
  if (a->column != b->column) return a->column < b->column ? -1 : 1;
  return 0;
}

static int compare_members(const void *left, const void *right)
{
  const Member *a = left;
  const Member *b = right;
  const int order = compare_places(&a->block, &b->block);
  return order != 0 ? order : (a->chip > b->chip) - (a->chip < b->chip);
}

static int compare_shares(const void *left, const void *right)
{
  const Block *a = left;
  const Block *b = right;
  return a->share != b->share ? (a->share < b->share ? -1 : 1) : compare_places(a, b);
}

static void gather_blocks(Draft *draft, const float *labelled_share)
{
  for (int64_t i = 0; i < draft->chip_count; ++i)
    draft->members[i] = (Member){.chip = i, .block = block_of(&draft->places[i])};
  qsort(draft->members, (size_t)draft->chip_count, sizeof *draft->members, compare_members);
  for (int64_t i = 0; i < draft->chip_count; ++i) {
    const Member *member = &draft->members[i];
    if (i == 0 || compare_places(&member->block, &draft->blocks[draft->block_count - 1]) != 0) {
      draft->blocks[draft->block_count] = member->block;
      draft->blocks[draft->block_count++].first = i;
    }
    Block *block = &draft->blocks[draft->block_count - 1];
    ++block->count;
    if (labelled_share != NULL) block->share += (double)labelled_share[member->chip];
  }
  for (int64_t b = 0; b < draft->block_count; ++b)
    draft->blocks[b].share /= (double)draft->blocks[b].count;
}

/* Evenly over the sorted blocks, from a random start. */
static void draw(Draft *draft, double validation_share, uint64_t seed)
{
  if (validation_share <= 0) return;
  qsort(draft->blocks, (size_t)draft->block_count, sizeof *draft->blocks, compare_shares);
  Random random = random_stream(seed, 0x73706c6974U);
  const double wanted = fmax(1, round(validation_share * (double)draft->block_count));
  const double step = (double)draft->block_count / wanted;
  for (double place = step * random_uniform(&random); place < (double)draft->block_count;
       place += step) {
    const Block *block = &draft->blocks[(int64_t)place];
    for (int64_t i = block->first; i < block->first + block->count; ++i)
      draft->validates[draft->members[i].chip] = true;
  }
}

static bool overlap(const ChipPlace *a, const ChipPlace *b)
{
  return a->raster == b->raster && a->x_px < b->x_px + b->width_px &&
         b->x_px < a->x_px + a->width_px && a->y_px < b->y_px + b->height_px &&
         b->y_px < a->y_px + a->height_px;
}

/* Whether a chip shares ground with one of the range of members that validate. */
static bool shares_with(const Draft *draft, int64_t first, int64_t end, const ChipPlace *place)
{
  for (int64_t i = first; i < end; ++i) {
    const int64_t other = draft->members[i].chip;
    if (draft->validates[other] && overlap(place, &draft->places[other])) return true;
  }
  return false;
}

/* The first member of a block that is not before the given one. */
static int64_t lower_bound(const Draft *draft, const Block *block)
{
  int64_t low = 0;
  int64_t high = draft->chip_count;
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if (compare_places(&draft->members[middle].block, block) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/* Chips of one size overlap only those of the nine blocks about their own. */
static bool shares_ground(const Draft *draft, const Member *member)
{
  for (int64_t row = member->block.row - 1; row <= member->block.row + 1; ++row) {
    const Block from = {
        .raster = member->block.raster, .row = row, .column = member->block.column - 1};
    const Block to = {
        .raster = member->block.raster, .row = row, .column = member->block.column + 2};
    if (shares_with(draft, lower_bound(draft, &from), lower_bound(draft, &to),
                    &draft->places[member->chip]))
      return true;
  }
  return false;
}

static int compare_numbers(const void *left, const void *right)
{
  const int64_t a = *(const int64_t *)left;
  const int64_t b = *(const int64_t *)right;
  return (a > b) - (a < b);
}

static Status collect(const Draft *draft, Split *split)
{
  for (int64_t i = 0; i < draft->chip_count; ++i) {
    const Member *member = &draft->members[i];
    if (draft->validates[member->chip])
      split->validation[split->validation_count++] = member->chip;
    else if (shares_ground(draft, member))
      ++split->left_out_count;
    else
      split->training[split->training_count++] = member->chip;
  }
  qsort(split->training, (size_t)split->training_count, sizeof(int64_t), compare_numbers);
  qsort(split->validation, (size_t)split->validation_count, sizeof(int64_t), compare_numbers);
  if (split->training_count > 0) return STATUS_OK;
  return status_set(STATUS_MISMATCH,
                    "of %lld chips none is left to train on: %lld validate and %lld share ground "
                    "with those; export more "
                    "chips, with less overlap, or lower validation_share",
                    (long long)draft->chip_count, (long long)split->validation_count,
                    (long long)split->left_out_count);
}

static Status allocate(Draft *draft, Split *split)
{
  const size_t count = (size_t)draft->chip_count;
  void *memory;
  TRY(memory_allocate(count, sizeof *draft->members, "split", &memory));
  draft->members = memory;
  TRY(memory_allocate(count, sizeof *draft->blocks, "split", &memory));
  draft->blocks = memory;
  TRY(memory_allocate(count, sizeof *draft->validates, "split", &memory));
  draft->validates = memory;
  TRY(memory_allocate(count, sizeof(int64_t), "split", &memory));
  split->training = memory;
  TRY(memory_allocate(count, sizeof(int64_t), "split", &memory));
  split->validation = memory;
  return STATUS_OK;
}

static Status make(Draft *draft, const float *labelled_share, double validation_share,
                   uint64_t seed, Split *split)
{
  TRY(allocate(draft, split));
  gather_blocks(draft, labelled_share);
  draw(draft, validation_share, seed);
  return collect(draft, split);
}

Status split_make(const ChipPlace *places, int64_t chip_count, const float *labelled_share,
                  double validation_share, uint64_t seed, Split *split)
{
  Draft draft = {.places = places, .chip_count = chip_count};
  *split = (Split){0};
  const Status status = make(&draft, labelled_share, validation_share, seed, split);
  memory_free(draft.members);
  memory_free(draft.blocks);
  memory_free(draft.validates);
  if (status != STATUS_OK) split_free(split);
  return status;
}

void split_free(Split *split)
{
  memory_free(split->training);
  memory_free(split->validation);
  *split = (Split){0};
}
