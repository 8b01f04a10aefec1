#include <stdio.h>
#include <unistd.h>

#include "store/checksum.h"
#include "support/check.h"

static uint64_t digest(const char *text, uint64_t seed)
{
  Checksum checksum = checksum_start(seed);
  checksum_add(&checksum, text, strlen(text));
  return checksum_value(&checksum);
}

/* Values of the reference implementation of xxHash. */
static void xxh64_gives_the_published_values(void **state)
{
  assert_true(digest("", 0) == 0xEF46DB3751D8E999U);
  assert_true(digest("a", 0) == 0xD24EC4F1A98C6E5BU);
  assert_true(digest("abc", 0) == 0x44BC2CF5AD770999U);
  assert_true(digest("Nobody inspects the spammish repetition", 0) == 0xFBCEA83C8A378BF1U);
}

static void pieces_of_any_length_give_the_digest_of_the_whole(void **state)
{
  char bytes[200];
  for (size_t i = 0; i < sizeof bytes; ++i)
    bytes[i] = (char)(i * 37);
  Checksum whole = checksum_start(7);
  checksum_add(&whole, bytes, sizeof bytes);
  for (size_t step = 1; step < sizeof bytes; ++step) {
    Checksum parts = checksum_start(7);
    for (size_t at = 0; at < sizeof bytes; at += step)
      checksum_add(&parts, bytes + at, sizeof bytes - at < step ? sizeof bytes - at : step);
    assert_true(checksum_value(&parts) == checksum_value(&whole));
  }
}

static void texts_do_not_run_into_each_other(void **state)
{
  Checksum first = checksum_start(0);
  Checksum second = checksum_start(0);
  checksum_add_text(&first, "ab");
  checksum_add_text(&first, "c");
  checksum_add_text(&second, "a");
  checksum_add_text(&second, "bc");
  assert_false(checksum_value(&first) == checksum_value(&second));
}

static void crc32_gives_the_published_value(void **state)
{
  assert_int_equal(checksum_crc32(0, "123456789", 9), 0xCBF43926);
  assert_int_equal(checksum_crc32(checksum_crc32(0, "1234", 4), "56789", 5), 0xCBF43926);
  assert_int_equal(checksum_crc32(5, NULL, 0), 5);
}

static void a_file_has_the_digest_of_its_bytes(void **state)
{
  char path[] = "/tmp/quadrat-checksum-XXXXXX";
  const int file = mkstemp(path);
  char text[17];
  uint64_t value;
  assert_int_equal(write(file, "abc", 3), 3);
  (void)close(file);
  CHECK_OK(checksum_file(path, &value));
  checksum_text(value, text);
  assert_string_equal(text, "44bc2cf5ad770999");
  (void)unlink(path);
  CHECK_FAILS(STATUS_IO, "No such file", checksum_file(path, &value));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(xxh64_gives_the_published_values),
      cmocka_unit_test(pieces_of_any_length_give_the_digest_of_the_whole),
      cmocka_unit_test(texts_do_not_run_into_each_other),
      cmocka_unit_test(crc32_gives_the_published_value),
      cmocka_unit_test(a_file_has_the_digest_of_its_bytes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
