#pragma once

#include "model/detector_stages.h"
#include "model/golden_detector.h"
#include "store/document.h"
#include "store/weights.h"

/* A case's folder, as README.md describes it. */
typedef struct Tensors {
  WeightFile *file;
  float **values; /* what has been read of it, by index */
} Tensors;

typedef struct Case {
  Document *about;
  Tensors weights, input, expected;
  Reference reference; /* of expected */
} Case;

Case *case_open(const char *folder);
void case_close(Case *c);

/* What case.json says; anything missing fails. section: NULL for the keys at its top. */
int32_t case_int(const Case *c, const char *section, const char *key);
double case_real(const Case *c, const char *section, const char *key);
const char *case_text(const Case *c, const char *key);
bool case_flag(const Case *c, const char *key);
/* Writes at most most numbers, and gives how many there are. */
size_t case_reals(const Case *c, const char *key, size_t most, float *values);

/* NULL where there is none; lives as long as the case. shape may be NULL. */
const float *tensors_find(Tensors *tensors, const char *name, const Weight **shape);
/* A parameter of the network, from the case's weights; one that is missing or of another size
 * fails. */
void case_fill(Case *c, const Parameter *parameter, float *values);

/* All stages of a case, or of a golden file, to a table. stages->reference is set by these. */
void parity_detector(Case *c, const TestBackend *on, Stages stages);
void parity_detector_golden(const char *name, const TestBackend *on, Stages stages);
void parity_unet(Case *c, const TestBackend *on, Stages stages);
void parity_unet_golden(const char *name, const TestBackend *on, Stages stages);
