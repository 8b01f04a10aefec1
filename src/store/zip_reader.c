#include "zip_reader.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/memory.h"

enum {
  END_BYTES = 22,
  END64_BYTES = 56,
  LOCATOR_BYTES = 20,
  ENTRY_BYTES = 46,
  LOCAL_BYTES = 30,
  COMMENT_BYTES_MAX = 65535,
  FLAG_ENCRYPTED = 1,
  FLAG_SIZES_BEHIND = 8, /* sizes and checksum stand behind the data, zeros in the local header */
  FLAG_MASKED = 0x2040
};

static const uint32_t end_mark = 0x06054b50;
static const uint32_t end64_mark = 0x06064b50;
static const uint32_t locator_mark = 0x07064b50;
static const uint32_t entry_mark = 0x02014b50;
static const uint32_t local_mark = 0x04034b50;

struct Zip {
  const Source *source;
  Arena *arena; /* entries and names */
  ZipEntry *entries;
  const ZipEntry **sorted; /* by name */
  size_t count;
  int64_t directory_at;
};

typedef struct Directory {
  uint64_t count;
  uint64_t at;
  uint64_t bytes;
  int64_t end_at; /* where the directory must end */
} Directory;

static Status damaged(const Zip *zip, const char *what)
{
  return status_set(STATUS_BAD_INPUT, "%s: damaged zip archive: %s", source_name(zip->source),
                    what);
}

static Status refuse_entry(const Zip *zip, const ZipEntry *entry, const char *what)
{
  return status_set(STATUS_BAD_INPUT, "%s: refused: the member “%.200s” %s",
                    source_name(zip->source), entry->name, what);
}

/* Where a field of the old record is not saturated, both records must say the same. */
static bool agrees(uint64_t old, uint64_t saturated, uint64_t wide)
{
  return old == saturated || old == wide;
}

static Status read_end64(const Zip *zip, const uint8_t end[END_BYTES], int64_t locator_at,
                         const uint8_t locator[LOCATOR_BYTES], Directory *directory)
{
  uint8_t record[END64_BYTES];
  const uint64_t at = le64(locator + 8);
  if (le32(locator + 4) != 0 || le32(locator + 16) > 1)
    return damaged(zip, "archives in several parts are not read");
  if (at > (uint64_t)locator_at || (uint64_t)locator_at - at < END64_BYTES)
    return damaged(zip, "the zip64 end record is not where its locator says");
  TRY(source_read(zip->source, (int64_t)at, record, sizeof record));
  if (le32(record) != end64_mark || le64(record + 4) != (uint64_t)locator_at - at - 12)
    return damaged(zip, "the zip64 end record is not where its locator says");
  *directory = (Directory){.count = le64(record + 32),
                           .at = le64(record + 48),
                           .bytes = le64(record + 40),
                           .end_at = (int64_t)at};
  const bool same = agrees(le16(end + 10), 0xFFFF, directory->count) &&
                    agrees(le32(end + 12), 0xFFFFFFFF, directory->bytes) &&
                    agrees(le32(end + 16), 0xFFFFFFFF, directory->at) &&
                    le64(record + 24) == directory->count && le32(record + 16) == 0 &&
                    le32(record + 20) == 0;
  return same ? STATUS_OK : damaged(zip, "its two end records disagree");
}

static Status read_end(const Zip *zip, int64_t end_at, const uint8_t end[END_BYTES],
                       Directory *directory)
{
  if (le16(end + 4) != 0 || le16(end + 6) != 0 || le16(end + 8) != le16(end + 10))
    return damaged(zip, "archives in several parts are not read");
  if (end_at >= LOCATOR_BYTES) {
    uint8_t locator[LOCATOR_BYTES];
    TRY(source_read(zip->source, end_at - LOCATOR_BYTES, locator, sizeof locator));
    if (le32(locator) == locator_mark)
      return read_end64(zip, end, end_at - LOCATOR_BYTES, locator, directory);
  }
  *directory = (Directory){
      .count = le16(end + 10), .at = le32(end + 16), .bytes = le32(end + 12), .end_at = end_at};
  return STATUS_OK;
}

