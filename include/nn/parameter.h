#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"

/* What a network knows, by PyTorch's names. Two flat blocks of float32: what is trained, and what is
 * not: the running statistics of batch norms, and frozen weights. A parameter is a part of one of
 * them. */
typedef enum Initial {
  INITIAL_ZERO,
  INITIAL_ONE,
  INITIAL_KAIMING_NORMAL_OUT, /* normal, std sqrt(2 / fan_out): ResNet's convolutions */
  INITIAL_KAIMING_UNIFORM_IN, /* uniform +- sqrt(6 / fan_in): U-Net's decoder */
  INITIAL_LECUN_UNIFORM_IN,   /* uniform +- sqrt(3 / fan_in): feature pyramids */
  INITIAL_UNIFORM_IN,         /* uniform +- sqrt(1 / fan_in): PyTorch's own, of biases too */
  INITIAL_NORMAL_001,         /* normal, std 0.01: region proposal networks */
  INITIAL_XAVIER_UNIFORM      /* uniform +- sqrt(6 / (fan_in + fan_out)): heads */
} Initial;

typedef struct Parameter {
  const char *name;
  int32_t rank;
  int64_t dims[4];
  int64_t count;
  int64_t offset; /* in its block */
  bool trained;   /* in the block of trained ones, else in that of statistics */
  bool frozen;    /* a weight that is not trained: in the block of statistics, but none itself */
  Initial initial;
  int64_t fan_in; /* inputs of an output, and the other way round; of a bias those of its weight */
  int64_t fan_out;
} Parameter;

typedef struct ParameterList {
  Parameter *items;
  int32_t count;
  int32_t capacity;
  int64_t trained_count; /* floats of the two blocks */
  int64_t statistic_count;
  Arena *names;
} ParameterList;

/* Adds a parameter to the end. Of the given one rank, dims, trained, frozen, initial and the fans are
 * taken. The caller owns the list's arena. */
Status parameter_add(ParameterList *list, const char *module, const char *name,
                     const Parameter *given);
/* The index of a name, or -1. */
int32_t parameter_find(const ParameterList *list, const char *name);

/* Fills both blocks (host memory) from a seed: the same numbers for the same names, on any machine
 * and rank count. */
void parameters_initialise(const ParameterList *list, uint64_t seed, float *trained,
                           float *statistics);
/* The same for one parameter. */
void parameter_initialise(const Parameter *parameter, uint64_t seed, float *values);
