#pragma once

#include "op/backend.h"

/* Convolutions whose kernel covers all of x, so that y has one pixel per image (the fully connected
 * layers of a box head): each direction is one product of matrices, several times as fast as the
 * library's convolutions of so small images. */
typedef struct Covering Covering;

bool covering_suits(const Conv2dPlan *plan);
/* bytes: what it wants of packed and scratch. */
Status covering_open(Device *device, const Conv2dPlan *plan, Covering **covering, OpBytes *bytes);
void covering_close(Covering *covering); /* accepts NULL */

/* As the functions of Backend with those names; the bias may be NULL where the plan has none. */
void covering_pack(const Covering *covering, const float *weight, const float *bias, void *packed);
void covering_forward(const Covering *covering, const void *packed, const void *x, const void *add,
                      void *y);
void covering_backward_data(const Covering *covering, const void *packed, const void *dy, void *dx,
                            Write write);
void covering_backward_weight(const Covering *covering, const void *x, const void *dy,
                              float *dweight, float *dbias, void *scratch);
