#pragma once

#include "device/device.h"

/* A stretch of work that is issued once and played many times as one: on a GPU a CUDA graph, so that
 * the host makes one launch where it would make a thousand. Memory that the work reads and writes,
 * and all numbers that the host gave it, stay those of the recording; what changes from play to
 * play must lie in device memory. */
typedef struct Recording Recording;

/* Runs issue, which issues work and neither waits nor allocates nor copies to or from the host, and
 * keeps that work instead of doing it. Errors, after which nothing has been done and the device is
 * as before: what issue returns; STATUS_UNSUPPORTED where the device does not record (CPUs);
 * STATUS_DEVICE if something that was issued cannot be recorded. */
Status recording_make(Device *device, Status (*issue)(void *context), void *context,
                      Recording **recording);
void recording_play(Recording *recording);
void recording_close(Recording *recording); /* accepts NULL; no play may be under way */
