#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/path.h"
#include "store/document.h"
#include "support/check.h"

static Document *parse(const char *text)
{
  Document *document;
  CHECK_OK(document_parse(text, strlen(text), "test.json", &document));
  return document;
}

static void check_text(const Document *document, DocumentStyle style, const char *wanted)
{
  char *text;
  CHECK_OK(document_format(document, style, &text));
  assert_string_equal(text, wanted);
  memory_free(text);
}

static void bad_json_names_file_line_and_column(void **state)
{
  Document *document;
  const char text[] = "{\n  \"a\": 1,\n  \"b\" 2\n}";
  CHECK_FAILS(STATUS_BAD_INPUT, "test.json, line 3, column 7",
              document_parse(text, strlen(text), "test.json", &document));
  assert_null(document);
}

static void a_key_that_stands_twice_is_refused(void **state)
{
  Document *document;
  CHECK_FAILS(STATUS_BAD_INPUT, "duplicate",
              document_parse("{\"a\":1,\"a\":2}", 13, "x", &document));
}

static void nesting_is_bounded(void **state)
{
  char text[2 * DOCUMENT_DEPTH_MAX + 2];
  Document *document;
  memset(text, '[', DOCUMENT_DEPTH_MAX);
  memset(text + DOCUMENT_DEPTH_MAX, ']', DOCUMENT_DEPTH_MAX);
  CHECK_OK(document_parse(text, 2 * DOCUMENT_DEPTH_MAX, "x", &document));
  document_close(document);
  memset(text, '[', DOCUMENT_DEPTH_MAX + 1);
  memset(text + DOCUMENT_DEPTH_MAX + 1, ']', DOCUMENT_DEPTH_MAX + 1);
  CHECK_FAILS(STATUS_BAD_INPUT, "deeper than 128",
              document_parse(text, sizeof text, "x", &document));
  document = parse("[\"[[[[\\\"[[\"]");
  document_close(document);
}

static void a_byte_order_mark_is_skipped(void **state)
{
  Document *document = parse("\xEF\xBB\xBF{\"a\": 1}");
  int64_t value;
  CHECK_OK(document_get_int(document, "a", &value, NULL));
  assert_int_equal(value, 1);
  document_close(document);
}

static void an_absent_value_is_told_from_a_wrong_one(void **state)
{
  Document *document = parse("{\"null\": null, \"text\": \"abc\"}");
  int64_t value = 5;
  bool present = true;
  CHECK_OK(document_get_int(document, "missing", &value, &present));
  assert_false(present);
  CHECK_OK(document_get_int(document, "null", &value, &present));
  assert_false(present);
  assert_int_equal(value, 5);
  CHECK_FAILS(STATUS_BAD_INPUT, "“missing” is missing",
              document_get_int(document, "missing", &value, NULL));
  CHECK_FAILS(STATUS_BAD_INPUT, "key “text”: a whole number is wanted, found the text “abc”",
              document_get_int(document, "text", &value, &present));
  document_close(document);
}

static void numbers_in_quotes_and_placeholders_of_arcgis_are_understood(void **state)
{
  Document *document = parse("{\"ImageHeight\": \"256\", \"accuracy\": \"9.5355e-01\", "
                             "\"BatchSize\": \"e.g. 8 (optional)\", \"whole\": 256.0, "
                             "\"half\": 0.5, \"hex\": \"0x10\", \"nan\": \"nan\", \"flag\": 1}");
  int64_t value;
  double real;
  bool flag;
  bool present;
  CHECK_OK(document_get_int(document, "ImageHeight", &value, NULL));
  assert_int_equal(value, 256);
  CHECK_OK(document_get_real(document, "accuracy", &real, NULL));
  assert_true(real == 0.95355);
  CHECK_OK(document_get_int(document, "BatchSize", &value, &present));
  assert_false(present);
  CHECK_OK(document_get_int(document, "whole", &value, NULL));
  assert_int_equal(value, 256);
  CHECK_FAILS(STATUS_BAD_INPUT, "whole number", document_get_int(document, "half", &value, NULL));
  CHECK_FAILS(STATUS_BAD_INPUT, "0x10", document_get_real(document, "hex", &real, NULL));
  CHECK_FAILS(STATUS_BAD_INPUT, "nan", document_get_real(document, "nan", &real, NULL));
  CHECK_OK(document_get_flag(document, "flag", &flag, NULL));
  assert_true(flag);
  document_close(document);
}

static void lists_are_measured_and_read(void **state)
{
  Document *document = parse("{\"bands\": [3, \"2\", 1.0], \"bad\": [1, {}], \"one\": 4}");
  int64_t bands[2] = {0};
  double reals[3];
  size_t count;
  CHECK_OK(document_get_ints(document, "bands", NULL, 0, &count, NULL));
  assert_int_equal(count, 3);
  CHECK_OK(document_get_ints(document, "bands", bands, 2, &count, NULL));
  assert_int_equal(bands[0], 3);
  assert_int_equal(bands[1], 2);
  CHECK_OK(document_get_reals(document, "bands", reals, 3, &count, NULL));
  assert_true(reals[2] == 1);
  CHECK_FAILS(STATUS_BAD_INPUT, "an object",
              document_get_reals(document, "bad", reals, 3, &count, NULL));
  CHECK_FAILS(STATUS_BAD_INPUT, "a list is wanted",
              document_get_ints(document, "one", bands, 2, &count, NULL));
  document_close(document);
}

