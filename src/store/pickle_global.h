#pragma once

#include "pickle.h"

/* What the globals of PyTorch's pickles mean. Functions that refuse set the sentence without file
 * and byte. */

/* STATUS_BAD_INPUT: “corrupt pickle: what”. */
Status pickle_corrupt(const char *what);

/* REDUCE and NEWOBJ: callable(arguments). *made may be the callable's argument itself. */
Status pickle_call(Arena *arena, const PickleValue *callable, const PickleValue *arguments,
                   PickleValue **made);
/* BINPERSID: a storage, or opaque. */
Status pickle_persistent(Arena *arena, const PickleValue *id, PickleValue **made);

Status pickle_new(Arena *arena, PickleKind kind, PickleValue **value);
/* Adds to a LIST's or DICT's items. */
Status pickle_push(Arena *arena, PickleValue *list, PickleValue *item);
