#pragma once

#include "mask_runs.h"

Status mask_runs_check_size(int32_t height_px, int32_t width_px);
/* count runs, all 0. */
Status mask_runs_make(int64_t count, int32_t height_px, int32_t width_px, MaskRuns *runs);