static void keys_keep_their_order_and_the_text_is_the_same_every_time(void **state)
{
  Document *document;
  Document *child;
  const int64_t dims[3] = {1, 2, 3};
  CHECK_OK(document_new_object(&document));
  CHECK_OK(document_set_text(document, "z", "say \"ä\"\n"));
  CHECK_OK(document_set_real(document, "a", 0.1));
  CHECK_OK(document_set_real(document, "whole", 3));
  CHECK_OK(document_set_real(document, "none", NAN));
  CHECK_OK(document_set_ints(document, "dims", dims, 3));
  CHECK_OK(document_set_list(document, "rows", &child));
  CHECK_OK(document_add_object(child, &child));
  CHECK_OK(document_set_flag(child, "on", true));
  CHECK_OK(document_set_int(document, "a", 7));
  check_text(document, DOCUMENT_ONE_LINE,
             "{\"z\":\"say \\\"ä\\\"\\n\",\"a\":7,\"whole\":3.0,\"none\":null,\"dims\":[1,2,3],"
             "\"rows\":[{\"on\":true}]}");
  check_text(
      document, DOCUMENT_PRETTY,
      "{\n  \"z\": \"say \\\"ä\\\"\\n\",\n  \"a\": 7,\n  \"whole\": 3.0,\n  \"none\": null,\n"
      "  \"dims\": [1, 2, 3],\n  \"rows\": [\n    {\n      \"on\": true\n    }\n  ]\n}\n");
  document_close(document);
}

static void reals_are_written_with_the_fewest_digits_that_read_back(void **state)
{
  const double reals[5] = {0.1, 1.0 / 3, 1e300, -5e-324, 0.1 + 0.2};
  Document *list;
  CHECK_OK(document_new_list(&list));
  for (size_t i = 0; i < 5; ++i)
    CHECK_OK(document_add_real(list, reals[i]));
  check_text(list, DOCUMENT_ONE_LINE,
             "[0.1,0.3333333333333333,1e+300,-4.94065645841247e-324,0.30000000000000004]");
  document_close(list);
}

static void a_control_character_is_escaped_and_reads_back(void **state)
{
  Document *document;
  const char *text;
  CHECK_OK(document_new_object(&document));
  CHECK_OK(document_set_text(document, "k", "a\x1F\t\\b"));
  check_text(document, DOCUMENT_ONE_LINE, "{\"k\":\"a\\u001f\\u0009\\\\b\"}");
  document_close(document);
  document = parse("{\"k\":\"a\\u001f\\u0009\\\\b\"}");
  CHECK_OK(document_get_text(document, "k", &text, NULL));
  assert_string_equal(text, "a\x1F\t\\b");
  document_close(document);
}

static void text_that_is_not_utf8_is_refused(void **state)
{
  Document *document;
  CHECK_OK(document_new_object(&document));
  CHECK_FAILS(STATUS_BAD_INPUT, "not UTF-8", document_set_text(document, "k", "\xFF"));
  CHECK_FAILS(STATUS_BAD_INPUT, "not UTF-8", document_set_int(document, "\xFF", 1));
  document_close(document);
}

static void what_is_saved_reads_back(void **state)
{
  char folder[] = "/tmp/quadrat-document-XXXXXX";
  char path[256];
  Document *document = parse("{\"b\": [1, 2.5, \"x\"], \"a\": {\"c\": null}}");
  Document *read;
  assert_non_null(mkdtemp(folder));
  CHECK_OK(path_join(folder, "a.json", sizeof path, path));
  CHECK_OK(document_save(document, DOCUMENT_PRETTY, path));
  CHECK_OK(document_read(path, &read));
  check_text(read, DOCUMENT_ONE_LINE, "{\"b\":[1,2.5,\"x\"],\"a\":{\"c\":null}}");
  assert_string_equal(document_key(read, 1), "a");
  assert_null(document_key(read, 2));
  document_close(read);
  document_close(document);
  CHECK_OK(path_remove_tree(folder));
  CHECK_FAILS(STATUS_IO, "No such file", document_read(path, &read));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bad_json_names_file_line_and_column),
      cmocka_unit_test(a_key_that_stands_twice_is_refused),
      cmocka_unit_test(nesting_is_bounded),
      cmocka_unit_test(a_byte_order_mark_is_skipped),
      cmocka_unit_test(an_absent_value_is_told_from_a_wrong_one),
      cmocka_unit_test(numbers_in_quotes_and_placeholders_of_arcgis_are_understood),
      cmocka_unit_test(lists_are_measured_and_read),
      cmocka_unit_test(keys_keep_their_order_and_the_text_is_the_same_every_time),
      cmocka_unit_test(reals_are_written_with_the_fewest_digits_that_read_back),
      cmocka_unit_test(a_control_character_is_escaped_and_reads_back),
      cmocka_unit_test(text_that_is_not_utf8_is_refused),
      cmocka_unit_test(what_is_saved_reads_back),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
