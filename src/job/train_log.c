#include "train_log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"

struct TrainLog {
  FILE *file;
  char path[4096];
};

Status train_log_open(const char *path, TrainLog **log)
{
  void *memory;
  TRY(memory_allocate(1, sizeof **log, "log", &memory));
  TrainLog *opening = memory;
  (void)snprintf(opening->path, sizeof opening->path, "%s", path);
  opening->file = fopen(path, "ae");
  if (opening->file == NULL) {
    memory_free(opening);
    return status_set(STATUS_IO, "cannot write the log %s: %s", path, strerror(errno));
  }
  *log = opening;
  return STATUS_OK;
}

void train_log_close(TrainLog *log)
{
  if (log == NULL) return;
  (void)fclose(log->file);
  memory_free(log);
}

static Status write_line(TrainLog *log, const Document *document)
{
  char *text;
  TRY(document_format(document, DOCUMENT_ONE_LINE, &text));
  const bool written = fprintf(log->file, "%s\n", text) > 0 && fflush(log->file) == 0;
  memory_free(text);
  if (!written)
    return status_set(STATUS_IO, "cannot write the log %s: %s", log->path, strerror(errno));
  return STATUS_OK;
}

static Status fill_step(Document *line, int64_t step, double loss, double rate, double images_per_s)
{
  char now[21];
  clock_utc(now);
  TRY(document_set_text(line, "time", now));
  TRY(document_set_int(line, "step", step));
  TRY(document_set_real(line, "loss", loss));
  TRY(document_set_real(line, "learning_rate", rate));
  return document_set_real(line, "images_per_s", images_per_s);
}

static Status fill_more(TrainLogMore more, Document *line)
{
  return more.fill == NULL ? STATUS_OK : more.fill(more.context, line);
}

Status train_log_step(TrainLog *log, int64_t step, double loss, double rate, double images_per_s,
                      TrainLogMore more)
{
  if (log == NULL) return STATUS_OK;
  Document *line;
  TRY(document_new_object(&line));
  Status status = fill_step(line, step, loss, rate, images_per_s);
  if (status == STATUS_OK) status = fill_more(more, line);
  if (status == STATUS_OK) status = write_line(log, line);
  document_close(line);
  return status;
}

static Status fill_validation(Document *line, int64_t epoch, bool best)
{
  char now[21];
  clock_utc(now);
  TRY(document_set_text(line, "time", now));
  TRY(document_set_int(line, "epoch", epoch));
  return document_set_flag(line, "best", best);
}

Status train_log_validation(TrainLog *log, int64_t epoch, bool best, TrainLogMore more)
{
  if (log == NULL) return STATUS_OK;
  Document *line;
  TRY(document_new_object(&line));
  Status status = fill_validation(line, epoch, best);
  if (status == STATUS_OK) status = fill_more(more, line);
  if (status == STATUS_OK) status = write_line(log, line);
  document_close(line);
  return status;
}
