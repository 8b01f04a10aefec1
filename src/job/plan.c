#include "plan.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"

#define FIELD(name) offsetof(PlanOptions, name)

static const Option options[] = {
    {"ranks", OPTION_INT, FIELD(ranks), "0", NULL, 0, 1000000, NULL,
     "Ranks that the job will have. 0: as many as plan is started with."},
    {"ranks_per_node", OPTION_INT, FIELD(ranks_per_node), "0", NULL, 0, 100000, NULL,
     "How many of them share a node and its memory. 0: all of them."},
    {"memory", OPTION_REAL, FIELD(memory), "0", "GiB", 0, 1000000, NULL,
     "What a node gives the job, or a GPU where the job computes on GPUs. 0: what is free here."},
    {"measure", OPTION_FLAG, FIELD(measure), "yes", NULL, 0, 0, NULL,
     "Runs a few steps, or tiles, of the job here, if it fits, and reckons its time from them."},
    {"gpu", OPTION_CHOICE, FIELD(gpu), "auto", NULL, 0, 0, PLAN_GPU_CHOICES,
     "GPU that a time is predicted for, from counted operations and bytes and what its data sheet "
     "says. "
     "auto: where the job is for GPUs, the one that is here, or an H200."},
};

static const OptionTable plan_table = {
    .tool = "plan",
    .summary = "a job -> memory per rank, largest batch, tiles, disk and time",
    .example = "quadrat plan train jobs/train_unet.ini --chips=chips.h5 --output=roofs.dlpk "
               "--ranks=4 --memory=64",
    .options = options,
    .count = sizeof options / sizeof *options,
};

typedef struct PlanValues {
  PlanOptions options;
  const Tool *tool; /* that is planned */
  void *values;     /* its options */
} PlanValues;

static Status find_tool(const char *name, const Tool **tool)
{
  size_t count;
  const Tool *const *tools = job_tools(&count);
  char known[128] = "";
  for (size_t i = 0; i < count; ++i) {
    if (tools[i]->plan == NULL) continue;
    *tool = tools[i];
    if (strcmp(tools[i]->table->tool, name) == 0) return STATUS_OK;
    const size_t length = strlen(known);
    (void)snprintf(known + length, sizeof known - length, "%s%s", length == 0 ? "" : ", ",
                   tools[i]->table->tool);
  }
  return status_set(STATUS_BAD_OPTION,
                    "the first word after plan is the tool that is planned, one of %s, not “%s”",
                    known, name);
}

/* Whether an argument is one of plan's own options; *takes_next: its value is the argument after. */
static bool is_own(const char *argument, bool *takes_next)
{
  const size_t length = strcspn(argument, "=");
  *takes_next = false;
  if (length < 3 || strncmp(argument, "--", 2) != 0) return false;
  for (size_t i = 0; i < plan_table.count; ++i) {
    const char *name = options[i].name;
    bool same = strlen(name) == length - 2;
    for (size_t c = 0; same && c < length - 2; ++c)
      same = name[c] == (argument[c + 2] == '-' ? '_' : argument[c + 2]);
    if (!same) continue;
    *takes_next = argument[length] == '\0' && options[i].type != OPTION_FLAG;
    return true;
  }
  return false;
}

/* The tool's name, then the run's own command line, with plan's options anywhere in it. */
static Status read_arguments(int count, char *const *arguments, Arena *arena, void *memory)
{
  PlanValues *values = memory;
  void *lists;
  int own_count = 0, other_count = 0;
  TRY(find_tool(count < 1 ? "" : arguments[0], &values->tool));
  const bool has_file = count > 1 && arguments[1][0] != '-';
  TRY(arena_allocate(arena, 2 * (size_t)count * sizeof(char *), &lists));
  char **own = lists;
  char **others = own + count;
  for (int i = has_file ? 2 : 1; i < count; ++i) {
    bool takes_next;
    if (!is_own(arguments[i], &takes_next)) {
      others[other_count++] = arguments[i];
      continue;
    }
    own[own_count++] = arguments[i];
    if (takes_next && i + 1 < count) own[own_count++] = arguments[++i];
  }
  TRY(options_parse(&plan_table, NULL, own_count, own, arena, &values->options));
  TRY(arena_allocate(arena, values->tool->values_bytes, &values->values));
  return options_parse(values->tool->table, has_file ? arguments[1] : NULL, other_count, others,
                       arena, values->values);
}

static Status run(const Job *job, const void *memory)
{
  const PlanValues *values = memory;
  Plan plan = {.options = values->options, .program_bytes = memory_resident_bytes()};
  if (plan.options.ranks == 0) plan.options.ranks = comm_rank_count(job->comm);
  if (plan.options.ranks_per_node == 0 || plan.options.ranks_per_node > plan.options.ranks)
    plan.options.ranks_per_node = plan.options.ranks;
  return values->tool->plan(job, values->values, &plan);
}

const Tool plan_tool = {.table = &plan_table,
                        .values_bytes = sizeof(PlanValues),
                        .run = run,
                        .read = read_arguments,
                        .words = "<train|classify|detect> "};
