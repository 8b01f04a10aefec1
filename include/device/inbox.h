#pragma once

#include "device/device.h"

/* What comes from the host for a step, copied while the device still computes the one before:
 *
 *   inbox_put …   the host's memory is copied to a waiting room, beside the compute stream
 *   inbox_take    what was put comes to its places, in order with the ops
 *   inbox_wait    the host's memory is free again
 *
 * So the next batch is put before the last one is computed, and the host's memory should be the
 * device's own (device_allocate_host). On the CPU a put is a plain copy to its place and there is
 * no waiting room: puts then belong behind the ops that read what was there, which the order put,
 * take, ops, put … gives. */
typedef struct Inbox Inbox;

Status inbox_open(Device *device, Inbox **inbox);
void inbox_close(Inbox *inbox); /* accepts NULL; waits for what is under way */

/* Before inbox_allocate: room for a put of so many bytes between two takes. */
void inbox_reserve(Inbox *inbox, size_t bytes);
Status inbox_allocate(Inbox *inbox);

/* to: device memory. from_host must stay as it is until inbox_wait. A put beyond what was reserved
 * is a defect of the caller and ends the program. */
void inbox_put(Inbox *inbox, void *to, const void *from_host, size_t bytes);
void inbox_take(Inbox *inbox);
/* Errors: STATUS_DEVICE, and what the device's watch finds (device_synchronize). */
Status inbox_wait(Inbox *inbox);
