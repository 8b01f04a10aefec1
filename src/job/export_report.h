#pragma once

#include "chip/chip_writer.h"
#include "export_source.h"

/* Local, on rank 0: to standard output. What was written: places for chips and what became of them,
 * classes, bands, and a digest that tells sets apart: the same for any rank count and format. */
void export_report(const ChipForm *form, const ChipStory *story, const SetSum *sum,
                   const char *output_path);
/* What was found among the labels; to the log. */
void export_report_labels(const Log *log, const ExportSources *sources,
                          const ExportOptions *options);
