#include "tile_ledger.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/output.h"
#include "base/path.h"
#include "store/checksum.h"
#include "store/journal.h"

typedef Status FileVisit(void *context, const char *folder, const char *name);

/* Calls visit for every file of a folder whose name begins so. */
static Status for_each_file(const char *folder, const char *prefix, FileVisit *visit, void *context)
{
  if (!path_exists(folder)) return STATUS_OK;
  DIR *listing = opendir(folder);
  if (listing == NULL)
    return status_set(STATUS_IO, "cannot list the folder %s: %s", folder, strerror(errno));
  Status status = STATUS_OK;
  for (const struct dirent *entry = readdir(listing); entry != NULL && status == STATUS_OK;
       entry = readdir(listing))
    if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0 &&
        strlen(entry->d_name) < SHARD_NAME_BYTES)
      status = visit(context, folder, entry->d_name);
  (void)closedir(listing);
  return status;
}

typedef struct BatchSearch {
  const char *identity;
  int32_t batch_size;
} BatchSearch;

static Status find_batch_record(void *context, const char *record)
{
  BatchSearch *search = context;
  int size;
  if (sscanf(record, "batch %d", &size) == 1 && size > 0) search->batch_size = size;
  return STATUS_OK;
}

static Status find_batch(void *context, const char *folder, const char *name)
{
  BatchSearch *search = context;
  char path[OUTPUT_PATH_BYTES];
  TRY(path_join(folder, name, sizeof path, path));
  return journal_read(path, search->identity, find_batch_record, search);
}

Status ledger_batch_size(const char *folder, const char *identity, int32_t *batch_size)
{
  BatchSearch search = {.identity = identity};
  TRY(for_each_file(folder, "journal_", find_batch, &search));
  *batch_size = search.batch_size;
  return STATUS_OK;
}

/* One journal is read into places whose shard is not known yet; the shard's line settles them. */
enum { SHARD_UNSETTLED = -3 };

typedef struct JournalReading {
  Ledger *ledger;
  const char *folder;
  const char *identity;
  const Log *log;
  bool check;
  int64_t *unsettled; /* units since the last shard line */
  int64_t unsettled_count;
} JournalReading;

static Status read_unit(JournalReading *reading, const char *record)
{
  int64_t unit;
  LedgerPlace place = {.shard = SHARD_UNSETTLED};
  if (sscanf(record, "unit %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64, &unit, &place.offset,
             &place.nodata_px, &place.failed_px) != 4 ||
      unit < 0 || unit >= reading->ledger->unit_count)
    return status_set(STATUS_BAD_INPUT, "a journal in %s is damaged: “%s”", reading->folder,
                      record);
  if (reading->ledger->places[unit].shard != LEDGER_NOT_DONE) return STATUS_OK; /* done before */
  reading->ledger->places[unit] = place;
  reading->unsettled[reading->unsettled_count++] = unit;
  return STATUS_OK;
}

static bool is_whole(const JournalReading *reading, const char *name, const char *digest)
{
  char path[OUTPUT_PATH_BYTES];
  char found[17];
  uint64_t value;
  if (path_join(reading->folder, name, sizeof path, path) != STATUS_OK) return false;
  if (!reading->check) return path_exists(path);
  if (checksum_file(path, &value) != STATUS_OK) return false;
  checksum_text(value, found);
  return strcmp(found, digest) == 0;
}

static Status add_shard(Ledger *ledger, const char *name)
{
  if (ledger->shard_count == ledger->shard_capacity) {
    void *memory;
    const int32_t capacity = ledger->shard_capacity == 0 ? 64 : 2 * ledger->shard_capacity;
    TRY(memory_allocate((size_t)capacity, SHARD_NAME_BYTES, "names of shards", &memory));
    if (ledger->shard_count > 0)
      memcpy(memory, ledger->shard_names, (size_t)ledger->shard_count * SHARD_NAME_BYTES);
    memory_free(ledger->shard_names);
    ledger->shard_names = memory;
    ledger->shard_capacity = capacity;
  }
  (void)snprintf(ledger->shard_names[ledger->shard_count++], SHARD_NAME_BYTES, "%s", name);
  return STATUS_OK;
}

