#pragma once

#include "op/backend.h"
#include "op/op_work.h"

/* For the twins that count. */
OpWorkList *notes_of(const Device *device);
void note(const Device *device, OpWork work);
void note_in(OpWorkList *list, OpWork work);

static inline double bytes_of(Shape shape)
{
  return (double)shape_bytes(shape);
}

/* What is added to is read as well. */
static inline double added_bytes(Write write, double bytes)
{
  return write == WRITE_ADD ? bytes : 0;
}

/* A kernel that reads and writes so many bytes and does nothing else of note. */
static inline OpWork moved(OpKind kind, double read_bytes, double written_bytes)
{
  return (OpWork){
      .kind = kind, .launches = 1, .read_bytes = read_bytes, .written_bytes = written_bytes};
}
