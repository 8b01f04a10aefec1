#include "plan_cache.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/path.h"
#include "plan_list.h"
#include "support/check.h"

/* Choices of engines survive from run to run; no file, whatever is in it, does harm. */

static const char identity[] = "cuDNN 91900; NVIDIA H200; 132 multiprocessors; sm_90";
static const PlanChoice plain = {.engine = 38, .knob_count = 0};
static const PlanChoice full = {
    .engine = 5, .knob_count = 3, .knobs = {2, 17, 25}, .values = {24, 1, -1}};

static char folder[OUTPUT_PATH_BYTES];

static int make_folder(void **state)
{
  (void)snprintf(folder, sizeof folder, "/tmp/quadrat-plans-XXXXXX");
  return mkdtemp(folder) == NULL ? -1 : 0;
}

static int remove_folder(void **state)
{
  return path_remove_tree(folder) == STATUS_OK ? 0 : -1;
}

static PlanCache *open_cache(const char *of)
{
  PlanCache *cache = NULL;
  CHECK_OK(plan_cache_open(folder, of, &cache));
  return cache;
}

static void keep_and_save(const char *key, const PlanChoice *choice)
{
  PlanCache *cache = open_cache(identity);
  CHECK_OK(plan_cache_keep(cache, key, choice));
  CHECK_OK(plan_cache_save(cache));
  plan_cache_close(cache);
}

/* What a new run finds: 1 the choice, 0 nothing, -1 another. */
static int finds(const char *of, const char *key, const PlanChoice *expected)
{
  PlanChoice found;
  PlanCache *cache = open_cache(of);
  const bool is_there = plan_cache_find(cache, key, &found);
  plan_cache_close(cache);
  return !is_there ? 0 : plan_choice_equal(&found, expected) ? 1 : -1;
}

static void path_of_cache(char path[OUTPUT_PATH_BYTES])
{
  PlanCache *cache = open_cache(identity);
  (void)snprintf(path, OUTPUT_PATH_BYTES, "%s", plan_cache_path(cache));
  plan_cache_close(cache);
}

static size_t read_all(const char *path, char *bytes, size_t most)
{
  FILE *file = fopen(path, "rb");
  assert_non_null(file);
  const size_t count = fread(bytes, 1, most, file);
  assert_int_equal(fclose(file), 0);
  return count;
}

static void write_all(const char *path, const char *bytes, size_t count)
{
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes, 1, count, file), count);
  assert_int_equal(fclose(file), 0);
  assert_int_equal(chmod(path, 0600), 0);
}

static void what_is_saved_is_found_by_the_next_run(void **state)
{
  assert_int_equal(finds(identity, "a", &plain), 0);
  keep_and_save("a", &plain);
  keep_and_save("b of 3 x 3", &full);
  assert_int_equal(finds(identity, "a", &plain), 1);
  assert_int_equal(finds(identity, "b of 3 x 3", &full), 1);
  assert_int_equal(finds(identity, "b", &full), 0);
  keep_and_save("a", &full);
  assert_int_equal(finds(identity, "a", &full), 1);
  assert_int_equal(finds(identity, "b of 3 x 3", &full), 1);
}

static void the_file_is_its_owners_alone_and_nothing_else_stays(void **state)
{
  char path[OUTPUT_PATH_BYTES];
  char lock[OUTPUT_PATH_BYTES + 8];
  struct stat facts;
  keep_and_save("a", &plain);
  path_of_cache(path);
  assert_string_equal(path_file_name(path),
                      "cuDNN_91900_NVIDIA_H200_132_multiprocessors_sm_90.plans");
  assert_int_equal(stat(path, &facts), 0);
  assert_int_equal(facts.st_mode & 07777, 0600);
  (void)snprintf(lock, sizeof lock, "%s.lock", path);
  assert_int_equal(unlink(path), 0);
  assert_int_equal(unlink(lock), 0);
  assert_int_equal(rmdir(folder), 0);
  assert_int_equal(mkdir(folder, 0700), 0);
}

