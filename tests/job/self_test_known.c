#include <stdio.h>

#include "self_test.h"
#include "support/naive_ops.h"

/* Prints the rows of src/job/self_test_known.c, from the plain loops. To be run when a case
 * changes. */
int main(void)
{
  Device *cpu;
  SelfTest *test;
  if (device_open(-1, &cpu) != STATUS_OK ||
      self_test_run(&naive_backend, cpu, ELEMENT_F32, &test) != STATUS_OK) {
    (void)fprintf(stderr, "%s\n", status_message());
    return 1;
  }
  for (size_t i = 0; i < self_test_digest_count(test); ++i) {
    const SelfTestDigest digest = self_test_digest(test, i);
    printf("    {\"%s\", %.15g, %.9g},\n", digest.op, digest.sum, digest.largest);
  }
  self_test_close(test);
  device_close(cpu);
  return 0;
}
