#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The door to GDAL. Once per process, from its main thread, after MPI_Init and before anything else
 * of this floor. cache_bytes is the block cache of this process, all threads together; 0 leaves
 * GDAL's own choice (5 % of the memory), which is too much where several ranks share a node. GDAL
 * prints nothing from here on: its words travel in status_message(). */
void geo_start(int64_t cache_bytes);
void geo_stop(void);

/* For doctor and for provenance: "3.6.2". Lives as long as the process. */
const char *geo_version(void);
/* Of PROJ, behind GDAL: "9.1.1". */
void geo_proj_version(char text[32]);
/* Whether GDAL was built with a format: "COG", "GPKG", "FlatGeobuf". */
bool geo_has_format(const char *gdal_name);
