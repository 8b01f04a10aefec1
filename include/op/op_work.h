#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "device/device.h"

/* What ops would have to do on a GPU, without one and without doing it: a third twin that counts.
 * Numbers are those of the CUDA twin's kernels as they are written, each reading and writing every
 * tensor once that it is given, channels padded as they lie in memory; so bytes are the least that
 * these kernels can move, not what caches may save or lose. */
typedef enum OpKind {
  OP_CONV_FORWARD,
  OP_CONV_BACKWARD_DATA,
  OP_CONV_BACKWARD_WEIGHT,
  OP_WEIGHTS, /* packed for the library, and their gradients taken back */
  OP_NORM,
  OP_MOVE,    /* relu, add, pooling, enlarging, joining, converting, copying, clearing */
  OP_PIXELS,  /* normalising images, losses and classes of maps */
  OP_REGIONS, /* RoIAlign */
  OP_LISTS,   /* of boxes: proposals, matching, sampling, suppression, their losses */
  OP_MASKS,
  OP_OPTIMIZER,
  OP_TRANSFER, /* between host and device */
  OP_KINDS
} OpKind;

const char *op_kind_name(OpKind kind); /* "convolution forward" */

typedef struct OpWork {
  OpKind kind;
  int32_t launches;
  double flop; /* of convolutions and matrix products, a product and its sum being two; of the
                         channels that there are */
  double padded_flop; /* of the channels in memory: what the tensor cores do */
  bool in_float32;    /* they do not, but ordinary cores */
  double read_bytes, written_bytes;
  double fused_bytes;  /* what it saves: with bias, add and relu as one kernel of their own behind a
                          convolution, or behind a norm, so much more would be moved */
  double instructions; /* of threads on ordinary cores, where there are more than go with the bytes;
                          estimated from the kernel's source */
  double wait_cycles;  /* of the thread that works longest one thing after another; estimated so */
  double rows, columns, depth; /* of a convolution as a product of matrices: of its result, and of
                                  its sums; else 0 */
} OpWork;

typedef struct OpWorkList OpWorkList;

/* From here on the device counts only, and what is opened on it notes its ops in the list, in the
 * order in which they are issued. The list must outlive the device. */
Status op_work_open(Device *device, OpWorkList **list);
void op_work_close(OpWorkList *list); /* accepts NULL */
void op_work_clear(OpWorkList *list);

/* Until the next op. */
const OpWork *op_work_items(const OpWorkList *list, int32_t *count);
/* Errors: STATUS_NO_MEMORY, where an op found no place in the list. */
Status op_work_status(const OpWorkList *list);
