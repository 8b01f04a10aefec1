#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/output.h"
#include "base/path.h"
#include "store/array_file.h"
#include "store/checksum.h"
#include "support/check.h"

#if QUADRAT_SANITIZED
/* HDF5 1.10 forgets some of its memory when a file is damaged; its normal ways lose none. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
  return "leak:libhdf5";
}
#endif

static char folder[] = "/tmp/quadrat-array-XXXXXX";
static char path[256];

static int make_folder(void **state)
{
  if (mkdtemp(folder) == NULL) return -1;
  return path_join(folder, "a.h5", sizeof path, path) == STATUS_OK ? 0 : -1;
}

static int remove_folder(void **state)
{
  return path_remove_tree(folder) == STATUS_OK ? 0 : -1;
}

static ArrayFile *create(void)
{
  ArrayFile *file;
  CHECK_OK(array_file_create(path, &file));
  return file;
}

static ArrayFile *reopen(ArrayFile *file)
{
  CHECK_OK(array_file_commit(&file));
  assert_null(file);
  CHECK_OK(array_file_open(path, &file));
  return file;
}

static void a_file_gets_its_name_when_it_is_committed(void **state)
{
  char aside[OUTPUT_PATH_BYTES];
  (void)unlink(path);
  CHECK_OK(output_aside(path, aside));
  ArrayFile *file = create();
  assert_string_equal(array_file_path(file), path);
  assert_false(path_exists(path));
  assert_true(path_exists(aside));
  array_file_close(file);
  assert_false(path_exists(aside));
  file = create();
  CHECK_OK(array_file_commit(&file));
  assert_true(path_exists(path));
  assert_false(path_exists(aside));
  array_file_close(NULL);
}

static void every_type_is_written_and_read_back(void **state)
{
  const uint8_t u8[3] = {0, 1, 255};
  const uint16_t u16[3] = {0, 1, 65535};
  const int16_t i16[3] = {-32768, 0, 32767};
  const int32_t i32[3] = {INT32_MIN, 0, INT32_MAX};
  const int64_t i64[3] = {INT64_MIN, 0, INT64_MAX};
  const float f32[3] = {-0.0F, 0x1p-149F, 3.5F};
  const double f64[3] = {-0.0, 0x1p-1074, 3.5};
  const void *const all[7] = {u8, u16, i16, i32, i64, f32, f64};
  const int64_t dims[1] = {3};
  uint8_t read[24];
  ArrayLayout layout;
  ArrayFile *file = create();
  for (int type = ARRAY_U8; type <= ARRAY_F64; ++type)
    CHECK_OK(array_write_whole(file, array_type_name((ArrayType)type), (ArrayType)type, 1, dims,
                               all[type]));
  file = reopen(file);
  for (int type = ARRAY_U8; type <= ARRAY_F64; ++type) {
    const char *name = array_type_name((ArrayType)type);
    CHECK_OK(array_layout(file, name, &layout));
    assert_int_equal(layout.type, type);
    assert_int_equal(layout.rank, 1);
    assert_int_equal(layout.dims[0], 3);
    CHECK_OK(array_read(file, name, NULL, NULL, (ArrayType)type, read));
    assert_memory_equal(read, all[type], 3 * array_type_bytes((ArrayType)type));
  }
  CHECK_FAILS(STATUS_MISMATCH, "“uint8” is uint8, not float32",
              array_read(file, "uint8", NULL, NULL, ARRAY_F32, read));
  array_file_close(file);
}

static void blocks_go_where_they_belong(void **state)
{
  const ArrayLayout layout = {.type = ARRAY_I32,
                              .rank = 2,
                              .dims = {4, 5},
                              .chunk_dims = {2, 2},
                              .deflate_level = 1,
                              .fill = -7};
  const int32_t block[4] = {1, 2, 3, 4};
  int32_t whole[20];
  int32_t column[4];
  ArrayFile *file = create();
  CHECK_OK(array_create(file, "group/deep/x", &layout));
  CHECK_OK(
      array_write(file, "group/deep/x", (int64_t[]){1, 2}, (int64_t[]){2, 2}, ARRAY_I32, block));
  file = reopen(file);
  CHECK_OK(array_read(file, "group/deep/x", NULL, NULL, ARRAY_I32, whole));
  for (int i = 0; i < 20; ++i) {
    const int row = i / 5 - 1;
    const int at = i % 5 - 2;
    const bool inside = row >= 0 && row < 2 && at >= 0 && at < 2;
    assert_int_equal(whole[i], inside ? block[2 * row + at] : -7);
  }
  CHECK_OK(
      array_read(file, "group/deep/x", (int64_t[]){0, 3}, (int64_t[]){4, 1}, ARRAY_I32, column));
  assert_memory_equal(column, ((int32_t[]){-7, 2, 4, -7}), sizeof column);
  ArrayLayout found;
  CHECK_OK(array_layout(file, "group/deep/x", &found));
  assert_int_equal(found.chunk_dims[0], 2);
  assert_int_equal(found.deflate_level, 1);
  assert_true(found.fill == -7);
  assert_false(found.extendible);
  CHECK_OK(array_read(file, "group/deep/x", (int64_t[]){4, 0}, (int64_t[]){0, 5}, ARRAY_I32, NULL));
  CHECK_FAILS(
      STATUS_BAD_SHAPE, "dimension 1 goes from 0 to 5, not from 4 for 2",
      array_read(file, "group/deep/x", (int64_t[]){0, 4}, (int64_t[]){1, 2}, ARRAY_I32, whole));
  CHECK_FAILS(STATUS_BAD_SHAPE, "dimension 0",
              array_read(file, "group/deep/x", (int64_t[]){-1, 0}, NULL, ARRAY_I32, whole));
  array_file_close(file);
}

static void rows_are_appended(void **state)
{
  const ArrayLayout layout = {.type = ARRAY_U16,
                              .rank = 2,
                              .dims = {0, 3},
                              .chunk_dims = {4, 3},
                              .deflate_level = 1,
                              .extendible = true};
  uint16_t rows[6];
  uint16_t read[60];
  ArrayLayout found;
  ArrayFile *file = create();
  CHECK_OK(array_create(file, "rows", &layout));
  for (uint16_t i = 0; i < 20; i = (uint16_t)(i + 2)) {
    for (uint16_t j = 0; j < 6; ++j)
      rows[j] = (uint16_t)(3 * i + j);
    CHECK_OK(array_append(file, "rows", 2, ARRAY_U16, rows));
  }
  CHECK_OK(array_append(file, "rows", 0, ARRAY_U16, rows));
  file = reopen(file);
  CHECK_OK(array_layout(file, "rows", &found));
  assert_int_equal(found.dims[0], 20);
  assert_true(found.extendible);
  CHECK_OK(array_read(file, "rows", NULL, NULL, ARRAY_U16, read));
  for (int i = 0; i < 60; ++i)
    assert_int_equal(read[i], i);
  array_file_close(file);
}

static void layouts_that_cannot_be_are_refused(void **state)
{
  ArrayFile *file = create();
  const ArrayLayout wrong[6] = {
      {.type = ARRAY_U8, .rank = 0},
      {.type = ARRAY_U8, .rank = 9},
      {.type = ARRAY_U8, .rank = 1, .dims = {-1}},
      {.type = ARRAY_U8, .rank = 1, .dims = {4}, .extendible = true},
      {.type = ARRAY_U8, .rank = 1, .dims = {4}, .deflate_level = 1},
      {.type = ARRAY_U8, .rank = 2, .dims = {4, 4}, .chunk_dims = {2, 0}},
  };
  for (size_t i = 0; i < 6; ++i)
    CHECK_FAILS(STATUS_BAD_SHAPE, "no array can have", array_create(file, "x", &wrong[i]));
  const ArrayLayout fixed = {.type = ARRAY_U8, .rank = 1, .dims = {4}};
  CHECK_OK(array_create(file, "fixed", &fixed));
  CHECK_FAILS(STATUS_BAD_SHAPE, "cannot grow", array_append(file, "fixed", 1, ARRAY_U8, ""));
  CHECK_FAILS(STATUS_IO, "create the array “fixed”", array_create(file, "fixed", &fixed));
  array_file_close(file);
}

static void attributes_keep_their_kind(void **state)
{
  Arena *arena;
  char *text;
  int64_t integer;
  double real;
  int64_t integers[3] = {0};
  double reals[2];
  size_t count;
  bool present;
  ArrayFile *file = create();
  CHECK_OK(arena_open(&arena));
  CHECK_OK(array_write_whole(file, "g/x", ARRAY_U8, 1, (int64_t[]){1}, "a"));
  CHECK_OK(array_set_text(file, "", "who", "before"));
  CHECK_OK(array_set_text(file, "/", "who", "Quadrat, größer"));
  CHECK_OK(array_set_int(file, "g", "count", INT64_MAX));
  CHECK_OK(array_set_real(file, "g/x", "scale", 0.1));
  CHECK_OK(array_set_ints(file, "g/x", "bands", (int64_t[]){3, 2, 1}, 3));
  CHECK_OK(array_set_reals(file, "g/x", "means", (double[]){0.5, -1}, 2));
  file = reopen(file);
  CHECK_OK(array_get_text(file, "", "who", arena, &text, NULL));
  assert_string_equal(text, "Quadrat, größer");
  CHECK_OK(array_get_int(file, "g", "count", &integer, NULL));
  assert_true(integer == INT64_MAX);
  CHECK_OK(array_get_real(file, "g/x", "scale", &real, &present));
  assert_true(present && real == 0.1);
  CHECK_OK(array_get_ints(file, "g/x", "bands", integers, 2, &count, NULL));
  assert_int_equal(count, 3);
  assert_memory_equal(integers, ((int64_t[]){3, 2, 0}), sizeof integers);
  CHECK_OK(array_get_reals(file, "g/x", "means", reals, 2, &count, NULL));
  assert_true(reals[0] == 0.5 && reals[1] == -1);
  CHECK_OK(array_get_int(file, "g", "missing", &integer, &present));
  assert_false(present);
  CHECK_FAILS(STATUS_BAD_INPUT, "no attribute “missing”",
              array_get_int(file, "g", "missing", &integer, NULL));
  CHECK_FAILS(STATUS_BAD_INPUT, "is not a text",
              array_get_text(file, "g", "count", arena, &text, NULL));
  CHECK_FAILS(STATUS_BAD_INPUT, "whole numbers",
              array_get_int(file, "g/x", "scale", &integer, NULL));
  CHECK_FAILS(STATUS_BAD_INPUT, "one number", array_get_int(file, "g/x", "bands", &integer, NULL));
  CHECK_FAILS(STATUS_BAD_INPUT, "there is no “nothing”",
              array_get_int(file, "nothing", "x", &integer, NULL));
  array_file_close(file);
  arena_close(arena);
}

static void texts_and_members_are_listed(void **state)
{
  const char *const texts[3] = {"background", "", "Häuser"};
  Arena *arena;
  char **names;
  size_t count;
  ArrayLayout layout;
  ArrayFile *file = create();
  CHECK_OK(arena_open(&arena));
  CHECK_OK(array_write_texts(file, "classes/names", texts, 3));
  CHECK_OK(array_write_texts(file, "classes/none", NULL, 0));
  CHECK_OK(array_make_group(file, "empty/group"));
  CHECK_OK(array_make_group(file, "empty/group"));
  file = reopen(file);
  CHECK_OK(array_read_texts(file, "classes/names", arena, &names, &count));
  assert_int_equal(count, 3);
  for (size_t i = 0; i < 3; ++i)
    assert_string_equal(names[i], texts[i]);
  CHECK_OK(array_read_texts(file, "classes/none", arena, &names, &count));
  assert_int_equal(count, 0);
  CHECK_FAILS(STATUS_MISMATCH, "holds texts", array_layout(file, "classes/names", &layout));
  CHECK_OK(array_list(file, "", arena, &names, &count));
  assert_int_equal(count, 2);
  assert_string_equal(names[0], "classes/");
  assert_string_equal(names[1], "empty/");
  CHECK_OK(array_list(file, "classes", arena, &names, &count));
  assert_string_equal(names[0], "names");
  CHECK_OK(array_list(file, "empty/group", arena, &names, &count));
  assert_int_equal(count, 0);
  assert_true(array_exists(file, "classes/names"));
  assert_true(array_exists(file, "classes"));
  assert_false(array_exists(file, "classes/names/deeper"));
  assert_false(array_exists(file, "missing/deeper"));
  array_file_close(file);
  arena_close(arena);
}

static void many_arrays_may_be_used_in_turn(void **state)
{
  enum { COUNT = 100 };
  char name[32];
  int64_t value;
  ArrayFile *file = create();
  for (int64_t i = 0; i < COUNT; ++i) {
    (void)snprintf(name, sizeof name, "a%lld", (long long)i);
    CHECK_OK(array_write_whole(file, name, ARRAY_I64, 1, (int64_t[]){1}, &i));
  }
  for (int64_t i = COUNT - 1; i >= 0; --i) {
    (void)snprintf(name, sizeof name, "a%lld", (long long)i);
    CHECK_OK(array_read(file, name, NULL, NULL, ARRAY_I64, &value));
    assert_int_equal(value, i);
  }
  array_file_close(file);
}

static void write_shard(const char *name, uint8_t first)
{
  char shard[256];
  uint8_t tiles[2][2][3];
  ArrayFile *file;
  for (int i = 0; i < 12; ++i)
    (&tiles[0][0][0])[i] = (uint8_t)(first + i);
  CHECK_OK(path_join(folder, name, sizeof shard, shard));
  CHECK_OK(array_file_create(shard, &file));
  CHECK_OK(array_write_whole(file, "out/tiles", ARRAY_U8, 3, (int64_t[]){2, 2, 3}, tiles));
  CHECK_OK(array_file_commit(&file));
}

static ArrayPiece tile_piece(const char *shard, int64_t tile, int64_t row, int64_t column)
{
  return (ArrayPiece){.file = shard,
                      .array = "out/tiles",
                      .source_rank = 3,
                      .source_dims = {2, 2, 3},
                      .source_start = {tile, 0, 0},
                      .source_count = {1, 2, 3},
                      .target_start = {row, column},
                      .target_count = {2, 3}};
}

static void check_mosaic(const char *mosaic)
{
  const uint8_t wanted[4][6] = {{0, 1, 2, 106, 107, 108},
                                {3, 4, 5, 109, 110, 111},
                                {100, 101, 102, 255, 255, 255},
                                {103, 104, 105, 255, 255, 255}};
  uint8_t read[4][6];
  uint8_t corner[4];
  ArrayFile *file;
  CHECK_OK(array_file_open(mosaic, &file));
  CHECK_OK(array_read(file, "map", NULL, NULL, ARRAY_U8, read));
  assert_memory_equal(read, wanted, sizeof wanted);
  CHECK_OK(array_read(file, "map", (int64_t[]){1, 2}, (int64_t[]){2, 2}, ARRAY_U8, corner));
  assert_memory_equal(corner, ((uint8_t[]){5, 109, 102, 255}), 4);
  array_file_close(file);
}

static void a_virtual_array_shows_its_shards_also_after_the_folder_moved(void **state)
{
  char moved[300];
  char mosaic[400];
  char back[256];
  const ArrayPiece pieces[3] = {tile_piece("s0.h5", 0, 0, 0), tile_piece("s1.h5", 0, 2, 0),
                                tile_piece("s1.h5", 1, 0, 3)};
  write_shard("s0.h5", 0);
  write_shard("s1.h5", 100);
  ArrayFile *file = create();
  CHECK_OK(array_create_virtual(file, "map", ARRAY_U8, 2, (int64_t[]){4, 6}, 255, pieces, 3));
  CHECK_OK(array_file_commit(&file));
  check_mosaic(path);
  (void)snprintf(moved, sizeof moved, "%s.moved", folder);
  assert_int_equal(rename(folder, moved), 0);
  CHECK_OK(path_join(moved, "a.h5", sizeof mosaic, mosaic));
  assert_non_null(getcwd(back, sizeof back));
  assert_int_equal(chdir("/"), 0);
  check_mosaic(mosaic);
  assert_int_equal(chdir(back), 0);
  assert_int_equal(rename(moved, folder), 0);
}

static void a_missing_shard_reads_as_fill(void **state)
{
  const ArrayPiece piece = tile_piece("nowhere.h5", 0, 0, 0);
  uint8_t read[6];
  ArrayFile *file = create();
  CHECK_OK(array_create_virtual(file, "map", ARRAY_U8, 2, (int64_t[]){2, 3}, 9, &piece, 1));
  file = reopen(file);
  CHECK_OK(array_read(file, "map", NULL, NULL, ARRAY_U8, read));
  for (int i = 0; i < 6; ++i)
    assert_int_equal(read[i], 9);
  array_file_close(file);
}

static void pieces_that_do_not_fit_are_refused(void **state)
{
  const int64_t dims[2] = {4, 6};
  ArrayFile *file = create();
  ArrayPiece piece = tile_piece("s0.h5", 0, 3, 0);
  CHECK_FAILS(STATUS_BAD_SHAPE, "does not fit",
              array_create_virtual(file, "map", ARRAY_U8, 2, dims, 0, &piece, 1));
  piece = tile_piece("s0.h5", 2, 0, 0);
  CHECK_FAILS(STATUS_BAD_SHAPE, "does not fit",
              array_create_virtual(file, "map", ARRAY_U8, 2, dims, 0, &piece, 1));
  piece = tile_piece("s0.h5", 0, 0, 0);
  piece.target_count[0] = 1;
  CHECK_FAILS(STATUS_BAD_SHAPE, "does not fit",
              array_create_virtual(file, "map", ARRAY_U8, 2, dims, 0, &piece, 1));
  piece = tile_piece("/tmp/s0.h5", 0, 0, 0);
  CHECK_FAILS(STATUS_BAD_OPTION, "relative",
              array_create_virtual(file, "map", ARRAY_U8, 2, dims, 0, &piece, 1));
  array_file_close(file);
}

static void write_some(void)
{
  const ArrayLayout layout = {
      .type = ARRAY_F32, .rank = 2, .dims = {16, 16}, .chunk_dims = {4, 16}, .deflate_level = 1};
  float values[256];
  for (int i = 0; i < 256; ++i)
    values[i] = (float)((i * 7919) % 1000);
  ArrayFile *file = create();
  CHECK_OK(array_create(file, "g/values", &layout));
  CHECK_OK(array_write(file, "g/values", NULL, NULL, ARRAY_F32, values));
  CHECK_OK(array_set_text(file, "g", "note", "some"));
  CHECK_OK(array_file_commit(&file));
}

static void the_same_arrays_give_the_same_bytes(void **state)
{
  uint64_t first;
  uint64_t second;
  write_some();
  CHECK_OK(checksum_file(path, &first));
  (void)sleep(1); /* HDF5 would note the second in which an array was made */
  write_some();
  CHECK_OK(checksum_file(path, &second));
  assert_true(first == second);
}

