#include "export_report.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const outcome_words[CHIP_OUTCOME_COUNT] = {
    [CHIP_KEPT] = "written",
    [CHIP_OUTSIDE_MASK] = "not inside the mask",
    [CHIP_UNLABELLED] = "without a label",
    [CHIP_FEW_LABELS] = "with too few labelled pixels",
    [CHIP_LITTLE_DATA] = "with too little data",
};

static void print_outcomes(const ChipForm *form, const SetSum *sum)
{
  printf("chips of %d x %d px with %d bands of %s: %" PRId64 " written", form->width_px,
         form->height_px, form->band_count, pixel_name(form->pixel), sum->chip_count);
  for (int i = CHIP_KEPT + 1; i < CHIP_OUTCOME_COUNT; ++i)
    if (sum->outcomes[i] > 0) printf(", %" PRId64 " %s", sum->outcomes[i], outcome_words[i]);
  printf("\n");
}

static void print_classes(const ChipForm *form, const SetSum *sum)
{
  int64_t total = 0;
  for (int32_t i = 0; i < sum->class_count; ++i)
    total += sum->classes[i].pixel_count;
  printf("\n%6s  %-24s %16s %8s %10s\n", "value", "class", "pixels", "share", "chips");
  for (int32_t i = 0; i < sum->class_count; ++i)
    printf("%6d  %-24s %16" PRId64 " %8.4f %10" PRId64 "\n", form->classes[i].value,
           form->classes[i].name, sum->classes[i].pixel_count,
           total == 0 ? 0 : (double)sum->classes[i].pixel_count / (double)total,
           sum->classes[i].chip_count);
}

static void print_objects(const ChipForm *form, const SetSum *sum)
{
  const int64_t *o = sum->object_outcomes;
  if (!chip_format_has_objects(form->format)) return;
  printf("\nobjects: %" PRId64 " written, at most %" PRId64 " in a chip; left out: %" PRId64
         " with too small a share in the chip, %" PRId64 " without a pixel that is data, %" PRId64
         " without an area\n",
         sum->object_count, sum->objects_most, o[OBJECT_SMALL_SHARE], o[OBJECT_NO_PIXEL],
         o[OBJECT_NO_AREA]);
  printf("%6s  %-24s %16s %8s %10s\n", "value", "class", "objects", "share", "chips");
  for (int32_t i = 1; i < sum->class_count; ++i)
    printf("%6d  %-24s %16" PRId64 " %8.4f %10" PRId64 "\n", form->classes[i].value,
           form->classes[i].name, sum->objects[i].count,
           sum->object_count == 0 ? 0 : (double)sum->objects[i].count / (double)sum->object_count,
           sum->objects[i].chip_count);
}

static void print_bands(const ChipStory *story, const SetSum *sum)
{
  printf("\n%6s  %-24s %12s %12s %12s %12s\n", "band", "name", "min", "max", "mean", "std");
  for (int32_t i = 0; i < sum->band_count; ++i)
    printf("%6d  %-24s %12.6g %12.6g %12.6g %12.6g\n", i + 1, story->band_names[i],
           sum->bands[i].least, sum->bands[i].most, sum->bands[i].mean,
           band_sum_standard_deviation(&sum->bands[i]));
}

void export_report(const ChipForm *form, const ChipStory *story, const SetSum *sum,
                   const char *output_path)
{
  char content[17];
  print_outcomes(form, sum);
  print_classes(form, sum);
  print_objects(form, sum);
  print_bands(story, sum);
  checksum_text(checksum_value(&sum->content), content);
  printf("\ncontent %s\n%s\n", content, output_path);
  (void)fflush(stdout);
}

static void report_features(const Log *log, const ExportSource *source)
{
  const LabelCounts counts = label_source_counts(source->labels);
  log_once(log,
           "%s: %" PRId64 " features, %" PRId64 " near the raster (%" PRId64 " repaired), %" PRId64
           " outside, %" PRId64 " without a wanted class, %" PRId64 " dropped",
           source->path, counts.read, counts.kept, counts.repaired, counts.outside,
           counts.classless, counts.dropped);
  if (counts.dropped > 0)
    log_warning(log,
                "%" PRId64 " features were dropped: empty, beyond repair, or not to be taken "
                "into the raster's reference system",
                counts.dropped);
}

void export_report_labels(const Log *log, const ExportSources *sources,
                          const ExportOptions *options)
{
  for (int32_t i = 0; i < sources->count; ++i) {
    const ExportSource *source = &sources->sources[i];
    const char *field = label_source_class_field(source->labels);
    if (raster_alpha_band(source->raster) != 0)
      log_once(log, "%s: band %d is read as transparency", source->path,
               raster_alpha_band(source->raster));
    if (label_source_is_raster(source->labels)) continue;
    report_features(log, source);
    log_once(log, "labels %s: class %s%s", options->labels,
             *field == '\0' ? "1 for every feature" : "by the field ", field);
  }
}
