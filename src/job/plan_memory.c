#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "compute.h"
#include "plan.h"

static const double mib = 1048576.0;

static const char *const part_names[PLAN_PARTS] = {
    [PLAN_PROGRAM] = "program and libraries",
    [PLAN_TABLES] = "kernels, tables, files",
    [PLAN_WEIGHTS] = "weights, gradients, optimiser",
    [PLAN_PACKED] = "packed weights",
    [PLAN_ACTIVATIONS] = "activations",
    [PLAN_SCRATCH] = "scratch",
    [PLAN_LISTS] = "lists of boxes and masks",
    [PLAN_BATCHES] = "batches on their way",
    [PLAN_STAGING] = "host's copy of the weights",
    [PLAN_CACHE] = "cache of raster blocks",
};

/* By the names under which networks and optimisers allocate; what has none is a batch's. */
static PlanPart part_of(const char *what)
{
  static const struct {
    const char *what;
    PlanPart part;
  } parts[] = {{"activations", PLAN_ACTIVATIONS},  {"packed weights", PLAN_PACKED},
               {"scratch", PLAN_SCRATCH},          {"a detector's scratch", PLAN_SCRATCH},
               {"a detector's lists", PLAN_LISTS}, {"objects", PLAN_LISTS},
               {"parameters", PLAN_WEIGHTS},       {"statistics", PLAN_WEIGHTS},
               {"gradients", PLAN_WEIGHTS},        {"optimiser state", PLAN_WEIGHTS},
               {"gradient norm", PLAN_WEIGHTS},    {"loss", PLAN_SCRATCH}};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; ++i)
    if (strcmp(parts[i].what, what) == 0) return parts[i].part;
  return PLAN_BATCHES;
}

void plan_choose_device(const Job *job, Plan *plan, int32_t *device, int32_t *precision)
{
  const char *why;
  const bool is_there = device_gpu_count(&why) > 0;
  plan->on_gpu = *device == DEVICE_CHOICE_GPU || (*device == DEVICE_CHOICE_AUTO && is_there);
  plan->is_guessed = plan->on_gpu && !is_there;
  if (!plan->is_guessed) return;
  log_warning(job->log,
              "there is no GPU here (%s): its memory is reckoned from kernels of the CPU, and may "
              "well be a fifth off",
              why);
  *device = DEVICE_CHOICE_CPU;
  if (*precision == PRECISION_AUTO) *precision = PRECISION_BFLOAT16;
}

void plan_find_room(Plan *plan, const Device *device)
{
  const double given = plan->options.memory * 1073741824.0;
  if (plan->on_gpu) {
    plan->room_bytes = given > 0 ? (size_t)given : plan->is_guessed ? 0 : device_free_bytes(device);
    return;
  }
  /* What this rank holds is not free any more, and yet is its own to use. */
  const size_t node = given > 0 ? (size_t)given
                                : memory_available_bytes() +
                                      (size_t)plan->options.ranks_per_node * plan->program_bytes;
  plan->room_bytes = node / (size_t)plan->options.ranks_per_node;
}

void plan_count(const Plan *plan, const Device *device, PlanMemory *memory)
{
  int32_t count;
  const DeviceCount *counts = device_counts(device, &count);
  for (int32_t i = 0; i < count; ++i) {
    const bool host = counts[i].host || !plan->on_gpu;
    (host ? memory->host : memory->device)[part_of(counts[i].what)] += counts[i].bytes;
  }
}

static size_t sum(const size_t parts[PLAN_PARTS])
{
  size_t bytes = 0;
  for (int i = 0; i < PLAN_PARTS; ++i)
    bytes += parts[i];
  return bytes;
}

size_t plan_peak_bytes(const Plan *plan, const PlanMemory *memory)
{
  return sum(plan->on_gpu ? memory->device : memory->host);
}

void plan_print(const Job *job, const char *what, const char *format, ...)
{
  va_list arguments;
  if (comm_rank(job->comm) != 0) return;
  printf("%-8s  ", what);
  va_start(arguments, format);
  (void)vprintf(format, arguments);
  va_end(arguments);
  printf("\n");
  (void)fflush(stdout);
}

static void print_row(const Plan *plan, const char *name, size_t host, size_t device)
{
  if (host == 0 && device == 0) return;
  printf("  %-30s %10.1f", name, (double)host / mib);
  if (plan->on_gpu) printf(" %10.1f", (double)device / mib);
  printf("\n");
}

void plan_print_memory(const Job *job, const Plan *plan, const PlanMemory *memory)
{
  if (comm_rank(job->comm) != 0) return;
  printf("memory of a rank, MiB                  host%s\n", !plan->on_gpu      ? ""
                                                            : plan->is_guessed ? "  GPU (guessed)"
                                                                               : "        GPU");
  for (int i = 0; i < PLAN_PARTS; ++i)
    print_row(plan, part_names[i], memory->host[i], memory->device[i]);
  print_row(plan, "peak", sum(memory->host), sum(memory->device));
  if (plan->room_bytes > 0)
    printf("  %-30s %*.1f\n", "there is room for", plan->on_gpu ? 21 : 10,
           (double)plan->room_bytes / mib);
  (void)fflush(stdout);
}

void plan_print_measured(const Job *job, const Plan *plan, const PlanMemory *memory)
{
  const double predicted = (double)sum(memory->host);
  const double measured = (double)memory_peak_bytes();
  if (measured <= 0 || plan->on_gpu) return;
  plan_print(job, "memory", "%.1f MiB at most in these; predicted for the whole job: %.1f MiB",
             measured / mib, predicted / mib);
}

void plan_format_seconds(double seconds, char text[32])
{
  if (seconds < 0.1)
    (void)snprintf(text, 32, "%.3g ms", 1e3 * seconds);
  else if (seconds < 120)
    (void)snprintf(text, 32, "%.3g s", seconds);
  else if (seconds < 7200)
    (void)snprintf(text, 32, "%.1f min", seconds / 60);
  else
    (void)snprintf(text, 32, "%.1f h", seconds / 3600);
}

Status plan_judge(const Job *job, const Plan *plan, const PlanMemory *memory, const char *remedy)
{
  const size_t peak = plan_peak_bytes(plan, memory);
  Status status = STATUS_OK;
  if (plan->room_bytes > 0 && peak > plan->room_bytes)
    status = status_set(STATUS_NO_MEMORY,
                        "does not fit: a rank takes %.1f MiB of %s, and there is room for %.1f "
                        "MiB; %s",
                        (double)peak / mib, plan->on_gpu ? "its GPU" : "the host",
                        (double)plan->room_bytes / mib, remedy);
  return comm_agree(job->comm, status);
}
