#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/option.h"
#include "support/check.h"

typedef struct Values {
  const char *raster;
  int64_t tile_size;
  double share;
  bool all_tiles;
  int32_t format;
  OptionReals extent;
} Values;

static const Option options[] = {
    {"raster", OPTION_TEXT, offsetof(Values, raster), NULL, NULL, 0, 0, NULL, "The raster."},
    {"tile_size", OPTION_INT, offsetof(Values, tile_size), "256", "px", 32, 4096, NULL,
     "Side of a tile."},
    {"share", OPTION_REAL, offsetof(Values, share), "0.5", NULL, 0, 1, NULL, "A share."},
    {"all_tiles", OPTION_FLAG, offsetof(Values, all_tiles), "no", NULL, 0, 0, NULL, "A flag."},
    {"format", OPTION_CHOICE, offsetof(Values, format), "chips", NULL, 0, 0,
     "chips|classified_tiles", "A choice."},
    {"extent", OPTION_REALS, offsetof(Values, extent), "", NULL, 0, 0, NULL, "Numbers."},
};
static const OptionTable table = {
    .tool = "export", .summary = "s", .example = "e", .options = options, .count = 6};

static Arena *arena;

static int open_arena(void **state)
{
  return arena_open(&arena) == STATUS_OK ? 0 : -1;
}

static int close_arena(void **state)
{
  arena_close(arena);
  return 0;
}

static Status parse(Values *values, const char *job_file, int count, char **arguments)
{
  memset(values, 0, sizeof *values);
  return options_parse(&table, job_file, count, arguments, arena, values);
}

static void presets_fill_what_is_not_given(void **state)
{
  Values v;
  char *arguments[] = {"--raster=a.tif"};
  CHECK_OK(parse(&v, NULL, 1, arguments));
  assert_string_equal(v.raster, "a.tif");
  assert_int_equal(v.tile_size, 256);
  assert_true(v.share == 0.5);
  assert_false(v.all_tiles);
  assert_int_equal(v.format, 0);
  assert_int_equal(v.extent.count, 0);
}

static void every_form_of_an_argument_is_read(void **state)
{
  Values v;
  char *arguments[] = {"--raster",
                       "b.tif",
                       "--tile-size=64",
                       "--all_tiles",
                       "--format=CLASSIFIED_TILES",
                       "--extent=1,2.5,-3 4e2"};
  CHECK_OK(parse(&v, NULL, 6, arguments));
  assert_string_equal(v.raster, "b.tif");
  assert_int_equal(v.tile_size, 64);
  assert_true(v.all_tiles);
  assert_int_equal(v.format, 1);
  assert_int_equal(v.extent.count, 4);
  assert_true(v.extent.values[2] == -3 && v.extent.values[3] == 400);
}

static void the_command_line_beats_the_job_file(void **state)
{
  char path[] = "/tmp/quadrat-option-XXXXXX";
  const int file = mkstemp(path);
  const char text[] =
      "# a comment\n[export]\nraster = file.tif\ntile_size = 128\n[train]\nnothing = 1\n";
  assert_int_equal(write(file, text, sizeof text - 1), (ssize_t)sizeof text - 1);
  (void)close(file);
  Values v;
  char *arguments[] = {"--tile_size=96"};
  CHECK_OK(parse(&v, path, 1, arguments));
  assert_string_equal(v.raster, "file.tif");
  assert_int_equal(v.tile_size, 96);
  (void)unlink(path);
}

static void each_mistake_is_named(void **state)
{
  Values v;
  char *unknown[] = {"--raster=a", "--tile_sice=64"};
  CHECK_FAILS(STATUS_BAD_OPTION, "did you mean --tile_size?", parse(&v, NULL, 2, unknown));
  char *low[] = {"--raster=a", "--tile_size=31"};
  CHECK_FAILS(STATUS_BAD_OPTION, "32 to 4096 px", parse(&v, NULL, 2, low));
  char *word[] = {"--raster=a", "--tile_size=12x"};
  CHECK_FAILS(STATUS_BAD_OPTION, "whole number", parse(&v, NULL, 2, word));
  char *nan[] = {"--raster=a", "--share=nan"};
  CHECK_FAILS(STATUS_BAD_OPTION, "takes a number", parse(&v, NULL, 2, nan));
  char *choice[] = {"--raster=a", "--format=png"};
  CHECK_FAILS(STATUS_BAD_OPTION, "chips|classified_tiles", parse(&v, NULL, 2, choice));
  CHECK_FAILS(STATUS_BAD_OPTION, "needs --raster", parse(&v, NULL, 0, NULL));
  char *bare[] = {"raster.tif"};
  CHECK_FAILS(STATUS_BAD_OPTION, "is no option", parse(&v, NULL, 1, bare));
  CHECK_FAILS(STATUS_IO, "missing.ini", parse(&v, "/tmp/missing.ini", 0, NULL));
}

static void a_value_is_formatted_as_a_user_would_write_it(void **state)
{
  Values v;
  char *arguments[] = {"--raster=a b.tif", "--format=classified_tiles", "--extent=1,2"};
  CHECK_OK(parse(&v, NULL, 3, arguments));
  const char *expected[] = {"a b.tif", "256", "0.5", "no", "classified_tiles", "1,2"};
  for (size_t i = 0; i < 6; ++i) {
    char *text;
    CHECK_OK(options_format(&table, &v, i, arena, &text));
    assert_string_equal(text, expected[i]);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(presets_fill_what_is_not_given),
      cmocka_unit_test(every_form_of_an_argument_is_read),
      cmocka_unit_test(the_command_line_beats_the_job_file),
      cmocka_unit_test(each_mistake_is_named),
      cmocka_unit_test(a_value_is_formatted_as_a_user_would_write_it),
  };
  return cmocka_run_group_tests(tests, open_arena, close_arena);
}
