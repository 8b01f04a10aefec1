/* COCO's results against COCO's annotations. */
#include <inttypes.h>
#include <stdio.h>

#include "accuracy_options.h"
#include "accuracy_report.h"
#include "base/memory.h"
#include "coco_score.h"

/* Texts of a hundred thousand masks. */
static const int64_t results_bytes_max = (int64_t)1 << 31;

typedef struct CocoJob {
  const Accuracy *accuracy;
  CocoSet set;
  CocoObjects results, truths;
  const char **names;
  DetectionScore *coco[2]; /* by CocoShape; NULL: not judged */
  FoundScore *found[2];
} CocoJob;

static Status read_results(CocoJob *job)
{
  Document *document;
  const char *path = job->accuracy->options->result;
  TRY(document_read_large(path, results_bytes_max, &document));
  const Status status = coco_results_read(document, path, &job->set, &job->results);
  document_close(document);
  return status;
}

static Status read_all(CocoJob *job, const Document *truth)
{
  void *memory;
  const char *path = job->accuracy->options->truth;
  TRY(coco_set_read(truth, path, &job->set));
  TRY(read_results(job));
  TRY(coco_truth_read(truth, path, &job->set, job->results.has_masks, &job->truths));
  TRY(memory_allocate((size_t)job->set.category_count, sizeof(char *), "categories", &memory));
  job->names = memory;
  for (int32_t i = 0; i < job->set.category_count; ++i)
    job->names[i] = job->set.categories[i].name;
  return STATUS_OK;
}

static void log_all(const CocoJob *job)
{
  const Log *log = job->accuracy->job->log;
  const AccuracyOptions *given = job->accuracy->options;
  log_once(log, "%s: %" PRId64 " objects of %d categories in %" PRId64 " images", given->truth,
           job->truths.count, job->set.category_count, job->set.image_count);
  log_once(log, "%s: %" PRId64 " results%s%s", given->result, job->results.count,
           job->results.has_boxes ? ", boxes" : "", job->results.has_masks ? ", masks" : "");
  if (job->truths.elsewhere > 0)
    log_warning(log,
                "%s: %" PRId64 " objects of images or categories that are not listed are left out",
                given->truth, job->truths.elsewhere);
  if (job->results.elsewhere > 0)
    log_warning(log, "%s: %" PRId64 " results of categories that are not listed are left out",
                given->result, job->results.elsewhere);
}

static Status score_shape(CocoJob *job, CocoShape shape)
{
  const int32_t class_count = job->set.category_count;
  TRY(detection_score_open(class_count, detection_limits_coco, &job->coco[shape]));
  TRY(found_score_open(class_count, job->accuracy->options->min_iou, &job->found[shape]));
  return coco_score_add(&job->results, &job->truths, shape, job->coco[shape], job->found[shape]);
}

static Status set_counts(const CocoJob *job)
{
  Document *into = job->accuracy->report;
  TRY(document_set_text(into, "kind", "coco"));
  TRY(document_set_real(into, "min_iou", job->accuracy->options->min_iou));
  TRY(document_set_int(into, "images", job->set.image_count));
  TRY(document_set_int(into, "truth_objects", job->truths.count));
  TRY(document_set_int(into, "truth_objects_left_out", job->truths.elsewhere));
  TRY(document_set_int(into, "results_judged", job->results.count));
  return document_set_int(into, "results_left_out", job->results.elsewhere);
}

static Status report(const CocoJob *job)
{
  static const char *const keys[2] = {"box", "mask"};
  static const char *const words[2] = {"boxes", "masks"};
  CocoColumn columns[2];
  int column_count = 0;
  char title[40];
  TRY(set_counts(job));
  for (int shape = COCO_BOX; shape <= COCO_MASK; ++shape) {
    if (job->coco[shape] == NULL) continue;
    (void)snprintf(title, sizeof title, "%s, IoU >= %.3g", words[shape],
                   job->accuracy->options->min_iou);
    TRY(accuracy_report_found(job->found[shape], job->set.category_count, job->names, title,
                              job->accuracy->report, keys[shape]));
    columns[column_count++] = (CocoColumn){keys[shape], job->coco[shape]};
  }
  return accuracy_report_coco(columns, column_count, job->set.category_count, job->names, true,
                              true, job->accuracy->report);
}

static Status judge(CocoJob *job, const Document *truth)
{
  TRY(read_all(job, truth));
  log_all(job);
  const bool boxes = job->results.has_boxes && job->truths.has_boxes;
  const bool masks = job->results.has_masks && job->truths.has_masks;
  if (!boxes && !masks)
    return status_set(STATUS_MISMATCH, "%s has %s, %s has %s; boxes or masks are wanted in both",
                      job->accuracy->options->result, job->results.has_masks ? "masks" : "boxes",
                      job->accuracy->options->truth, job->truths.has_masks ? "masks" : "boxes");
  if (boxes) TRY(score_shape(job, COCO_BOX));
  if (masks) TRY(score_shape(job, COCO_MASK));
  return report(job);
}

Status accuracy_of_coco(const Accuracy *accuracy, const Document *truth)
{
  CocoJob job = {.accuracy = accuracy};
  const Status status = judge(&job, truth);
  for (int i = 0; i < 2; ++i) {
    detection_score_close(job.coco[i]);
    found_score_close(job.found[i]);
  }
  memory_free(job.names);
  coco_objects_free(&job.results);
  coco_objects_free(&job.truths);
  coco_set_free(&job.set);
  return status;
}
