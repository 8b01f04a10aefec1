#include "comm/gradients.h"

/* One rank, as nearly all of this suite has; a file of its own, so that the test of NCCL can bring the
 * real ones. */
Status gradients_sum(Gradients *gradients, const char *what, float *values, size_t count)
{
  return STATUS_OK;
}
