#pragma once

/* float16 for the parts in C, of which not every compiler knows the type. */
#ifdef __cplusplus
extern "C" {
#endif

float emulated_half_get(const void *half);
void emulated_half_set(void *half, float value); /* rounded to nearest even, inf where too large */

#ifdef __cplusplus
}
#endif