/* The last record whose comment reaches exactly to the end of the file. */
static Status search_end(const Zip *zip, const uint8_t *tail, int64_t tail_bytes,
                         Directory *directory)
{
  const int64_t tail_at = source_bytes(zip->source) - tail_bytes;
  for (int64_t i = tail_bytes - END_BYTES; i >= 0; --i)
    if (le32(tail + i) == end_mark && le16(tail + i + 20) == tail_bytes - i - END_BYTES)
      return read_end(zip, tail_at + i, tail + i, directory);
  return damaged(zip, "it has no end record; the file is cut short or is no zip archive");
}

static Status find_directory(const Zip *zip, Directory *directory)
{
  const int64_t bytes = source_bytes(zip->source);
  if (bytes < END_BYTES) return damaged(zip, "it is too short");
  const int64_t tail_bytes =
      bytes < END_BYTES + COMMENT_BYTES_MAX ? bytes : END_BYTES + COMMENT_BYTES_MAX;
  void *tail;
  TRY(memory_allocate((size_t)tail_bytes, 1, "end of zip archive", &tail));
  Status status = source_read(zip->source, bytes - tail_bytes, tail, (size_t)tail_bytes);
  if (status == STATUS_OK) status = search_end(zip, tail, tail_bytes, directory);
  memory_free(tail);
  if (status != STATUS_OK) return status;
  if (directory->at > (uint64_t)directory->end_at ||
      directory->bytes != (uint64_t)directory->end_at - directory->at)
    return damaged(zip, "its directory does not end where its end record begins");
  if (directory->count > ZIP_ENTRIES_MAX || directory->bytes > ZIP_DIRECTORY_BYTES_MAX ||
      directory->count > directory->bytes / ENTRY_BYTES)
    return damaged(zip, "it claims more members than it can hold or this program reads");
  return STATUS_OK;
}

/* Sizes and offset of members beyond 4 GiB stand in the extra field 1, in this order, only those
 * that are saturated. */
static bool read_zip64_extra(const uint8_t *extra, size_t extra_bytes, ZipEntry *entry)
{
  int64_t *const fields[3] = {&entry->bytes, &entry->packed_bytes, &entry->header_at};
  for (size_t at = 0; at + 4 <= extra_bytes;) {
    const size_t bytes = le16(extra + at + 2);
    if (bytes > extra_bytes - at - 4) return false;
    size_t used = 0;
    for (size_t i = 0; i < 3 && le16(extra + at) == 1; ++i) {
      if (*fields[i] != 0xFFFFFFFF) continue;
      if (bytes - used < 8 || le64(extra + at + 4 + used) > INT64_MAX) return false;
      *fields[i] = (int64_t)le64(extra + at + 4 + used);
      used += 8;
    }
    if (le16(extra + at) == 1) return true;
    at += 4 + bytes;
  }
  return true;
}

bool zip_is_safe_name(const char *name)
{
  if (*name == '\0' || *name == '/') return false;
  if (name[0] != '\0' && name[1] == ':') return false;
  for (const char *part = name; part != NULL;) {
    const char *slash = strchr(part, '/');
    const size_t length = slash == NULL ? strlen(part) : (size_t)(slash - part);
    if (length == 0 && *part != '\0') return false; /* "//" */
    if ((length == 1 && part[0] == '.') || (length == 2 && part[0] == '.' && part[1] == '.'))
      return false;
    part = slash == NULL ? NULL : slash + 1;
  }
  return true;
}

static Status copy_name(const Zip *zip, const uint8_t *bytes, size_t byte_count, ZipEntry *entry)
{
  void *piece;
  TRY(arena_allocate(zip->arena, byte_count + 1, &piece));
  char *name = piece;
  for (size_t i = 0; i < byte_count; ++i) {
    if (bytes[i] < 0x20 || bytes[i] == 0x7F)
      return damaged(zip, "a name holds a control character");
    name[i] = bytes[i] == '\\' ? '/' : (char)bytes[i];
  }
  entry->name = name;
  if (!zip_is_safe_name(name)) return refuse_entry(zip, entry, "would leave its folder");
  return STATUS_OK;
}

