#pragma once

/* Loss scaling for training in float16, whose gradients would underflow: losses are multiplied by
 * a power of two before the backward pass and the gradients divided by it after, so that nothing
 * but the range changes. The scale adapts by itself and lives in device memory, so that no step
 * waits for the host.
 *
 *   state   two float32 in device memory: the scale, and the steps taken since it last changed
 *   step    behind clip_scale, whose norm is that of the scaled gradients. If the norm is finite it
 *           is divided by the scale, s is what clipping leaves of the gradients over the scale, and
 *           after LOSS_SCALE_STEPS such steps the scale doubles, up to LOSS_SCALE_MOST. If not, s is
 *           0, which leaves the step out (optimizer_step.h), and the scale is halved, down to 1
 *           A step that was left out counts as one in schedules and in AdamW's corrections
 *   Source  Micikevicius et al., "Mixed precision training", 2018, section 3.2; the constants are
 *           those of PyTorch's GradScaler */
enum { LOSS_SCALE_STEPS = 2000 };
#define LOSS_SCALE_FIRST 65536.0F
#define LOSS_SCALE_MOST 16777216.0F
