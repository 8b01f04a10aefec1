#include <stdio.h>
#include <stdlib.h>

#include "conv_engine.h"

/* Prints the first GPU's properties as cuDNN describes them: what tests/op/cuda/devices is made of.
 */
int main(void)
{
  CudnnBag bag = {.count = 0};
  cudnnBackendDescriptor_t properties;
  int64_t bytes = 0;
  if (device_properties_of_gpu(0, &bag, &properties) != STATUS_OK) {
    fprintf(stderr, "%s\n", status_message());
    return EXIT_FAILURE;
  }
  static char json[65536];
  const cudnnStatus_t code =
      cudnnBackendGetAttribute(properties, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION,
                               CUDNN_TYPE_CHAR, sizeof json - 1, &bytes, json);
  cudnn_bag_empty(&bag);
  if (code != CUDNN_STATUS_SUCCESS) return EXIT_FAILURE;
  puts(json);
  return EXIT_SUCCESS;
}
