#pragma once

#include "pickle.h"

/* The state_dict in what a .pth holds: the object itself, or what a checkpoint keeps under model,
 * state_dict, net, … . Errors: STATUS_UNSUPPORTED with what was found instead. */
Status state_dict_find(const PickleValue *root, const char *path, const PickleValue **dict);
/* The tensors of one; calls visit for each, in order. A tensor of a kind that is not read is
 * STATUS_UNSUPPORTED; other values are passed over. */
typedef Status StateDictVisit(void *context, const char *name, const PickleTensor *tensor);
Status state_dict_walk(const PickleValue *dict, const char *path, StateDictVisit *visit,
                       void *context);
