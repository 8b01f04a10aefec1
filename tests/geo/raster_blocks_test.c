#include "geo/raster_blocks.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/random.h"
#include "geo/geo_fixture.h"

enum { SIDE = 1400, BANDS = 3, BLOCK = 256, THREADS = 4, PIECE = 512 };

static const size_t piece_bytes = (size_t)PIECE * PIECE * (BANDS + 1);
static char path[FIXTURE_PATH_BYTES];
static Raster *raster;

/* Band 0 is 0, its NoData value, where both numbers of a pixel are multiples of 7. */
static int start(void **state)
{
  void *memory;
  char *options[] = {"TILED=YES", "BLOCKXSIZE=256", "BLOCKYSIZE=256", "COMPRESS=DEFLATE", NULL};
  const Grid grid = {SIDE, SIDE, {0, 1, 0, 0, 0, -1}, ""};
  if (fixture_start(state) != 0) return -1;
  CHECK_OK(memory_allocate((size_t)SIDE * SIDE * BANDS, 1, "pixels", &memory));
  uint8_t *pixels = memory;
  for (int i = 0; i < SIDE * SIDE * BANDS; ++i) {
    const int x = i / BANDS % SIDE, y = i / BANDS / SIDE, band = i % BANDS;
    pixels[i] = x % 7 == 0 && y % 7 == 0 ? 0 : (uint8_t)(1 + (x * 31 + y * 17 + band * 5) % 255);
  }
  fixture_path("blocks.tif", path);
  GDALDatasetH made = fixture_raster(path, &grid, "", GDT_Byte, BANDS, pixels, options);
  (void)GDALSetRasterNoDataValue(GDALGetRasterBand(made, 1), 0);
  GDALClose(made);
  memory_free(memory);
  CHECK_OK(raster_open(path, &raster));
  return 0;
}

static int end(void **state)
{
  raster_close(raster);
  return fixture_end(state);
}

/* Some lie across the raster's sides, some outside. */
static Window random_window(Random *random)
{
  return (Window){(int64_t)random_below(random, SIDE + 200) - 150,
                  (int64_t)random_below(random, SIDE + 200) - 150,
                  1 + (int64_t)random_below(random, 700), 1 + (int64_t)random_below(random, 700)};
}

/* Windows by the thread's own handle, against what raster_read gives. */
typedef struct Reader {
  RasterBlocks *blocks;
  uint64_t stream;
  int count;
  bool differs;
} Reader;

static void *read_windows(void *context)
{
  Reader *reader = context;
  static const int32_t bands[2] = {2, 0};
  Random random = random_stream(1, reader->stream);
  Raster *mine;
  void *memory[4];
  CHECK_OK(raster_open(path, &mine));
  for (int i = 0; i < 4; ++i)
    CHECK_OK(memory_allocate(700 * 700, 2, "pixels", &memory[i]));
  for (int i = 0; i < reader->count; ++i) {
    const Window window = random_window(&random);
    const size_t pixels = (size_t)window_pixels(window);
    memset(memory[0], 7, 2 * pixels);
    memset(memory[1], 7, pixels);
    CHECK_OK(raster_blocks_read(reader->blocks, mine, window, memory[0], memory[1]));
    CHECK_OK(raster_read(mine, window, bands, 2, memory[2], memory[3]));
    reader->differs = reader->differs || memcmp(memory[0], memory[2], 2 * pixels) != 0 ||
                      memcmp(memory[1], memory[3], pixels) != 0;
  }
  for (int i = 0; i < 4; ++i)
    memory_free(memory[i]);
  raster_close(mine);
  return NULL;
}

static void read_by(int thread_count, int count, size_t bytes_most)
{
  static const int32_t bands[2] = {2, 0};
  pthread_t threads[THREADS];
  Reader readers[THREADS];
  RasterBlocks *blocks;
  CHECK_OK(raster_blocks_open(raster, bands, 2, thread_count, bytes_most, &blocks));
  for (int i = 0; i < thread_count; ++i) {
    readers[i] = (Reader){.blocks = blocks, .stream = (uint64_t)i, .count = count};
    assert_int_equal(pthread_create(&threads[i], NULL, read_windows, &readers[i]), 0);
  }
  for (int i = 0; i < thread_count; ++i) {
    (void)pthread_join(threads[i], NULL);
    assert_false(readers[i].differs);
  }
  raster_blocks_close(blocks);
}

static void windows_are_those_of_the_raster_whatever_is_kept(void **state)
{
  read_by(1, 20, (size_t)1 << 30);
  read_by(1, 20, 2 * piece_bytes);
  read_by(1, 5, 1000); /* nothing can be kept */
}

static void threads_that_want_the_same_pieces_all_get_them(void **state)
{
  read_by(THREADS, 30, (THREADS + 1) * piece_bytes); /* hardly one more than they hold */
  read_by(THREADS, 15, (size_t)1 << 30);
}

static void set_band(GDALDatasetH file, int value)
{
  (void)GDALFillRaster(GDALGetRasterBand(file, 2), value, 0);
}