static Status check_entry(const Zip *zip, const ZipEntry *entry, uint32_t attributes)
{
  /* Deflate packs 258 bytes into 2 bits at best. */
  enum { DEFLATE_RATIO_MAX = 1032 };
  if ((entry->flags & (FLAG_ENCRYPTED | FLAG_MASKED)) != 0)
    return refuse_entry(zip, entry, "is encrypted");
  if (S_ISLNK(attributes >> 16)) return refuse_entry(zip, entry, "is a link");
  if (entry->method == ZIP_STORED && entry->packed_bytes != entry->bytes)
    return refuse_entry(zip, entry, "is stored, but its two sizes differ");
  if (entry->method == ZIP_DEFLATE && entry->bytes / DEFLATE_RATIO_MAX > entry->packed_bytes)
    return refuse_entry(zip, entry, "claims to unpack to more than deflate can pack");
  if (entry->header_at > zip->directory_at - LOCAL_BYTES || entry->packed_bytes > zip->directory_at)
    return refuse_entry(zip, entry, "lies outside the archive");
  return STATUS_OK;
}

/* One record of the directory; *used is its length. */
static Status read_entry(const Zip *zip, const uint8_t *record, uint64_t bytes_left,
                         ZipEntry *entry, uint64_t *used)
{
  if (bytes_left < ENTRY_BYTES || le32(record) != entry_mark)
    return damaged(zip, "its directory is cut short or corrupt");
  const size_t name_bytes = le16(record + 28);
  const size_t extra_bytes = le16(record + 30);
  *used = ENTRY_BYTES + name_bytes + extra_bytes + le16(record + 32);
  if (*used > bytes_left) return damaged(zip, "its directory is cut short or corrupt");
  *entry = (ZipEntry){.header_at = le32(record + 42),
                      .packed_bytes = le32(record + 20),
                      .bytes = le32(record + 24),
                      .crc = le32(record + 16),
                      .method = le16(record + 10),
                      .flags = le16(record + 8)};
  TRY(copy_name(zip, record + ENTRY_BYTES, name_bytes, entry));
  if (le16(record + 34) != 0) return damaged(zip, "archives in several parts are not read");
  if (!read_zip64_extra(record + ENTRY_BYTES + name_bytes, extra_bytes, entry))
    return refuse_entry(zip, entry, "has a corrupt extra field");
  return check_entry(zip, entry, le32(record + 38));
}

static bool same_name(const char *name, const uint8_t *bytes, size_t byte_count)
{
  if (strlen(name) != byte_count) return false;
  for (size_t i = 0; i < byte_count; ++i)
    if (name[i] != (bytes[i] == '\\' ? '/' : (char)bytes[i])) return false;
  return true;
}

static bool sizes_agree(const uint8_t *local, const ZipEntry *entry)
{
  return agrees(le32(local + 18), 0xFFFFFFFF, (uint64_t)entry->packed_bytes) &&
         agrees(le32(local + 22), 0xFFFFFFFF, (uint64_t)entry->bytes) &&
         le32(local + 14) == entry->crc;
}

static Status check_local(const Zip *zip, ZipEntry *entry, const uint8_t *local,
                          const uint8_t *name)
{
  if (!same_name(entry->name, name, le16(local + 26)) || le16(local + 8) != entry->method)
    return refuse_entry(zip, entry, "is named otherwise in its own header than in the directory");
  if ((entry->flags & FLAG_SIZES_BEHIND) == 0 && !sizes_agree(local, entry))
    return refuse_entry(zip, entry, "has other sizes in its own header than in the directory");
  entry->data_at = entry->header_at + LOCAL_BYTES + le16(local + 26) + le16(local + 28);
  if (entry->data_at > zip->directory_at ||
      entry->packed_bytes > zip->directory_at - entry->data_at)
    return refuse_entry(zip, entry, "lies outside the archive");
  return STATUS_OK;
}

static Status read_local(const Zip *zip, ZipEntry *entry)
{
  uint8_t local[LOCAL_BYTES];
  TRY(source_read(zip->source, entry->header_at, local, sizeof local));
  if (le32(local) != local_mark) return refuse_entry(zip, entry, "is not where the directory says");
  const size_t name_bytes = le16(local + 26);
  void *name;
  TRY(memory_allocate(name_bytes, 1, "name in zip archive", &name));
  Status status = source_read(zip->source, entry->header_at + LOCAL_BYTES, name, name_bytes);
  if (status == STATUS_OK) status = check_local(zip, entry, local, name);
  memory_free(name);
  return status;
}