static void a_missing_folder_is_made_when_something_is_saved(void **state)
{
  char deep[OUTPUT_PATH_BYTES];
  PlanCache *cache = NULL;
  PlanChoice found;
  CHECK_OK(path_join(folder, "x/y", sizeof deep, deep));
  CHECK_OK(plan_cache_open(deep, identity, &cache));
  CHECK_OK(plan_cache_save(cache));
  assert_false(path_exists(deep));
  CHECK_OK(plan_cache_keep(cache, "a", &plain));
  CHECK_OK(plan_cache_save(cache));
  plan_cache_close(cache);
  CHECK_OK(plan_cache_open(deep, identity, &cache));
  assert_true(plan_cache_find(cache, "a", &found));
  plan_cache_close(cache);
}

static void without_a_folder_choices_last_as_long_as_the_cache(void **state)
{
  PlanCache *cache = NULL;
  PlanChoice found;
  CHECK_OK(plan_cache_open("", identity, &cache));
  assert_string_equal(plan_cache_path(cache), "");
  plan_cache_enter(cache, 1.0);
  CHECK_OK(plan_cache_keep(cache, "a", &full));
  plan_cache_leave(cache);
  CHECK_OK(plan_cache_save(cache));
  assert_true(plan_cache_find(cache, "a", &found));
  assert_true(plan_choice_equal(&found, &full));
  plan_cache_close(cache);
  CHECK_OK(plan_cache_open("", identity, &cache));
  assert_false(plan_cache_find(cache, "a", &found));
  plan_cache_close(cache);
}

static void two_runs_that_write_lose_nothing_of_each_other(void **state)
{
  PlanCache *one = open_cache(identity);
  PlanCache *two = open_cache(identity);
  CHECK_OK(plan_cache_keep(one, "a", &plain));
  CHECK_OK(plan_cache_keep(two, "b", &full));
  CHECK_OK(plan_cache_save(one));
  CHECK_OK(plan_cache_save(two));
  plan_cache_close(one);
  plan_cache_close(two);
  assert_int_equal(finds(identity, "a", &plain), 1);
  assert_int_equal(finds(identity, "b", &full), 1);
}

enum { PROCESSES = 4, KEYS_EACH = 25 };

static void write_keys(int process)
{
  char key[32];
  PlanCache *cache = NULL;
  bool right = plan_cache_open(folder, identity, &cache) == STATUS_OK;
  for (int i = 0; i < KEYS_EACH && right; ++i) {
    const PlanChoice choice = {.engine = process * KEYS_EACH + i};
    (void)snprintf(key, sizeof key, "%d of %d", i, process);
    right =
        plan_cache_keep(cache, key, &choice) == STATUS_OK && plan_cache_save(cache) == STATUS_OK;
  }
  _exit(right ? 0 : 1);
}

static void many_processes_that_write_at_once_lose_nothing(void **state)
{
  char key[32];
  for (int i = 0; i < PROCESSES; ++i)
    if (fork() == 0) write_keys(i);
  for (int i = 0; i < PROCESSES; ++i) {
    int code = 1;
    assert_true(wait(&code) > 0);
    assert_int_equal(code, 0);
  }
  for (int i = 0; i < PROCESSES * KEYS_EACH; ++i) {
    const PlanChoice choice = {.engine = i};
    (void)snprintf(key, sizeof key, "%d of %d", i % KEYS_EACH, i / KEYS_EACH);
    assert_int_equal(finds(identity, key, &choice), 1);
  }
}

static void who_waits_finds_what_the_other_wrote(void **state)
{
  PlanChoice found;
  PlanCache *cache = open_cache(identity);
  plan_cache_enter(cache, 5.0);
  const pid_t child = fork();
  if (child == 0) {
    PlanCache *other = NULL;
    bool right = plan_cache_open(folder, identity, &other) == STATUS_OK &&
                 !plan_cache_find(other, "a", &found);
    plan_cache_enter(other, 20.0);
    right = right && plan_cache_find(other, "a", &found) && plan_choice_equal(&found, &full);
    plan_cache_leave(other);
    _exit(right ? 0 : 1);
  }
  (void)usleep(100000); /* it is at the door by now; if not, the test is only weaker */
  CHECK_OK(plan_cache_keep(cache, "a", &full));
  CHECK_OK(plan_cache_save(cache));
  plan_cache_leave(cache);
  plan_cache_close(cache);
  int code = 1;
  assert_int_equal(waitpid(child, &code, 0), child);
  assert_int_equal(code, 0);
}

