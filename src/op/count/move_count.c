#include "count_backend.h"
#include "note.h"

void max_pool2d_forward_count(Device *device, MaxPool2d pool, Shape x_shape, const void *x,
                              Shape y_shape, void *y, uint8_t *winner)
{
  note(device,
       moved(OP_MOVE, bytes_of(x_shape), bytes_of(y_shape) + (double)shape_elements(y_shape)));
}

void max_pool2d_backward_count(Device *device, MaxPool2d pool, Shape x_shape, void *dx,
                               Shape y_shape, const void *dy, const uint8_t *winner, Write write)
{
  const double x_bytes = bytes_of(x_shape);
  note(device,
       moved(OP_MOVE,
             bytes_of(y_shape) + (double)shape_elements(y_shape) + added_bytes(write, x_bytes),
             x_bytes));
}

void relu_forward_count(Device *device, Shape shape, const void *x, void *y)
{
  note(device, moved(OP_MOVE, bytes_of(shape), bytes_of(shape)));
}

void relu_backward_count(Device *device, Shape shape, const void *y, const void *dy, void *dx,
                         Write write)
{
  const double bytes = bytes_of(shape);
  note(device, moved(OP_MOVE, 2 * bytes + added_bytes(write, bytes), bytes));
}

void add_forward_count(Device *device, Shape shape, const void *a, const void *b, void *y)
{
  note(device, moved(OP_MOVE, 2 * bytes_of(shape), bytes_of(shape)));
}

void accumulate_count(Device *device, Shape shape, const void *dy, void *dx, Write write)
{
  const double bytes = bytes_of(shape);
  note(device, moved(OP_MOVE, bytes + added_bytes(write, bytes), bytes));
}

void upsample_nearest_forward_count(Device *device, Shape x_shape, const void *x, Shape y_shape,
                                    int32_t channel_offset, void *y)
{
  note(device, moved(OP_MOVE, bytes_of(x_shape), 4 * bytes_of(x_shape)));
}

void upsample_nearest_backward_count(Device *device, Shape x_shape, void *dx, Shape y_shape,
                                     int32_t channel_offset, const void *dy, Write write)
{
  const double bytes = bytes_of(x_shape);
  note(device, moved(OP_MOVE, 4 * bytes + added_bytes(write, bytes), bytes));
}

void concat_forward_count(Device *device, Shape x_shape, const void *x, Shape y_shape,
                          int32_t channel_offset, void *y)
{
  note(device, moved(OP_MOVE, bytes_of(x_shape), bytes_of(x_shape)));
}

void concat_backward_count(Device *device, Shape x_shape, void *dx, Shape y_shape,
                           int32_t channel_offset, const void *dy, Write write)
{
  const double bytes = bytes_of(x_shape);
  note(device, moved(OP_MOVE, bytes + added_bytes(write, bytes), bytes));
}

void convert_count(Device *device, int64_t count, Element x_element, const void *x,
                   Element y_element, void *y)
{
  note(device, moved(OP_MOVE, (double)count * (double)element_bytes(x_element),
                     (double)count * (double)element_bytes(y_element)));
}
