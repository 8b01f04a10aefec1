#pragma once

#include "op/backend.h"

/* Every op as plain loops in double precision, rounded once: the independent truth that the real
 * backends are held against. It shares no arithmetic with them (but bfloat16's rounding), takes any
 * number of channels, allocates nothing but its kernels, and works on host memory; device may be
 * NULL. */
extern const Backend naive_backend;
