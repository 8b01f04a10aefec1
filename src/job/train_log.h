#pragma once

#include "store/document.h"

/* The course of a training as JSON lines, appended to by rank 0. All functions accept NULL (the
 * other ranks) and do nothing. */
typedef struct TrainLog TrainLog;

Status train_log_open(const char *path, TrainLog **log);
void train_log_close(TrainLog *log);

/* What a line says besides; fill may be NULL. */
typedef struct TrainLogMore {
  Status (*fill)(const void *context, Document *line);
  const void *context;
} TrainLogMore;

Status train_log_step(TrainLog *log, int64_t step, double loss, double rate, double images_per_s,
                      TrainLogMore more);
Status train_log_validation(TrainLog *log, int64_t epoch, bool best, TrainLogMore more);
