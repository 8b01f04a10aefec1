#pragma once

#include <stdint.h>

#include "tensor/shape.h"

/* Runs of elements as float32, whatever their type in memory: an op of many elements loads a span,
 * computes in float32 and stores it. A span fits the first-level cache. */
enum { SPAN_MOST = 2048 };

/* Compiled for wide vectors too, chosen at start-up; not under sanitizers, which are not yet there
 * when the choice is made. */
#if !QUADRAT_SANITIZED && defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define VECTORIZED __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define VECTORIZED
#endif

/* Elements first … first + count - 1; into buffer, or in place where they are float32 already: use
 * what is returned. */
const float *span_load(Element element, const void *elements, int64_t first, int64_t count,
                       float *buffer);
void span_store(Element element, void *elements, int64_t first, int64_t count, const float *values);
/* As store, but adds to what is there where write says so. */
void span_write(Element element, void *elements, int64_t first, int64_t count, float *values,
                bool add);
