#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"
#include "store/document.h"
#include "store/weights.h"

/* A model package: a definition (.emd, JSON) and the files it names, in one zip (.dlpk), or side by
 * side in a folder. Packages are data. Nothing in one is executed; its .py files are carried along,
 * never run. */
typedef struct Package Package;

/* path: a .dlpk, an .emd, or a folder that holds one .emd. In a zip the .emd at the root wins, else
 * the only one there is. Refused (STATUS_BAD_INPUT): absolute names, "..", links, encrypted,
 * duplicate or overlapping members, several .emd at the same depth, none, sizes beyond the limits
 * below. Methods other than stored and deflate: STATUS_UNSUPPORTED. */
enum { PACKAGE_MEMBERS_MAX = 100000 };
#define PACKAGE_BYTES_MAX (INT64_C(1) << 36) /* all members together, unpacked */

Status package_open(const char *path, Package **package);
/* The same over bytes in memory (a zip), which are borrowed until package_close. */
Status package_open_memory(const void *bytes, size_t byte_count, const char *name,
                           Package **package);
void package_close(Package *package); /* accepts NULL */

const Document *package_definition(const Package *package);
const char *
package_definition_name(const Package *package);     /* the .emd's name inside the package */
size_t package_member_count(const Package *package); /* files only */
const char *package_member_name(const Package *package, size_t index);
Status package_member_bytes(const Package *package, size_t index, int64_t *bytes); /* unpacked */

/* A whole member; name as in the definition: relative to the .emd, "\" is taken for "/", a leading
 * "./" is dropped. *bytes is freed by memory_free and has a 0 behind it. STATUS_BAD_INPUT if there
 * is none, or if it is beyond limit_bytes, or if its checksum is wrong. */
Status package_read(const Package *package, const char *name, size_t limit_bytes, void **bytes,
                    size_t *byte_count);
/* The same by the member's index. */
Status package_read_member(const Package *package, size_t index, size_t limit_bytes, void **bytes,
                           size_t *byte_count);
/* The tensors of the file that ModelFile names. The package must outlive them. */
Status package_open_weights(const Package *package, WeightFile **weights);
/* Writes all members below folder, which is made; an existing file is replaced. */
Status package_extract(const Package *package, const char *folder);

/* What goes into a package: exactly one of path, bytes and weights. */
typedef struct PackageItem {
  const char *name;  /* inside the package: relative, "/" between folders */
  const char *path;  /* a file on disk */
  const void *bytes; /* or memory */
  size_t byte_count;
  const WeightGiven *weights; /* or tensors, written as safetensors */
  size_t weight_count;
  const WeightNote *notes;
  size_t note_count;
} PackageItem;

/* A zip: members stored, sorted by name, with a fixed time, aligned to 64 bytes; the same input
 * gives the same bytes. Written aside and renamed. The definition's ModelFile must be one of the
 * items (STATUS_BAD_INPUT). */
Status package_write(const char *path, const char *definition_name, const Document *definition,
                     const PackageItem *items, size_t item_count);
