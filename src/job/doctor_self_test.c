/* Every op of every device, on every rank: run, compared, told in one table. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "doctor_parts.h"
#include "self_test.h"

/* What is compared with what: each a column of checks. */
typedef enum Check {
  CHECK_CPU_F32,
  CHECK_CPU_BF16,
  CHECK_GPU_F32,
  CHECK_GPU_BF16,
  CHECK_COUNT
} Check;

static const struct {
  const char *device;
  Element element;
  bool known; /* against known numbers; else against the CPU's float32 */
} checks[CHECK_COUNT] = {{"cpu", ELEMENT_F32, true},
                         {"cpu", ELEMENT_BF16, false},
                         {"gpu", ELEMENT_F32, false},
                         {"gpu", ELEMENT_BF16, false}};

/* Of one op in one check, as it travels. */
typedef struct Finding {
  int32_t outcome; /* SelfTestOutcome */
  double difference;
} Finding;

typedef struct Findings {
  Finding of[CHECK_COUNT][SELF_TEST_OPS_MOST];
} Findings;

static double allowed(int check)
{
  return self_test_tolerance(checks[check].element, checks[check].known);
}

/* The rank that found a failure says why. */
static void take(const Doctor *doctor, int check, const SelfTestResult *results, Findings *findings)
{
  for (int op = 0; op < self_test_op_count(); ++op) {
    findings->of[check][op] =
        (Finding){.outcome = (int32_t)results[op].outcome, .difference = results[op].difference};
    if (results[op].outcome == SELF_TEST_FAIL)
      log_rank(doctor->job->log, "%s on the %s in %s: %s", self_test_op(op), checks[check].device,
               element_name(checks[check].element), results[op].why);
  }
}

static Status compare(const Doctor *doctor, int check, const Backend *ops, Device *device,
                      const SelfTest *reference, Findings *findings)
{
  SelfTest *test;
  SelfTestResult results[SELF_TEST_OPS_MOST];
  TRY(self_test_run(ops, device, checks[check].element, &test));
  self_test_judge(test, reference, results);
  self_test_close(test);
  take(doctor, check, results, findings);
  return STATUS_OK;
}

static bool gpu_has_bf16(const Device *device)
{
  return backend_of(device)->preferred_element(device) == ELEMENT_BF16;
}

static Status compare_all(const Doctor *doctor, const Backend *cpu_ops, const SelfTest *reference,
                          Findings *findings)
{
  SelfTestResult results[SELF_TEST_OPS_MOST];
  self_test_judge_known(reference, results);
  take(doctor, CHECK_CPU_F32, results, findings);
  TRY(compare(doctor, CHECK_CPU_BF16, cpu_ops, doctor->cpu, reference, findings));
  if (device_kind(doctor->device) == DEVICE_CPU) return STATUS_OK;
  const Backend *ops = backend_of(doctor->device);
  TRY(compare(doctor, CHECK_GPU_F32, ops, doctor->device, reference, findings));
  if (gpu_has_bf16(doctor->device))
    return compare(doctor, CHECK_GPU_BF16, ops, doctor->device, reference, findings);
  log_rank(doctor->job->log, "%s has no bfloat16: its ops are tested in float32 only",
           device_name(doctor->device));
  return STATUS_OK;
}

/* Local. */
static Status test_here(const Doctor *doctor, const Backend *cpu_ops, Findings *findings)
{
  SelfTest *reference;
  TRY(self_test_run(cpu_ops, doctor->cpu, ELEMENT_F32, &reference));
  const Status status = compare_all(doctor, cpu_ops, reference, findings);
  self_test_close(reference);
  return status;
}

/* One line: an op in a check, over the ranks that ran it. */
typedef struct Line {
  int ran, refused, failed, first_failed;
  double difference;
} Line;

static Line line_of(const Findings *all, int ranks, int check, int op)
{
  Line line = {.first_failed = -1};
  for (int rank = 0; rank < ranks; ++rank) {
    const Finding *f = &all[rank].of[check][op];
    line.refused += f->outcome == SELF_TEST_REFUSED;
    if (f->outcome != SELF_TEST_PASS && f->outcome != SELF_TEST_FAIL) continue;
    ++line.ran;
    if (!(f->difference <= line.difference) && !isnan(line.difference))
      line.difference = f->difference;
    if (f->outcome != SELF_TEST_FAIL) continue;
    if (line.failed++ == 0) line.first_failed = rank;
  }
  if (line.ran == 0) line.difference = NAN;
  return line;
}