static void a_file_cut_short_is_bad_input(void **state)
{
  int64_t bytes;
  write_some();
  CHECK_OK(path_size_bytes(path, &bytes));
  for (int64_t cut = 0; cut < bytes; cut += 37) {
    ArrayFile *file;
    write_some();
    assert_int_equal(truncate(path, (off_t)cut), 0);
    assert_int_equal(array_file_open(path, &file), STATUS_BAD_INPUT);
    assert_null(file);
    assert_non_null(strstr(status_message(), path));
  }
}

static void changed_bytes_do_no_harm(void **state)
{
  int64_t bytes;
  float values[256];
  write_some();
  CHECK_OK(path_size_bytes(path, &bytes));
  for (int64_t at = 0; at < bytes; at += 5) {
    ArrayFile *file;
    FILE *stream = fopen(path, "r+b");
    assert_non_null(stream);
    assert_int_equal(fseek(stream, (long)at, SEEK_SET), 0);
    const int kept = fgetc(stream);
    assert_int_equal(fseek(stream, (long)at, SEEK_SET), 0);
    assert_int_not_equal(fputc(kept ^ 0x41, stream), EOF);
    (void)fclose(stream);
    if (array_file_open(path, &file) == STATUS_OK)
      (void)array_read(file, "g/values", NULL, NULL, ARRAY_F32, values);
    array_file_close(file);
    stream = fopen(path, "r+b");
    assert_non_null(stream);
    assert_int_equal(fseek(stream, (long)at, SEEK_SET), 0);
    assert_int_not_equal(fputc(kept, stream), EOF);
    (void)fclose(stream);
  }
}

