#include "nn/checkpoint.h"

#include <string.h>

#include "base/arena.h"
#include "base/memory.h"
#include "store/array_file.h"

static Status allocate_floats(size_t count, float **block)
{
  void *memory;
  TRY(memory_allocate(count, sizeof(float), "checkpoint", &memory));
  *block = memory;
  return STATUS_OK;
}

/* All that is allocated, and how much of it. */
typedef struct Block {
  float **at;
  size_t count;
} Block;

enum { BLOCKS = 5 };

static void list_blocks(Checkpoint *c, Block blocks[BLOCKS])
{
  blocks[0] = (Block){&c->trained, c->trained_count};
  blocks[1] = (Block){&c->statistics, (size_t)c->rank_count * c->statistic_count};
  blocks[2] = (Block){&c->state, c->state_count};
  blocks[3] = (Block){&c->best_trained, c->trained_count};
  blocks[4] = (Block){&c->best_statistics, c->statistic_count};
}

static Status allocate(Checkpoint *c)
{
  Block blocks[BLOCKS];
  list_blocks(c, blocks);
  for (int i = 0; i < BLOCKS; ++i)
    TRY(allocate_floats(blocks[i].count, blocks[i].at));
  return STATUS_OK;
}

size_t checkpoint_bytes(const Checkpoint *checkpoint)
{
  Checkpoint c = *checkpoint;
  Block blocks[BLOCKS];
  size_t bytes = 0;
  list_blocks(&c, blocks);
  for (int i = 0; i < BLOCKS; ++i)
    bytes += blocks[i].count * sizeof(float);
  return bytes;
}

Status checkpoint_allocate(size_t trained_count, size_t statistic_count, size_t state_count,
                           int64_t rank_count, Checkpoint *checkpoint)
{
  *checkpoint = (Checkpoint){.rank_count = rank_count,
                             .trained_count = trained_count,
                             .statistic_count = statistic_count,
                             .state_count = state_count};
  const Status status = allocate(checkpoint);
  if (status != STATUS_OK) checkpoint_free(checkpoint);
  return status;
}

void checkpoint_free(Checkpoint *c)
{
  memory_free(c->trained);
  memory_free(c->statistics);
  memory_free(c->state);
  memory_free(c->best_trained);
  memory_free(c->best_statistics);
  *c = (Checkpoint){0};
}

static Status write_floats(ArrayFile *file, const char *name, size_t count, const float *values)
{
  const int64_t dims[1] = {(int64_t)count};
  return count == 0 ? STATUS_OK : array_write_whole(file, name, ARRAY_F32, 1, dims, values);
}

static Status write_all(ArrayFile *file, const char *identity, const Checkpoint *c)
{
  TRY(array_set_text(file, "", "identity", identity));
  TRY(array_set_int(file, "", "step", c->step));
  TRY(array_set_int(file, "", "epochs_validated", c->epochs_validated));
  TRY(array_set_real(file, "", "best_metric", c->best_metric));
  TRY(array_set_int(file, "", "best_epoch", c->best_epoch));
  TRY(array_set_int(file, "", "rank_count", c->rank_count));
  TRY(write_floats(file, "trained", c->trained_count, c->trained));
  TRY(write_floats(file, "statistics", (size_t)c->rank_count * c->statistic_count, c->statistics));
  TRY(write_floats(file, "state", c->state_count, c->state));
  TRY(write_floats(file, "best_trained", c->trained_count, c->best_trained));
  return write_floats(file, "best_statistics", c->statistic_count, c->best_statistics);
}

Status checkpoint_write(const char *path, const char *identity, const Checkpoint *checkpoint)
{
  ArrayFile *file;
  TRY(array_file_create(path, &file));
  const Status status = write_all(file, identity, checkpoint);
  if (status == STATUS_OK) return array_file_commit(&file);
  array_file_close(file);
  return status;
}

static Status check_identity(ArrayFile *file, const char *path, const char *identity)
{
  Arena *arena;
  TRY(arena_open(&arena));
  char *found = NULL;
  Status status = array_get_text(file, "", "identity", arena, &found, NULL);
  if (status == STATUS_OK && strcmp(found, identity) != 0)
    status = status_set(STATUS_MISMATCH,
                        "%s is of another training (other chips or options); give resume=no to "
                        "begin anew, or another "
                        "checkpoint",
                        path);
  arena_close(arena);
  return status;
}

static Status read_floats(ArrayFile *file, const char *name, size_t count, float *values)
{
  if (count == 0) return STATUS_OK;
  ArrayLayout layout;
  TRY(array_layout(file, name, &layout));
  if (layout.rank != 1 || layout.dims[0] != (int64_t)count)
    return status_set(STATUS_MISMATCH, "%s: “%s” has %lld values, not %zu", array_file_path(file),
                      name, (long long)layout.dims[0], count);
  return array_read(file, name, NULL, NULL, ARRAY_F32, values);
}

static void take_mean(const float *all, int64_t kept, Checkpoint *c)
{
  for (size_t i = 0; i < c->statistic_count; ++i) {
    double sum = 0;
    for (int64_t r = 0; r < kept; ++r)
      sum += (double)all[(size_t)r * c->statistic_count + i];
    for (int64_t r = 0; r < c->rank_count; ++r)
      c->statistics[(size_t)r * c->statistic_count + i] = (float)(sum / (double)kept);
  }
}

static Status read_statistics(ArrayFile *file, Checkpoint *c)
{
  int64_t kept;
  TRY(array_get_int(file, "", "rank_count", &kept, NULL));
  if (kept < 1)
    return status_set(STATUS_BAD_INPUT, "%s: statistics of %lld ranks", array_file_path(file),
                      (long long)kept);
  if (kept == c->rank_count)
    return read_floats(file, "statistics", (size_t)kept * c->statistic_count, c->statistics);
  float *all;
  TRY(allocate_floats((size_t)kept * c->statistic_count, &all));
  const Status status = read_floats(file, "statistics", (size_t)kept * c->statistic_count, all);
  if (status == STATUS_OK) take_mean(all, kept, c);
  memory_free(all);
  return status;
}

static Status read_all(ArrayFile *file, const char *path, const char *identity, Checkpoint *c)
{
  TRY(check_identity(file, path, identity));
  TRY(array_get_int(file, "", "step", &c->step, NULL));
  TRY(array_get_int(file, "", "epochs_validated", &c->epochs_validated, NULL));
  TRY(array_get_real(file, "", "best_metric", &c->best_metric, NULL));
  TRY(array_get_int(file, "", "best_epoch", &c->best_epoch, NULL));
  TRY(read_floats(file, "trained", c->trained_count, c->trained));
  TRY(read_statistics(file, c));
  TRY(read_floats(file, "state", c->state_count, c->state));
  TRY(read_floats(file, "best_trained", c->trained_count, c->best_trained));
  return read_floats(file, "best_statistics", c->statistic_count, c->best_statistics);
}

Status checkpoint_read(const char *path, const char *identity, Checkpoint *checkpoint)
{
  ArrayFile *file;
  TRY(array_file_open(path, &file));
  const Status status = read_all(file, path, identity, checkpoint);
  array_file_close(file);
  return status;
}
