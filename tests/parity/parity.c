#include <math.h>
#include <stdio.h>

#include "parity.h"

/* parity FOLDER | parity --golden FILE: runs our network on a case of reference.py's, or on a golden
 * file of tests/golden, and prints how far each stage is from it, a line of JSON each. README.md
 * says the rest; run.py calls it. */

/* cmocka shows why something failed, and so this is a test of it that reads its arguments here. */
typedef struct Arguments {
  const char *folder;
  const char *golden;
} Arguments;

/* Golden files of U-Nets call gradients and statistics of the training step by shorter names. */
static void print_stage(void *context, const char *stage, double error, double tolerance)
{
  const bool shorter = strncmp(stage, "grad.", 5) == 0 || strncmp(stage, "stat.", 5) == 0;
  char number[32] = "null";
  if (isfinite(error)) (void)snprintf(number, sizeof number, "%.4g", error);
  (void)printf("{\"stage\": \"%s%s\", \"max_rel_err\": %s, \"tolerance\": %g}\n",
               shorter ? "train." : "", stage, number, tolerance);
  (void)fflush(stdout);
}

static bool begins(const char *text, const char *with)
{
  return strncmp(text, with, strlen(with)) == 0;
}

static void compare_golden(const char *file, const TestBackend *on, Stages stages)
{
  char name[96];
  (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(file, "."), file);
  if (begins(name, "unet_"))
    parity_unet_golden(name, on, stages);
  else
    parity_detector_golden(name, on, stages);
}

static void compare_case(const char *folder, const TestBackend *on, Stages stages)
{
  Case *c = case_open(folder);
  if (strcmp(case_text(c, "kind"), "unet") == 0)
    parity_unet(c, on, stages);
  else
    parity_detector(c, on, stages);
  case_close(c);
}

static void stages_are_compared(void **state)
{
  const Arguments *arguments = *state;
  const TestBackend *on = backends_next(backends_naive());
  const Stages stages = {.tell = print_stage};
  if (arguments->golden != NULL)
    compare_golden(arguments->golden, on, stages);
  else
    compare_case(arguments->folder, on, stages);
}

int main(int count, char **words)
{
  Arguments arguments = {0};
  if (count == 3 && strcmp(words[1], "--golden") == 0)
    arguments.golden = words[2];
  else if (count == 2 && words[1][0] != '-')
    arguments.folder = words[1];
  else {
    (void)fprintf(stderr, "parity FOLDER | parity --golden FILE\n");
    return 2;
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_prestate(stages_are_compared, &arguments),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
