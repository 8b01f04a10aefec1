#include "voc_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/output.h"
#include "base/path.h"

static int write_object(FILE *stream, const ChipObject *object)
{
  const float *box = object->box;
  return fprintf(stream,
                 "    <object>\n"
                 "        <name>%d</name>\n"
                 "        <bndbox>\n"
                 "            <xmin>%.2f</xmin>\n"
                 "            <ymin>%.2f</ymin>\n"
                 "            <xmax>%.2f</xmax>\n"
                 "            <ymax>%.2f</ymax>\n"
                 "        </bndbox>\n"
                 "    </object>\n",
                 object->class_value, (double)box[0], (double)box[1], (double)box[2],
                 (double)box[3]);
}

static bool write_all(FILE *stream, int64_t number, const ChipForm *form,
                      const ChipObjects *objects)
{
  int written = fprintf(stream,
                        "<?xml version=\"1.0\"?>\n"
                        "<annotation>\n"
                        "    <filename>%09" PRId64 ".tif</filename>\n"
                        "    <source>\n"
                        "        <annotation>Quadrat</annotation>\n"
                        "    </source>\n"
                        "    <size>\n"
                        "        <width>%d</width>\n"
                        "        <height>%d</height>\n"
                        "        <depth>%d</depth>\n"
                        "    </size>\n",
                        number, form->width_px, form->height_px, form->band_count);
  for (int32_t i = 0; written >= 0 && i < objects->count; ++i)
    written = write_object(stream, &objects->items[i]);
  return written >= 0 && fputs("</annotation>\n", stream) >= 0;
}

Status voc_file_write(const char *folder, int64_t number, const ChipForm *form,
                      const ChipObjects *objects)
{
  char name[64], path[OUTPUT_PATH_BYTES];
  (void)snprintf(name, sizeof name, "labels/%09" PRId64 ".xml", number);
  TRY(path_join(folder, name, sizeof path, path));
  FILE *stream = fopen(path, "we");
  if (stream == NULL) return status_set(STATUS_IO, "cannot write %s: %s", path, strerror(errno));
  const bool written = write_all(stream, number, form, objects);
  const int reason = errno;
  if (fclose(stream) != 0 || !written)
    return status_set(STATUS_IO, "cannot write %s: %s", path, strerror(written ? errno : reason));
  return STATUS_OK;
}