static const char *result_of(const Line *line)
{
  if (line->failed > 0) return "FAIL";
  return line->ran > 0 ? "PASS" : "NONE";
}

static void print_line(int check, int op, const Line *line)
{
  printf("%-32s %-6s %-9s %-6s %10.2e %10.2e", self_test_op(op), checks[check].device,
         element_name(checks[check].element), result_of(line), line->difference, allowed(check));
  if (line->failed > 0)
    printf("  on %d of %d ranks, first rank %d", line->failed, line->ran, line->first_failed);
  printf("\n");
}

static Status set_line(Document *list, const Findings *all, int ranks, int check, int op,
                       const Line *line)
{
  Document *one, *failed;
  TRY(document_add_object(list, &one));
  TRY(document_set_text(one, "op", self_test_op(op)));
  TRY(document_set_text(one, "device", checks[check].device));
  TRY(document_set_text(one, "precision", element_name(checks[check].element)));
  TRY(document_set_text(one, "result", result_of(line)));
  TRY(document_set_real(one, "difference", line->difference));
  TRY(document_set_real(one, "allowed", allowed(check)));
  TRY(document_set_int(one, "ranks", line->ran));
  TRY(document_set_int(one, "refused_ranks", line->refused));
  TRY(document_set_list(one, "failed_ranks", &failed));
  for (int rank = 0; rank < ranks; ++rank)
    if (all[rank].of[check][op].outcome == SELF_TEST_FAIL) TRY(document_add_int(failed, rank));
  return STATUS_OK;
}

/* What all lines come to. */
typedef struct Total {
  int ran, refused, failed;
  int check, op; /* of the first failure */
} Total;

static Status report(const Doctor *doctor, const Findings *all)
{
  const int ranks = comm_rank_count(doctor->job->comm);
  Document *list;
  Total total = {.ran = 0};
  TRY(document_set_list(doctor->report, "self_test", &list));
  printf("\n%-32s %-6s %-9s %-6s %10s %10s\n", "op", "device", "precision", "result", "difference",
         "allowed");
  for (int check = 0; check < CHECK_COUNT; ++check)
    for (int op = 0; op < self_test_op_count(); ++op) {
      const Line line = line_of(all, ranks, check, op);
      if (line.ran + line.refused == 0) continue;
      print_line(check, op, &line);
      TRY(set_line(list, all, ranks, check, op, &line));
      total.ran += line.ran > 0;
      total.refused += line.ran == 0;
      if (line.failed > 0 && total.failed++ == 0) {
        total.check = check;
        total.op = op;
      }
    }
  printf("\nself-test: %d checks, %d failed\n", total.ran, total.failed);
  if (total.refused > 0)
    printf(
        "NONE: %d ops are not offered in bfloat16 by this processor or GPU; precision=auto takes "
        "float32 there\n",
        total.refused);
  (void)fflush(stdout);
  TRY(document_set_int(doctor->report, "checks", total.ran));
  TRY(document_set_int(doctor->report, "checks_failed", total.failed));
  if (total.failed == 0) return STATUS_OK;
  return status_set(
      STATUS_DEVICE,
      "%d of %d checks of the self-test failed, the first is %s on the %s in %s; do not "
      "trust what this build computes here",
      total.failed, total.ran, self_test_op(total.op), checks[total.check].device,
      element_name(checks[total.check].element));
}

static Status gather(const Doctor *doctor, const Findings *mine, Findings *all)
{
  const Comm *comm = doctor->job->comm;
  TRY(comm_gather(comm, mine, sizeof *mine, all));
  return comm_agree(comm, comm_rank(comm) == 0 ? report(doctor, all) : STATUS_OK);
}

Status doctor_self_test(const Doctor *doctor, const Backend *cpu_ops)
{
  const Comm *comm = doctor->job->comm;
  void *mine = NULL, *all = NULL;
  Status status = memory_allocate(1, sizeof(Findings), "findings", &mine);
  if (status == STATUS_OK)
    status = memory_allocate((size_t)comm_rank_count(comm), sizeof(Findings), "findings", &all);
  if (status == STATUS_OK) status = test_here(doctor, cpu_ops, mine);
  status = comm_agree(comm, status);
  if (status == STATUS_OK) status = gather(doctor, mine, all);
  memory_free(mine);
  memory_free(all);
  return status;
}