static void errors_name_file_and_array(void **state)
{
  ArrayFile *file;
  uint8_t byte;
  CHECK_FAILS(STATUS_IO, "/nowhere/a.h5", array_file_open("/nowhere/a.h5", &file));
  CHECK_FAILS(STATUS_IO, "does not exist", array_file_create("/nowhere/a.h5", &file));
  write_some();
  CHECK_OK(array_file_open(path, &file));
  CHECK_FAILS(STATUS_BAD_INPUT, "no array “missing”",
              array_read(file, "missing", NULL, NULL, ARRAY_U8, &byte));
  CHECK_FAILS(STATUS_BAD_INPUT, "a.h5: cannot open the array “g”",
              array_read(file, "g", NULL, NULL, ARRAY_U8, &byte));
  CHECK_FAILS(STATUS_BAD_OPTION, "reading only",
              array_write_whole(file, "x", ARRAY_U8, 1, (int64_t[]){1}, "a"));
  array_file_close(file);
}

/* A limit of the process's file size acts as a full disk does. */
static void a_full_disk_is_an_error_and_leaves_nothing(void **state)
{
  static double values[65536];
  struct rlimit old;
  struct rlimit small;
  char aside[OUTPUT_PATH_BYTES];
  (void)unlink(path);
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
  (void)signal(SIGXFSZ, SIG_IGN);
  small = (struct rlimit){.rlim_cur = 65536, .rlim_max = old.rlim_max};
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
  ArrayFile *file = create();
  Status status = array_write_whole(file, "x", ARRAY_F64, 1, (int64_t[]){65536}, values);
  if (status == STATUS_OK)
    status = array_file_commit(&file);
  else
    array_file_close(file);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
  assert_int_equal(status, STATUS_IO);
  if (strstr(status_message(), "File too large") == NULL) fail_msg("%s", status_message());
  CHECK_OK(output_aside(path, aside));
  assert_false(path_exists(path));
  assert_false(path_exists(aside));
}

