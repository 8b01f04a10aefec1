#pragma once

#include <stdbool.h>

/* The ResNets that networks are built over, as torchvision builds them (He et al., "Deep residual
 * learning", 2016, table 1). */
typedef enum Encoder {
  ENCODER_RESNET18,
  ENCODER_RESNET34,
  ENCODER_RESNET50,
  ENCODER_RESNET101
} Encoder;
#define ENCODER_CHOICES "resnet18|resnet34|resnet50|resnet101"

const char *encoder_name(Encoder encoder); /* "resnet34" */
/* false: there is none of that name */
bool encoder_find(const char *name, Encoder *encoder);
