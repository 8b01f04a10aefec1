#pragma once

#include "confusion.h"

/* The course of a training as JSON lines, appended to by rank 0. All functions accept NULL (the
 * other ranks) and do nothing. */
typedef struct TrainLog TrainLog;

Status train_log_open(const char *path, TrainLog **log);
void train_log_close(TrainLog *log);
Status train_log_step(TrainLog *log, int64_t step, double loss, double rate, double images_per_s);
Status train_log_validation(TrainLog *log, int64_t epoch, double loss, Confusion confusion,
                            const char *const *names, bool best);
