#include "store/checksum.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

static const uint64_t prime_1 = 0x9E3779B185EBCA87U;
static const uint64_t prime_2 = 0xC2B2AE3D27D4EB4FU;
static const uint64_t prime_3 = 0x165667B19E3779F9U;
static const uint64_t prime_4 = 0x85EBCA77C2B2AE63U;
static const uint64_t prime_5 = 0x27D4EB2F165667C5U;

uint32_t checksum_crc32(uint32_t crc, const void *bytes, size_t byte_count)
{
  if (byte_count == 0) return crc; /* zlib takes a NULL buffer as a request to start anew */
  return (uint32_t)crc32_z(crc, bytes, byte_count);
}

static uint64_t rotate(uint64_t value, int bits)
{
  return (value << bits) | (value >> (64 - bits));
}

/* Little-endian whatever the host, so that a digest may travel. */
static uint64_t read_le(const uint8_t *bytes, size_t count)
{
  uint64_t value = 0;
  for (size_t i = 0; i < count; ++i)
    value |= (uint64_t)bytes[i] << (8 * i);
  return value;
}

static uint64_t mix_lane(uint64_t lane, uint64_t word)
{
  return rotate(lane + word * prime_2, 31) * prime_1;
}

static void add_stripe(uint64_t lanes[4], const uint8_t stripe[32])
{
  for (size_t i = 0; i < 4; ++i)
    lanes[i] = mix_lane(lanes[i], read_le(stripe + 8 * i, 8));
}

Checksum checksum_start(uint64_t seed)
{
  return (Checksum){.lanes = {seed + prime_1 + prime_2, seed + prime_2, seed, seed - prime_1},
                    .seed = seed};
}

void checksum_add(Checksum *checksum, const void *bytes, size_t byte_count)
{
  const uint8_t *next = bytes;
  checksum->total_bytes += byte_count;
  if (checksum->pending_bytes > 0) {
    const size_t room = sizeof checksum->pending - checksum->pending_bytes;
    const size_t taken = byte_count < room ? byte_count : room;
    if (taken > 0) memcpy(checksum->pending + checksum->pending_bytes, next, taken);
    checksum->pending_bytes += taken;
    next += taken;
    byte_count -= taken;
    if (checksum->pending_bytes < sizeof checksum->pending) return;
    add_stripe(checksum->lanes, checksum->pending);
    checksum->pending_bytes = 0;
  }
  for (; byte_count >= 32; next += 32, byte_count -= 32)
    add_stripe(checksum->lanes, next);
  if (byte_count > 0) memcpy(checksum->pending, next, byte_count);
  checksum->pending_bytes = byte_count;
}

void checksum_add_text(Checksum *checksum, const char *text)
{
  uint8_t length[8];
  const uint64_t count = strlen(text);
  for (size_t i = 0; i < 8; ++i)
    length[i] = (uint8_t)(count >> (8 * i));
  checksum_add(checksum, length, sizeof length);
  checksum_add(checksum, text, (size_t)count);
}

static uint64_t join_lanes(const Checksum *checksum)
{
  const uint64_t *lanes = checksum->lanes;
  if (checksum->total_bytes < 32) return checksum->seed + prime_5;
  uint64_t value =
      rotate(lanes[0], 1) + rotate(lanes[1], 7) + rotate(lanes[2], 12) + rotate(lanes[3], 18);
  for (size_t i = 0; i < 4; ++i)
    value = (value ^ mix_lane(0, lanes[i])) * prime_1 + prime_4;
  return value;
}

uint64_t checksum_value(const Checksum *checksum)
{
  uint64_t value = join_lanes(checksum) + checksum->total_bytes;
  const uint8_t *next = checksum->pending;
  const uint8_t *end = next + checksum->pending_bytes;
  for (; end - next >= 8; next += 8)
    value = rotate(value ^ mix_lane(0, read_le(next, 8)), 27) * prime_1 + prime_4;
  if (end - next >= 4) {
    value = rotate(value ^ (read_le(next, 4) * prime_1), 23) * prime_2 + prime_3;
    next += 4;
  }
  for (; next < end; ++next)
    value = rotate(value ^ (*next * prime_5), 11) * prime_1;
  value = (value ^ (value >> 33)) * prime_2;
  value = (value ^ (value >> 29)) * prime_3;
  return value ^ (value >> 32);
}

static Status add_stream(FILE *stream, const char *path, Checksum *checksum)
{
  uint8_t block[65536];
  for (size_t count = fread(block, 1, sizeof block, stream); count > 0;
       count = fread(block, 1, sizeof block, stream))
    checksum_add(checksum, block, count);
  if (ferror(stream)) return status_set(STATUS_IO, "cannot read %s: %s", path, strerror(errno));
  return STATUS_OK;
}

Status checksum_file(const char *path, uint64_t *value)
{
  Checksum checksum = checksum_start(0);
  FILE *stream = fopen(path, "rbe");
  if (stream == NULL) return status_set(STATUS_IO, "cannot open %s: %s", path, strerror(errno));
  const Status status = add_stream(stream, path, &checksum);
  (void)fclose(stream);
  if (status == STATUS_OK) *value = checksum_value(&checksum);
  return status;
}

void checksum_text(uint64_t value, char text[17])
{
  (void)snprintf(text, 17, "%016llx", (unsigned long long)value);
}