static void who_waits_in_vain_goes_on_alone(void **state)
{
  PlanCache *one = open_cache(identity);
  PlanCache *two = open_cache(identity);
  plan_cache_enter(one, 1.0);
  plan_cache_enter(two, 0.05);
  CHECK_OK(plan_cache_keep(two, "a", &plain));
  CHECK_OK(plan_cache_save(two)); /* it waits, then writes */
  plan_cache_close(two);
  plan_cache_close(one);
  assert_int_equal(finds(identity, "a", &plain), 1);
}

static void the_file_of_another_gpu_or_version_is_not_taken(void **state)
{
  static const char older[] = "cuDNN 91200; NVIDIA H200; 132 multiprocessors; sm_90";
  char path[OUTPUT_PATH_BYTES];
  char other[OUTPUT_PATH_BYTES];
  PlanCache *cache = open_cache(older);
  CHECK_OK(plan_cache_keep(cache, "a", &plain));
  CHECK_OK(plan_cache_save(cache));
  (void)snprintf(other, sizeof other, "%s", plan_cache_path(cache));
  plan_cache_close(cache);
  assert_int_equal(finds(older, "a", &plain), 1);
  assert_int_equal(finds(identity, "a", &plain), 0);
  path_of_cache(path);
  assert_int_equal(rename(other, path), 0);
  assert_int_equal(finds(identity, "a", &plain), 0);
  keep_and_save("b", &full); /* and it is replaced */
  assert_int_equal(finds(identity, "a", &plain), 0);
  assert_int_equal(finds(identity, "b", &full), 1);
}

/* The whole of a file with two choices. */
static size_t two_choices(char path[OUTPUT_PATH_BYTES], char bytes[4096])
{
  keep_and_save("a", &plain);
  keep_and_save("b", &full);
  path_of_cache(path);
  return read_all(path, bytes, 4096);
}

static void a_file_cut_anywhere_holds_its_whole_lines(void **state)
{
  char path[OUTPUT_PATH_BYTES];
  char bytes[4096];
  const size_t count = two_choices(path, bytes);
  int found_a = 0;
  for (size_t cut = 0; cut <= count; ++cut) {
    write_all(path, bytes, cut);
    const int a = finds(identity, "a", &plain);
    const int b = finds(identity, "b", &full);
    assert_in_range(a, 0, 1);
    assert_int_equal(b, cut == count);
    assert_true(a >= found_a);
    found_a = a;
  }
  write_all(path, bytes, count - 1);
  keep_and_save("c", &plain);
  assert_int_equal(finds(identity, "a", &plain), 1);
  assert_int_equal(finds(identity, "c", &plain), 1);
}

static void a_changed_byte_never_gives_another_choice(void **state)
{
  char path[OUTPUT_PATH_BYTES];
  char bytes[4096];
  const size_t count = two_choices(path, bytes);
  for (size_t at = 0; at < count; ++at)
    for (int bit = 0; bit < 8; bit += 3) {
      bytes[at] = (char)(bytes[at] ^ (1 << bit));
      write_all(path, bytes, count);
      bytes[at] = (char)(bytes[at] ^ (1 << bit));
      const int a = finds(identity, "a", &plain);
      const int b = finds(identity, "b", &full);
      assert_in_range(a, 0, 1);
      assert_in_range(b, 0, 1);
      assert_false(a == 1 && b == 1);
    }
}

