#pragma once

#include <stddef.h>
#include <stdint.h>

/* What both sides of the benchmark of Mask R-CNN take, for a program without a reader of safetensors:
 * case.txt, lines "NAME VALUE" ("backbone resnet50", "classes 2", …) and "tensor NAME COUNT", and
 * case.f32, the tensors' values in that order, float32 as this machine has them. peer_mask_rcnn.py
 * --write makes them. A failure is told on stderr and ends the program. */
typedef struct CaseFile CaseFile;

CaseFile *case_open(const char *folder);
void case_close(CaseFile *file);

const char *case_text(const CaseFile *file, const char *name);
int32_t case_int(const CaseFile *file, const char *name);
/* As printf makes the name; lives as long as the file is open. */
const float *case_tensor(const CaseFile *file, int64_t *count, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
