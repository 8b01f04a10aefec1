#include "accuracy.h"

#include <stdio.h>

#include "accuracy_options.h"
#include "base/clock.h"
#include "base/output.h"
#include "base/path.h"
#include "coco_file.h"
#include "geo/geo.h"
#include "geo/polygon_layer.h"

static const int64_t truth_bytes_max = (int64_t)1 << 31;

static Status check_output(const AccuracyOptions *given)
{
  if (*given->output == '\0') return STATUS_OK;
  if (!path_has_ending(given->output, ".json"))
    return status_set(STATUS_BAD_OPTION, "--output=%s: the report is a .json file", given->output);
  return output_check_writable(given->output);
}

static Status set_origin(const Accuracy *accuracy)
{
  char now[21];
  clock_utc(now);
  TRY(document_set_text(accuracy->report, "tool", "quadrat accuracy"));
  TRY(document_set_text(accuracy->report, "command", accuracy->job->command));
  TRY(document_set_text(accuracy->report, "created", now));
  TRY(document_set_text(accuracy->report, "result", accuracy->options->result));
  return document_set_text(accuracy->report, "truth", accuracy->options->truth);
}

/* NULL: no annotations of COCO. GeoJSON may end in .json, too. */
static Status read_coco_truth(const AccuracyOptions *given, Document **truth)
{
  *truth = NULL;
  if (!path_has_ending(given->truth, ".json") || !path_has_ending(given->result, ".json"))
    return STATUS_OK;
  TRY(document_read_large(given->truth, truth_bytes_max, truth));
  if (coco_is_truth(*truth)) return STATUS_OK;
  document_close(*truth);
  *truth = NULL;
  return STATUS_OK;
}

static Status judge_places(const Accuracy *accuracy)
{
  bool result_is_features, truth_is_features;
  const AccuracyOptions *given = accuracy->options;
  TRY(polygon_layer_probe(given->result, &result_is_features));
  if (!result_is_features) return accuracy_of_maps(accuracy);
  TRY(polygon_layer_probe(given->truth, &truth_is_features));
  if (truth_is_features) return accuracy_of_features(accuracy);
  return status_set(STATUS_MISMATCH,
                    "%s holds features, %s a raster; a map is judged by features, not the other "
                    "way round",
                    given->result, given->truth);
}

static Status judge(const Accuracy *accuracy)
{
  Document *truth;
  TRY(read_coco_truth(accuracy->options, &truth));
  const Status status = truth == NULL ? judge_places(accuracy) : accuracy_of_coco(accuracy, truth);
  document_close(truth);
  return status;
}

static Status make_report(const Accuracy *accuracy)
{
  const char *output = accuracy->options->output;
  TRY(set_origin(accuracy));
  TRY(judge(accuracy));
  if (*output != '\0') {
    TRY(document_save(accuracy->report, DOCUMENT_PRETTY, output));
    printf("\n%s\n", output);
  }
  (void)fflush(stdout);
  return STATUS_OK;
}

/* Local. */
static Status make(const Job *job, const AccuracyOptions *options)
{
  Document *report;
  TRY(check_output(options));
  TRY(document_new_object(&report));
  const Status status = make_report(&(Accuracy){.job = job, .options = options, .report = report});
  document_close(report);
  return status;
}

/* Collective. Rank 0 does it all: what is judged is read once. */
static Status run(const Job *job, const void *values)
{
  geo_start(0);
  const Status status =
      comm_agree(job->comm, comm_rank(job->comm) == 0 ? make(job, values) : STATUS_OK);
  geo_stop();
  return status;
}

const Tool accuracy_tool = {
    .table = &accuracy_table, .values_bytes = sizeof(AccuracyOptions), .run = run};
