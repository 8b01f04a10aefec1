#pragma once

#include <stdint.h>

/* Randomness as a function of place: the same lattice point and salt give the same number, whatever
 * was asked before. */
uint32_t noise_hash(int32_t column, int32_t row, uint32_t salt);
/* noise_hash as a number of [0, 1). */
float noise_uniform(int32_t column, int32_t row, uint32_t salt);
/* Four sums of a hash's bytes: mean 0, standard deviation 1, tails cut at 3.4. */
float noise_bell(uint32_t hash);

/* Smooth noise of wavelength 1 (Perlin, "Improving noise", SIGGRAPH 2002): about -1 … 1, mean 0. */
float noise_at(double x, double y, uint32_t salt);
/* octave_count layers, each at twice the frequency and half the height of the one before; about -1
 * … 1. */
float noise_fractal(double x, double y, int octave_count, uint32_t salt);

/* 0 below low, 1 above high, smooth between. */
float noise_step(float low, float high, float value);
