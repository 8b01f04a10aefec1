#pragma once

/* Which libraries stand behind this door, at run time: "1.10.8", "2.14", "1.2.13". */
typedef struct StoreVersions {
  char hdf5[32], jansson[32], zlib[32];
} StoreVersions;

StoreVersions store_versions(void);