/* FNV-1a, 64 bits, of identity with its end and of the text: what a line begins with. */
static void add_sealed(char bytes[65536], const char *text)
{
  const size_t length = strlen(bytes);
  uint64_t sum = UINT64_C(14695981039346656037);
  for (size_t i = 0; i <= strlen(identity); ++i)
    sum = (sum ^ (uint8_t)identity[i]) * UINT64_C(1099511628211);
  for (size_t i = 0; i < strlen(text); ++i)
    sum = (sum ^ (uint8_t)text[i]) * UINT64_C(1099511628211);
  (void)snprintf(bytes + length, 65536 - length, "%016" PRIx64 " %s\n", sum, text);
}

static void count_one(void *context, const char *key, const PlanChoice *choice)
{
  ++*(int *)context;
}

static void lines_that_are_wrong_under_a_right_checksum_are_passed_over(void **state)
{
  static const char *const bad[] = {"",           "=",
                                    "= 1",        "k=",
                                    "k= ",        "k= -1",
                                    "k= x",       "k= 1 ",
                                    "k= 1 2",     "k= 1 2:",
                                    "k= 1 :3",    "k= 1 2:3 ",
                                    "k= 1  2",    "k= 1 -2:3",
                                    "k= 1 2:3,4", "k= 99999999999999999999",
                                    "k=k= 1",     "k= 1 2:9999999999999999"};
  char path[OUTPUT_PATH_BYTES];
  char bytes[65536] = "";
  char line[2048] = "k= 1";
  char opening[PLAN_LINE_BYTES];
  path_of_cache(path);
  opening[plan_text_opening(identity, opening)] = '\0';
  add_sealed(bytes, opening + 17);
  assert_memory_equal(bytes, opening, strlen(opening));
  for (size_t i = 0; i < sizeof bad / sizeof *bad; ++i)
    add_sealed(bytes, bad[i]);
  for (int i = 0; i <= PLAN_KNOBS_MOST; ++i)
    (void)snprintf(line + strlen(line), 16, " %d:1", i);
  add_sealed(bytes, line);
  (void)snprintf(line, sizeof line, "%0*d= 1", PLAN_KEY_BYTES, 7);
  add_sealed(bytes, line);
  (void)snprintf(line, sizeof line, "%02000d= 1", 7);
  add_sealed(bytes, line);
  add_sealed(bytes, "good= 38");
  write_all(path, bytes, strlen(bytes));
  assert_int_equal(finds(identity, "k", &plain), 0);
  assert_int_equal(finds(identity, "k=k", &plain), 0);
  assert_int_equal(finds(identity, "good", &plain), 1);
  int count = 0;
  plan_text_walk(bytes, strlen(bytes), identity, count_one, &count);
  assert_int_equal(count, 1);
}

static void what_others_may_have_put_there_is_not_read(void **state)
{
  char path[OUTPUT_PATH_BYTES];
  char aside[OUTPUT_PATH_BYTES + 8];
  keep_and_save("a", &plain);
  path_of_cache(path);
  assert_int_equal(chmod(path, 0620), 0);
  assert_int_equal(finds(identity, "a", &plain), 0);
  assert_int_equal(chmod(path, 0602), 0);
  assert_int_equal(finds(identity, "a", &plain), 0);
  assert_int_equal(chmod(path, 0644), 0);
  assert_int_equal(finds(identity, "a", &plain), 1);
  (void)snprintf(aside, sizeof aside, "%s.x", path);
  assert_int_equal(rename(path, aside), 0);
  assert_int_equal(symlink(aside, path), 0);
  assert_int_equal(finds(identity, "a", &plain), 0);
  keep_and_save("b", &full); /* in place of the link, not through it */
  assert_int_equal(finds(identity, "a", &plain), 0);
  assert_int_equal(finds(identity, "b", &full), 1);
}

static void a_pipe_or_a_folder_in_its_place_stops_nobody(void **state)
{
  char path[OUTPUT_PATH_BYTES];
  path_of_cache(path);
  assert_int_equal(mkfifo(path, 0600), 0);
  assert_int_equal(finds(identity, "a", &plain), 0);
  keep_and_save("a", &plain);
  assert_int_equal(finds(identity, "a", &plain), 1);
  assert_int_equal(unlink(path), 0);
  assert_int_equal(mkdir(path, 0700), 0);
  PlanCache *cache = open_cache(identity);
  CHECK_OK(plan_cache_keep(cache, "a", &plain));
  CHECK_FAILS(STATUS_IO, path, plan_cache_save(cache));
  CHECK_OK(plan_cache_save(cache)); /* not tried again */
  plan_cache_close(cache);
  assert_int_equal(rmdir(path), 0);
}

