#include "zip_bytes.h"

#include "store/checksum.h"
#include "support/check.h"

static void put(uint8_t *bytes, size_t *count, uint64_t value, size_t width)
{
  for (size_t i = 0; i < width; ++i)
    bytes[(*count)++] = (uint8_t)(value >> (8 * i));
}

static void put_bytes(uint8_t *bytes, size_t *count, const void *data, size_t byte_count)
{
  if (byte_count > 0) memcpy(bytes + *count, data, byte_count);
  *count += byte_count;
}

void zip_bytes_add(ZipBytes *zip, const char *name, const void *data, size_t byte_count, ZipLie lie)
{
  const char *local_name = lie.local_name == NULL ? name : lie.local_name;
  const uint32_t crc = checksum_crc32(0, data, byte_count);
  const uint64_t packed = lie.packed_bytes < 0 ? byte_count : (uint64_t)lie.packed_bytes;
  const uint64_t whole = lie.bytes < 0 ? byte_count : (uint64_t)lie.bytes;
  const uint64_t at = lie.header_at < 0 ? zip->count : (uint64_t)lie.header_at;
  assert_true(zip->count + byte_count + 512 < sizeof zip->bytes);
  assert_true(zip->directory_bytes + 512 < sizeof zip->directory);
  put(zip->bytes, &zip->count, 0x04034b50, 4);
  put(zip->bytes, &zip->count, 20, 2);
  put(zip->bytes, &zip->count, lie.flags, 2);
  put(zip->bytes, &zip->count, lie.method, 2);
  put(zip->bytes, &zip->count, 0x00210000, 4);
  put(zip->bytes, &zip->count, crc, 4);
  put(zip->bytes, &zip->count, packed, 4);
  put(zip->bytes, &zip->count, whole, 4);
  put(zip->bytes, &zip->count, strlen(local_name), 2);
  put(zip->bytes, &zip->count, 0, 2);
  put_bytes(zip->bytes, &zip->count, local_name, strlen(local_name));
  put_bytes(zip->bytes, &zip->count, data, byte_count);
  uint8_t *directory = zip->directory;
  size_t *count = &zip->directory_bytes;
  put(directory, count, 0x02014b50, 4);
  put(directory, count, 0x031E, 2); /* made on Unix */
  put(directory, count, 20, 2);
  put(directory, count, lie.flags, 2);
  put(directory, count, lie.method, 2);
  put(directory, count, 0x00210000, 4);
  put(directory, count, crc, 4);
  put(directory, count, packed, 4);
  put(directory, count, whole, 4);
  put(directory, count, strlen(name), 2);
  put(directory, count, 0, 8); /* extra, comment, disk, kind */
  put(directory, count, lie.attributes, 4);
  put(directory, count, at, 4);
  put_bytes(directory, count, name, strlen(name));
  ++zip->member_count;
}

void zip_bytes_end(ZipBytes *zip)
{
  const size_t at = zip->count;
  put_bytes(zip->bytes, &zip->count, zip->directory, zip->directory_bytes);
  put(zip->bytes, &zip->count, 0x06054b50, 4);
  put(zip->bytes, &zip->count, 0, 4);
  put(zip->bytes, &zip->count, zip->member_count, 2);
  put(zip->bytes, &zip->count, zip->member_count, 2);
  put(zip->bytes, &zip->count, zip->directory_bytes, 4);
  put(zip->bytes, &zip->count, at, 4);
  put(zip->bytes, &zip->count, 0, 2);
}
