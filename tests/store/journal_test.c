#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "store/journal.h"
#include "support/check.h"

static char folder[] = "/tmp/quadrat-journal-XXXXXX";
static char path[256];

static int make_folder(void **state)
{
  if (mkdtemp(folder) == NULL) return -1;
  return path_join(folder, "journal", sizeof path, path) == STATUS_OK ? 0 : -1;
}

static int remove_folder(void **state)
{
  return path_remove_tree(folder) == STATUS_OK ? 0 : -1;
}

static int start_without(void **state)
{
  (void)unlink(path);
  return 0;
}

static void write_records(const char *identity, const char *first, const char *second)
{
  Journal *journal;
  CHECK_OK(journal_open(path, identity, &journal));
  if (first != NULL) CHECK_OK(journal_append(journal, first, false));
  if (second != NULL) CHECK_OK(journal_append(journal, second, true));
  journal_close(journal);
}

/* Joins the records by '|'. */
static Status collect(void *context, const char *record)
{
  char *joined = context;
  assert_true(strlen(joined) + strlen(record) < 1000);
  (void)snprintf(joined + strlen(joined), 1000 - strlen(joined), "%s|", record);
  return STATUS_OK;
}

static void check_records(const char *identity, const char *wanted)
{
  char joined[1000] = "";
  CHECK_OK(journal_read(path, identity, collect, joined));
  assert_string_equal(joined, wanted);
}

static void records_come_back_in_order_and_go_on_after_reopening(void **state)
{
  write_records("job 1", "batch 0", "batch 1");
  check_records("job 1", "batch 0|batch 1|");
  write_records("job 1", "batch 2", NULL);
  check_records(NULL, "batch 0|batch 1|batch 2|");
}

static void lines_have_the_checksum_that_the_header_says(void **state)
{
  char line[100];
  write_records("x", "123456789", NULL);
  FILE *file = fopen(path, "r");
  assert_non_null(file);
  assert_non_null(fgets(line, sizeof line, file));
  assert_string_equal(line + 9, "quadrat journal 1 x\n");
  assert_non_null(fgets(line, sizeof line, file));
  assert_string_equal(line, "cbf43926 123456789\n");
  (void)fclose(file);
}

static void a_missing_journal_has_no_records(void **state)
{
  check_records("job", "");
}

static void another_jobs_journal_is_refused_and_kept(void **state)
{
  Journal *journal;
  char joined[1000] = "";
  write_records("job 1", "batch 0", NULL);
  CHECK_FAILS(STATUS_MISMATCH, "another job", journal_open(path, "job 2", &journal));
  assert_null(journal);
  CHECK_FAILS(STATUS_MISMATCH, "another job", journal_read(path, "job 2", collect, joined));
  check_records("job 1", "batch 0|");
}

static void a_line_cut_at_any_byte_is_dropped_and_the_journal_goes_on(void **state)
{
  struct stat whole;
  write_records("job", "first", "second");
  assert_int_equal(stat(path, &whole), 0);
  const off_t second_bytes = (off_t)strlen("00000000 second\n");
  for (off_t cut = 1; cut <= second_bytes; ++cut) {
    assert_int_equal(truncate(path, whole.st_size - cut), 0);
    check_records("job", "first|");
    write_records("job", "second", NULL);
    check_records("job", "first|second|");
  }
}

static void a_first_line_cut_at_any_byte_is_an_empty_journal(void **state)
{
  struct stat whole;
  write_records("job", NULL, NULL);
  assert_int_equal(stat(path, &whole), 0);
  for (off_t left = 0; left < whole.st_size; ++left) {
    assert_int_equal(truncate(path, left), 0);
    check_records("job", "");
    write_records("job", NULL, NULL);
  }
}

static void reading_stops_at_a_damaged_line(void **state)
{
  write_records("job", "first", "second");
  write_records("job", "third", NULL);
  FILE *file = fopen(path, "r+");
  assert_non_null(file);
  const long behind = (long)strlen("00000000 second\n00000000 third\n");
  assert_int_equal(fseek(file, -behind + 12, SEEK_END), 0);
  assert_int_equal(fputc('X', file), 'X');
  (void)fclose(file);
  check_records("job", "first|");
  write_records("job", "again", NULL);
  check_records("job", "first|again|");
}

static void a_foreign_file_is_refused_and_left_alone(void **state)
{
  Journal *journal;
  struct stat found;
  FILE *file = fopen(path, "w");
  assert_true(fputs("a letter to a friend", file) >= 0);
  (void)fclose(file);
  CHECK_FAILS(STATUS_BAD_INPUT, "not a journal", journal_open(path, "job", &journal));
  assert_int_equal(stat(path, &found), 0);
  assert_int_equal(found.st_size, 20);
}

static void a_record_is_one_line(void **state)
{
  Journal *journal;
  CHECK_OK(journal_open(path, "job", &journal));
  CHECK_FAILS(STATUS_BAD_INPUT, "one line", journal_append(journal, "a\nb", false));
  journal_close(journal);
  CHECK_FAILS(STATUS_BAD_INPUT, "one line", journal_open(path, "a\nb", &journal));
}

static Status refuse(void *context, const char *record)
{
  return status_set(STATUS_BAD_INPUT, "%s is not wanted", record);
}

static void a_visitor_may_end_the_reading(void **state)
{
  write_records("job", "first", "second");
  CHECK_FAILS(STATUS_BAD_INPUT, "first is not wanted", journal_read(path, NULL, refuse, NULL));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(records_come_back_in_order_and_go_on_after_reopening, start_without),
      cmocka_unit_test_setup(lines_have_the_checksum_that_the_header_says, start_without),
      cmocka_unit_test_setup(a_missing_journal_has_no_records, start_without),
      cmocka_unit_test_setup(another_jobs_journal_is_refused_and_kept, start_without),
      cmocka_unit_test_setup(a_line_cut_at_any_byte_is_dropped_and_the_journal_goes_on,
                             start_without),
      cmocka_unit_test_setup(a_first_line_cut_at_any_byte_is_an_empty_journal, start_without),
      cmocka_unit_test_setup(reading_stops_at_a_damaged_line, start_without),
      cmocka_unit_test_setup(a_foreign_file_is_refused_and_left_alone, start_without),
      cmocka_unit_test_setup(a_record_is_one_line, start_without),
      cmocka_unit_test_setup(a_visitor_may_end_the_reading, start_without),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