static void a_file_beyond_all_sense_is_not_read(void **state)
{
  char path[OUTPUT_PATH_BYTES];
  keep_and_save("a", &plain);
  path_of_cache(path);
  assert_int_equal(truncate(path, (off_t)1 << 40), 0);
  assert_int_equal(finds(identity, "a", &plain), 0);
  keep_and_save("a", &plain);
  assert_int_equal(finds(identity, "a", &plain), 1);
}

static void the_oldest_choices_make_room(void **state)
{
  char key[32];
  PlanList list = {.count = 0};
  PlanChoice found;
  for (int i = 0; i < PLANS_MOST + 2; ++i) {
    const PlanChoice choice = {.engine = i};
    (void)snprintf(key, sizeof key, "%d", i);
    CHECK_OK(plan_list_put(&list, key, &choice));
  }
  assert_int_equal(list.count, PLANS_MOST);
  assert_false(plan_list_find(&list, "1", &found));
  assert_true(plan_list_find(&list, "2", &found));
  assert_true(plan_list_find(&list, key, &found));
  assert_int_equal(found.engine, PLANS_MOST + 1);
  plan_list_empty(&list);
}

static void expect_folder(const char *own, const char *caches, const char *home,
                          const char *expected)
{
  const char *const names[] = {"QUADRAT_CACHE", "XDG_CACHE_HOME", "HOME"};
  const char *const values[] = {own, caches, home};
  char found[OUTPUT_PATH_BYTES];
  for (int i = 0; i < 3; ++i)
    assert_int_equal(values[i] == NULL ? unsetenv(names[i]) : setenv(names[i], values[i], 1), 0);
  plan_cache_folder(found);
  assert_string_equal(found, expected);
}

static void the_folder_is_the_users_cache_unless_told_otherwise(void **state)
{
  expect_folder("/own", "/caches", "/home/u", "/own");
  expect_folder("", "/caches", "/home/u", "");
  expect_folder(NULL, "/caches", "/home/u", "/caches/quadrat");
  expect_folder(NULL, "caches", "/home/u", "/home/u/.cache/quadrat");
  expect_folder(NULL, NULL, "/home/u", "/home/u/.cache/quadrat");
  expect_folder(NULL, NULL, NULL, "");
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
  const struct CMUnitTest tests[] = {
      IN_FOLDER(what_is_saved_is_found_by_the_next_run),
      IN_FOLDER(the_file_is_its_owners_alone_and_nothing_else_stays),
      IN_FOLDER(a_missing_folder_is_made_when_something_is_saved),
      IN_FOLDER(without_a_folder_choices_last_as_long_as_the_cache),
      IN_FOLDER(two_runs_that_write_lose_nothing_of_each_other),
      IN_FOLDER(many_processes_that_write_at_once_lose_nothing),
      IN_FOLDER(who_waits_finds_what_the_other_wrote),
      IN_FOLDER(who_waits_in_vain_goes_on_alone),
      IN_FOLDER(the_file_of_another_gpu_or_version_is_not_taken),
      IN_FOLDER(a_file_cut_anywhere_holds_its_whole_lines),
      IN_FOLDER(a_changed_byte_never_gives_another_choice),
      IN_FOLDER(lines_that_are_wrong_under_a_right_checksum_are_passed_over),
      IN_FOLDER(what_others_may_have_put_there_is_not_read),
      IN_FOLDER(a_pipe_or_a_folder_in_its_place_stops_nobody),
      IN_FOLDER(a_file_beyond_all_sense_is_not_read),
      cmocka_unit_test(the_oldest_choices_make_room),
      cmocka_unit_test(the_folder_is_the_users_cache_unless_told_otherwise),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
