#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "op/backend.h"

/* The self-test of a backend: every op of its table runs on small made-up numbers, forward and
 * backward, and what comes out is compared.
 *
 * float32 on the CPU is held against known numbers: each output's digest, which plain loops in
 * double precision gave once (self_test_known.c). All else (bfloat16, GPUs) is held against the
 * CPU's float32, number by number; inputs are such that both element types hold them exactly. */
typedef struct SelfTest SelfTest;

enum { SELF_TEST_OPS_MOST = 96, SELF_TEST_WHY_BYTES = 200 };

/* Entries of Backend under test, in its order. What opens, packs and sizes is part of what it is
 * for. */
int self_test_op_count(void);
const char *self_test_op(int index);
/* Whether an op's inputs or outputs have an element type; else only float32 is tested. */
bool self_test_op_has_element(int index);

/* Local. Runs every op; one that fails is kept as such. element: ELEMENT_F32 or ELEMENT_BF16.
 * Errors: STATUS_NO_MEMORY, STATUS_DEVICE, if nothing at all can be tested. */
Status self_test_run(const Backend *ops, Device *device, Element element, SelfTest **test);
void self_test_close(SelfTest *test); /* accepts NULL */

/* Refused: an open function said that the device has no such op in this element type, where that is
 * not what the device prefers (bfloat16 on most processors); of any other op it is a failure. */
typedef enum SelfTestOutcome {
  SELF_TEST_NOT_RUN,
  SELF_TEST_PASS,
  SELF_TEST_FAIL,
  SELF_TEST_REFUSED
} SelfTestOutcome;

typedef struct SelfTestResult {
  SelfTestOutcome outcome;
  double difference; /* the largest of an output, as a share of the output's largest value; a NaN
                        where there is nothing to compare */
  char why[SELF_TEST_WHY_BYTES]; /* of a failure or refusal */
} SelfTestResult;

/* Local. results: one per op. difference of a digest: that of the sums, over the output's largest
 * value; whole numbers must be equal in both. */
void self_test_judge_known(const SelfTest *test, SelfTestResult *results);
void self_test_judge(const SelfTest *test, const SelfTest *reference, SelfTestResult *results);
/* What is allowed of test against reference (NULL: the known numbers). */
double self_test_tolerance(Element element, bool known);

/* For the table of known numbers: the digest of each output in turn. */
typedef struct SelfTestDigest {
  const char *op;
  double sum;     /* of w[i] v[i], |w| from 1/2 to 1, so that every number counts */
  double largest; /* |v| */
} SelfTestDigest;

size_t self_test_digest_count(const SelfTest *test);
SelfTestDigest self_test_digest(const SelfTest *test, size_t index);
/* The known ones, in the same order. */
const SelfTestDigest *self_test_known(size_t *count);