static int by_place(const void *left, const void *right)
{
  const ZipEntry *a = *(const ZipEntry *const *)left;
  const ZipEntry *b = *(const ZipEntry *const *)right;
  return (a->header_at > b->header_at) - (a->header_at < b->header_at);
}

static int by_name(const void *left, const void *right)
{
  return strcmp((*(const ZipEntry *const *)left)->name, (*(const ZipEntry *const *)right)->name);
}

static Status check_apart(Zip *zip)
{
  const ZipEntry **sorted = zip->sorted;
  int64_t total_bytes = 0;
  for (size_t i = 0; i < zip->count; ++i)
    sorted[i] = &zip->entries[i];
  qsort(sorted, zip->count, sizeof(ZipEntry *), by_place);
  for (size_t i = 0; i < zip->count; ++i) {
    if (i > 0 && sorted[i]->header_at < sorted[i - 1]->data_at + sorted[i - 1]->packed_bytes)
      return refuse_entry(zip, sorted[i], "overlaps another one");
    if (sorted[i]->bytes > ZIP_BYTES_MAX - total_bytes)
      return refuse_entry(zip, sorted[i], "is too large");
    total_bytes += sorted[i]->bytes;
  }
  qsort(sorted, zip->count, sizeof(ZipEntry *), by_name);
  for (size_t i = 1; i < zip->count; ++i)
    if (strcmp(sorted[i]->name, sorted[i - 1]->name) == 0)
      return refuse_entry(zip, sorted[i], "stands in it twice");
  return STATUS_OK;
}

static Status read_entries(Zip *zip, const uint8_t *directory, uint64_t bytes)
{
  uint64_t at = 0;
  for (size_t i = 0; i < zip->count; ++i) {
    uint64_t used = 0;
    TRY(read_entry(zip, directory + at, bytes - at, &zip->entries[i], &used));
    TRY(read_local(zip, &zip->entries[i]));
    at += used;
  }
  return at == bytes ? STATUS_OK : damaged(zip, "its directory holds bytes of no member");
}

static Status read_directory(Zip *zip)
{
  Directory directory = {0};
  void *piece;
  TRY(find_directory(zip, &directory));
  zip->directory_at = (int64_t)directory.at;
  TRY(arena_allocate(zip->arena, (size_t)directory.count * sizeof(ZipEntry), &piece));
  zip->entries = piece;
  zip->count = (size_t)directory.count;
  TRY(arena_allocate(zip->arena, zip->count * sizeof *zip->sorted, &piece));
  zip->sorted = piece;
  void *bytes;
  TRY(memory_allocate((size_t)directory.bytes, 1, "directory of zip archive", &bytes));
  Status status = source_read(zip->source, zip->directory_at, bytes, (size_t)directory.bytes);
  if (status == STATUS_OK) status = read_entries(zip, bytes, directory.bytes);
  memory_free(bytes);
  return status == STATUS_OK ? check_apart(zip) : status;
}

Status zip_open(const Source *source, Zip **zip)
{
  *zip = NULL;
  void *memory;
  TRY(memory_allocate(1, sizeof **zip, "zip archive", &memory));
  Zip *opening = memory;
  opening->source = source;
  Status status = arena_open(&opening->arena);
  if (status == STATUS_OK) status = read_directory(opening);
  if (status == STATUS_OK)
    *zip = opening;
  else
    zip_close(opening);
  return status;
}

void zip_close(Zip *zip)
{
  if (zip == NULL) return;
  arena_close(zip->arena);
  memory_free(zip);
}

const Source *zip_source(const Zip *zip)
{
  return zip->source;
}

size_t zip_count(const Zip *zip)
{
  return zip->count;
}

const ZipEntry *zip_at(const Zip *zip, size_t index)
{
  return &zip->entries[index];
}

static int against_name(const void *name, const void *entry)
{
  return strcmp(name, (*(const ZipEntry *const *)entry)->name);
}

const ZipEntry *zip_find(const Zip *zip, const char *name)
{
  const ZipEntry *const *found =
      bsearch(name, zip->sorted, zip->count, sizeof *zip->sorted, against_name);
  return found == NULL ? NULL : *found;
}

bool zip_is_folder(const ZipEntry *entry)
{
  return entry->name[strlen(entry->name) - 1] == '/';
}