static void settle(JournalReading *reading, bool counts, int32_t shard)
{
  Ledger *ledger = reading->ledger;
  for (int64_t i = 0; i < reading->unsettled_count; ++i) {
    LedgerPlace *place = &ledger->places[reading->unsettled[i]];
    const int32_t stored = place->offset < 0 ? LEDGER_NOTHING : shard;
    place->shard = counts ? stored : LEDGER_NOT_DONE;
    ledger->done_count += counts ? 1 : 0;
  }
  reading->unsettled_count = 0;
}

static Status read_shard(JournalReading *reading, const char *record)
{
  char name[SHARD_NAME_BYTES];
  char digest[17];
  if (sscanf(record, "shard %63s %16s", name, digest) != 2)
    return status_set(STATUS_BAD_INPUT, "a journal in %s is damaged: “%s”", reading->folder,
                      record);
  const bool has_file = strcmp(name, "-") != 0;
  const bool whole = !has_file || is_whole(reading, name, digest);
  if (!whole && reading->check)
    log_warning(reading->log, "%s/%s is gone or damaged; its tiles are done again", reading->folder,
                name);
  if (has_file && whole) TRY(add_shard(reading->ledger, name));
  settle(reading, whole, reading->ledger->shard_count - 1);
  return STATUS_OK;
}

static Status read_record(void *context, const char *record)
{
  if (strncmp(record, "unit ", 5) == 0) return read_unit(context, record);
  if (strncmp(record, "shard ", 6) == 0) return read_shard(context, record);
  return STATUS_OK;
}

static Status read_one_journal(void *context, const char *folder, const char *name)
{
  JournalReading *reading = context;
  char path[OUTPUT_PATH_BYTES];
  int run;
  if (sscanf(name, "journal_%d_", &run) == 1 && run >= reading->ledger->runs)
    reading->ledger->runs = run + 1;
  TRY(path_join(folder, name, sizeof path, path));
  TRY(journal_read(path, reading->identity, read_record, reading));
  settle(reading, false, 0); /* units that no shard's line follows */
  return STATUS_OK;
}

static Status fill(const char *folder, JournalReading *reading)
{
  Ledger *ledger = reading->ledger;
  void *memory;
  TRY(memory_allocate((size_t)ledger->unit_count, sizeof *ledger->places, "units", &memory));
  ledger->places = memory;
  for (int64_t i = 0; i < ledger->unit_count; ++i)
    ledger->places[i].shard = LEDGER_NOT_DONE;
  TRY(memory_allocate((size_t)ledger->unit_count, sizeof *reading->unsettled, "units", &memory));
  reading->unsettled = memory;
  return for_each_file(folder, "journal_", read_one_journal, reading);
}

Status ledger_open(const char *folder, const char *identity, int64_t unit_count, bool check,
                   const Log *log, Ledger *ledger)
{
  *ledger = (Ledger){.unit_count = unit_count};
  JournalReading reading = {
      .ledger = ledger, .folder = folder, .identity = identity, .log = log, .check = check};
  const Status status = fill(folder, &reading);
  memory_free(reading.unsettled);
  if (status != STATUS_OK) ledger_close(ledger);
  return status;
}

void ledger_close(Ledger *ledger)
{
  memory_free(ledger->places);
  memory_free(ledger->shard_names);
  *ledger = (Ledger){0};
}

static Status remove_file(const char *folder, const char *name)
{
  char path[OUTPUT_PATH_BYTES];
  TRY(path_join(folder, name, sizeof path, path));
  if (unlink(path) != 0 && errno != ENOENT)
    return status_set(STATUS_IO, "cannot remove %s: %s", path, strerror(errno));
  return STATUS_OK;
}

static Status remove_if_stray(void *context, const char *folder, const char *name)
{
  const Ledger *ledger = context;
  for (int32_t i = 0; i < ledger->shard_count; ++i)
    if (strcmp(ledger->shard_names[i], name) == 0) return STATUS_OK;
  return remove_file(folder, name);
}

Status ledger_remove_strays(const Ledger *ledger, const char *folder)
{
  Ledger borrowed = *ledger;
  TRY(for_each_file(folder, ".shard_", remove_if_stray, &borrowed));
  return for_each_file(folder, "shard_", remove_if_stray, &borrowed);
}

static Status remove_journal(void *context, const char *folder, const char *name)
{
  return remove_file(folder, name);
}

Status ledger_remove_journals(const char *folder)
{
  return for_each_file(folder, "journal_", remove_journal, NULL);
}
