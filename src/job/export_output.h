#pragma once

#include "base/output.h"
#include "chip/chip_writer.h"
#include "export_options.h"
#include "export_source.h"

/* Where the parts lie while they are made, and how they get their final name. All on rank 0, but
 * that every rank knows the names. */
typedef struct ExportOutput {
  char path[OUTPUT_PATH_BYTES];       /* the .h5 file or the folder, without a slash at its end */
  char work[OUTPUT_PATH_BYTES];       /* folder of the parts, until the set is whole: .NAME.work */
  char shards[OUTPUT_PATH_BYTES];     /* of HDF5: what that folder is called then: NAME.shards */
  char set_folder[OUTPUT_PATH_BYTES]; /* of folders: the set until it is whole: .NAME.part */
  char aside[OUTPUT_PATH_BYTES]; /* of HDF5: the file that joins them, until then: .NAME.joined.h5;
                                    else what overwrite moves out of the way: .NAME.old */
  ChipFormat format;
} ExportOutput;

/* Local. Names only. */
Status export_output_name(const ExportOptions *options, ExportOutput *output);
/* Refuses what could not be written, or would replace what it should not. Makes the work folder; if
 * one of the same job is there, its parts are kept; one of another job is removed. */
Status export_output_prepare(const ExportOutput *output, const ExportOptions *options,
                             const ExportSources *sources, Arena *arena);
/* Makes the HDF5 set from the parts, under its name. */
Status export_output_publish_arrays(const ExportOutput *output, const ChipForm *form,
                                    const ChipStory *story, int32_t part_count,
                                    const ShardCount *counts, const SetSum *sum);
/* Writes the tables of a folder beside the numbered chips and gives it its name. */
Status export_output_publish_tiles(const ExportOutput *output, const ChipForm *form,
                                   const ChipStory *story, int32_t part_count,
                                   const ShardCount *counts, const SetSum *sum);
/* Removes all but a finished set. The thread's sentence stays as it is. */
void export_output_discard(const ExportOutput *output);
