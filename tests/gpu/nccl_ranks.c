#include "nccl_ranks.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

enum { RANKS_MOST = 8 };

static void name_output(char path[128], const char *folder, int rank)
{
  (void)snprintf(path, 128, "%s/rank%d.txt", folder, rank);
}

/* In the child. Never returns. */
static void become_rank(const char *folder, int rank, int rank_count, const char *trial)
{
  char rank_text[16], count_text[16], host[16], output[128];
  (void)snprintf(rank_text, sizeof rank_text, "%d", rank);
  (void)snprintf(count_text, sizeof count_text, "%d", rank_count);
  (void)snprintf(host, sizeof host, "h%d", rank);
  name_output(output, folder, rank);
  const int file = open(output, O_WRONLY | O_CREAT, 0600);
  if (file < 0 || dup2(file, STDERR_FILENO) < 0) _exit(120);
  (void)setenv("NCCL_HOSTID", host, 1);
  (void)setenv("NCCL_SOCKET_IFNAME", "lo", 1);
  (void)setenv("NCCL_IB_DISABLE", "1", 1);
  (void)setenv("NCCL_NVLS_ENABLE", "0", 1);
  (void)setenv("NCCL_MAX_CTAS", "2", 1);
  (void)setenv("NCCL_ALGO", "Ring", 1);
  (void)setenv("NCCL_PROTO", "Simple", 1);
  (void)execl("/proc/self/exe", "rank", "rank", rank_text, count_text, folder, trial, (char *)NULL);
  _exit(121);
}

static void read_output(const char *folder, int rank, char output[RANK_OUTPUT_BYTES])
{
  char path[128];
  name_output(path, folder, rank);
  output[0] = '\0';
  FILE *file = fopen(path, "re");
  if (file == NULL) return;
  output[fread(output, 1, RANK_OUTPUT_BYTES - 1, file)] = '\0';
  (void)fclose(file);
  (void)unlink(path);
}

static void nap(void)
{
  (void)nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
}

/* Takes in who has ended; how many are left. */
static int collect(pid_t *processes, int count, RankEnd *ends)
{
  int left = 0;
  for (int rank = 0; rank < count; ++rank) {
    int state = 0;
    if (processes[rank] <= 0) continue;
    if (waitpid(processes[rank], &state, WNOHANG) != processes[rank]) {
      ++left;
      continue;
    }
    processes[rank] = 0;
    ends[rank].exit_code = WIFEXITED(state) ? WEXITSTATUS(state) : 128 + WTERMSIG(state);
  }
  return left;
}

static int wait_for_all(pid_t *processes, int count, double deadline_s, RankEnd *ends)
{
  const double start_s = clock_seconds();
  while (collect(processes, count, ends) > 0) {
    if (clock_seconds() - start_s > deadline_s) break;
    nap();
  }
  int in_time = 1;
  for (int rank = 0; rank < count; ++rank)
    if (processes[rank] > 0) {
      (void)kill(processes[rank], SIGKILL);
      in_time = 0;
    }
  while (collect(processes, count, ends) > 0)
    nap();
  return in_time;
}

int ranks_run(int rank_count, const char *trial, double deadline_s, RankEnd *ends)
{
  char folder[] = "/tmp/quadrat_nccl_XXXXXX";
  char path[128];
  pid_t processes[RANKS_MOST] = {0};
  if (rank_count > RANKS_MOST || mkdtemp(folder) == NULL) return 0;
  (void)fflush(NULL);
  for (int rank = 0; rank < rank_count; ++rank) {
    processes[rank] = fork();
    if (processes[rank] == 0) become_rank(folder, rank, rank_count, trial);
  }
  const int in_time = wait_for_all(processes, rank_count, deadline_s, ends);
  for (int rank = 0; rank < rank_count; ++rank)
    read_output(folder, rank, ends[rank].output);
  (void)snprintf(path, sizeof path, "%s/comm", folder);
  (void)unlink(path);
  (void)rmdir(folder);
  return in_time;
}
