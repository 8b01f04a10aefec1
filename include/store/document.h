#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* A JSON tree: .emd files, statistics, logs, provenance. A Document is a node; the root is owned
 * (document_close), all nodes below it are borrowed and live as long as the root. Keys keep the
 * order in which they were set or read.
 *
 * ArcGIS writes templates whose values are texts, and numbers in quotes. So the getters take a
 * number also as a text that holds nothing else ("256", "9.5e-01"), and a text that begins with
 * "e.g." counts as absent.
 *
 * Getters return STATUS_BAD_INPUT, with the key and what was found, if the value is of another
 * type. If it is absent (or null): with present == NULL that is STATUS_BAD_INPUT too; else *present
 * is false, *value is left as it was and the status is STATUS_OK. The sentence does not name the
 * file: its caller does (status_prefix). */
typedef struct Document Document;

typedef enum DocumentKind {
  DOCUMENT_ABSENT, /* no such key, null, or a placeholder "e.g. …" */
  DOCUMENT_FLAG,
  DOCUMENT_INT,
  DOCUMENT_REAL,
  DOCUMENT_TEXT,
  DOCUMENT_LIST,
  DOCUMENT_OBJECT
} DocumentKind;

enum { DOCUMENT_DEPTH_MAX = 128, DOCUMENT_BYTES_MAX = 32 << 20 };

/* Root must be an object or a list; UTF-8, a byte order mark is skipped; a key that stands twice in
 * an object is an error. name: what sentences call the text. Errors: STATUS_BAD_INPUT with line and
 * column. */
Status document_parse(const char *text, size_t byte_count, const char *name, Document **document);
Status document_read(const char *path, Document **document); /* also STATUS_IO */
/* The same for data rather than descriptions: up to bytes_max. A tree takes ten times its text. */
Status document_read_large(const char *path, int64_t bytes_max, Document **document);
Status document_new_object(Document **document);
Status document_new_list(Document **document);
Status document_copy(const Document *document, Document **copy);
void document_close(Document *document); /* accepts NULL */

/* Pretty: two blanks per level, lists of plain values on one line, a line end at the end. One line:
 * no blanks, no line end. */
typedef enum DocumentStyle { DOCUMENT_PRETTY, DOCUMENT_ONE_LINE } DocumentStyle;
/* Text is freed by memory_free. The same tree gives the same bytes; reals are written with the
 * fewest digits that read back as the same double. */
Status document_format(const Document *document, DocumentStyle style, char **text);
/* Written aside and renamed. */
Status document_save(const Document *document, DocumentStyle style, const char *path);

/* Reading. A NULL object is one without keys. */
DocumentKind document_kind(const Document *node); /* of NULL: DOCUMENT_ABSENT */
const Document *document_child(const Document *object,
                               const char *key); /* NULL where absent, null or a placeholder */
Status document_get_flag(const Document *object, const char *key, bool *value,
                         bool *present); /* also 0 and 1 */
Status document_get_int(const Document *object, const char *key, int64_t *value,
                        bool *present); /* also 256.0 */
Status document_get_real(const Document *object, const char *key, double *value, bool *present);
Status document_get_text(const Document *object, const char *key, const char **value,
                         bool *present); /* borrowed */
Status document_get_object(const Document *object, const char *key, const Document **value,
                           bool *present);
Status document_get_list(const Document *object, const char *key, const Document **value,
                         bool *present);
/* A list of numbers: writes at most capacity, *count is the list's length (so a first call with
 * capacity 0 measures). */
Status document_get_reals(const Document *object, const char *key, double *values, size_t capacity,
                          size_t *count, bool *present);
Status document_get_ints(const Document *object, const char *key, int64_t *values, size_t capacity,
                         size_t *count, bool *present);

size_t
document_count(const Document *node); /* of a list's items or an object's keys; 0 for all else */
const Document *document_item(const Document *list, size_t index); /* NULL outside the list */
const char *document_key(const Document *object, size_t index);    /* in order; NULL outside */
Status document_as_int(const Document *item,
                       int64_t *value); /* of a list's item; tolerant as above */
Status document_as_real(const Document *item, double *value);
Status document_as_text(const Document *item, const char **value);

/* Building. Set replaces what the key held (and keeps its place); text is copied and must be UTF-8
 * (STATUS_BAD_INPUT). A real that is not finite is written as null, since JSON has no other word
 * for it. Errors: STATUS_NO_MEMORY. */
Status document_set_flag(Document *object, const char *key, bool value);
Status document_set_int(Document *object, const char *key, int64_t value);
Status document_set_real(Document *object, const char *key, double value);
Status document_set_text(Document *object, const char *key, const char *value);
Status document_set_ints(Document *object, const char *key, const int64_t *values, size_t count);
Status document_set_reals(Document *object, const char *key, const double *values, size_t count);
Status document_set_texts(Document *object, const char *key, const char *const *values,
                          size_t count);
Status document_set_copy(Document *object, const char *key, const Document *value);
/* An empty object or list under key; *child is borrowed. */
Status document_set_object(Document *object, const char *key, Document **child);
Status document_set_list(Document *object, const char *key, Document **child);
void document_remove(Document *object, const char *key); /* nothing if it is absent */

Status document_add_flag(Document *list, bool value);
Status document_add_int(Document *list, int64_t value);
Status document_add_real(Document *list, double value);
Status document_add_text(Document *list, const char *value);
Status document_add_object(Document *list, Document **child);
Status document_add_list(Document *list, Document **child);