static void *read_many(void *context)
{
  ArrayFile *file = context;
  float values[256];
  for (int round = 0; round < 200; ++round) {
    if (array_read(file, "g/values", NULL, NULL, ARRAY_F32, values) != STATUS_OK) return file;
    for (int i = 0; i < 256; ++i)
      if (values[i] != (float)((i * 7919) % 1000)) return file;
    ArrayLayout layout; /* an error in one thread is no matter of the others */
    if (array_layout(file, "missing", &layout) != STATUS_BAD_INPUT) return file;
  }
  return NULL;
}

static void several_threads_may_read_one_file(void **state)
{
  pthread_t threads[4];
  ArrayFile *file;
  void *failed;
  write_some();
  CHECK_OK(array_file_open(path, &file));
  for (int i = 0; i < 4; ++i)
    assert_int_equal(pthread_create(&threads[i], NULL, read_many, file), 0);
  for (int i = 0; i < 4; ++i) {
    assert_int_equal(pthread_join(threads[i], &failed), 0);
    assert_null(failed);
  }
  array_file_close(file);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_file_gets_its_name_when_it_is_committed),
      cmocka_unit_test(every_type_is_written_and_read_back),
      cmocka_unit_test(blocks_go_where_they_belong),
      cmocka_unit_test(rows_are_appended),
      cmocka_unit_test(layouts_that_cannot_be_are_refused),
      cmocka_unit_test(attributes_keep_their_kind),
      cmocka_unit_test(texts_and_members_are_listed),
      cmocka_unit_test(many_arrays_may_be_used_in_turn),
      cmocka_unit_test(a_virtual_array_shows_its_shards_also_after_the_folder_moved),
      cmocka_unit_test(a_missing_shard_reads_as_fill),
      cmocka_unit_test(pieces_that_do_not_fit_are_refused),
      cmocka_unit_test(the_same_arrays_give_the_same_bytes),
      cmocka_unit_test(a_file_cut_short_is_bad_input),
      cmocka_unit_test(changed_bytes_do_no_harm),
      cmocka_unit_test(errors_name_file_and_array),
      cmocka_unit_test(a_full_disk_is_an_error_and_leaves_nothing),
      cmocka_unit_test(several_threads_may_read_one_file),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
