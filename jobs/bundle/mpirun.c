/* mpirun of a bundle: Open MPI's own, told where it lies. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bundle.h"
#include "base/path.h"

/* Whether a folder of PATH has it. */
static bool can_run(const char *name)
{
  const char *folders = getenv("PATH");
  char folder[BUNDLE_PATH_BYTES], path[BUNDLE_PATH_BYTES];
  for (const char *rest = folders == NULL ? "" : folders; *rest != '\0';) {
    const size_t length = strcspn(rest, ":");
    if (length < sizeof folder) {
      memcpy(folder, rest, length);
      folder[length] = '\0';
      if (path_join(folder, name, sizeof path, path) == STATUS_OK && access(path, X_OK) == 0)
        return true;
    }
    rest += length;
    if (*rest == ':') ++rest;
  }
  return false;
}

/* Without ssh, which it would need on other nodes only, Open MPI does not start on this one. */
static void do_without_ssh(void)
{
  if (!can_run("ssh") && !can_run("rsh") && getenv("OMPI_MCA_plm_rsh_agent") == NULL)
    (void)setenv("OMPI_MCA_plm", "^rsh", 0);
}

static Status start(char **arguments)
{
  char root[BUNDLE_PATH_BYTES], program[BUNDLE_PATH_BYTES];
  TRY(bundle_root(root));
  TRY(bundle_enter_at(root));
  do_without_ssh();
  TRY(path_join(root, "openmpi/bin/mpirun", sizeof program, program));
  if (!path_exists(program))
    return status_set(STATUS_IO, "%s is not there; use the mpirun of the Open MPI of this machine",
                      program);
  arguments[0] = program; /* with its folder, so that other nodes take theirs from there */
  (void)execv(program, arguments);
  return status_set(STATUS_IO, "%s cannot be started: %s", program, strerror(errno));
}

int main(int argument_count, char **arguments)
{
  const Status status = start(arguments);
  (void)fprintf(stderr, "mpirun: %s\n", status_message());
  return status_exit_code(status);
}