/* What is kept no change of the file can reach; with less room than the raster it is read again. */
static void a_piece_is_decoded_once_while_there_is_room(void **state)
{
  char copy[FIXTURE_PATH_BYTES];
  char *options[] = {"TILED=YES", "BLOCKXSIZE=256", "BLOCKYSIZE=256", NULL};
  uint8_t first[BANDS], again[BANDS];
  const Window pixel = {3, 3, 1, 1}, far = {SIDE - 3, SIDE - 3, 1, 1};
  fixture_path("changes.tif", copy);
  for (int room = 0; room < 2; ++room) {
    Raster *mine;
    RasterBlocks *blocks;
    GDALDatasetH source = GDALOpen(path, GA_ReadOnly);
    GDALDatasetH made =
        GDALCreateCopy(GDALGetDriverByName("GTiff"), copy, source, 0, options, NULL, NULL);
    GDALClose(source);
    set_band(made, 10);
    GDALClose(made);
    CHECK_OK(raster_open(copy, &mine));
    CHECK_OK(raster_blocks_open(mine, NULL, BANDS, 1, (room == 0 ? 9 : 2) * piece_bytes, &blocks));
    CHECK_OK(raster_blocks_read(blocks, mine, pixel, first, NULL));
    assert_int_equal(first[1], 10);
    GDALDatasetH changing = GDALOpen(copy, GA_Update);
    set_band(changing, 20);
    GDALClose(changing);
    for (int64_t x = 0; x < SIDE; x += PIECE)
      CHECK_OK(raster_blocks_read(blocks, mine, (Window){x, SIDE - 3, 1, 1}, again, NULL));
    CHECK_OK(raster_blocks_read(blocks, mine, far, again, NULL));
    assert_int_equal(again[1], 20);
    CHECK_OK(raster_blocks_read(blocks, mine, pixel, again, NULL));
    assert_int_equal(again[1], room == 0 ? 10 : 20);
    raster_blocks_close(blocks);
    raster_close(mine);
  }
}

static void *read_damaged(void *context)
{
  Reader *reader = context;
  Raster *mine;
  static _Thread_local uint8_t pixels[200 * 200 * BANDS];
  CHECK_OK(raster_open(path, &mine));
  for (int i = 0; i < reader->count; ++i) {
    const Window last = {SIDE - 200, SIDE - 200, 200, 200};
    const Status status = raster_blocks_read(reader->blocks, mine, last, pixels, NULL);
    reader->differs = reader->differs || status != STATUS_BAD_INPUT ||
                      strstr(status_message(), "is truncated or damaged") == NULL;
  }
  raster_close(mine);
  return NULL;
}

/* The last test: it spoils the file. */
static void a_piece_that_cannot_be_read_fails_for_all_and_none_waits(void **state)
{
  pthread_t threads[THREADS];
  Reader readers[THREADS];
  RasterBlocks *blocks;
  FILE *file = fopen(path, "r+b");
  assert_non_null(file);
  assert_int_equal(fseek(file, 0, SEEK_END), 0);
  assert_int_equal(truncate(path, ftell(file) / 2), 0);
  (void)fclose(file);
  CHECK_OK(raster_blocks_open(raster, NULL, BANDS, THREADS, 9 * piece_bytes, &blocks));
  for (int i = 0; i < THREADS; ++i) {
    readers[i] = (Reader){.blocks = blocks, .count = 20};
    assert_int_equal(pthread_create(&threads[i], NULL, read_damaged, &readers[i]), 0);
  }
  for (int i = 0; i < THREADS; ++i) {
    (void)pthread_join(threads[i], NULL);
    assert_false(readers[i].differs);
  }
  raster_blocks_close(blocks);
}

static void what_will_be_kept_is_known_before(void **state)
{
  size_t kept, of_thread;
  const Window all = {0, 0, SIDE, SIDE}, corner = {10, 10, 600, 100};
  raster_blocks_bytes(raster, BANDS, 2, (size_t)1 << 30, all, &kept, &of_thread);
  assert_int_equal(kept, 9 * piece_bytes);
  assert_int_equal(of_thread, 4 * BLOCK * BLOCK * BANDS);
  raster_blocks_bytes(raster, BANDS, 2, (size_t)1 << 30, corner, &kept, &of_thread);
  assert_int_equal(kept, 2 * piece_bytes);
  raster_blocks_bytes(raster, BANDS, 2, 5 * piece_bytes, all, &kept, &of_thread);
  assert_int_equal(kept, 5 * piece_bytes);
  raster_blocks_bytes(raster, BANDS, 5, 5 * piece_bytes, all, &kept, &of_thread);
  assert_int_equal(kept, 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(windows_are_those_of_the_raster_whatever_is_kept),
      cmocka_unit_test(threads_that_want_the_same_pieces_all_get_them),
      cmocka_unit_test(a_piece_is_decoded_once_while_there_is_room),
      cmocka_unit_test(what_will_be_kept_is_known_before),
      cmocka_unit_test(a_piece_that_cannot_be_read_fails_for_all_and_none_waits),
  };
  return cmocka_run_group_tests(tests, start, end);
}
