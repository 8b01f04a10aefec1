#pragma once

#include "device/device.h"

/* What goes to the host from a step, copied while the device computes the next:
 *
 *   outbox_put …    device memory is set aside, in order with the ops, which may then write anew
 *   outbox_send     what was put is copied to the host, beside the compute stream
 *   outbox_wait     it has come
 *
 * A send has one of a few lanes, so that a step can be sent before the results of another are waited
 * for; a lane is sent again only after it was waited for. On the CPU a put is a plain copy, and there
 * is no memory set aside. */
typedef struct Outbox Outbox;

enum { OUTBOX_LANES = 3 };

Status outbox_open(Device *device, Outbox **outbox);
void outbox_close(Outbox *outbox); /* accepts NULL; waits for what is under way */

/* Before outbox_allocate: room for a put of so many bytes. */
void outbox_reserve(Outbox *outbox, size_t bytes);
Status outbox_allocate(Outbox *outbox);

/* to_host: of the device's own (device_allocate_host); filled when outbox_wait of the lane that it is
 * sent by returns. */
void outbox_put(Outbox *outbox, void *to_host, const void *from, size_t bytes);
void outbox_send(Outbox *outbox, int32_t lane);
/* Errors: as inbox_wait. */
Status outbox_wait(Outbox *outbox, int32_t lane);
